"""Differences between choices at a worth of a right answer, by the one rule: over seeds and queries, after Holm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.decision.choices import ACCURACY, COST, Choices
from bandits.metrics.intervals import Estimate, clustered, paired
from bandits.metrics.verdict import ALPHA, Verdict, judge

Floats = NDArray[np.float64]
POWER = 0.8  # with which "so many more queries" would show a difference that is as it looks


class Pair(NamedTuple):
    """A choice, what it is compared with, and the worth of a right answer: inf where accuracy alone counts."""

    choice: int
    other: int
    worth: float


class Compared(NamedTuple):
    """What was found of `n` pairs that were looked at together.

    Attributes:
        pairs: `n`.
        seeds, queries: the differences in right answers a query, cost taken off at the worth; arrays `(n,)`.
        verdict: of all of them, one family.
    """

    pairs: tuple[Pair, ...]
    seeds: Estimate
    queries: Estimate
    verdict: Verdict

    @property
    def passed(self) -> float:
        """What the last p-value that is shown had to be below: Holm's last step that was passed."""
        known = int((~np.isnan(self.verdict.p)).sum())
        return ALPHA / max(known - int(self.verdict.shown.sum()) + 1, 1)

    @property
    def cutoff(self) -> float:
        """What the p-value of the next difference has to be below to be shown: Holm's next step."""
        known = int((~np.isnan(self.verdict.p)).sum())
        return ALPHA / max(known - int(self.verdict.shown.sum()), 1)

    @property
    def widest(self) -> tuple[Floats, Floats]:
        """Ends `(n,)` of the wider of both 95 % intervals, which holds the other where both are centred alike."""
        return np.fmin(self.seeds.lo, self.queries.lo), np.fmax(self.seeds.hi, self.queries.hi)


def net(values: Floats, worth: float) -> Floats:
    """Return what `(..., M)` measures are worth in right answers: accuracy less cost over the worth of one."""
    if math.isinf(worth):
        return values[..., ACCURACY]
    return np.asarray(values[..., ACCURACY] - values[..., COST] / worth)


def compare(
    choices: Choices, pairs: Sequence[Pair], rivals: Sequence[int] = (), *, played: bool = True
) -> Compared:
    """Return the differences of pairs, one family.

    The other side of a pair was found to be the best by looking. A choice that is ahead of it is therefore held against
    all rivals, and the largest p-value counts: it is better than the best of them only if it is better than each
    (intersection-union test, Berger 1982), which needs no correction of its own.

    Args:
        choices: from `measured`.
        pairs: at least one.
        rivals: places of fixed choices, none of them better than the other side of a pair at its worth.
        played: False where both sides are fixed choices, which have no randomness of their own: then the queries
            alone speak, since the orders of a table played whole change nothing.
    """
    seeds, queries = _estimates(choices, pairs)
    ahead = (seeds.mean > 0) & (queries.mean > 0)
    p = np.array([_hardest(choices, pair, rivals) for pair in pairs]) if rivals else np.zeros((len(pairs), 2))
    over = seeds if played else queries
    over = over._replace(p=np.where(ahead, np.maximum(over.p, p[:, 0]), over.p))
    queries = queries._replace(p=np.where(ahead, np.maximum(queries.p, p[:, 1]), queries.p))
    count, clusters = len(choices.by_seed), len(choices.rounds)
    return Compared(tuple(pairs), seeds, queries, judge(over, queries, seeds=count, queries=clusters))


def _hardest(choices: Choices, pair: Pair, rivals: Sequence[int]) -> tuple[float, float]:
    """Return the largest p-value over seeds, and over queries, of a choice's lead over rivals; 1 where it has none.

    NaN where there is no interval, so that there is no verdict either.
    """
    seeds, queries = _estimates(choices, [Pair(pair.choice, other, pair.worth) for other in rivals])
    behind = (seeds.mean <= 0) | (queries.mean <= 0)
    return float(np.where(behind, 1.0, seeds.p).max()), float(np.where(behind, 1.0, queries.p).max())


def _estimates(choices: Choices, pairs: Sequence[Pair]) -> tuple[Estimate, Estimate]:
    def column(values: Floats, side: bool) -> Floats:
        return np.stack(
            [net(values[:, pair.other if side else pair.choice], pair.worth) for pair in pairs], axis=1
        )

    seeds = paired(column(choices.by_seed, False), column(choices.by_seed, True))
    gap = column(choices.by_cluster, False) - column(choices.by_cluster, True)
    return seeds, clustered(gap, choices.rounds)


def shown_between(
    choices: Choices, pair: Pair, rivals: Sequence[int], cutoff: float, tried: Floats
) -> tuple[float, float]:
    """Return the worths around a pair's own between which its choice is ahead of all rivals by p-values up to a cutoff.

    For one rival the lower bound of the difference is concave in the worth: a linear difference less a multiple of its
    standard error, which is the norm of a linear function. So is the least over rivals and over both tests, and the
    worths at which it is above 0 are one interval: between two worths at which a lead is shown, it is shown throughout.

    Args:
        choices: from `measured`.
        pair: shown at its own worth.
        rivals: places.
        cutoff: of p-values, on two sides.
        tried: worths to try, ascending; the ends are among them, or a hundredth from the pair's own.
    """

    def holds(worth: float) -> bool:
        return max(_hardest(choices, pair._replace(worth=worth), rivals)) <= cutoff

    below = takewhile(holds, tried[tried < pair.worth][::-1].tolist())
    above = takewhile(holds, tried[tried > pair.worth].tolist())
    own = float(tried[np.isfinite(tried)].max()) if math.isinf(pair.worth) else pair.worth
    return min([own / 1.01, *below]), max([pair.worth * 1.01, *above])

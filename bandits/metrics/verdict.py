"""The one rule by which anything is said to beat anything: seeds and queries both show it, after Holm's correction.

Each contender is compared with one player that was named before, by a paired t-test over the seeds that they share and
one over the queries (means over seeds, in clusters of near copies). Both have to show the difference, so the larger of
the two p-values counts, and Holm's correction runs over all contenders: the leader was found by looking at them all.
A t-test, not sign flips: it agrees with the intervals, and no number of seeds puts a floor under its p-values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import Estimate
from bandits.metrics.significance import holm

ALPHA = 0.05
FEWEST_SEEDS = 3
FEWEST_QUERIES = 30  # clusters: with fewer right-or-wrong answers a t interval does not cover what it says


class Verdict(NamedTuple):
    """What can be said of each contender's difference; arrays of one shape.

    Attributes:
        p: the larger p-value of the two tests, NaN where there is no verdict.
        p_holm: adjusted for all contenders.
        shown: whether the difference holds at 5 %, in whichever direction it has.
        why: the reason where it is not shown, else "".
    """

    p: NDArray[np.float64]
    p_holm: NDArray[np.float64]
    shown: NDArray[np.bool_]
    why: NDArray[np.object_]


def impossible(repetitions: int, thing: str = "seeds") -> str:
    """Return the sentence that no verdict is possible on so few seeds (draws, ...); "" where there are enough."""
    if repetitions >= FEWEST_SEEDS:
        return ""
    return f"No verdict: it needs at least {FEWEST_SEEDS} {thing}, got {repetitions}."


def judge(
    over_seeds: Estimate,
    over_queries: Estimate,
    *,
    seeds: int,
    queries: int | NDArray[np.integer],
    family: NDArray[np.int64] | None = None,
) -> Verdict:
    """Return the verdict on the differences of all contenders.

    Args:
        over_seeds: from `intervals.paired`.
        over_queries: from `intervals.clustered`, NaN where the queries' own numbers are not known.
        seeds: shared by all.
        queries: clusters of queries that each difference stands on, 0 where what each got is not known.
        family: which differences are looked at together, one label each; all of them where it is left out.
    """
    stands = np.broadcast_to(np.asarray(queries), over_seeds.p.shape)
    p = np.maximum(over_seeds.p, over_queries.p)  # NaN where either has none
    p = np.where((stands < FEWEST_QUERIES) | (seeds < FEWEST_SEEDS), np.nan, p)
    label = np.zeros(p.shape, np.int64) if family is None else np.broadcast_to(family, p.shape)
    adjusted = np.full(p.shape, np.nan)
    for one in np.unique(label):
        adjusted[label == one] = holm(p[label == one])
    shown = adjusted < ALPHA
    why = np.full(p.shape, "the intervals over seeds and over queries do not both exclude 0", object)
    why[(over_seeds.p < ALPHA) & (over_queries.p < ALPHA)] = (
        "not after Holm's correction for all that was compared"
    )
    why[np.isnan(over_queries.p)] = "there is no interval over queries"
    why[np.isnan(over_seeds.p)] = "all seeds are the same draw, so there is no interval over seeds"
    why[stands < FEWEST_QUERIES] = (
        f"a verdict needs at least {FEWEST_QUERIES} queries that are not near copies"
    )
    why[stands == 0] = "what each query got is not known, so there is no interval over queries"
    if seeds < FEWEST_SEEDS:
        why[...] = f"a verdict needs at least {FEWEST_SEEDS} seeds"
    why[shown] = ""
    return Verdict(p, adjusted, shown, why)

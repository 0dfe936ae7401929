"""Router against cascade at equal cost: both learned on one part of the queries, compared on the other.

A budget is a mean cost a query. The cascade is the best chain within it on the training rows (`frugal.grids`). The
router hears no judge and pays for none. It chooses one model before any call, `argmax q(x) - lambda c` with `c` the
bare cost of a call and `q` from logistic regressions on the same rows,
and lambda is set so that it pays on the test rows what the cascade pays there: a mixture of the two neighbouring
lambdas of a ladder, fitted to costs, not to outcomes. Their difference at equal cost is `mean(d_i - s e_i)` with `d_i`
and `e_i` the differences in utility and cost of query `i` and `s` the slope between the two neighbours; with it the
interval counts that the mixture was fitted (delta method).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import SHARES_APART, Estimate, clustered
from bandits.metrics.significance import holm
from bandits.metrics.verdict import ALPHA, FEWEST_QUERIES
from bandits.sequential import frugal
from bandits.sequential.chains import Chain, Judged, Ran, at_random, going_on, play
from bandits.sequential.estimates import Estimator, Fitted

Floats = NDArray[np.float64]
_RUNGS = 400  # of the ladder of lambdas


class Sides(NamedTuple):
    """Rows to learn on and rows to compare on, with what is known of each query before any call."""

    train: Judged
    test: Judged
    train_context: Floats
    test_context: Floats
    cluster: NDArray[np.int64]  # (N,) of the test rows: near copies share one
    train_bare: Floats | None = None  # (N, K) cost of a call without its judge; None: judging is free
    test_bare: Floats | None = None


class Ladder(NamedTuple):
    """What the router gives on the test rows at each lambda, `(L, N)`, mean cost rising."""

    utility: Floats
    cost: Floats


class Met(NamedTuple):
    """One budget.

    Attributes:
        budget: mean cost a query.
        chain: the cascade learned within it.
        promised: its mean cost on the training rows.
        trained: its mean utility there.
        ran: what it gives on the test rows.
        router: mean utility of the router on the test rows at the same mean cost.
        against_router: of the cascade's utility over the router's at equal cost.
        random: mean utility of the same chain that goes on by chance, as often.
        against_random: of the cascade's utility over that; NaN for a single model.
    """

    budget: float
    chain: Chain
    promised: float
    trained: float
    ran: Ran
    router: float
    against_router: Estimate
    random: float
    against_random: Estimate


def ladder(sides: Sides) -> Ladder:
    """Return the router's choices at every lambda of a geometric ladder, the dearest choice last, at bare costs."""
    quality = Estimator(Fitted(sides.train_context, sides.train), sides.test_context, sides.test)
    expected = quality(np.zeros(sides.train.utility.shape[1], bool))
    learned = sides.train.cost if sides.train_bare is None else sides.train_bare
    charged = sides.test.cost if sides.test_bare is None else sides.test_bare
    cost = learned.mean(axis=0)
    weights = np.concatenate([np.geomspace(1e4, 1e-4, _RUNGS) / max(cost.max(), 1e-300), [0.0]])
    arms = np.stack([(expected - w * cost).argmax(axis=1) for w in weights])
    arms = arms[np.append(True, (arms[1:] != arms[:-1]).any(axis=1))]
    rows = np.arange(arms.shape[1])
    paid = charged[rows, arms]
    order = np.argsort(paid.mean(axis=1), kind="stable")
    return Ladder(sides.test.utility[rows, arms][order], paid[order])


def matched(rungs: Ladder, cost: float) -> tuple[Floats, Floats, float]:
    """Return `(N,)` utility and cost of the router at this mean cost, and the slope of utility in cost there.

    Beyond the ladder's ends the router is what it is at the end, with slope 0.
    """
    mean = rungs.cost.mean(axis=1)
    above = int(np.searchsorted(mean, cost))
    if above == 0 or above == len(mean):
        at = min(above, len(mean) - 1)
        return rungs.utility[at], rungs.cost[at], 0.0
    low, high = above - 1, above
    gap = mean[high] - mean[low]
    share = (cost - mean[low]) / gap if gap > 0 else 1.0
    utility = (1 - share) * rungs.utility[low] + share * rungs.utility[high]
    paid = (1 - share) * rungs.cost[low] + share * rungs.cost[high]
    slope = (rungs.utility[high].mean() - rungs.utility[low].mean()) / gap if gap > 0 else 0.0
    return utility, paid, float(slope)


def paired(difference: Floats, cluster: NDArray[np.int64]) -> Estimate:
    """Return the mean of `(N,)` differences with its interval over clusters of queries."""
    sums = np.bincount(cluster, weights=difference)
    return clustered(sums, np.bincount(cluster))


def meet(
    sides: Sides,
    budgets: Sequence[float],
    *,
    length: int = 3,
    levels: int = 21,
    chains: Sequence[Chain | None] | None = None,
) -> list[Met]:
    """Return what a cascade and a router give at each budget; budgets within which there is no model are left out.

    Args:
        sides: the rows.
        budgets: mean cost a query.
        length, levels: of the search for a chain, see `frugal.grids`.
        chains: one for each budget, of another search; None: of that one.
    """
    rungs, found = ladder(sides), []
    learned = frugal.grids(sides.train, budgets, length=length, levels=levels) if chains is None else chains
    for budget, chain in zip(budgets, learned, strict=True):
        if chain is None:
            continue
        trained, ran = play(sides.train, chain), play(sides.test, chain)
        utility, cost, slope = matched(rungs, float(ran.cost.mean()))
        over = (ran.utility - utility) - slope * (ran.cost - cost)
        by_chance = at_random(sides.test, chain, going_on(ran, len(chain.order)))
        gain = ran.utility - by_chance.utility
        found.append(
            Met(
                budget,
                chain,
                float(trained.cost.mean()),
                float(trained.utility.mean()),
                ran,
                float(ran.utility.mean() - over.mean()),
                paired(over, sides.cluster),
                float(by_chance.utility.mean()),
                paired(gain, sides.cluster).within(SHARES_APART),
            )
        )
    return found


def shown(estimates: Sequence[Estimate], clusters: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return p-values after Holm's correction for all budgets, and which differences hold at 5 %.

    The two are fixed once learned, so there are no seeds to speak for: queries alone do, as many as
    `verdict.FEWEST_QUERIES` at least.
    """
    p = holm(np.array([float(one.p) for one in estimates]))
    return p, (p < ALPHA) & (clusters >= FEWEST_QUERIES)


def break_even(quality: Sequence[float], difference: Sequence[float]) -> float:
    """Return the judge's AUC at which a difference that grows with it crosses 0, linear between those tried.

    -inf where it is above 0 from the start, inf where it never is.

    Args:
        quality: AUCs, rising.
        difference: cascade less router at each.
    """
    d, q = np.asarray(difference, float), np.asarray(quality, float)
    above = np.flatnonzero(d > 0)
    if not len(above):
        return float("inf")
    i = int(above[0])
    if i == 0:
        return float("-inf")
    return float(q[i - 1] - d[i - 1] * (q[i] - q[i - 1]) / (d[i] - d[i - 1]))

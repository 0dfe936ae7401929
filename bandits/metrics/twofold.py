"""A mean judged twice, over seeds and over clusters of queries, as the one rule of `verdict` needs it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.intervals import ANYTHING, Estimate, Span, clustered, paired


class Twofold(NamedTuple):
    """One mean with its interval over seeds and over queries, and the clusters of queries that it stands on."""

    seeds: Estimate
    queries: Estimate
    clusters: int

    @property
    def mean(self) -> float:
        """The mean over all rounds of all seeds."""
        return float(self.queries.mean)

    @property
    def wider(self) -> tuple[float, float]:
        """Both ends of the wider interval of the two that are known; NaN where neither is."""
        ends = [(float(one.lo), float(one.hi)) for one in (self.seeds, self.queries) if not np.isnan(one.lo)]
        return max(ends, key=lambda pair: pair[1] - pair[0], default=(np.nan, np.nan))


def twofold(
    values: ArrayLike, weight: ArrayLike, cluster: NDArray[np.integer], *, within: Span = ANYTHING
) -> Twofold:
    """Return the weighted mean `sum w v / sum w` of rounds, over seeds and over clusters of queries.

    Args:
        values: `(S, N)` of each seed and row; what has no weight is ignored, NaN too.
        weight: `(S, N)` >= 0, what each counts for: 1 where the row was asked, else 0.
        cluster: `(N,)` numbers from 0; rows that are near copies share one.
        within: what the mean is known to lie in, to which both intervals are cut.
    """
    counts = np.asarray(weight, np.float64)
    sums = np.where(counts > 0, np.asarray(values, np.float64), 0.0) * counts
    each, total = sums.sum(axis=1), counts.sum(axis=1)
    known = total > 0
    own = each[known] / total[known] if known.any() else np.array([np.nan])
    groups = np.bincount(cluster, counts.sum(axis=0))
    over = clustered(np.bincount(cluster, sums.sum(axis=0)), groups)
    seeds = paired(own, np.zeros_like(own))
    return Twofold(seeds.within(within), over.within(within), int((groups > 0).sum()))


def stacked(found: list[Twofold]) -> tuple[Estimate, Estimate, NDArray[np.int64]]:
    """Return many as `verdict.judge` takes them: over seeds, over queries, and the clusters of each."""
    sides = ([one.seeds for one in found], [one.queries for one in found])
    over = [Estimate(*(np.array(column) for column in zip(*side, strict=True))) for side in sides]
    return over[0], over[1], np.array([one.clusters for one in found])

"""Scores of a router's path on its test queries, and their paired bootstrap over queries (arXiv 2601.17814)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.loop.blocks import taken_up
from bandits.metrics import curve
from bandits.metrics.curve import Path
from bandits.metrics.frontier import hypervolume
from bandits.metrics.intervals import AMOUNT, SHARE, SHARES_APART
from bandits.metrics.kernels_lanes import LANES

Floats = NDArray[np.floating[Any]]
# Scores that the bootstrap recomputes, in this order.
RESAMPLED = ("nAUC", "nAUC_fair", "Ps", "gain", "QNC", "hypervolume")
# What they can be.
RANGE = dict(zip(RESAMPLED, (SHARE, SHARE, SHARE, SHARES_APART, AMOUNT, SHARE), strict=True))


class Truth(NamedTuple):
    """True outcomes of test queries, and what every single model makes of them.

    Attributes:
        utility, cost: `(n, K)`, NaN where not recorded.
        model_utility, model_cost: `(K,)` means over the recorded queries.
    """

    utility: Floats
    cost: Floats
    model_utility: Floats
    model_cost: Floats

    @property
    def best(self) -> int:
        """The single model of the highest mean utility; ties to the lowest index."""
        return int(np.nanargmax(self.model_utility))

    @property
    def span(self) -> tuple[float, float]:
        """Mean cost of the cheapest and of the dearest single model: the common range of `nAUC_fair`."""
        return float(np.nanmin(self.model_cost)), float(np.nanmax(self.model_cost))


def truth(utility: Floats, cost: Floats) -> Truth:
    """Return the outcomes with each model's exactly rounded means (so that ties with a curve's points are ties)."""
    seen = ~np.isnan(utility)
    means = [
        [
            math.fsum(column[s]) / max(int(s.sum()), 1) if s.any() else math.nan
            for column, s in zip(v.T, seen.T, strict=True)
        ]
        for v in (utility, cost)
    ]
    return Truth(utility, cost, np.array(means[0]), np.array(means[1]))


def score(path: Path, true: Truth) -> dict[str, float]:
    """Return the scores of a path: those of `of_frontier` at all its points."""
    return of_frontier(*curve.points(path, true.utility, true.cost), true)


def of_frontier(cost: Floats, utility: Floats, true: Truth) -> dict[str, float]:
    """Return the scores of the frontier of some points.

    Args:
        cost, utility: `(P,)` means over the queries.
        true: the outcomes of these queries.

    Returns:
        nAUC: published form, over the frontier's own cost range. nAUC_fair: over the range from the cheapest to the
        dearest single model, constant beyond the ends. Ps: highest mean utility. QNC: lowest cost that reaches
        the best single model's utility, by that model's cost; QNC_99 reaches 99 % of it, QNC_01 comes within
        0.01. hypervolume: share of the box [0, dearest model's cost] x [0, 1] below the frontier.
        n_pareto: points on the frontier. gain: Ps less the best single model's utility.
    """
    kept = curve.frontier(cost, utility)
    cost, utility = cost[kept], utility[kept]
    best, best_cost = float(true.model_utility[true.best]), float(true.model_cost[true.best])
    return _read(cost, utility, best, best_cost, true.span) | {
        "n_pareto": len(kept),
        "QNC_99": curve.qnc(cost, utility, 0.99 * best, best_cost),
        "QNC_01": curve.qnc(cost, utility, best - 0.01, best_cost),
    }


def _read(
    cost: Floats, utility: Floats, best: float, best_cost: float, span: tuple[float, float]
) -> dict[str, float]:
    """Return the scores `RESAMPLED` of a frontier beside the best single model's utility and cost."""
    low, high = span
    return {
        "nAUC": curve.nauc(cost, utility),
        "nAUC_fair": curve.fair_nauc(cost, utility, low, high),
        "Ps": float(utility[-1]),
        "gain": float(utility[-1]) - best,
        "QNC": curve.qnc(cost, utility, best, best_cost),
        "hypervolume": hypervolume(cost, utility, worst_cost=high) / high if high > 0 else math.nan,
    }


def resample(path: Path, true: Truth, weights: Floats | NDArray[np.integer[Any]]) -> Floats:
    """Return `(B, 6)`, the scores `RESAMPLED` of a path on each resample of its queries.

    The path stays as it is (the router is not trained again); the frontier, its range and the best single model
    are found anew. A peak over a frontier is higher, in the mean, on a resample than on the sample.

    Args:
        path: of `n` queries.
        true: their outcomes.
        weights: `(B, n)`, how often each resample draws each query, below 65,536; NaN where it draws none.
    """
    blocks = ((i, np.asarray(weights[i : i + LANES], np.uint16)) for i in range(0, len(weights), LANES))
    found: Floats = resample_each([path], true, blocks, len(weights))[0]
    return found


def resample_each(
    paths: Sequence[Path], true: Truth, blocks: Iterator[tuple[int, NDArray[np.uint16]]], size: int
) -> Floats:
    """Return `(R, B, 6)`, what `resample` returns of each path.

    Args:
        paths: of the same `n` queries.
        true: their outcomes.
        blocks: number of a resample, and weights `(m, n)` of it and those after it, `m` at most `LANES`.
        size: `B`, resamples in all.
    """
    frontiers = [curve.reweighted(path, true.utility, true.cost) for path in paths]
    beside = _singles(true)
    out = np.full((len(paths), size, len(RESAMPLED)), np.nan)

    def score(block: tuple[int, NDArray[np.uint16]]) -> None:
        start, weights = block
        drawn = np.flatnonzero(weights.any(axis=1))
        if not len(drawn):
            return
        weight = np.ascontiguousarray(weights[drawn].T)
        singles = beside(weight)
        for own, frontiers_of in zip(out, frontiers, strict=True):
            for i, (cost, utility), single in zip(drawn, frontiers_of(weight), singles, strict=True):
                own[start + i] = list(_read(cost, np.round(utility, 12), *single).values())

    taken_up(score, blocks)
    return out


def _singles(true: Truth) -> Callable[[NDArray[np.uint16]], list[tuple[float, float, tuple[float, float]]]]:
    """Return the function from weights `(n, m)` to each one's best single model, its utility and cost, and `span`."""
    seen = ~np.isnan(true.utility)
    whole = bool(seen.all())
    known = true[:2] if whole else tuple(np.where(seen, value, 0.0) for value in true[:2])
    here = None if whole else seen.astype(np.float64)

    def of(weight: NDArray[np.uint16]) -> list[tuple[float, float, tuple[float, float]]]:
        counts = np.ascontiguousarray(weight.T, np.float64)
        drawn = counts.sum(axis=1)[:, None] if here is None else counts @ here
        with np.errstate(invalid="ignore"):  # a model of which a resample drew nothing has no mean
            means, costs = (counts @ value / drawn for value in known)
        # Sums in another order end in other digits: to 12 of them, what is equal is a tie.
        means = np.round(means, 12)
        best, rows = np.nanargmax(means, axis=1), np.arange(len(counts))
        spans = zip(np.nanmin(costs, axis=1), np.nanmax(costs, axis=1), strict=True)
        return list(zip(means[rows, best].tolist(), costs[rows, best].tolist(), spans, strict=True))

    return of

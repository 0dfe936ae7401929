"""A router's curve of cost and utility, and what is read off it: nAUC and QNC (arXiv 2601.17814)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import kernels_curve, kernels_lanes
from bandits.metrics.kernels_lanes import LANES, ROWS

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]


class Path(NamedTuple):
    """A sequence of `P` assignments of `n` queries to models, kept as the first one and its changes.

    Attributes:
        start: `(n,)` int32, the assignment before any change.
        row, arm, point: `(E,)` int32: at point `point` (ascending) query `row` moves to model `arm`.
        threshold: `(P,)` the predicted cost at which each point starts.
    """

    start: Integers
    row: Integers
    arm: Integers
    point: Integers
    threshold: Floats


class Curve(NamedTuple):
    """One point for every distinct predicted cost.

    Attributes:
        threshold: `(C,)` ascending.
        cost, utility: `(C,)` true means over the queries of what is chosen at this threshold.
    """

    threshold: Floats
    cost: Floats
    utility: Floats


def path(utility: Floats, cost: Floats, *, start: Integers | None = None, ties: str = "lowest") -> Path:
    """Return the choices that predictions lead to as the threshold on predicted cost rises.

    At threshold C each query goes to the model of the highest predicted utility among those of predicted cost
    <= C. Each query's own steps first, then one sort of all steps: O(n K (K + log(n K))).

    Args:
        utility, cost: `(n, K)` predictions; a model whose prediction is not finite is never chosen.
        start: `(n,)` the model of a query while none is affordable; index 0 as published when left out.
        ties: equal predicted utility goes to the `lowest` index (published) or to the `cheapest` model.

    Raises:
        ValueError: shapes differ, nothing is finite, or `ties` is unknown.
    """
    if ties not in ("lowest", "cheapest"):
        raise ValueError(f"ties needs lowest or cheapest, got {ties!r}")
    utility, cost = (np.ascontiguousarray(a, np.float64) for a in (utility, cost))
    if utility.ndim != 2 or utility.shape != cost.shape:
        raise ValueError(
            f"a path needs predictions of one shape (n, K), got {utility.shape} and {cost.shape}"
        )
    row, arm, at = kernels_curve.improvements(utility, cost, ties == "lowest")
    if not len(row):
        raise ValueError("a path needs at least one finite prediction, got none")
    order = np.argsort(at)
    at = at[order]
    new = np.append(True, at[1:] != at[:-1])
    first = np.zeros(len(cost), np.int32) if start is None else np.asarray(start, np.int32)
    return Path(first, row[order], arm[order], (np.cumsum(new) - 1).astype(np.int32), at[new])


def sequence(choices: Integers) -> Path:
    """Return the path through `P` given assignments, `choices` `(P, n)`; thresholds are their numbers."""
    choices = np.asarray(choices, np.int32)
    point, row = np.nonzero(choices[1:] != choices[:-1])
    arm = choices[1:][point, row]
    return Path(
        choices[0],
        row.astype(np.int32),
        arm,
        (point + 1).astype(np.int32),
        np.arange(len(choices), dtype=float),
    )


def points(path: Path, utility: Floats, cost: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Return true mean cost and utility, each `(P,)`, at every point of a path.

    Args:
        path: of `n` queries.
        utility, cost: `(n, K)` true outcomes.
        weight: `(n,)` how often each query counts, for resampling; once each when left out.
    """
    sums = []
    for value in (cost, utility):
        counted = np.array(value, np.float64) if weight is None else value * np.asarray(weight)[:, None]
        sums.append(kernels_curve.path_sums(*path[:4], counted, len(path.threshold)))
    total = len(path.start) if weight is None else np.sum(weight)
    return sums[0] / total, sums[1] / total


def reweighted(
    path: Path, utility: Floats, cost: Floats
) -> Callable[[NDArray[np.uint16]], list[tuple[Floats, Floats]]]:
    """Return the function from weights `(n, m)` to `m` frontiers, mean cost and utility each: for resamples.

    Each is what `frontier` keeps of `points(path, utility, cost, weight)`. One pass over the path serves them all: `m`
    is at most `LANES`, and no column of the weights is all 0.

    Args:
        path: of `n` queries.
        utility, cost: `(n, K)` true outcomes.
    """
    rows = np.arange(len(path.start))
    sheets = [np.asarray(value, np.float64) for value in (cost, utility)]
    first = np.stack([value[rows, path.start] for value in sheets], axis=1)
    step = np.stack([kernels_curve.steps(path.start, path.row, path.arm, value) for value in sheets], axis=1)
    tested = _telling(path, step)
    size = np.count_nonzero(tested) + 2

    def frontiers_of(weight: NDArray[np.uint16]) -> list[tuple[Floats, Floats]]:
        many = weight.shape[1]
        lanes = np.pad(weight, ((0, 0), (0, LANES - many)))
        sums, ends, stairs = (
            np.zeros((ROWS, LANES)),
            np.zeros((2, LANES), np.int64),
            np.empty((LANES, size, 2)),
        )
        sums[-2:], ends[1], stairs[:, 0], stairs[:, -1] = -np.inf, size - 1, -np.inf, np.inf
        kernels_lanes.frontiers(first, path.row, step, tested, lanes, sums, ends, stairs)
        total = weight.sum(axis=0)
        return [_means(stairs[i], ends[0, i], ends[1, i], total[i]) for i in range(many)]

    return frontiers_of


def _telling(path: Path, step: Floats) -> NDArray[np.bool_]:
    """Return `(1 + E,)`: after which changes, or before them all, a point may be on a frontier, whatever the weights.

    It is on none where its changes make no query cheaper and none better, nor where those of the next point make none
    dearer and none worse.
    """
    tested = np.zeros(1 + len(step), bool)
    if not len(step):
        return ~tested
    dearer, better = step.T
    starts = np.flatnonzero(np.append(True, path.point[1:] != path.point[:-1]))
    worse = np.logical_and.reduceat((dearer >= 0) & (better <= 0), starts)
    beaten = np.logical_and.reduceat((dearer <= 0) & (better >= 0), starts) & ~worse  # of equals one stays
    tested[0] = path.point[0] > 0
    worse[0] &= tested[0]  # what goes before is no point
    tested[np.append(starts[1:], len(step))] = ~worse & ~np.append(beaten[1:], False)
    return tested


def _means(stairs: Floats, left: int, right: int, total: float) -> tuple[Floats, Floats]:
    """Return mean cost and utility of the points of a staircase; of those that rounding makes equal the best one."""
    cost, utility = (np.concatenate([stairs[1 : left + 1], stairs[right:-1]]) / total).T
    better = np.append(True, utility[1:] > utility[:-1])
    cost, utility = cost[better], utility[better]
    last = np.append(cost[1:] != cost[:-1], True)
    return cost[last], utility[last]


def choice(path: Path, point: int) -> Integers:
    """Return `(n,)`, the model of each query at a point of a path."""
    chosen = path.start.copy()
    end = int(np.searchsorted(path.point, point, side="right"))
    chosen[path.row[:end]] = path.arm[:end]  # of a query's changes the last one stands
    return chosen


def curve(predicted_utility: Floats, predicted_cost: Floats, utility: Floats, cost: Floats) -> Curve:
    """Return the published curve: for every distinct predicted cost the true means of what is then chosen.

    Args:
        predicted_utility, predicted_cost: `(n, K)` what the router believes.
        utility, cost: `(n, K)` what is true.
    """
    walked = path(predicted_utility, predicted_cost)
    mean_cost, mean_utility = points(walked, utility, cost)
    offered = np.isfinite(predicted_cost) & np.isfinite(predicted_utility)
    threshold = np.unique(np.asarray(predicted_cost, np.float64)[offered])
    starts = np.searchsorted(threshold, walked.threshold)
    at = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(threshold))))
    return Curve(threshold, mean_cost[at], mean_utility[at])


def frontier(cost: Floats, utility: Floats) -> Integers:
    """Return indices of the points that beat all cheaper ones, by ascending cost (the published filter).

    Unlike `metrics.pareto`, one of several equal points is kept, the first.
    """
    order = np.argsort(cost, kind="stable")
    ranked = utility[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(ranked)[:-1]])
    kept = order[ranked > before]
    last_of_equal_cost = np.append(cost[kept][1:] != cost[kept][:-1], True)
    return np.asarray(kept[last_of_equal_cost])


def nauc(cost: Floats, utility: Floats) -> float:
    """Return the area under a frontier over its own cost range, divided by that range (the published nAUC).

    Not comparable between routers: one that covers only the dear end scores higher. NaN with fewer than 2 points.
    """
    if len(cost) < 2 or not cost[-1] > cost[0]:
        return float("nan")
    return float(np.trapezoid(utility, cost) / (cost[-1] - cost[0]))


def fair_nauc(cost: Floats, utility: Floats, low: float, high: float) -> float:
    """Return the area under a frontier over `[low, high]` by that range, constant beyond its ends; NaN if empty."""
    if not high > low:
        return float("nan")
    inner = slice(np.searchsorted(cost, low, "right"), np.searchsorted(cost, high, "left"))
    ends = np.interp([low, high], cost, utility)
    grid = np.concatenate([[low], cost[inner], [high]])
    return float(np.trapezoid(np.concatenate([ends[:1], utility[inner], ends[1:]]), grid) / (high - low))


def qnc(cost: Floats, utility: Floats, best_utility: float, best_cost: float) -> float:
    """Return the lowest cost on a frontier that reaches `best_utility`, by `best_cost`; inf if it never does."""
    reached = np.flatnonzero(utility >= best_utility)
    return float(cost[reached[0]] / best_cost) if len(reached) and best_cost > 0 else float("inf")

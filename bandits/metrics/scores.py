"""Scores by which routing papers rank routers, one function each, of means or curves that are known already.

Every one turns accuracy and cost into a single number by weights of its own, so none of them decides anything here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.frontier import pareto

ARENA = (0.0044, 200.0)  # US dollars per 1,000 queries: the bounds of RouterArena's scale

IES_FLOOR = (
    0.01  # of a cost in units of the dearest model's mean: a ratio rewards what is nearly free without bound
)


class Ies(NamedTuple):
    """Inference efficiency, in two ways that differ: cheap calls dominate the mean of ratios."""

    mean_of_ratios: float
    ratio_of_means: float


def ies(
    quality: ArrayLike,
    responsiveness: ArrayLike,
    cost: ArrayLike,
    *,
    alpha: float = 0.5,
    floor: float = IES_FLOOR,
) -> Ies:
    """Return the inference efficiency score `(alpha Q + (1 - alpha) R) / C` of some queries (arXiv 2506.06579).

    The paper gives neither scales nor a worked example. Here all three are numbers without unit.

    Args:
        quality: `(n,)` Q, utility in [0, 1].
        responsiveness: `(n,)` R in [0, 1], see `responsiveness`.
        cost: `(n,)` C, in units of the mean cost of the dearest model.
        alpha: weight on quality, in [0, 1].
        floor: least cost that a query counts with, > 0.

    Raises:
        ValueError: the shapes differ, or alpha or floor is out of range.
    """
    q, r, c = (np.asarray(a, np.float64) for a in (quality, responsiveness, cost))
    if q.ndim != 1 or not q.shape == r.shape == c.shape:
        raise ValueError(f"ies needs three arrays of one shape (n,), got {q.shape}, {r.shape} and {c.shape}")
    if not 0 <= alpha <= 1 or not floor > 0:
        raise ValueError(f"ies needs alpha in [0, 1] and a floor above 0, got {alpha} and {floor}")
    value, paid = alpha * q + (1 - alpha) * r, np.maximum(c, floor)
    return Ies(float((value / paid).mean()), float(value.mean() / paid.mean()))


def ies_of_means(accuracy: float, cost: float, dearest: float) -> float:
    """Return `ies` of mean utility and mean cost where no query's own are at hand: quality alone, without latency.

    Args:
        accuracy: mean utility.
        cost, dearest: mean cost, and that of the dearest model, in one unit; NaN comes back where that is 0.
    """
    return accuracy / max(cost / dearest, IES_FLOOR) if dearest > 0 else math.nan


def responsiveness(latency: ArrayLike, reference: float) -> NDArray[np.float64]:
    """Return `1 - min(latency / reference, 1)`: 1 for an answer at once, 0 from the reference latency on."""
    if not reference > 0:
        raise ValueError(f"responsiveness needs a reference latency above 0, got {reference}")
    return 1 - np.minimum(np.asarray(latency, np.float64) / reference, 1)


def rank_score(accuracy: float, cost: float, *, low: float, high: float, beta: float = 0.1) -> float:
    """Return `(1 + beta) A C / (beta A + C)`, C the cost on a scale of logarithms from `high` (0) to `low` (1).

    RouterArena (arXiv 2510.00202) has beta = .1 and, in US dollars per 1,000 queries, the bounds `ARENA`;
    VL-RouterBench (arXiv 2512.23562) the mean costs of its cheapest and its dearest model.

    Args:
        accuracy: A in [0, 1].
        cost: mean cost, in any unit; beyond a bound it counts as the bound.
        low, high: bounds in the same unit, 0 < low < high.
        beta: weight; below 1 accuracy counts more.

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 < low < high:
        raise ValueError(f"rank_score needs bounds with 0 < low < high, got {low} and {high}")
    if not 0 <= accuracy <= 1 or not cost >= 0:
        raise ValueError(
            f"rank_score needs accuracy in [0, 1] and a cost of 0 or more, got {accuracy} and {cost}"
        )
    cheap = float(np.log2(high / np.clip(cost, low, high)) / np.log2(high / low))
    below = beta * accuracy + cheap
    return 0.0 if below == 0 else (1 + beta) * accuracy * cheap / below


def arena(accuracy: float, usd_per_1000: float) -> float:
    """Return RouterArena's score (arXiv 2510.00202) of a router's accuracy and its US dollars per 1,000 queries."""
    return rank_score(accuracy, usd_per_1000, low=ARENA[0], high=ARENA[1])


def apgr(share: ArrayLike, accuracy: ArrayLike, *, weak: float, strong: float) -> float:
    """Return RouteLLM's average performance gap recovered (arXiv 2406.18665, eq. 6): 0 is the weak model, 1 the strong.

    The area under the gap recovered over the share of strong calls from 0 to 1, by trapezoids; the ends, where the
    weak or the strong model is always called, need not be among the points.

    Args:
        share: `(n,)` share of calls that go to the strong model, in [0, 1].
        accuracy: `(n,)` accuracy at that share.
        weak, strong: accuracy of either model alone; strong > weak.
    """
    x, recovered = _recovered(share, accuracy, weak, strong)
    return float(np.trapezoid(recovered, x))


def cpt(share: ArrayLike, accuracy: ArrayLike, *, weak: float, strong: float, recovered: float) -> float:
    """Return RouteLLM's call-performance threshold (arXiv 2406.18665): share of strong calls that recovers enough.

    The first share, by linear interpolation between points, at which `recovered` of the gap between the two models
    is recovered. Arguments as `apgr`.
    """
    x, got = _recovered(share, accuracy, weak, strong)
    reached = int(np.argmax(got >= recovered)) if (got >= recovered).any() else -1
    if reached < 0:
        raise ValueError(f"cpt needs a share to be recovered of at most {got.max():.3g}, got {recovered}")
    if reached == 0:
        return float(x[0])
    (a, b), (low, high) = x[reached - 1 : reached + 1], got[reached - 1 : reached + 1]
    return float(a + (b - a) * (recovered - low) / (high - low))


def _recovered(
    share: ArrayLike, accuracy: ArrayLike, weak: float, strong: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return shares in order from 0 to 1, and the part of the gap recovered at each."""
    x, y = np.asarray(share, np.float64), np.asarray(accuracy, np.float64)
    if x.ndim != 1 or x.shape != y.shape or not ((x >= 0) & (x <= 1)).all():
        raise ValueError(
            f"a curve needs shares in [0, 1] and as many accuracies, got {x.shape} and {y.shape}"
        )
    if not strong > weak:
        raise ValueError(
            f"the strong model needs the higher accuracy, got {strong} and {weak} for the weak one"
        )
    order = np.argsort(x, kind="stable")
    ends = np.concatenate(([0.0], x[order], [1.0])), np.concatenate(([weak], y[order], [strong]))
    inside = np.concatenate(([not (x == 0).any()], np.ones(len(x), bool), [not (x == 1).any()]))
    return ends[0][inside], (ends[1][inside] - weak) / (strong - weak)


def aiq(cost: ArrayLike, quality: ArrayLike) -> float:
    """Return RouterBench's average improvement in quality (arXiv 2403.12031, section 3.3) of a router's settings.

    The area under the non-decreasing convex hull of its points, divided by their range of costs: the mean quality of
    a router that mixes its settings at random, over all budgets between its cheapest and its dearest point.

    Args:
        cost, quality: `(n,)`, one setting each, n >= 1; of one cost alone it is the best quality.
    """
    x, y = np.asarray(cost, np.float64), np.asarray(quality, np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) == 0 or not np.isfinite([x, y]).all():
        raise ValueError(
            f"aiq needs cost and quality, finite and of one shape (n,), got {x.shape} and {y.shape}"
        )
    low, high = x.min(), x.max()
    if low == high:
        return float(y.max())
    kept = np.flatnonzero(pareto(x, y))
    kept = kept[np.argsort(x[kept], kind="stable")]
    hull: list[int] = []
    for point in np.unique(x[kept], return_index=True)[1]:
        here = kept[point]
        while len(hull) > 1 and _below(x[hull[-2]], y[hull[-2]], x[hull[-1]], y[hull[-1]], x[here], y[here]):
            hull.pop()
        hull.append(int(here))
    at, value = np.append(x[hull], high), np.append(y[hull], y[hull[-1]])
    return float(np.trapezoid(value, at) / (high - low))


def _below(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> bool:
    """Return whether b lies on or below the line from a to c."""
    return (by - ay) * (cx - ax) <= (cy - ay) * (bx - ax)


def gain(accuracy: float, reference: float) -> float:
    """Return LLMRouterBench's relative gain (arXiv 2601.07206): over the best model (@B) or a random one (@R)."""
    if not reference > 0:
        raise ValueError(f"gain needs a reference accuracy above 0, got {reference}")
    # Means of the same numbers that were added in another order are the same.
    return 0.0 if math.isclose(accuracy, reference, rel_tol=1e-12) else accuracy / reference - 1


def cost_save(cost: ArrayLike, accuracy: ArrayLike, *, best_cost: float, best_accuracy: float) -> float:
    """Return LLMRouterBench's CostSave (arXiv 2601.07206): the most that a router saves at the best model's accuracy.

    `1 - c / best_cost`, c the cost of its cheapest setting that is as accurate as the best single model; NaN where
    none is.
    """
    x, y = np.asarray(cost, np.float64), np.asarray(accuracy, np.float64)
    if not best_cost > 0:
        raise ValueError(f"cost_save needs a best single model that costs something, got {best_cost}")
    able = y >= best_accuracy
    return float(1 - x[able].min() / best_cost) if able.any() else float("nan")


def pareto_distance(cost: ArrayLike, accuracy: ArrayLike) -> NDArray[np.float64]:
    """Return `(n,)` how far each point is from the Pareto frontier of all of them (ParetoDist, arXiv 2601.07206).

    The paper says "average distance to the Pareto frontier"; here cost and accuracy are first each brought to [0, 1]
    over the points, and the distance is Euclidean, to the nearest point of the frontier. A router's ParetoDist is the
    mean over its settings.
    """
    points = np.column_stack([np.asarray(cost, np.float64), np.asarray(accuracy, np.float64)])
    span = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(span > 0, span, 1)
    best = scaled[pareto(points[:, 0], points[:, 1])]
    away: NDArray[np.float64] = np.sqrt(((scaled[:, None] - best[None]) ** 2).sum(axis=2)).min(axis=1)
    return away

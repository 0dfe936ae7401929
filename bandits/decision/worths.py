"""Which choice is best at which worth of a right answer: the upper hull of points of accuracy and cost, exactly.

A choice that is right with `a` and costs `c` a query earns `w a - c` where a right answer is worth `w`. As `w` rises
from 0, the best choice walks along the upper convex hull of the points (cost, accuracy) from the cheapest to the most
accurate, and changes at the slopes of its edges, `(c2 - c1) / (a2 - a1)`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_SAME = 1e-12  # worths closer than this share of their size are one


class Piece(NamedTuple):
    """The choice that is best for every worth between `low` and `high`."""

    choice: int
    low: float
    high: float


def best_by_worth(accuracy: ArrayLike, cost: ArrayLike, spans: ArrayLike | None = None) -> list[Piece]:
    """Return the best choice for every worth above 0, in ascending order.

    Args:
        accuracy: `(P,)` share of right answers.
        cost: `(P,)` a query, >= 0, in the unit of the worth.
        spans: `(P, 2)` the worths between which each choice stands for election; everywhere where left out.

    Raises:
        ValueError: no choice stands for election at some worth.
    """
    a, c = np.asarray(accuracy, np.float64), np.asarray(cost, np.float64)
    span = np.tile([0.0, math.inf], (len(a), 1)) if spans is None else np.asarray(spans, np.float64)
    ends = _ends(a, c, span)
    found: list[Piece] = []
    for low, high in zip(ends, [*ends[1:], math.inf], strict=True):
        middle = (low + high) / 2 if math.isfinite(high) else 2 * low + 1
        stands = (span[:, 0] <= middle) & (middle <= span[:, 1])
        if not stands.any():
            raise ValueError(f"no choice stands for election at a worth of {middle:g}")
        earned = np.where(stands, middle * a - c, -np.inf)
        near = np.flatnonzero(earned >= earned.max() - 1e-12 * max(abs(earned.max()), c[stands].max()))
        best = int(near[0])
        if found and found[-1].choice == best:
            found[-1] = found[-1]._replace(high=high)
        else:
            found.append(Piece(best, low, high))
    return found


def _ends(a: Floats, c: Floats, span: Floats) -> list[float]:
    """Return 0 and, ascending, every worth at which two choices earn the same or one begins or ends to stand."""
    with np.errstate(divide="ignore", invalid="ignore"):
        crossed = (c[:, None] - c[None]) / (a[:, None] - a[None])
    worths = np.concatenate([crossed[np.triu_indices(len(a), 1)], span.ravel()])
    kept = [0.0]
    for worth in np.sort(worths[np.isfinite(worths) & (worths > 0)]).tolist():
        if worth > kept[-1] * (1 + _SAME):
            kept.append(worth)
    return kept


def mixed_accuracy(accuracy: ArrayLike, cost: ArrayLike, at: ArrayLike) -> Floats:
    """Return the accuracy of the best mixture of choices that costs `at` a query, NaN below the cheapest.

    A mixture calls two neighbours on the hull with fixed chances, whatever the query; what is left of the cost above
    the most accurate buys nothing.

    Args:
        accuracy, cost: `(P,)` of what is mixed.
        at: costs a query, any shape.
    """
    a, c = np.asarray(accuracy, np.float64), np.asarray(cost, np.float64)
    hull = [piece.choice for piece in best_by_worth(a, c)]
    asked = np.asarray(at, np.float64)
    value = np.interp(asked, c[hull], a[hull]) if len(hull) > 1 else np.full(asked.shape, a[hull[0]])
    return np.asarray(np.where(asked < c[hull[0]] * (1 - 1e-12), np.nan, value))

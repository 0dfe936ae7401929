"""Pareto frontier and hypervolume of points with a cost (less is better) and a value (more is better)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto(cost: ArrayLike, value: ArrayLike) -> NDArray[np.bool_]:
    """Return `(n,)` True for the points that no other point dominates.

    A point dominates another when it costs no more, is worth no less, and differs. So equal points stand or
    fall together. A point with NaN is never on the frontier and dominates nothing.

    Args:
        cost: `(n,)`, lower is better.
        value: `(n,)`, higher is better.

    Raises:
        ValueError: the two have different shapes or are not one-dimensional.
    """
    x, y = np.asarray(cost, np.float64), np.asarray(value, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"pareto needs cost and value of one shape (n,), got {x.shape} and {y.shape}")
    known = np.flatnonzero(~(np.isnan(x) | np.isnan(y)))
    by_cost = known[np.lexsort((-y[known], x[known]))]
    kept = np.zeros(len(x), bool)
    if len(by_cost) == 0:
        return kept
    x, y = x[by_cost], y[by_cost]
    group = np.searchsorted(x, x, side="left")  # where the points of the same cost start: the best of them
    cheaper = np.concatenate(([-np.inf], np.maximum.accumulate(y)))[group]
    kept[by_cost] = (y == y[group]) & ((y > cheaper) | (group == 0))
    return kept


def hypervolume(cost: ArrayLike, value: ArrayLike, *, worst_cost: float, worst_value: float = 0.0) -> float:
    """Return the area between a set's frontier and a reference point: larger is better on both counts.

    Args:
        cost, value: `(n,)` as for `pareto`; points beyond the reference point add nothing.
        worst_cost: cost of the reference point, in the unit of `cost`; the same for all sets to be compared.
        worst_value: value of the reference point.

    Raises:
        ValueError: as `pareto`.
    """
    x, y = np.asarray(cost, np.float64), np.asarray(value, np.float64)
    if x.ndim == 1 and x.shape == y.shape and (x[1:] > x[:-1]).all() and (y[1:] >= y[:-1]).all():
        kept = np.append(True, y[1:] > y[:-1])[: len(x)]  # in order already: nothing to sort
    else:
        kept = pareto(x, y)
    kept &= np.less(x, worst_cost) & np.greater(y, worst_value)
    order = np.lexsort((y[kept], x[kept]))
    x, y = x[kept][order], y[kept][order]
    return float(((np.append(x[1:], worst_cost) - x) * (y - worst_value)).sum())

"""Numba kernel of the fractional knapsack: the upper convex hull of each query's (cost, value) points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True)
def hull_segments(value: Floats, cost: Floats) -> tuple[Any, Any, Any]:
    """Return the segments of every row's increasing hull from (0, 0), the choice of calling nobody.

    Args:
        value: `(T, K)`, NaN where a model is unavailable.
        cost: `(T, K)` >= 0, never NaN.

    Returns:
        gain, price: `(L,)` value gained and cost paid along each segment; gain / price falls within a row, and is
            infinite where something is free.
        row: `(L,)` int64.
    """
    rows, arms = value.shape
    gain, price = np.empty(rows * arms), np.empty(rows * arms)
    row = np.empty(rows * arms, np.int64)
    x, y, by_cost = np.zeros(arms + 1), np.zeros(arms + 1), np.empty(arms, np.int64)
    n = 0
    for t in range(rows):
        for k in range(arms):  # insertion sort: K is small
            at = k
            while at > 0 and cost[t, by_cost[at - 1]] > cost[t, k]:
                by_cost[at] = by_cost[at - 1]
                at -= 1
            by_cost[at] = k
        top = 0  # x[0], y[0] is (0, 0)
        for i in range(arms):
            u, c = value[t, by_cost[i]], cost[t, by_cost[i]]
            if not u > y[top]:  # dominated, or NaN
                continue
            while top > 0 and (u - y[top - 1]) * (x[top] - x[top - 1]) >= (y[top] - y[top - 1]) * (
                c - x[top - 1]
            ):
                top -= 1
            top += 1
            x[top], y[top] = c, u
        for i in range(1, top + 1):
            gain[n], price[n], row[n] = y[i] - y[i - 1], x[i] - x[i - 1], t
            n += 1
    return gain[:n].copy(), price[:n].copy(), row[:n].copy()

"""Numba kernels of the router curve (arXiv 2601.17814, section 4): what a rising budget changes, and its sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)
def improvements(utility: Array, cost: Array, lowest: bool) -> tuple[Array, Array, Array]:
    """Return, query by query, the models that its choice moves to while the threshold on predicted cost rises.

    Args:
        utility, cost: `(n, K)` predictions; an entry that is not finite is passed over.
        lowest: ties in predicted utility go to the lowest index; otherwise to the cheapest, then the lowest.

    Returns:
        row, arm, at: `(E,)` from predicted cost `at` on, query `row` goes to model `arm`.
    """
    n, n_models = cost.shape
    row = np.empty(cost.size, np.int32)
    arm = np.empty(cost.size, np.int32)
    at = np.empty(cost.size, np.float64)
    ranked = np.empty(n_models, np.int32)
    n_events = 0
    for i in range(n):
        size = 0
        for j in range(n_models):  # insertion sort by cost, then index: K is small
            if not (np.isfinite(cost[i, j]) and np.isfinite(utility[i, j])):
                continue
            place = size
            while place > 0 and cost[i, ranked[place - 1]] > cost[i, j]:
                ranked[place] = ranked[place - 1]
                place -= 1
            ranked[place] = j
            size += 1
        best, held, first = -np.inf, -1, n_events
        for j in ranked[:size]:
            if not (utility[i, j] > best or (lowest and utility[i, j] == best and j < held)):
                continue
            if n_events > first and at[n_events - 1] == cost[i, j]:
                n_events -= 1  # of models of one cost the last to improve is the choice
            row[n_events], arm[n_events], at[n_events] = i, j, cost[i, j]
            n_events += 1
            best, held = utility[i, j], j
    return row[:n_events].copy(), arm[:n_events].copy(), at[:n_events].copy()


@njit(cache=True)
def _add(total: float, carry: float, term: float) -> tuple[float, float]:
    """Return total and carry after a compensated addition (Neumaier 1974): 100,000 updates leave no drift."""
    after = total + term
    if abs(total) >= abs(term):
        return after, carry + ((total - after) + term)
    return after, carry + ((term - after) + total)


@njit(cache=True)
def path_sums(start: Array, row: Array, arm: Array, point: Array, value: Array, n_points: int) -> Array:
    """Return `(P,)`, the sum of `value[query, chosen model]` at each point of a path.

    Args:
        start, row, arm, point: the path, see `curve.Path`; `point` is ascending.
        value: `(n, K)`.
        n_points: `P`.
    """
    chosen = start.copy()
    total, carry = 0.0, 0.0
    for i in range(start.size):
        total, carry = _add(total, carry, value[i, chosen[i]])
    out = np.empty(n_points)
    done = 0
    for e in range(row.size):
        while done < point[e]:
            out[done] = total + carry
            done += 1
        i = row[e]
        if arm[e] != chosen[i]:
            total, carry = _add(total, carry, -value[i, chosen[i]])
            total, carry = _add(total, carry, value[i, arm[e]])
        chosen[i] = arm[e]
    while done < n_points:
        out[done] = total + carry
        done += 1
    return out


@njit(cache=True)
def steps(start: Array, row: Array, arm: Array, value: Array) -> Array:
    """Return `(E,)`, by how much each change of a path changes its query's value, whatever the query weighs.

    Args:
        start, row, arm: the path, see `curve.Path`.
        value: `(n, K)`.
    """
    chosen = start.copy()
    out = np.empty(row.size)
    for e in range(row.size):
        i = row[e]
        out[e] = value[i, arm[e]] - value[i, chosen[i]]
        chosen[i] = arm[e]
    return out

"""Numba kernels of the router curve (arXiv 2601.17814, section 4): one pass over the sorted predicted costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)  # type: ignore[untyped-decorator]
def switches(
    order: Array, utility: Array, cost: Array, start: Array, n_models: int, lowest: bool
) -> tuple[Array, Array, Array, Array]:
    """Return every change of choice while the threshold on predicted cost rises.

    Args:
        order: `(L,)` flat indices into the predictions, by ascending predicted cost.
        utility, cost: `(n * K,)` predictions, row by row.
        start: `(n,)` the model of a query before any of its models is affordable.
        n_models: `K`.
        lowest: ties in predicted utility go to the lowest index; otherwise to the cheapest, then the lowest.

    Returns:
        row, arm, point: `(E,)` query `row` moves to model `arm` at point number `point`.
        threshold: `(P,)` predicted cost of each point; the first one always counts, a later one if it changed anything.
    """
    chosen = start.copy()
    best = np.full(start.size, -np.inf)
    row = np.empty(order.size, np.int32)
    arm = np.empty(order.size, np.int32)
    point = np.empty(order.size, np.int32)
    threshold = np.empty(order.size, np.float64)
    n_events, last = 0, 0
    threshold[0] = cost[order[0]]
    for e in order:
        i, j = e // n_models, e % n_models
        held = chosen[i]
        better = utility[e] > best[i]
        if utility[e] == best[i] and j < held:
            better = lowest or cost[e] == cost[i * n_models + held]
        if not better:
            continue
        best[i] = utility[e]
        if j == held:
            continue
        if cost[e] != threshold[last]:
            last += 1
            threshold[last] = cost[e]
        chosen[i] = j
        row[n_events], arm[n_events], point[n_events] = i, j, last
        n_events += 1
    return row[:n_events].copy(), arm[:n_events].copy(), point[:n_events].copy(), threshold[: last + 1].copy()


@njit(cache=True)  # type: ignore[untyped-decorator]
def _add(total: float, carry: float, term: float) -> tuple[float, float]:
    """Return total and carry after a compensated addition (Neumaier 1974): 100,000 updates leave no drift."""
    after = total + term
    if abs(total) >= abs(term):
        return after, carry + ((total - after) + term)
    return after, carry + ((term - after) + total)


@njit(cache=True)  # type: ignore[untyped-decorator]
def path_sums(
    start: Array, row: Array, arm: Array, point: Array, value: Array, weight: Array, n_points: int
) -> Array:
    """Return `(P,)`, the weighted sum of `value[query, chosen model]` at each point of a path.

    Args:
        start, row, arm, point: the path, see `switches`; `point` is ascending.
        value: `(n, K)`.
        weight: `(n,)`.
        n_points: `P`.
    """
    chosen = start.copy()
    total, carry = 0.0, 0.0
    for i in range(start.size):
        total, carry = _add(total, carry, weight[i] * value[i, chosen[i]])
    out = np.empty(n_points)
    done = 0
    for e in range(row.size):
        while done < point[e]:
            out[done] = total + carry
            done += 1
        i = row[e]
        if weight[i] != 0.0:
            total, carry = _add(total, carry, -weight[i] * value[i, chosen[i]])
            total, carry = _add(total, carry, weight[i] * value[i, arm[e]])
        chosen[i] = arm[e]
    while done < n_points:
        out[done] = total + carry
        done += 1
    return out

"""Numba kernels of the router curve (arXiv 2601.17814, section 4): what a rising budget changes, and its sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bandits.kernels import exact

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


@exact
def _two_sum(total: float, carry: float, term: float) -> tuple[float, float]:
    """Return what `_add` returns, for terms that are finite."""
    after = total + term
    own = after - term
    return after, carry + ((total - own) + (term - (after - own)))


@exact
def weighted_frontier(
    first: Array, row: Array, step: Array, point: Array, weight: Array, n_points: int
) -> Array:
    """Return `(F, 2)`, mean cost and utility of the points of a weighted path that beat all cheaper ones.

    The same points as `curve.frontier` of `curve.points`; in one pass, for thousands of resamples. Without branches,
    which weights drawn by chance would mislead: the error of a sum is Knuth's TwoSum, the number that `_add` finds.

    Args:
        first: `(n, 2)`, cost and utility of each query before any change.
        row, point: `(E,)` of the path; `point` is ascending.
        step: `(E, 2)`, from `steps` of cost and of utility.
        weight: `(n,)`, how often each query counts; not all 0.
        n_points: points of the path.
    """
    total = weight.sum()
    cost, cost_carry, utility, utility_carry = 0.0, 0.0, 0.0, 0.0
    for i in range(weight.size):
        cost, cost_carry = _two_sum(cost, cost_carry, weight[i] * first[i, 0])
        utility, utility_carry = _two_sum(utility, utility_carry, weight[i] * first[i, 1])
    at = np.empty((n_points, 2))
    size, e, top, top_cost = 0, 0, -np.inf, np.inf
    for p in range(n_points):
        while e < row.size and point[e] == p:
            w = weight[row[e]]
            dearer, better = w * step[e, 0], w * step[e, 1]
            # A step of a query that is not drawn may be NaN.
            cost, cost_carry = _two_sum(cost, cost_carry, dearer if w != 0 else 0.0)
            utility, utility_carry = _two_sum(utility, utility_carry, better if w != 0 else 0.0)
            e += 1
        c, u = (cost + cost_carry) / total, (utility + utility_carry) / total
        if u <= top and c >= top_cost:
            continue  # no better than an earlier point that costs no more: most are, and need no sorting
        at[size] = c, u
        size += 1
        if u > top:
            top, top_cost = u, c
    kept = np.empty((size, 2))
    left, best = 0, -np.inf
    for i in np.argsort(at[:size, 0], kind="mergesort"):
        if at[i, 1] > best:
            best = at[i, 1]
            if left == 0 or kept[left - 1, 0] != at[i, 0]:
                left += 1
            kept[left - 1] = at[i]
    return kept[:left].copy()

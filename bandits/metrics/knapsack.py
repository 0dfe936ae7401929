"""What a budget buys at best: the fractional multiple-choice knapsack over the queries, exactly.

`max sum_tk x_tk value_tk` subject to `sum_k x_tk <= 1`, `x >= 0` and `sum_tk x_tk cost_tk <= budget` (Sinha and
Zoltners 1979). Only the upper convex hull of each query's (cost, value) points counts, and its segments are bought in
the order of value per cost, all queries together: one sort, `O(T K log T K)`, and the answer for every budget at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics import kernels_knapsack
from bandits.metrics.regret import comparator, plain

Floats = NDArray[np.float64]


def best_within(
    value: ArrayLike, cost: ArrayLike, budget: ArrayLike, *, times: ArrayLike | None = None
) -> Floats:
    """Return the most value that each budget buys with hindsight, of the shape of `budget`.

    A query may be left unanswered (value 0, cost 0) or split among models.

    Args:
        value: `(rows, K)`, NaN where the model is unavailable.
        cost: `(rows, K)` >= 0 in the budget's unit.
        budget: totals >= 0; inf is no limit.
        times: `(rows,)` how often each row is asked; once each when left out.

    Raises:
        ValueError: shapes that do not fit, a negative cost or budget.
    """
    values, costs, wanted = plain(value, np.float64), plain(cost, np.float64), np.asarray(budget, np.float64)
    if values.ndim != 2 or costs.shape != values.shape:
        raise ValueError(
            f"best_within needs value and cost of one shape, got {values.shape} and {costs.shape}"
        )
    if not (wanted >= 0).all():
        raise ValueError(f"best_within needs budgets >= 0, got {wanted.min()}")
    if not (costs[~np.isnan(values)] >= 0).all():
        raise ValueError("best_within needs costs >= 0 wherever there is a value")
    spent, earned = _curve(values, np.where(np.isnan(values), np.inf, costs), times)
    return np.asarray(np.interp(wanted, spent, earned))


def plan_within(
    value: ArrayLike, cost: ArrayLike, budget: float, *, times: ArrayLike | None = None
) -> Floats:
    """Return `(rows,)`: what each query earns, each time it is asked, in the plan behind `best_within`.

    Args:
        value, cost, times: see `best_within`; its sum, weighed with `times`, is what that returns.
        budget: one total >= 0.
    """
    values = plain(value, np.float64)
    often = np.ones(len(values)) if times is None else np.asarray(times, np.float64)
    costs = np.where(np.isnan(values), np.inf, plain(cost, np.float64))
    gain, price, row = kernels_knapsack.hull_segments(values, costs)
    with np.errstate(divide="ignore"):
        order = np.argsort(-gain / price)
    gain, row, paid = gain[order], row[order], (price * often[row])[order]
    before = np.cumsum(paid) - paid
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(paid > 0, np.clip((budget - before) / paid, 0.0, 1.0), 1.0)
    return np.asarray(np.bincount(row, gain * share, len(values)), np.float64)


def best_mixture(
    value: ArrayLike, cost: ArrayLike, budget: ArrayLike, *, times: ArrayLike | None = None
) -> Floats:
    """Return the most expected value of a fixed mixture of models within each budget, of the shape of `budget`.

    Every query goes to a model drawn from the same probabilities, whatever the query; with what is left of 1 no model
    is called. A model counts with what its fixed choice gives and costs over all rows: where it cannot be called, the
    fall-back order answers (`metrics.regret.comparator`), so no mixture lies above what the best plan buys.

    Args:
        value, cost, budget, times: see `best_within`; a row without any model earns and costs nothing.
    """
    values, costs = np.asarray(value, np.float64), np.asarray(cost, np.float64)
    weight = np.ones(len(values)) if times is None else np.asarray(times, np.float64)
    some = ~np.isnan(values).all(axis=1)
    arms = np.stack([comparator(values[some], k) for k in range(values.shape[1])], axis=1)
    total = [weight[some] @ np.take_along_axis(x[some], arms, axis=1) for x in (values, costs)]
    mean = [x / max(weight.sum(), 1e-300) for x in total]
    return best_within(mean[0][None], mean[1][None], budget, times=weight.sum()[None])


def _curve(value: Floats, cost: Floats, times: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return the concave curve of what can be had: total cost and total value, from (0, 0), both ascending."""
    gain, price, row = kernels_knapsack.hull_segments(value, cost)
    with np.errstate(divide="ignore"):
        order = np.argsort(-gain / price)
    if times is not None:
        often = np.asarray(times, np.float64)[row]
        gain, price = gain * often, price * often
    spent, earned = (np.concatenate([[0.0], np.cumsum(x[order])]) for x in (price, gain))
    free = int(np.searchsorted(spent, 0.0, side="right")) - 1  # what costs nothing is had with any budget
    return spent[free:], earned[free:]

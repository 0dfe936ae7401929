"""The knapsack comparators against linear programs solved by HiGHS."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from bandits.metrics.knapsack import best_mixture, best_within


def instance(seed: int):
    """Return a small random instance: values, costs (both with ties and zeros), availability as NaN, a budget."""
    rng = np.random.default_rng(seed)
    rows, arms = rng.integers(1, 9), rng.integers(1, 6)
    value = rng.integers(0, 5, (rows, arms)) / 4 if seed % 2 else rng.normal(0.4, 0.5, (rows, arms))
    cost = rng.integers(0, 4, (rows, arms)).astype(float) if seed % 3 else rng.lognormal(0, 2, (rows, arms))
    value[rng.random((rows, arms)) < 0.2] = np.nan
    cost[np.isnan(value) & (rng.random((rows, arms)) < 0.5)] = np.nan
    return value, cost, float(rng.uniform(0, 1.2) * np.nansum(np.nan_to_num(cost).max(axis=1)))


def solved(value, cost, budget: float, times) -> float:
    """Return the optimum of the linear program as it is written down."""
    rows, arms = value.shape
    seen = ~np.isnan(value)
    one_model = np.repeat(np.eye(rows), arms, axis=1)
    paid = np.where(seen, np.nan_to_num(cost), 0.0) * times[:, None]
    answer = linprog(
        -(np.nan_to_num(value) * times[:, None]).ravel(),
        A_ub=np.vstack([one_model, paid.ravel()]),
        b_ub=np.append(np.ones(rows), budget),
        bounds=[(0, 1 if s else 0) for s in seen.ravel()],
        method="highs",
    )
    assert answer.success
    return -answer.fun


@pytest.mark.parametrize("seed", range(200))
def test_equals_the_linear_program(seed: int) -> None:
    value, cost, budget = instance(seed)
    times = np.random.default_rng(seed).integers(0, 3, len(value)).astype(float)
    np.testing.assert_allclose(
        best_within(value, cost, budget), solved(value, cost, budget, np.ones(len(value))), atol=1e-6
    )
    np.testing.assert_allclose(
        best_within(value, cost, budget, times=times), solved(value, cost, budget, times), atol=1e-6
    )


@pytest.mark.parametrize("seed", range(0, 60, 2))
def test_mixture_equals_the_linear_program_over_fixed_choices(seed: int) -> None:
    """Where a model cannot be called, the one that can be called most often answers; never more than the best plan."""
    value, cost, budget = instance(seed)
    rows = [r for r in range(len(value)) if not np.isnan(value[r]).all()]
    seen = ~np.isnan(value[rows])
    order = sorted(range(value.shape[1]), key=lambda k: (-seen[:, k].sum(), k))
    gives, costs = np.zeros(value.shape[1]), np.zeros(value.shape[1])
    for k in range(value.shape[1]):
        for r in rows:
            arm = next(a for a in (k, *order) if not np.isnan(value[r, a]))
            gives[k] += value[r, arm]
            costs[k] += cost[r, arm]
    limits = {"A_ub": np.vstack([np.ones_like(costs), costs]), "b_ub": [1.0, budget]}
    answer = linprog(-gives, **limits, bounds=(0, 1), method="highs")
    np.testing.assert_allclose(best_mixture(value, cost, budget), -answer.fun, atol=1e-6)
    assert best_mixture(value, cost, budget) <= best_within(value, cost, budget) + 1e-9


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_a_mixture_over_rows_asked_several_times_is_that_of_the_rows_repeated(seed: int) -> None:
    value, cost, budget = instance(seed)
    some = ~np.isnan(value).all(axis=1)
    times = np.random.default_rng(seed).integers(1, 4, len(value))
    rows = np.repeat(np.arange(len(value)), times)
    if some.any():
        for share in (0.3, 1.0, 9.0):
            found = best_mixture(value, cost, share * budget, times=times)
            wanted = best_mixture(value[rows], cost[rows], share * budget)
            order = np.argsort(-(~np.isnan(value[some])).sum(axis=0), kind="stable")
            again = np.argsort(-(~np.isnan(value[rows])).sum(axis=0), kind="stable")
            if order.tolist() == again.tolist():  # else another model stands in
                np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_one_curve_answers_every_budget() -> None:
    """Concave, from what is free to the oracle, and the same one budget at a time."""
    rng = np.random.default_rng(0)
    value, cost = rng.random((300, 5)), rng.lognormal(0, 1, (300, 5))
    cost[:, 0] = 0.0
    budgets = np.linspace(0, 1.1 * cost.max(axis=1).sum(), 200)
    bought = best_within(value, cost, budgets)
    np.testing.assert_allclose(bought[0], value[:, 0].sum())
    np.testing.assert_allclose([bought[-1], best_within(value, cost, np.inf)], value.max(axis=1).sum())
    assert (np.diff(bought, 2) < 1e-9).all()
    np.testing.assert_allclose(bought[70], best_within(value, cost, budgets[70]))


@pytest.mark.parametrize(
    ("value", "cost", "budget", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 2)), 1.0, "of one shape"),
        (np.ones((2, 3)), -np.ones((2, 3)), 1.0, "costs >= 0"),
        (np.ones((2, 3)), np.ones((2, 3)), -1.0, "budgets >= 0"),
    ],
)
def test_senseless_input_is_named(value, cost, budget: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_within(value, cost, budget)

"""Warm starts: the posterior against its formula, and a log that shares nothing with what is evaluated."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
import scipy.linalg

import bandits
from bandits.loop.replay import replay
from bandits.policies.linear.ridge import estimate
from bandits.rewards import accuracy, linear, reward_table
from bandits.wrappers import budget, promise, warm


@pytest.fixture(scope="module")
def halves(known):
    return warm.split(known, "300")


def test_the_prior_is_the_formula(patchy) -> None:
    """s = n_eff / A[d, d], A = s A_off + l0 I, b = s b_off + l0 theta_off, by Cholesky; missing outcomes left out."""
    table, n_eff, ridge = reward_table(linear, patchy), 50.0, 0.7
    prior = warm.fit(patchy, table, n_eff=n_eff, ridge=ridge)
    x = patchy.context.astype(float)
    for k in range(4):
        seen = patchy.available[:, k]
        a, b = x[seen].T @ x[seen], x[seen].T @ table[seen, k]
        assert a[-1, -1] == seen.sum()
        centre = scipy.linalg.solve(a + ridge * np.eye(6), b, assume_a="pos")
        scaled = n_eff / seen.sum() * a + ridge * np.eye(6)
        expected = scipy.linalg.solve(scaled, n_eff / seen.sum() * b + ridge * centre, assume_a="pos")
        np.testing.assert_allclose(prior.weight["reward"][k], expected, rtol=1e-8)
        np.testing.assert_allclose(prior.inverse[k] @ scaled, np.eye(6), atol=1e-8)
        np.testing.assert_allclose(prior.mean[k, 0], patchy.cost[seen, k].mean())


PRIMED = ("linucb", "thompson", "epsilon", "greedy", "softmax", "squarecb", "regcb", "dlinucb", "preference")


@pytest.mark.parametrize("name", PRIMED)
def test_every_policy_begins_where_the_prior_ends(name: str, known, halves) -> None:
    logged, stream = halves
    prior = warm.fit(logged, reward_table(accuracy, logged))
    hyper = {"reward": accuracy} if name == "preference" else {}
    policy = warm.start(bandits.POLICIES[name](4, 6, **hyper), prior)
    state = policy.init(jax.random.key(0))
    if name == "dlinucb":  # by the normal equations: it has no inverse to read
        weight = [
            np.linalg.solve(v + np.eye(6), b) for v, b in zip(state.evidence, state.moment, strict=True)
        ]
        mean = np.array(weight) @ known.context[3]
    else:
        mean = estimate(state, known.context[3]).mean
        assert state.pulls.tolist() == [300] * 4
    assert mean.shape == ((4, 2) if name == "preference" else (4,))
    first = mean[:, 0] if name == "preference" else mean
    target = "utility" if name == "preference" else "reward"
    np.testing.assert_allclose(first, prior.weight[target] @ known.context[3], rtol=1e-4)
    # The answer is known from the first query on: 0.9 for the topic's own arm, learned from 300 rows.
    trace = replay(policy, stream, reward_table(accuracy, stream), seeds=6, rounds=60)
    if name not in ("epsilon", "softmax", "squarecb"):
        # 360 calls at a chance of .9 have a standard error of .016: three of them and a few wrong calls.
        assert reward_table(accuracy, stream)[trace.order, trace.arms].mean() > 0.83


def test_pacers_and_caps_know_the_costs(halves) -> None:
    logged, stream = halves
    prior = warm.fit(logged, reward_table(accuracy, logged))
    x = stream.context[0]
    for pacing in ("mirror", "bwk", "lp"):
        policy = budget.held(bandits.linucb(4, 6), stream, pacing=pacing, cap=9.0)
        state = warm.start(policy, prior).init(jax.random.key(0))
        assert isinstance(state, promise.Capped)
        expected = prior.weight["cost"] @ x
        np.testing.assert_allclose(state.costs.weight @ x, expected, rtol=1e-4)
        np.testing.assert_allclose(state.policy.pacer.usage.expected(x)[:, 0], expected, rtol=1e-4)
        np.testing.assert_allclose(state.policy.policy.weight @ x, prior.weight["reward"] @ x, rtol=1e-4)
    state = warm.start(budget.held(bandits.linucb(4, 6), stream, pacing="threshold"), prior)
    means = state.init(jax.random.key(0)).pacer.means
    np.testing.assert_allclose(means.expected(np.full(4, np.nan))[:, 0], logged.cost.mean(axis=0), rtol=1e-5)


def test_primal_dual_begins_at_the_dual_price_of_the_log(patchy) -> None:
    """The least price whose greedy choices on the log fit the budget, by a plain loop in float64."""
    logged, stream = warm.split(patchy, "200")
    table = reward_table(accuracy, logged)
    prior = warm.fit(logged, table)
    policy = warm.start(budget.held(bandits.linucb(4, 6), stream, pacing="primal_dual"), prior)
    past = policy.init(jax.random.key(0)).pacer.past
    posted = logged.price
    scaled = np.log(posted / posted.min()) / np.log(posted.max() / posted.min())
    grid, spent = np.asarray(past.price, float), []
    assert grid[0] == 0 and grid[-1] == 5 and (np.diff(grid) > 0).all()
    for price in grid[::10]:
        total = 0.0
        for row in range(200):
            value = np.array([prior.weight["reward"][k] @ logged.context[row] for k in range(4)])
            barred = ~logged.available[row] | ((price > 0) & (posted > posted.max() / (1 + price)))
            arm = np.where(barred, -np.inf, value - price * scaled).argmax()
            total += logged.cost[row, arm] if not barred.all() else logged.cost[row, logged.available[row]][0]
        spent.append(total / 200)
    # A near tie may fall the other way in float32: a few of 200 queries at one of 21 prices.
    close = np.abs(np.asarray(past.spend)[::10, 0] - spent) < 1e-4
    assert close.sum() >= 20
    each = 0.5 * (spent[0] + spent[-1])
    begun = float(past.first(np.array([each, np.inf, np.inf]))[0])
    fits = np.asarray(past.spend)[:, 0] <= each
    assert begun == grid[fits.argmax()] > 0
    # The first step of the pacer sets out from there, with smoothed spend at the budget: .05 (.95 + .05 c / B - 1).
    told = replay(
        policy, stream, reward_table(accuracy, stream), seeds=2, probe=policy.price,
        budget=np.array([each * len(stream), np.inf, np.inf]),
    )  # fmt: skip
    cost = stream.cost[told.order[:, 0], told.arms[:, 0]]
    np.testing.assert_allclose(told.probed[:, 1, 0], begun + 0.05 * 0.05 * (cost / each - 1), rtol=1e-4)


@pytest.mark.parametrize("amount", ["10%", "77"])
def test_a_split_shares_no_query_and_no_group(amount: str, known) -> None:
    group = np.array([f"g{i // 3}" for i in range(600)], object)
    grouped = replace(known, outcomes=replace(known.outcomes, group_id=group))
    for stream in (known, grouped):
        logged, rest = warm.split(stream, amount, seed=4)
        ids = [set(side.outcomes.query_id) for side in (logged, rest)]
        assert not ids[0] & ids[1] and len(ids[0] | ids[1]) == 600
        assert len(logged) - {"10%": 60, "77": 77}[amount] in (0, 1, 2)
        np.testing.assert_array_equal(
            rest.context, stream.context[np.isin(stream.outcomes.query_id, list(ids[1]))]
        )
    assert not set(logged.outcomes.group_id) & set(rest.outcomes.group_id)
    if amount == "77":
        assert logged.outcomes.query_id[0] == "q0" and warm.split(known, "77")[0].query_id[-1] == "q76"


@pytest.mark.parametrize("amount", ["0", "600", "100%", "0%", "-3", "some", "3.5"])
def test_a_senseless_log_is_named(amount: str, known) -> None:
    with pytest.raises(ValueError, match="--warm-start"):
        warm.split(known, amount)


def test_a_model_without_a_logged_outcome_is_named(known) -> None:
    logged, _ = warm.split(known, "5")
    utility = logged.outcomes.utility.copy()
    utility[:, 2] = np.nan
    # The table itself refuses a silent model; a part of one may have it.
    with pytest.raises(ValueError, match="has no outcome for any query"):
        replace(logged, outcomes=replace(logged.outcomes, utility=utility))
    with pytest.raises(ValueError, match="n_eff > 0"):
        warm.fit(logged, reward_table(accuracy, logged), n_eff=0.0)

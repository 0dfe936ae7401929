"""Duels: pairs as arms, preferences as feedback, and the policies that learn from them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import check, example
from bandits.experiment import worlds
from bandits.loop.replay import replay
from bandits.metrics.regret import comparator
from bandits.policies.dueling import DUELLISTS, duel_ucb, fgts
from bandits.rewards import accuracy, linear, reward_table
from envs.changes import duels
from tests.conftest import make_stream


def test_pairs_cost_both_calls_and_a_single_call_costs_one(patchy) -> None:
    paired = duels.pairs(patchy)
    first, second = duels.sides(4)
    assert paired.n_arms == 10 and paired.cost_scale == patchy.cost_scale
    for p, (i, j) in enumerate(zip(first, second, strict=True)):
        both = patchy.available[:, i] & patchy.available[:, j]
        np.testing.assert_array_equal(paired.available[:, p], both)
        cost = patchy.cost[:, i] + (patchy.cost[:, j] if i != j else 0.0)
        np.testing.assert_array_equal(paired.cost[both, p], cost[both])
        utility = (patchy.utility[:, i] + patchy.utility[:, j]) / 2
        np.testing.assert_array_equal(paired.utility[both, p], utility[both])
    single = np.flatnonzero(first == second)
    np.testing.assert_array_equal(reward_table(linear, paired)[:, single], reward_table(linear, patchy))


def test_the_best_pair_is_the_best_model_alone(known) -> None:
    paired = duels.pairs(known)
    first, second = duels.sides(4)
    best = comparator(reward_table(linear, paired), "oracle")
    alone = comparator(reward_table(linear, known), "oracle")
    assert (first[best] == second[best]).all()
    np.testing.assert_array_equal(first[best], alone)


def test_only_the_preference_is_heard(known) -> None:
    paired = duels.pairs(known)
    table = reward_table(linear, paired)
    heard, told = worlds.heard(paired, table, linear, 0.2, kind="dueling")
    single = reward_table(linear, known)
    first, second = duels.sides(4)
    lead = single[:, first] - single[:, second]
    np.testing.assert_array_equal(told[lead > 0], 1.0)
    np.testing.assert_array_equal(told[lead < 0], 0.0)
    # Ties are the 4 single calls at least: 2,400 fair coins, sd .0102; four of them.
    assert told[lead == 0].mean() == pytest.approx(0.5, abs=0.041)
    np.testing.assert_array_equal(heard.utility, told)
    np.testing.assert_array_equal(heard.cost, paired.cost)


@pytest.mark.parametrize("name", DUELLISTS)
def test_contract(name: str) -> None:
    check(DUELLISTS[name](6, 4), 6, 4, name)
    with pytest.raises(ValueError, match="--feedback dueling"):
        DUELLISTS[name](4, 4)


@pytest.mark.parametrize("name", DUELLISTS)
def test_duellists_learn_whom_to_ask_and_respect_available(name: str, known) -> None:
    policy = DUELLISTS[name](10, 6)
    for stream in (known, make_stream(missing=0.4, seed=1)):
        paired = duels.pairs(stream)
        table = reward_table(accuracy, paired)
        heard, told = worlds.heard(paired, table, accuracy, 0.2, kind="dueling")
        rounds = 2400 if stream is known else 600
        trace = replay(policy, heard, told, seeds=4, rounds=rounds)
        earned = table[trace.order, trace.arms]
        assert not np.isnan(earned).any()
        if stream is known:
            # Uniform pairs earn the mean, sd below .5 / sqrt(4 * 800) = .0088 over a third of the run; the best arm
            # of each topic earns .9. Half of the way is asked for.
            assert earned[:, 1600:].mean() > table.mean() + 0.5 * (0.9 - table.mean()) - 4 * 0.0088


def test_duel_ucb_is_ridge_regression_on_differences() -> None:
    """Mean and width after a few duels against NumPy's normal equations in the stacked features."""
    models, dim, rng = 3, 4, np.random.default_rng(5)
    policy, (first, second) = duel_ucb(6, dim, ridge=0.7), duels.sides(models)
    state, (seen, told) = policy.init(jax.random.key(0)), example(6, dim)
    precision, moment = 0.7 * np.eye(models * dim), np.zeros(models * dim)
    for _ in range(40):
        x, pair, y = rng.normal(size=dim), int(rng.integers(6)), float(rng.integers(2))
        heard = told._replace(reward=jnp.float32(y))
        observation = seen._replace(context=jnp.asarray(x, jnp.float32))
        state = policy.update(jax.random.key(0), state, observation, jnp.int32(pair), heard)
        z = np.zeros((models, dim))
        z[first[pair]] += x
        z[second[pair]] -= x
        precision += np.outer(z.ravel(), z.ravel())
        moment += z.ravel() * (y - 0.5)
    np.testing.assert_allclose(state.weight.ravel(), np.linalg.solve(precision, moment), atol=1e-4)
    np.testing.assert_allclose(
        np.asarray(state.inverse).reshape(models * dim, -1), np.linalg.inv(precision), atol=1e-4
    )


def test_fgts_feels_good_against_the_opponent() -> None:
    """One noisy step of either chain against a float64 gradient of equation (2), opponents by the rule of the call."""
    models, dim, rng = 4, 3, np.random.default_rng(8)
    lr, mu, ridge, eta = 0.02, 0.7, 0.5, 1.3
    policy = fgts(10, dim, eta=eta, mu=mu, ridge=ridge, lr=lr, steps=1, batch=1, memory=1)
    act, update = jax.jit(policy.act), jax.jit(policy.update)
    first, second = duels.sides(models)
    state, (seen, told) = policy.init(jax.random.key(1)), example(10, dim)
    crossed = 0
    for round in range(60):
        key, x, y = jax.random.key(100 + round), rng.normal(size=dim), float(rng.integers(2))
        observation = seen._replace(context=jnp.asarray(x, jnp.float32))
        theta = np.asarray(state.theta, np.float64)
        worth = theta @ x
        one, two = max(
            ((i, j) for i in range(models) for j in range(models)),
            key=lambda ij: worth[0, ij[0]] + worth[1, ij[1]],
        )
        pair = int(act(key, state, observation))
        assert {one, two} == {first[pair], second[pair]}
        crossed += one > two
        state = update(key, state, observation, jnp.int32(pair), told._replace(reward=jnp.float32(y)))
        i, j, sign = first[pair], second[pair], 2 * y - 1
        # The memory holds this duel alone, so the batch is known; the noise is drawn from the same key.
        _, to_move = jax.random.split(jax.random.fold_in(key, 0))
        noise = np.asarray(jax.random.normal(to_move, theta.shape), np.float64)
        for side, opponent in enumerate((two, one)):
            gradient = ridge * theta[side]
            if i != j:
                slope = -eta * sign / (1 + np.exp(sign * (worth[side, i] - worth[side, j])))
                gradient[i] += slope * x
                gradient[j] -= slope * x
            gradient[worth[side].argmax()] -= mu * x
            gradient[opponent] += mu * x
            expected = theta[side] - lr * gradient + np.sqrt(2 * lr) * noise[side]
            np.testing.assert_allclose(state.theta[side], expected, atol=2e-5)
    assert crossed > 5  # the pair's order is not that of the chains

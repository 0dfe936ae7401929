"""What each policy calls by, at a state that is given: index and chances against NumPy in float64, factors and all."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax

import bandits
from bandits.base import Policy, example
from bandits.policies.dueling import Duels, duel_ucb, fgts
from bandits.policies.linear.hybrid import moments, shared_features
from bandits.policies.linear.ridge import Ridge
from bandits.policies.neural import gradients, heads
from bandits.policies.neural.neurallinear import neurallinear
from bandits.policies.tabular.counts import Counts
from bandits.policies.tabular.elimination import Race, survivors
from bandits.rewards import log_cost
from envs.changes import duels

K, D = 4, 3
KEY = jax.random.key(3)
X = np.array([0.4, -0.8, 1.0])
PREFERENCE, SCALE = 0.3, 2.5
PULLS = np.array([5, 2, 7, 1])  # the coming round is the 16th


def state_of(targets: int, rng: np.random.Generator) -> tuple[Ridge, np.ndarray, np.ndarray]:
    """Return a posterior in which nothing is alike, each arm's mean(s) `(K,)` or `(K, m)` at X, and its width."""
    root = rng.normal(size=(K, D, D)) * 0.4
    inverse = root @ root.transpose(0, 2, 1) + 0.05 * np.eye(D)
    weight = rng.normal(0.3, 0.4, (K, targets, D))
    mean = weight @ X
    width = np.sqrt(np.einsum("d,kde,e->k", X, inverse, X))
    shaped = weight if targets > 1 else weight[:, 0]
    state = Ridge(
        jnp.asarray(inverse, jnp.float32), jnp.asarray(shaped, jnp.float32), jnp.asarray(PULLS, jnp.int32)
    )
    return state, (mean if targets > 1 else mean[:, 0]), width


def seen(**changes: Any) -> Any:
    known = {"context": jnp.asarray(X, jnp.float32), "preference": jnp.float32(PREFERENCE),
             "cost_scale": jnp.float32(SCALE), "price": jnp.array([1.0, 2.0, 4.0, jnp.nan])}  # fmt: skip
    return example(K, D)[0]._replace(**{**known, **changes})


def indexed(policy: Policy, state: Any, **changes: Any) -> np.ndarray:
    assert policy.index is not None
    return np.asarray(policy.index(None, state, seen(**changes)))


def test_upper_bounds_of_one_target() -> None:
    state, mean, width = state_of(1, np.random.default_rng(0))
    for policy, factor in (
        (bandits.linucb(K, D, alpha=0.7), 0.7),
        (bandits.greedy(K, D), 0.0),
        (bandits.regcb(K, D, c=0.4), np.sqrt(0.4 * np.log(1 + 16))),
        (bandits.thompson(K, D, v=0.9), 0.0),  # without what is drawn
    ):
        np.testing.assert_allclose(indexed(policy, state), mean + factor * width, rtol=1e-5)


def test_thompson_draws_with_v_widths() -> None:
    """4,000 keys: the deviation of each arm's index is v width, to five standard errors of a deviation."""
    state, mean, width = state_of(1, np.random.default_rng(1))
    policy = bandits.thompson(K, D, v=0.3)
    asked = policy.index
    assert asked is not None
    drawn = np.asarray(jax.vmap(lambda key: asked(key, state, seen()))(jax.random.split(KEY, 4000)))
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=5 * 0.3 * width.max() / np.sqrt(4000))
    np.testing.assert_allclose(drawn.std(axis=0), 0.3 * width, rtol=5 / np.sqrt(8000))


def test_regcb_by_elimination_is_even_among_those_that_reach_the_highest_lower_value() -> None:
    state, mean, width = state_of(1, np.random.default_rng(2))
    for c in (0.001, 0.02, 0.2, 5.0):
        for available in (np.ones(K, bool), np.array([True, False, True, True])):
            policy = bandits.regcb(K, D, mode="elimination", c=c)
            assert policy.chances is not None
            spread = np.sqrt(c * np.log(17)) * width
            alive = available & (mean + spread >= (mean - spread)[available].max())
            found = policy.chances(KEY, state, seen(available=jnp.asarray(available)))
            np.testing.assert_allclose(found, alive / alive.sum(), rtol=1e-6)
    assert policy.index is None


def test_two_targets_are_weighed_by_the_preference() -> None:
    """Utility, and cost in units of the scale: by the linear reward, and by another in the table's own unit."""
    state, mean, width = state_of(2, np.random.default_rng(3))
    linear = mean[:, 0] - PREFERENCE * mean[:, 1] + 0.6 * width
    np.testing.assert_allclose(indexed(bandits.preference(K, D, alpha=0.6), state), linear, rtol=1e-4)
    reward = partial(log_cost, floor=0.1, ceiling=9.0)
    policy = bandits.preference(K, D, alpha=0.6, reward=reward)
    cost = np.clip(mean[:, 1] * SCALE, 0.1, 9.0)
    other = mean[:, 0] - PREFERENCE * np.log(cost / 0.1) / np.log(90) + 0.6 * width
    np.testing.assert_allclose(indexed(policy, state), other, rtol=1e-4)
    heard = example(K, D)[1]._replace(
        utility=jnp.float32(0.8), cost=jnp.float32(3.0), reward=jnp.float32(9.0)
    )
    for kind in (bandits.preference(K, D), policy):
        after = kind.update(KEY, kind.init(KEY), seen(), jnp.int32(1), heard)
        # One observation from ridge 1: theta = y x / (1 + |x|^2), for .8 and for 3 / 2.5.
        want = np.outer([0.8, 1.2], X) / (1 + X @ X)
        np.testing.assert_allclose(after.weight[1], want, rtol=1e-4)


def test_glm_puts_a_bounded_probability_and_the_cost_into_the_reward() -> None:
    state, mean, width = state_of(2, np.random.default_rng(4))
    for alpha in (0.2, 3.0):
        utility = np.minimum(expit(mean[:, 0]) + alpha * width, 1.0)
        assert (utility == 1).any() == (alpha == 3.0)
        found = indexed(bandits.glm(K, D, alpha=alpha), state)
        np.testing.assert_allclose(found, utility - PREFERENCE * mean[:, 1], rtol=1e-4)
        reward = partial(log_cost, floor=0.1, ceiling=9.0)
        cost = np.clip(mean[:, 1] * SCALE, 0.1, 9.0)
        found = indexed(bandits.glm(K, D, alpha=alpha, reward=reward), state)
        np.testing.assert_allclose(
            found, utility - PREFERENCE * np.log(cost / 0.1) / np.log(90), rtol=1e-4, atol=1e-5
        )


def test_hybrid_and_windowed_bounds_have_their_alpha_and_prices_their_unit() -> None:
    state = bandits.hybrid(K, D, alpha=0.4).init(KEY)
    state = state._replace(weight=jnp.asarray(np.random.default_rng(5).normal(size=(K, D)), jnp.float32))
    z = shared_features(seen())
    price = np.array([1.0, 2.0, 4.0, 0.0]) / SCALE  # none posted: 0
    np.testing.assert_allclose(z, np.hstack([np.tile(X, (K, 1)), price[:, None] * X]), rtol=1e-5)
    mean, variance = moments(state, jnp.asarray(X, jnp.float32), z)
    found = indexed(bandits.hybrid(K, D, alpha=0.4), state)
    np.testing.assert_allclose(found, np.asarray(mean) + 0.4 * np.sqrt(variance), rtol=1e-5)
    arms, mean, width = state_of(1, np.random.default_rng(6))
    window = bandits.swlinucb(K, D, alpha=0.8)
    np.testing.assert_allclose(
        indexed(window, window.init(KEY)._replace(arms=arms)), mean + 0.8 * width, rtol=1e-5
    )


def test_chances_by_formula_with_an_arm_away() -> None:
    """At the 16th round, the second model away: epsilon, softmax and SquareCB."""
    state, mean, _ = state_of(1, np.random.default_rng(7))
    available = np.array([True, False, True, True])
    best = np.where(available, mean, -np.inf).argmax()
    chance = 0.5 / (1 + 0.1 * 16)
    want = {"epsilon": chance * available / 3 + (1 - chance) * (np.arange(K) == best)}
    logit = np.where(available, mean * 16**0.5 / 0.9, -np.inf)
    want["softmax"] = softmax(logit)
    gap = 1 / (3 + 5 * 16**0.7 * (mean[best] - mean)) * available
    gap[best] = 0
    gap[best] = 1 - gap.sum()
    want["squarecb"] = gap
    made = {
        "epsilon": bandits.epsilon(K, D, epsilon=0.5, decay=0.1),
        "softmax": bandits.softmax(K, D, temperature=0.9, decay=0.5),
        "squarecb": bandits.squarecb(K, D, gamma=5.0, exponent=0.7),
    }
    for name, policy in made.items():
        assert policy.chances is not None
        found = policy.chances(KEY, state, seen(available=jnp.asarray(available)))
        np.testing.assert_allclose(found, want[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_index_policies_answer_in_units_of_reward() -> None:
    """Means of .5 and .2 in [0, 1] after 8 and 2 calls, rewards from -1 to 3."""
    counts = Counts(jnp.array([8.0, 2.0]), jnp.array([0.5, 0.2]))
    policy = bandits.ucb1(2, D, alpha=0.5, low=-1.0, high=3.0)
    width = np.sqrt(2 * np.log(10) / np.array([8, 2]))
    assert policy.index is not None
    found = policy.index(None, counts, seen())
    np.testing.assert_allclose(found, -1 + 4 * (np.array([0.5, 0.2]) + 0.5 * width), rtol=1e-5)
    heard = example(2, D)[1]._replace(reward=jnp.float32(1.0))  # half of the range
    after = policy.update(KEY, counts, seen(), jnp.int32(1), heard)
    np.testing.assert_allclose(after.mean, [0.5, 0.3], rtol=1e-6)


def test_successive_elimination_by_its_width_and_in_turn() -> None:
    """sqrt(ln(4 K n^2 / delta) / (2 n)) for each arm's own n; those heard least in turn; else the best dropped."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        pulls, mean = rng.integers(1, 400, 3), rng.random(3)
        width = 0.5 * np.sqrt(np.log(4 * 3 * pulls**2 / 0.2) / (2 * pulls))
        want = mean + width >= (mean - width).max()
        counts = Counts(jnp.asarray(pulls, jnp.float32), jnp.asarray(mean, jnp.float32))
        np.testing.assert_array_equal(survivors(counts, jnp.ones(3, bool), 0.2, 0.5), want)
    policy = bandits.successive_elimination(3, D)
    race = Race(
        Counts(jnp.array([9.0, 4.0, 6.0]), jnp.array([0.1, 0.6, 0.3])), jnp.array([True, False, True])
    )
    assert int(policy.act(KEY, race, example(3, D)[0])) == 2
    only = example(3, D)[0]._replace(available=jnp.array([False, True, False]))
    assert int(policy.act(KEY, race, only)) == 1
    dropped = race._replace(active=jnp.array([False, False, True]))
    assert int(policy.act(KEY, dropped, only._replace(available=jnp.array([True, True, False])))) == 1


def test_always_falls_back_in_its_order() -> None:
    policy = bandits.always(4, D, model=2, fallback=(3, 1, 0, 2))
    state = policy.init(KEY)
    for available, arm in (((1, 1, 1, 1), 2), ((1, 1, 0, 1), 3), ((1, 1, 0, 0), 1), ((1, 0, 0, 0), 0)):
        assert int(policy.act(KEY, state, seen(available=jnp.array(available, bool)))) == arm
    plain = bandits.always(4, D, model=2)
    assert int(plain.act(KEY, state, seen(available=jnp.array([0, 1, 0, 1], bool)))) == 1


def test_duel_ucb_calls_the_best_and_its_strongest_challenger() -> None:
    """Champion by mean, challenger by mean and alpha |phi(x, b) - phi(x, a)| in the norm of A^-1, in 50 states."""
    rng, models = np.random.default_rng(9), 4
    policy = duel_ucb(10, D, alpha=0.6)
    first, second = duels.sides(models)
    act = jax.jit(policy.act)
    begun, own = policy.init(KEY), 0
    for _ in range(50):
        root = rng.normal(size=(models * D, models * D)) * rng.choice([0.02, 0.3])
        inverse, weight = root @ root.T, rng.normal(size=(models, D))
        available = rng.random(10) < 0.8
        there = sorted({*first[available], *second[available]})
        champion = max(there, key=lambda m: weight[m] @ X)
        best = None
        for pair in np.flatnonzero(available & ((first == champion) | (second == champion))):
            other = second[pair] if first[pair] == champion else first[pair]
            z = np.zeros((models, D))
            z[champion] += X
            z[other] -= X
            lead = (weight[other] - weight[champion]) @ X + 0.6 * np.sqrt(z.ravel() @ inverse @ z.ravel())
            if best is None or lead > best[0] + 1e-4:
                best = (lead, pair)
        state = begun._replace(inverse=jnp.asarray(inverse.reshape(models, D, models, D), jnp.float32),
                               weight=jnp.asarray(weight, jnp.float32))  # fmt: skip
        pair = int(
            act(
                KEY,
                state,
                example(10, D)[0]._replace(
                    context=jnp.asarray(X, jnp.float32), available=jnp.asarray(available)
                ),
            )
        )
        assert best is not None and pair == best[1]
        own += first[pair] == second[pair]
    assert 0 < own < 50


def test_fgts_scales_a_batch_up_to_the_past_and_steps_less_as_it_grows() -> None:
    """249 duels, all of them the one that follows, so that any batch is known: one step in float64."""
    models, lr, mu, ridge = 3, 0.02, 0.3, 0.5
    policy = fgts(6, D, mu=mu, ridge=ridge, lr=lr, steps=1, batch=4, memory=300)
    first, second = duels.sides(models)
    pair = 1  # models 0 and 1
    theta = np.random.default_rng(10).normal(size=(2, models, D))
    worth = theta @ X
    swapped = bool(worth[1, 0] + worth[0, 1] > worth[0, 0] + worth[1, 1])
    same = [jnp.full(300, v) for v in (first[pair], second[pair], swapped, 1.0)]
    past = Duels(jnp.tile(jnp.asarray(X, jnp.float32), (300, 1)), *same, jnp.int32(249))
    state = policy.init(KEY)._replace(theta=jnp.asarray(theta, jnp.float32), past=past)
    heard = example(6, D)[1]._replace(reward=jnp.float32(1.0))
    now = example(6, D)[0]._replace(context=jnp.asarray(X, jnp.float32))
    after = jax.jit(policy.update)(KEY, state, now, jnp.int32(pair), heard)
    step = lr / 2.5
    _, to_move = jax.random.split(jax.random.fold_in(KEY, 0))
    noise = np.asarray(jax.random.normal(to_move, theta.shape))
    for side in (0, 1):
        gradient = np.zeros((models, D))
        slope = -1 / (1 + np.exp(worth[side, 0] - worth[side, 1]))
        gradient[0] += slope * X
        gradient[1] -= slope * X
        gradient[worth[side].argmax()] -= mu * X
        gradient[1 if (side == 0) != swapped else 0] += mu * X
        want = theta[side] - step * (250 * gradient + ridge * theta[side]) + np.sqrt(2 * step) * noise[side]
        np.testing.assert_allclose(after.theta[side], want, atol=1e-4)
    assert int(after.past.total) == 250


def test_networks_begin_with_the_stated_variances() -> None:
    """He's 2 / fan in each hidden layer, and Algorithm 1's 4 / m and 2 / m, in two halves that cancel."""
    one, two, out = heads.first_weights(KEY, 2, 50, 400, 3)
    assert float(one.var()) == pytest.approx(2 / 50, rel=0.05) and float(two.var()) == pytest.approx(
        2 / 400, rel=0.02
    )
    assert out.shape == (401, 2) and not np.asarray(out).any()
    block, inner, last = gradients.first_weights(KEY, gradients.Shape(3, 40, 400, 3))
    assert float(block.var()) == pytest.approx(4 / 400, rel=0.05)
    assert float(inner[:200, :200].var()) == pytest.approx(4 / 400, rel=0.05)
    assert not np.asarray(inner[200:, :200]).any()
    assert float(last.var()) == pytest.approx(2 / 400, rel=0.3)
    np.testing.assert_array_equal(last[200:], -last[:200])


def test_neurallinear_begins_with_its_prior() -> None:
    state = neurallinear(2, D, ridge=4.0, shape=3.0, noise=0.5, width=8).init(KEY)
    np.testing.assert_allclose(state.bayes.shape, 3.0)
    np.testing.assert_allclose(state.bayes.scale, 1.5)  # its mean over its shape is the guess of the variance
    np.testing.assert_allclose(state.bayes.ridge.inverse[1], np.eye(9) / 4, rtol=1e-6)


def test_no_price_is_no_bargain_before_the_first_call() -> None:
    """Averaged: 1 - preference x cost / scale, the same width for all; where none is posted, the scale stands in."""
    policy = bandits.averaged(K, D, alpha=0.5)
    found = indexed(policy, policy.init(KEY))
    cost = np.array([1.0, 2.0, 4.0, SCALE]) / SCALE
    np.testing.assert_allclose(found - found[3], PREFERENCE * (1 - cost), atol=1e-5)
    heard = example(K, D)[1]._replace(utility=jnp.float32(1.0), cost=jnp.float32(5.0))
    state = policy.update(KEY, policy.init(KEY), seen(), jnp.int32(3), heard)
    after = indexed(policy, state)  # an answer that was expected; now a call has cost twice the scale
    assert after[3] < after[2] and after[0] > after[1] > after[2]

"""BaRP's gradient against the analytic REINFORCE formula, and its learning on a stream with a known answer."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import example
from bandits.policies.neural.barp import Batch, append, barp, first_router, logits, loss


def test_gradient_is_the_analytic_reinforce_formula() -> None:
    """With `p` the softmax, the gradient by the logits is `((r - b)(p - e_a) + beta p (log p + H)) / n`.

    The logits are linear in the heads, so the gradient by them is the hidden layer's outer product with that.
    """
    rng, n, places, n_arms = np.random.default_rng(0), 5, 8, 3
    router = first_router(jax.random.key(0), n_arms, 4, 6)
    router = router._replace(heads=jnp.asarray(rng.normal(size=(7, n_arms)), jnp.float32))
    context, preference = rng.normal(size=(places, 4)), rng.uniform(0, 2, places)
    arm, reward = rng.integers(0, 2, places), rng.normal(size=places)
    available = np.ones((places, n_arms), bool)
    available[1, 2] = False
    floats = (jnp.asarray(a, jnp.float32) for a in (context, preference))
    heard = Batch(
        *floats, jnp.asarray(available), jnp.asarray(arm), jnp.asarray(reward, jnp.float32), jnp.int32(n)
    )
    expected, baseline = np.zeros((7, n_arms)), reward[:n].mean()
    code, hidden, heads = (np.asarray(w, np.float64) for w in router)
    for i in range(n):
        simplex = np.array([1.0, preference[i]]) / (1 + preference[i])
        layer = np.maximum(np.r_[context[i], np.maximum(simplex @ code, 0)] @ hidden, 0)
        layer = np.r_[layer, 1.0]
        p = np.where(available[i], np.exp(layer @ heads), 0.0)
        p /= p.sum()
        log_p = np.log(np.where(p > 0, p, 1.0))
        by_logits = (reward[i] - baseline) * (p - np.eye(n_arms)[arm[i]]) + 0.3 * p * (log_p - p @ log_p)
        expected += np.outer(layer, by_logits) / n
    np.testing.assert_allclose(jax.grad(loss)(router, heard, 0.3).heads, expected, atol=1e-5)


def test_rewards_are_brought_to_one_scale_and_old_rounds_do_not_count() -> None:
    observation = example(2, 3)[0]._replace(preference=jnp.float32(1.0))
    empty = Batch(
        jnp.zeros((4, 3)),
        jnp.zeros(4),
        jnp.ones((4, 2), bool),
        jnp.zeros(4, jnp.int32),
        jnp.full(4, 9.0),
        jnp.int32(0),
    )
    heard = append(empty, observation, jnp.int32(1), jnp.float32(0.5))
    assert (float(heard.reward[0]), int(heard.filled)) == (0.25, 1)
    # One round is its own baseline: without entropy there is nothing to learn, whatever lies in the other places.
    gradient = jax.grad(loss)(first_router(jax.random.key(0), 2, 3, 4), heard, 0.0)
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradient))


def test_every_arm_is_as_likely_at_first_and_closed_ones_are_not() -> None:
    router = first_router(jax.random.key(0), 3, 2, 4)
    chance = jax.nn.softmax(logits(router, jnp.ones(2), jnp.float32(0.2), jnp.array([True, False, True])))
    np.testing.assert_allclose(chance, [0.5, 0.0, 0.5])


def test_learns_to_answer_the_preference() -> None:
    """Arm 0: utility 1 and cost 1, arm 1: utility .5 and cost 0. Best is arm 0 below preference .5, arm 1 above.

    Preferences are 0 or 2, so the best reward is 1 or .5, mean .75; uniform earns (.75 - .25) / 2 = .25, and either
    arm alone .5 or 0. Above .6 in the last 500 of 4,000 rounds only the preference explains.
    """
    policy, base = barp(2, 2), example(2, 2)[0]
    wants = jnp.asarray(np.random.default_rng(1).choice([0.0, 2.0], 4000), jnp.float32)

    def step(state: Any, xs: Any) -> Any:
        key, preference, left = xs
        now = base._replace(preference=preference, rounds_left=left)
        arm = policy.act(key, state, now)
        reward = jnp.where(arm == 0, 1.0 - preference, 0.5)
        return policy.update(key, state, now, arm, example(2, 2)[1]._replace(reward=reward)), reward

    rounds = (jax.random.split(jax.random.key(2), 4000), wants, jnp.arange(4000.0, 0.0, -1.0))
    rewards = jax.jit(lambda state: jax.lax.scan(step, state, rounds)[1])(policy.init(jax.random.key(3)))
    assert float(rewards[-500:].mean()) > 0.6


def test_refuses_what_is_out_of_range() -> None:
    with pytest.raises(ValueError, match="barp needs lr > 0, got lr=0"):
        barp(2, 2, lr=0)
    with pytest.raises(ValueError, match="barp needs a whole number batch >= 2, got batch=1"):
        barp(2, 2, batch=1)

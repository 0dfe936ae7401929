"""LLM Bandit's PPO: the clipped objective, its first step and mixup, against formulas by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.policies.llmbandit import ppo as llmbandit_ppo
from bandits.policies.llmbandit.ppo import Rollout
from bandits.policies.llmbandit.tasks import Task


def test_clipped_objective_against_numpy() -> None:
    ratio, advantage = np.array([0.5, 0.9, 1.1, 1.5, 1.5, 0.5]), np.array([1.0, 1.0, -1.0, 1.0, -1.0, -1.0])
    # By hand: .5, .9, -1.1, then clipped at 1.2, not clipped at -1.5, clipped at -.8.
    expected = -np.mean([0.5, 0.9, -1.1, 1.2, -1.5, -0.8])
    found = llmbandit_ppo.clipped(jnp.log(jnp.asarray(ratio)), jnp.asarray(advantage))
    assert float(found) == pytest.approx(expected, rel=1e-5)
    slope = jax.grad(llmbandit_ppo.clipped)(jnp.log(jnp.asarray(ratio)), jnp.asarray(advantage))
    # Where the clipped side is the smaller, nothing pulls any more; elsewhere the slope is -rho A / b.
    assert np.allclose(slope, [-0.5 / 6, -0.9 / 6, 1.1 / 6, 0, 1.5 / 6, 0], atol=1e-6)


def test_first_step_is_reinforce() -> None:
    """At ratio 1 the gradient of the clipped loss is that of `-A log pi`: up for a gain, down for a loss."""
    logits = jnp.array([0.3, -0.2, 0.1])

    def loss(logits, advantage):
        log_chance = jax.nn.log_softmax(logits)[None, 1]
        old = jax.nn.log_softmax(jnp.array([0.3, -0.2, 0.1]))[None, 1]
        return llmbandit_ppo.clipped(log_chance - old, advantage)

    chance = np.exp(np.asarray(logits)) / np.exp(np.asarray(logits)).sum()
    for advantage in (0.7, -0.4):
        expected = -advantage * (np.array([0, 1, 0]) - chance)  # the score function of a softmax
        assert np.allclose(jax.grad(loss)(logits, jnp.array([advantage])), expected, atol=1e-6)


def _rollout() -> Rollout:
    context = jnp.array([[0.0, 0.0], [0.0, 1.0], [5.0, 5.0], [5.0, 7.0]])  # nearest: 1, 0, 3, 2
    available = jnp.eye(4, dtype=bool)
    ones = jnp.ones((4, 4))
    task = Task(context, jnp.zeros((4, 4, 2)), available, jnp.arange(4.0), ones, ones)
    return Rollout(task, jnp.arange(4), -jnp.arange(4.0), jnp.arange(8.0).reshape(4, 2), jnp.ones((4, 2)))


def test_mixup_mixes_numbers_and_keeps_decisions_whole() -> None:
    share = np.array([0.75, 0.25, 0.5, 1.0])
    whole, found = _rollout(), llmbandit_ppo.mixup(_rollout(), jnp.asarray(share))
    other = np.array([1, 0, 3, 2])
    for name in ("log_chance", "advantage", "target"):
        own = np.asarray(getattr(whole, name))
        part = share.reshape(-1, *[1] * (own.ndim - 1))
        assert np.allclose(getattr(found, name), part * own + (1 - part) * own[other])
    context = np.asarray(whole.task.context)
    assert np.allclose(found.task.context, share[:, None] * context + (1 - share[:, None]) * context[other])
    dominant = np.where(share >= 0.5, np.arange(4), other)
    assert np.array_equal(found.arm, dominant)
    assert np.array_equal(found.task.preference, dominant.astype(float))
    assert np.array_equal(np.asarray(found.task.available).argmax(axis=1), dominant)

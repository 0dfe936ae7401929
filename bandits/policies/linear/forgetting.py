"""LinUCB that forgets, for worlds that change: discounted and sliding-window forms."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bandits import require
from bandits.base import Feedback, Observation, Policy, ranked
from bandits.policies.linear.affine import Fading, Form, Weights, affine
from bandits.policies.linear.ridge import Ridge, estimate, fresh, learn


def dlinucb(
    n_arms: int,
    dim: int,
    *,
    gamma: float = 0.997,
    alpha: float = 1.0,
    ridge: float = 1.0,
    floor: float = 0.005,
) -> Policy:
    """Call by LinUCB with evidence that fades by gamma a round (discounted; ParetoBandit's form, arXiv 2604.00136).

    `A_k <- gamma^dt A_k + x x'`, `b_k <- gamma^dt b_k + r x`, with `dt` the rounds since arm `k` last learned; the
    width in between is `sqrt(x' A_k^-1 x / max(gamma^dt, floor))`. The estimate does not change while an arm waits,
    its width grows. Exponential forgetting as in Russac, Vernade, Cappe 2019 (arXiv 1909.09146, Algorithm 1)
    without their second matrix and without re-adding the ridge; `floor` bounds what the missing ridge would.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        gamma: share of the evidence kept each round, in (0, 1]; 1 is plain LinUCB.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
        floor: the least factor that an idle arm's precision falls to, in (0, 1] (the paper has 1/200).
    """
    require.within("dlinucb", 1e-6, 1, gamma=gamma, floor=floor)
    require.at_least("dlinucb", 0, alpha=alpha)
    require.above("dlinucb", 0, ridge=ridge)

    def weights(key: jax.Array | None, round: jax.Array, observation: Observation) -> Weights:
        del key, round, observation
        return Weights(width=alpha)

    return affine(n_arms, dim, Form(weights, ridge, fading=Fading(gamma, floor)))


class Window(NamedTuple):
    """`arms` with what the window holds; `context` `(W, d)`, `arm` `(W,)` (-1 before it is full), `reward` `(W,)`."""

    arms: Ridge
    context: jax.Array
    arm: jax.Array
    reward: jax.Array
    at: jax.Array


def swlinucb(n_arms: int, dim: int, *, window: int = 1000, alpha: float = 1.0, ridge: float = 1.0) -> Policy:
    """Call by LinUCB on the last `window` rounds only (SW-LinUCB, Cheung, Simchi-Levi, Zhu 2019, arXiv 1810.03024).

    Each round adds its own observation by rank one and takes the one that leaves the window out by another
    (Sherman-Morrison with weight -1), so `A_k = ridge I + sum over the window of x x'` exactly.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        window: rounds remembered, >= 1.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
    """
    require.whole("swlinucb", 1, window=window)
    require.at_least("swlinucb", 0, alpha=alpha)
    require.above("swlinucb", 0, ridge=ridge)

    def init(key: jax.Array) -> Window:
        del key
        nobody = jnp.full(window, -1, jnp.int32)
        return Window(
            fresh(n_arms, dim, ridge),
            jnp.zeros((window, dim)),
            nobody,
            jnp.zeros(window),
            jnp.zeros((), jnp.int32),
        )

    def index(key: jax.Array | None, state: Window, observation: Observation) -> jax.Array:
        del key
        now = estimate(state.arms, observation.context)
        return now.mean + alpha * now.width

    def update(
        key: jax.Array, state: Window, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Window:
        del key
        old_arm, old_context = state.arm[state.at], state.context[state.at]
        leaves = jnp.where(old_arm >= 0, -1.0, 0.0)
        # First in, then out: the precision never falls below the ridge in between.
        arms = learn(state.arms, observation.context, arm, feedback.reward)
        arms = learn(arms, old_context, jnp.maximum(old_arm, 0), state.reward[state.at], importance=leaves)
        arms = arms._replace(pulls=state.arms.pulls.at[arm].add(1))
        return Window(
            arms,
            state.context.at[state.at].set(observation.context),
            state.arm.at[state.at].set(arm),
            state.reward.at[state.at].set(feedback.reward),
            (state.at + 1) % window,
        )

    return ranked(init, index, update)

"""Regression oracles turned into exploration: SquareCB and RegCB."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bandits import require
from bandits.base import Observation, Policy, choose
from bandits.linear.ridge import Estimate, ridge_policy


def gap_weights(mean: jax.Array, available: jax.Array, gamma: jax.Array) -> jax.Array:
    """Return the `(K,)` inverse-gap-weighting probabilities (Foster and Rakhlin 2020, Algorithm 1, lines 5 and 6).

    `p_a = 1 / (n + gamma (best - mean_a))` for every available arm but the best, which gets the rest; `n` is the
    number of available arms.
    """
    best = choose(mean, available)
    n_available = available.sum()
    weight = 1.0 / (n_available + gamma * jnp.maximum(mean[best] - mean, 0.0))
    others = jnp.where(available, weight, 0.0).at[best].set(0.0)
    return others.at[best].set(1.0 - others.sum())


def squarecb(
    n_arms: int, dim: int, *, gamma: float = 20.0, exponent: float = 0.5, ridge: float = 1.0
) -> Policy:
    """Draw an arm with probability inverse to its estimated gap to the best (SquareCB, arXiv 2002.04926, Algorithm 1).

    The learning rate at round `t` is `gamma t^exponent`; the theory's `sqrt(K T / Reg(T))` grows like that.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        gamma: scale of the learning rate, > 0; larger explores less.
        exponent: its growth, in [0, 1].
        ridge: prior precision of every weight, > 0.
    """
    require.above("squarecb", 0, gamma=gamma, ridge=ridge)
    require.within("squarecb", 0, 1, exponent=exponent)

    def select(key: jax.Array, estimate: Estimate, observation: Observation) -> jax.Array:
        rate = gamma * estimate.round**exponent
        weights = gap_weights(estimate.mean, observation.available, rate)
        return jax.random.categorical(key, jnp.log(weights)).astype(jnp.int32)

    return ridge_policy(n_arms, dim, ridge, select)


def regcb(n_arms: int, dim: int, *, mode: str = "optimistic", c: float = 0.1, ridge: float = 1.0) -> Policy:
    """Call within the version space of ridge regressors that fit nearly as well as the best (RegCB, arXiv 1803.01088).

    All regressors whose squared loss is within `c log(1 + t)` of the least one predict, at a context, within
    `sqrt(c log(1 + t)) width` of the ridge estimate (the set is an ellipsoid), so both of the paper's procedures
    are closed forms: `optimistic` (Algorithm 1) calls the arm of the highest upper value, `elimination`
    (Algorithm 2) draws uniformly among the arms whose upper value reaches the highest lower value.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        mode: `optimistic` or `elimination`.
        c: radius of the version space, in squared reward, >= 0.
        ridge: prior precision of every weight, > 0.
    """
    require.one_of("regcb", ("optimistic", "elimination"), mode=mode)
    require.at_least("regcb", 0, c=c)
    require.above("regcb", 0, ridge=ridge)

    def select(key: jax.Array, estimate: Estimate, observation: Observation) -> jax.Array:
        spread = jnp.sqrt(c * jnp.log1p(estimate.round)) * estimate.width
        upper = estimate.mean + spread
        if mode == "optimistic":
            return choose(upper, observation.available)
        lower = jnp.where(observation.available, estimate.mean - spread, -jnp.inf).max()
        alive = observation.available & (upper >= lower)
        return choose(jax.random.uniform(key, estimate.mean.shape), alive)

    return ridge_policy(n_arms, dim, ridge, select)

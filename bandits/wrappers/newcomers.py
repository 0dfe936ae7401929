"""Newcomers: an arm that joins later is called some times before it is judged; a wrapper from policy to policy."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bandits import require
from bandits.base import Feedback, Observation, Policy, State, choose


class Introduced(NamedTuple):
    """The wrapped `policy`'s state; `heard` `(K,)` calls of each arm; `known` `(K,)` bool, there from the start.

    `begun` `()` bool says whether the start has been.
    """

    policy: State
    heard: jax.Array
    known: jax.Array
    begun: jax.Array


def explore_new(policy: Policy, n_arms: int, dim: int, *, pulls: int = 20) -> Policy:
    """Call an arm that was not there in the first round until it has been heard so often (ParetoBandit, section 3).

    arXiv 2604.00136 has 20 forced pulls. With late feedback it is called until so many outcomes have arrived.

    Args:
        policy: any policy.
        n_arms: `K`.
        dim: `d`, not used.
        pulls: forced calls of a new arm, >= 0.
    """
    del dim
    require.whole("explore_new", 0, pulls=pulls)

    def init(key: jax.Array) -> Introduced:
        nobody = jnp.zeros(n_arms, jnp.int32)
        return Introduced(policy.init(key), nobody, jnp.zeros(n_arms, bool), jnp.zeros((), bool))

    def act(key: jax.Array, state: Introduced, observation: Observation) -> jax.Array:
        fresh = observation.available & ~state.known & state.begun & (state.heard < pulls)
        arm = policy.act(key, state.policy, observation)
        first = choose(-state.heard.astype(jnp.float32), fresh)
        return jnp.where(fresh.any(), first, arm).astype(jnp.int32)

    def update(
        key: jax.Array, state: Introduced, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Introduced:
        known = jnp.where(state.begun, state.known, observation.available)
        learned = policy.update(key, state.policy, observation, arm, feedback)
        return Introduced(learned, state.heard.at[arm].add(1), known, jnp.ones((), bool))

    return Policy(init, act, update)

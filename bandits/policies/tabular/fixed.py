"""Policies that do not learn: the yardsticks of every table."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bandits import require
from bandits.base import Chances, Feedback, Observation, Policy, choose, even

Act = Callable[[jax.Array, jax.Array, Observation], jax.Array]


def _still(act: Act, chances: Chances) -> Policy:
    """Return a policy without memory."""

    def init(key: jax.Array) -> jax.Array:
        del key
        return jnp.zeros((), jnp.int32)

    def update(
        key: jax.Array, state: jax.Array, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> jax.Array:
        del key, observation, arm, feedback
        return state

    return Policy(init, act, update, chances=chances)


def uniform(n_arms: int, dim: int) -> Policy:
    """Call any available arm with the same chance (the reference that learns nothing)."""
    del dim

    def act(key: jax.Array, state: jax.Array, observation: Observation) -> jax.Array:
        del state
        return choose(jax.random.uniform(key, (n_arms,)), observation.available)

    def chances(key: jax.Array, state: jax.Array, observation: Observation) -> jax.Array:
        del key, state
        return even(observation.available)

    return _still(act, chances)


def always(n_arms: int, dim: int, *, model: int) -> Policy:
    """Call one model, and the lowest available arm where it cannot be called.

    Args:
        n_arms: `K`.
        dim: `d`, not used.
        model: the arm; on the command line the model's name.
    """
    del dim
    require.within("always", 0, n_arms - 1, model=model)

    def act(key: jax.Array, state: jax.Array, observation: Observation) -> jax.Array:
        del key, state
        return choose((jnp.arange(n_arms) == model).astype(jnp.float32), observation.available)

    def chances(key: jax.Array, state: jax.Array, observation: Observation) -> jax.Array:
        return jax.nn.one_hot(act(key, state, observation), n_arms)

    return _still(act, chances)

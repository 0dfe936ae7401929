"""Policies that do not learn: the yardsticks of every table."""

from __future__ import annotations

from collections.abc import Callable

from bandits import require
from bandits.base import Chances, Feedback, Observation, Policy, choose, even, formed
from bandits.forms.tabular import Fixed
from bandits.late import jax, jnp

Act = Callable[["jax.Array", "jax.Array", Observation], "jax.Array"]


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

    return formed(_still(act, chances), Fixed())


def always(n_arms: int, dim: int, *, model: int, fallback: tuple[int, ...] = ()) -> Policy:
    """Call one model, and the first of the fall-back order that is available where it cannot be called.

    Args:
        n_arms: `K`.
        dim: `d`, not used.
        model: the arm; on the command line the model's name.
        fallback: the arms in the order in which they stand in, ascending where it is left out; a run gives it,
            the model that can be called most often first (`metrics.regret.fall_back`).

    Raises:
        ValueError: a `model` that is no arm, or a `fallback` that does not name each arm once.
    """
    del dim
    require.within("always", 0, n_arms - 1, model=model)
    order = fallback or tuple(range(n_arms))
    if sorted(order) != list(range(n_arms)):
        raise ValueError(f"always needs fallback to name each of {n_arms} arms once, got {fallback!r}")
    rank = jnp.zeros(n_arms).at[jnp.asarray(order)].set(-jnp.arange(1.0, n_arms + 1))

    def act(key: jax.Array, state: jax.Array, observation: Observation) -> jax.Array:
        del key, state
        return choose(jnp.where(jnp.arange(n_arms) == model, 1.0, rank), observation.available)

    def chances(key: jax.Array, state: jax.Array, observation: Observation) -> jax.Array:
        return jax.nn.one_hot(act(key, state, observation), n_arms)

    first = (model, *(k for k in order if k != model))
    return formed(_still(act, chances), Fixed(first))

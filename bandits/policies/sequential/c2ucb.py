"""C2UCB: a set of items under a limit of tokens, with the worth of an item learned from those that were chosen."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, choose
from bandits.late import jax, jnp

STOP = -1  # as `envs.calls.STOP`
ORDERS = ("density", "worth")
_TOKENS = 2  # of `bandits.base.RESOURCES`


class State(NamedTuple):
    """`inverse` `(e, e)` of the precision, `weight` `(e,)`: one ridge regression for all items."""

    inverse: jax.Array
    weight: jax.Array


def c2ucb(
    n_arms: int, dim: int, *, features: int = 1, alpha: float = 0.1, ridge: float = 1.0, by: str = "density"
) -> Policy:
    """Choose items by an upper bound of their worth until the limit of tokens is reached (C2UCB).

    Qin, Chen and Zhu 2014 (SIAM SDM): `score_k = theta'f_k + alpha sqrt(f_k' V^-1 f_k)` with one `theta` for all
    items, given to an oracle, here filling a knapsack; the worth of every chosen item is heard (semi-bandit feedback)
    and `V += f f'`. For streams whose sets are chosen before anything is heard, as `envs.passages`. What an item has as
    its first feature is its length in tokens: an item that does not fit in the room left is passed over.

    Args:
        n_arms: `K`, items of a query.
        dim: `d`, not used.
        features: `e`, what is known of an item, its length the first; a run gives it.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
        by: fill by worth per token (`density`) or by `worth`, as RCR-Router's Algorithm 1 (arXiv 2508.04903).
    """
    del dim
    require.at_least("c2ucb", 0, alpha=alpha)
    require.above("c2ucb", 0, ridge=ridge)
    require.one_of("c2ucb", ORDERS, by=by)
    size = max(features - 1, 1)

    def read(seen: Observation) -> jax.Array:
        return jnp.ones((n_arms, size)) if seen.features is None else seen.features[:, 1:]

    def init(key: jax.Array) -> State:
        del key
        return State(jnp.eye(size) / ridge, jnp.zeros(size))

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        del key
        x = read(seen)
        worth = x @ state.weight + alpha * jnp.sqrt(jnp.maximum(jnp.sum((x @ state.inverse) * x, axis=1), 0))
        if seen.features is None or seen.room is None:
            return choose(worth, seen.available)
        tokens = seen.features[:, 0]
        fits = seen.available & (tokens <= seen.room[_TOKENS]) & (worth > 0)
        index = worth / jnp.maximum(tokens, 1e-6) if by == "density" else worth
        return jnp.where(fits.any(), choose(index, fits), STOP).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> State:
        del key
        x = jnp.where(jnp.isnan(told.utility), 0.0, read(seen)[arm])  # of what is not told nothing is learned
        direction = state.inverse @ x
        scale = 1 + x @ direction
        error = jnp.nan_to_num(told.utility) - state.weight @ x
        return State(
            state.inverse - jnp.outer(direction, direction) / scale, state.weight + direction * error / scale
        )

    return Policy(init, act, update, again=True)

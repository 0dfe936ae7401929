"""The per-arm ridge posterior that the linear family shares, and the index policies built on it.

Arms are disjoint: arm `k` holds `A_k = ridge I + sum x x'` and the ridge estimate `theta_k = A_k^-1 sum r x`
(Li et al. 2010, arXiv 1003.0146, Algorithm 1, lines 8, 12 and 13). The inverse and the weights are both carried
and updated by rank one (Sherman and Morrison 1950), so a round costs `O(K d^2)` and nothing is ever solved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bandits.base import Feedback, Observation, Policy
from bandits.ranked import Ranked


class Ridge(NamedTuple):
    """What the arms know.

    Attributes:
        inverse: `(K, d, d)` float32, `A_k^-1`.
        weight: `(K, d)`, or `(K, m, d)` for `m` targets that share the inverse.
        pulls: `(K,)` int32, updates heard by each arm.
    """

    inverse: jax.Array
    weight: jax.Array
    pulls: jax.Array


class Estimate(NamedTuple):
    """What an index is computed from: `mean` `(K,)` (or `(K, m)`), `width` `(K,)` = sqrt(x' A^-1 x), and the
    number of this round among the heard ones, `round` `()` float32 from 1."""

    mean: jax.Array
    width: jax.Array
    round: jax.Array


# (key, estimate, observation) -> arm, or -> (K,) index: the only part in which policies on a ridge differ.
Select = Callable[[jax.Array, Estimate, Observation], jax.Array]


def fresh(n_arms: int, dim: int, ridge: float, targets: tuple[int, ...] = (), *, prior: float = 0.0) -> Ridge:
    """Return the posterior before any feedback: `A = ridge I`, weights 0, or `prior` on the constant column.

    `prior` is what a call of any arm is believed to be worth before the first one (the first target, where there
    are several). At the paper's 0, rewards that are mostly positive make every arm look better than those not
    tried yet, and a narrow width never tries them; at the best possible reward each arm is tried until it
    disappoints (optimistic initial values, Sutton and Barto 2018, section 2.6).
    """
    inverse = jnp.broadcast_to(jnp.eye(dim, dtype=jnp.float32) / ridge, (n_arms, dim, dim))
    first = (slice(None), *(0 for _ in targets), -1)
    weight = jnp.zeros((n_arms, *targets, dim), jnp.float32).at[first].set(prior)
    return Ridge(inverse, weight, jnp.zeros(n_arms, jnp.int32))


def estimate(state: Ridge, context: jax.Array) -> Estimate:
    """Return each arm's mean and width at this context."""
    width = jnp.sqrt(jnp.maximum(jnp.sum((state.inverse @ context) * context, axis=-1), 0.0))
    return Estimate(state.weight @ context, width, (state.pulls.sum() + 1).astype(jnp.float32))


def learn(
    state: Ridge, context: jax.Array, arm: jax.Array, target: jax.Array, importance: jax.Array | float = 1.0
) -> Ridge:
    """Return the posterior after `arm` gave `target`: `A += importance x x'` and the weights that follow from it.

    Args:
        state: before.
        context: `(d,)`.
        arm: int32 scalar.
        target: `()`, or `(m,)` for `m` targets.
        importance: weight of this observation, >= 0.
    """
    direction = state.inverse[arm] @ context
    gain = direction * (importance / (1.0 + importance * (context @ direction)))
    error = target - state.weight[arm] @ context
    return Ridge(
        state.inverse.at[arm].add(-jnp.outer(gain, direction)),
        state.weight.at[arm].add(error[..., None] * gain),
        state.pulls.at[arm].add(1),
    )


def ridge_policy(n_arms: int, dim: int, ridge: float, select: Select, prior: float = 0.0) -> Policy:
    """Return the policy that learns the reward by ridge and chooses by `select` from mean and width."""

    def init(key: jax.Array) -> Ridge:
        del key
        return fresh(n_arms, dim, ridge, prior=prior)

    def act(key: jax.Array, state: Ridge, observation: Observation) -> jax.Array:
        return select(key, estimate(state, observation.context), observation)

    def update(
        key: jax.Array, state: Ridge, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge:
        del key
        return learn(state, observation.context, arm, feedback.reward)

    return Policy(init, act, update)


def index_policy(n_arms: int, dim: int, ridge: float, index: Select, prior: float = 0.0) -> Policy:
    """Return the policy that learns the reward by ridge and calls the highest `index` of mean and width."""

    def ranked(key: jax.Array, state: Ridge, observation: Observation) -> jax.Array:
        return index(key, estimate(state, observation.context), observation)

    return ridge_policy(n_arms, dim, ridge, index, prior)._replace(act=Ranked(ranked))

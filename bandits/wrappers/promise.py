"""Promises about spending: a budget that is never exceeded, and no call above a cap.

Both may answer -1, no call, and therefore stand outside of pacing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.base import RESOURCES, Feedback, Observation, Policy, Prior, State, around
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, estimate, fresh, learn, primed
from bandits.wrappers.pacing.paced import among

if TYPE_CHECKING:
    from envs.shapes import Table

Tree = TypeVar("Tree")


class Capped(NamedTuple):
    """The wrapped policy's state and the `costs` ridge, from which a call's cost is predicted."""

    policy: State
    costs: Ridge


def hard(policy: Policy, worst: NDArray[np.floating[Any]], *, blind: bool = False) -> Policy:
    """Return `policy` without the arms whose worst case exceeds what is left: no budget is ever overspent.

    Where no arm is affordable the answer is -1, no call, and the policy learns nothing. Of several calls a query each
    has to be affordable after those before it.

    Args:
        policy: any policy, paced or not.
        worst: `(K, R)` the most that a call can use, see `worst_case`.
        blind: whether the calls of a query are made before any of them is paid: then what is left has to bear the
            worst case of all of them.
    """
    most = jnp.asarray(np.nextafter(np.float32(worst), np.float32(np.inf)))

    def affordable(observation: Observation) -> jax.Array:
        if blind and observation.asked is not None:
            spoken = jnp.where(observation.asked[:, None], most, 0.0).sum(axis=0)
            return (most + spoken <= observation.budget).all(axis=1)
        return (most <= observation.budget).all(axis=1)

    def act(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        return _among(policy, key, state, observation, affordable(observation))

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> State:
        called = jnp.maximum(arm, 0)
        met = among(observation, affordable(observation), called)
        return _kept(arm, policy.update(key, state, met, called, feedback), state)

    def seen(state: State, observation: Observation) -> tuple[State, Observation]:
        return state, observation._replace(available=observation.available & affordable(observation))

    outside = Policy(policy.init, act, update, prime=policy.prime, price=policy.price, again=policy.again)
    return around(policy, outside, seen)


def cap(policy: Policy, n_arms: int, dim: int, *, limit: float, ridge: float = 1.0) -> Policy:
    """Return `policy` without the arms whose posted or predicted cost exceeds `limit` (MMR-Bench's rule).

    arXiv 2601.17814, section 4: the best predicted utility among models with predicted cost <= C. The prediction
    is a ridge regression of each arm's cost on the context. Where no arm is below the cap the answer is -1.

    Args:
        policy: any policy, paced or not.
        n_arms: `K`.
        dim: `d`, the constant column included.
        limit: cost of a call at most, in the table's unit, > 0.
        ridge: prior precision of the cost weights, > 0.
    """
    require.above("cap", 0, limit=limit, ridge=ridge)

    def init(key: jax.Array) -> Capped:
        return Capped(policy.init(key), fresh(n_arms, dim, ridge))

    def below(state: Capped, observation: Observation) -> jax.Array:
        predicted = estimate(state.costs, observation.context).mean
        # A posted price that is not there forbids nothing: no comparison with NaN holds.
        return (predicted <= limit) & ~(observation.price > limit)

    def act(key: jax.Array, state: Capped, observation: Observation) -> jax.Array:
        return _among(policy, key, state.policy, observation, below(state, observation))

    def update(
        key: jax.Array, state: Capped, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Capped:
        called = jnp.maximum(arm, 0)
        met = among(observation, below(state, observation), called)
        learned = policy.update(key, state.policy, met, called, feedback)
        costs = learn(state.costs, observation.context, called, feedback.cost)
        return _kept(arm, Capped(learned, costs), state)

    def seen(state: Capped, observation: Observation) -> tuple[State, Observation]:
        open_arms = observation.available & below(state, observation)
        return state.policy, observation._replace(available=open_arms)

    known, priced = policy.prime, policy.price

    def prime(state: Capped, prior: Prior) -> Capped:
        assert known is not None
        return Capped(known(state.policy, prior), primed(state.costs, prior, ("cost",)))

    def price(state: Capped) -> jax.Array:
        assert priced is not None
        return priced(state.policy)

    outside = Policy(
        init, act, update, prime=None if known is None else prime, price=None if priced is None else price,
        again=policy.again,
    )  # fmt: skip
    return around(policy, outside, seen)


def _among(
    policy: Policy, key: jax.Array, state: State, observation: Observation, allowed: jax.Array
) -> jax.Array:
    """Return what the policy calls among the allowed arms, -1 where there is none."""
    open_arms = observation.available & allowed
    arm = policy.act(key, state, observation._replace(available=open_arms))
    return jnp.where(open_arms.any(), arm, jnp.int32(-1))


def _kept(arm: jax.Array, after: Tree, before: Tree) -> Tree:
    """Return the state after a call, or the one before where none was made."""
    kept: Tree = jax.tree.map(lambda new, old: jnp.where(arm >= 0, new, old), after, before)
    return kept


@lru_cache(1)  # each policy of a run asks, and of a table on disk it takes a pass
def worst_case(table: Table) -> NDArray[np.float64]:
    """Return `(K, R)` the most that a call of each model can use: the highest recorded, or the posted price if more.

    0 where the table does not record a resource.
    """
    worst = np.zeros((table.n_arms, len(RESOURCES)))
    for piece in table.pieces(context=False):
        for r, name in enumerate(RESOURCES):
            used = getattr(piece, name)
            if used is not None:
                used = np.where(piece.available, np.nan_to_num(used), 0.0)
                worst[:, r] = np.maximum(worst[:, r], used.max(axis=0))
    worst[:, 0] = np.fmax(worst[:, 0], table.price)
    return worst

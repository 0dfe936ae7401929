"""Newcomers: how an arm that joins later begins, by forced calls or from what the others know; wrappers of a policy."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bandits import require
from bandits.base import Feedback, Observation, Policy, State, choose
from bandits.policies.linear.ridge import Ridge
from bandits.ranked import Ranked, index_of


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


class Pooled(NamedTuple):
    """The wrapped `policy`'s state, and `met` `(K,)` bool, which arms have been there in some round."""

    policy: State
    met: jax.Array


def pooled(policy: Policy, n_arms: int, dim: int) -> Policy:
    """Let an arm that joins later begin as the known arms are on average: a prior pooled over them, not forced calls.

    Its ridge posterior is centred on the mean of the known arms' weights, each counted by its calls, and stays as wide
    as before the first call: `theta_new ~ N(sum_k n_k theta_k / sum_k n_k, (ridge I)^-1)`, the mean of a hierarchical
    model (Gelman and Hill 2007, chapter 12) with equal spread. At 0, where an arm begins otherwise, a narrow policy
    never calls a newcomer once the others earn more. An arm that has calls, as after a warm start, is not new.

    Args:
        policy: one that holds a ridge posterior of each arm (`linucb`, `thompson`, `preference`, ...), in any wrappers.
        n_arms: `K`.
        dim: `d`, not used.

    Raises:
        ValueError: the policy holds no such posterior.
    """
    del dim
    held = jax.tree.leaves(jax.eval_shape(policy.init, jax.random.key(0)), is_leaf=_is_ridge)
    if not any(_is_ridge(part) and part.pulls.shape == (n_arms,) for part in held):
        raise ValueError("pooled needs a policy with a ridge posterior of each arm, such as linucb; got none")

    def init(key: jax.Array) -> Pooled:
        return Pooled(policy.init(key), jnp.zeros(n_arms, bool))

    def begun(state: Pooled, observation: Observation) -> State:
        fresh = observation.available & ~state.met & state.met.any()
        return jax.tree.map(
            lambda part: _begun_from_pool(part, fresh) if _is_ridge(part) else part,
            state.policy,
            is_leaf=_is_ridge,
        )

    def act(key: jax.Array, state: Pooled, observation: Observation) -> jax.Array:
        return policy.act(key, begun(state, observation), observation)

    def update(
        key: jax.Array, state: Pooled, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Pooled:
        learned = policy.update(key, begun(state, observation), observation, arm, feedback)
        return Pooled(learned, state.met | observation.available)

    inside = index_of(policy)
    if inside is None:
        return Policy(init, act, update)

    def index(key: jax.Array, state: Pooled, observation: Observation) -> jax.Array:
        return inside(key, begun(state, observation), observation)

    return Policy(init, Ranked(index), update)


def _is_ridge(part: object) -> bool:
    return isinstance(part, Ridge)


def _begun_from_pool(arms: Ridge, fresh: jax.Array) -> Ridge:
    """Return the posterior in which the arms that are `fresh (K,)` and were never called begin at the others' mean."""
    share = arms.pulls / jnp.maximum(arms.pulls.sum(), 1)
    mean = jnp.tensordot(share, arms.weight, axes=1)  # (d,), or (m, d) for m targets
    new = (fresh & (arms.pulls == 0)).reshape(-1, *(1 for _ in mean.shape))
    return arms._replace(weight=jnp.where(new, mean, arms.weight))

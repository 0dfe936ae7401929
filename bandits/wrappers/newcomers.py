"""Newcomers: how an arm that joins later begins, by forced calls or from what the others know; wrappers of a policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bandits import require, threefry
from bandits.base import Feedback, Index, Observation, Policy, State, around, before_all, choose, ranked
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge


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
        none = jnp.zeros(n_arms, jnp.int32)
        return Introduced(policy.init(key), none, jnp.zeros(n_arms, bool), jnp.zeros((), bool))

    def due(state: Introduced, observation: Observation) -> jax.Array:
        return observation.available & ~state.known & state.begun & (state.heard < pulls)

    def act(key: jax.Array, state: Introduced, observation: Observation) -> jax.Array:
        fresh = due(state, observation)
        arm = policy.act(key, state.policy, observation)
        first = choose(-state.heard.astype(jnp.float32), fresh)
        return jnp.where(fresh.any(), first, arm).astype(jnp.int32)

    def update(
        key: jax.Array, state: Introduced, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Introduced:
        known = jnp.where(state.begun, state.known, observation.available)
        learned = policy.update(key, state.policy, observation, arm, feedback)
        return Introduced(learned, state.heard.at[arm].add(1), known, jnp.ones((), bool))

    inner, drawn = policy.index, policy.chances

    def index(key: jax.Array | None, state: Introduced, observation: Observation) -> jax.Array:
        assert inner is not None
        return before_all(inner(key, state.policy, observation), state.heard, due(state, observation), pulls)

    def chances(key: jax.Array, state: Introduced, observation: Observation) -> jax.Array:
        assert drawn is not None
        fresh = due(state, observation)
        first = jax.nn.one_hot(choose(-state.heard.astype(jnp.float32), fresh), n_arms)
        return jnp.where(fresh.any(), first, drawn(key, state.policy, observation))

    outside = Policy(init, act, update) if inner is None else ranked(init, index, update)
    outside = outside._replace(chances=None if drawn is None else chances)
    return around(policy, outside, lambda state, seen: (state.policy, seen))


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
    held = jax.tree.leaves(jax.eval_shape(policy.init, threefry.key(0)), is_leaf=_is_ridge)
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

    outside, inside = Policy(init, act, update), policy.index
    if inside is not None:
        outside = ranked(init, _begun(inside, begun), update)
    return around(policy, outside, lambda state, seen: (begun(state, seen), seen))


def _begun(index: Index, begun: Callable[[Pooled, Observation], State]) -> Index:
    """Return the index of a policy in which newcomers begin from the pool."""
    return lambda key, state, observation: index(key, begun(state, observation), observation)


def _is_ridge(part: object) -> bool:
    return isinstance(part, Ridge)


def _begun_from_pool(arms: Ridge, fresh: jax.Array) -> Ridge:
    """Return the posterior in which the arms that are `fresh (K,)` and were never called begin at the others' mean."""
    share = arms.pulls / jnp.maximum(arms.pulls.sum(), 1)
    mean = jnp.tensordot(share, arms.weight, axes=1)  # (d,), or (m, d) for m targets
    new = (fresh & (arms.pulls == 0)).reshape(-1, *(1 for _ in mean.shape))
    return arms._replace(weight=jnp.where(new, mean, arms.weight))

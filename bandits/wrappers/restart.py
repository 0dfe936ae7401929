"""Restart: a change-point test for each arm forgets the arm that has changed; a wrapper from policy to policy.

The test is Page's cumulative sum (Page 1954, Hinkley 1971), two-sided, on what a ridge regression of the arm's own did
not foresee: a policy that learns which model to call moves an arm's mean reward, but not what its context says of it. A
posted price that jumps needs no test.
"""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, State, around, choose, even, ranked
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, fresh, learn

_OWN = 0x5EED  # of the wrapper's own keys: beyond any number of keys that a policy splits its key into


class Watched(NamedTuple):
    """The wrapped `policy`'s state, and what is watched.

    Attributes:
        policy: of the wrapped policy.
        foreseen: a ridge posterior of each arm's reward since its last restart.
        above, below: `(K,)` the cumulative sums.
        restarts: `(K,)` int32, how often each arm has begun anew.
        price: `(K,)` posted price when the arm last began, NaN where none is posted.
    """

    policy: State
    foreseen: Ridge
    above: jax.Array
    below: jax.Array
    restarts: jax.Array
    price: jax.Array


def restart(
    policy: Policy,
    n_arms: int,
    dim: int,
    *,
    threshold: float = 12.0,
    slack: float = 0.1,
    after: int = 30,
    explore: float = 0.02,
    repriced: float = 0.2,
    ridge: float = 1.0,
) -> Policy:
    """Forget an arm when a two-sided Page-Hinkley test says that it has changed.

    Errors of standard deviation s without a change raise an alarm about every
    `(exp(2 slack threshold / s^2) - 1) s^2 / (2 slack^2)` calls, and a change of size c about `threshold / (c - slack)`
    calls after it. Where every array of the wrapped state belongs to an arm, that arm alone begins anew; a state
    that the arms share (a network, a window) begins anew as a whole. An arm that is never called is not watched, so a
    share of the rounds calls an arm at random.

    Args:
        policy: any policy; arrays of its state whose first axis has `K` places belong to the arms.
        n_arms: `K`.
        dim: `d`, the constant column included.
        threshold: of the cumulative sum, in rewards, > 0.
        slack: what an error may be off on average without counting, in rewards, >= 0.
        after: calls of an arm before it is tested, >= 1.
        explore: share of rounds that call an available arm at random, in [0, 1].
        repriced: share by which an arm's posted price has to move for the arm to begin anew, > 0.
        ridge: prior precision of the regression, > 0.
    """
    require.above("restart", 0, threshold=threshold, ridge=ridge, repriced=repriced)
    require.at_least("restart", 0, slack=slack)
    require.whole("restart", 1, after=after)
    require.within("restart", 0, 1, explore=explore)

    def init(key: jax.Array) -> Watched:
        flat = jnp.zeros(n_arms)
        begun = fresh(n_arms, dim, ridge)
        return Watched(policy.init(key), begun, flat, flat, flat.astype(jnp.int32), flat * jnp.nan)

    inner, likely = policy.index, policy.chances

    def tries(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return whether an arm is called at random, and by which index `(K,)`."""
        # What is inside draws from the key itself: where nothing is tried, it is played as it would be alone.
        to_try, to_pick = jax.random.split(jax.random.fold_in(key, _OWN))
        return jax.random.uniform(to_try) < explore, jax.random.uniform(to_pick, (n_arms,))

    def act(key: jax.Array, state: Watched, observation: Observation) -> jax.Array:
        arm = policy.act(key, state.policy, observation)
        tried, drawn = tries(key)
        return jnp.where(tried, choose(drawn, observation.available), arm).astype(jnp.int32)

    def index(key: jax.Array | None, state: Watched, observation: Observation) -> jax.Array:
        assert inner is not None
        value = inner(key, state.policy, observation)
        if key is None:
            return value
        tried, drawn = tries(key)
        return jnp.where(tried, drawn, value)

    def chances(key: jax.Array, state: Watched, observation: Observation) -> jax.Array:
        assert likely is not None
        inside = likely(key, state.policy, observation)
        return (1.0 - explore) * inside + explore * even(observation.available)

    def update(
        key: jax.Array, state: Watched, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Watched:
        to_begin = jax.random.fold_in(key, _OWN)
        error = feedback.reward - state.foreseen.weight[arm] @ observation.context
        tested = state.foreseen.pulls[arm] >= after
        above = jnp.where(tested, jnp.maximum(0.0, state.above[arm] + error - slack), 0.0)
        below = jnp.where(tested, jnp.maximum(0.0, state.below[arm] - error - slack), 0.0)
        alarm = jnp.maximum(above, below) > threshold
        price = observation.price
        moved = jnp.abs(price - state.price) > repriced * state.price  # never so for a NaN
        gone = (alarm & (jnp.arange(n_arms) == arm)) | moved
        kept = begun_anew(state.policy, policy.init(to_begin), gone)
        foreseen = begun_anew(state.foreseen, fresh(n_arms, dim, ridge), gone)
        return Watched(
            policy.update(key, kept, observation, arm, feedback),
            learn(foreseen, observation.context, arm, feedback.reward),
            jnp.where(gone, 0.0, state.above.at[arm].set(above)),
            jnp.where(gone, 0.0, state.below.at[arm].set(below)),
            state.restarts + gone,
            jnp.where(gone | jnp.isnan(state.price), price, state.price),
        )

    outside = Policy(init, act, update) if inner is None else ranked(init, index, update)
    outside = outside._replace(chances=None if likely is None else chances)
    return around(policy, outside, lambda state, seen: (state.policy, seen))


def begun_anew(state: State, begin: State, gone: jax.Array) -> State:
    """Return the state with the arms that are `gone (K,)` as at the beginning; all of it where arms share arrays."""
    leaves = jax.tree.leaves(state)
    own = all(leaf.ndim > 0 and leaf.shape[0] == len(gone) for leaf in leaves)

    def chosen(now: jax.Array, first: jax.Array) -> jax.Array:
        which = gone.reshape(-1, *(1 for _ in now.shape[1:])) if own else gone.any()
        return jnp.where(which, first, now)

    return jax.tree.map(chosen, state, begin)

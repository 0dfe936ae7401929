"""Context that is bought where it is expected to be worth its price, learned from bandit feedback."""

from __future__ import annotations

from typing import Any, NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, choose
from bandits.late import jax, jnp
from bandits.policies.linear import ridge as ridges
from bandits.policies.linear.ridge import Ridge

STOP = -1  # as `envs.calls.STOP`
_SURE = 1e30  # above and, negative, below every reward
BUYS = ("learned", "always", "never")


class State(NamedTuple):
    """Ridge posteriors of a round's reward: of each arm without a look, of each arm after it, of looking at all."""

    plain: Ridge
    after: Ridge
    looking: Ridge


def look(
    n_arms: int,
    dim: int,
    *,
    arm: int = -1,
    features: int = 0,
    alpha: float = 1.0,
    ridge: float = 1.0,
    buy: str = "learned",
) -> Policy:
    """Buy more context where looking is worth more than the best answer without it, both learned in the run.

    Two stages of LinUCB (Li et al. 2010, arXiv 1003.0146): before the look each arm's reward and that of looking are
    regressed on the context, after it each arm's on the context and what was shown. The reward of looking is what the
    round was worth in the end, its price included. Without a look to buy it is LinUCB of one call.

    Args:
        n_arms: `K`, the look included.
        dim: `d`, the constant column included.
        arm: the look among the arms; -1: there is none.
        features: numbers that a look shows.
        alpha: width of the confidence bounds, >= 0.
        ridge: prior precision of every weight, > 0.
        buy: `learned`, `always` or `never`.
    """
    require.whole("look", -1, arm=arm)
    require.whole("look", 0, features=features)
    require.at_least("look", 0, alpha=alpha)
    require.above("look", 0, ridge=ridge)
    require.one_of("look", BUYS, buy=buy)
    if arm >= n_arms:
        raise ValueError(f"look needs arm < {n_arms}, got arm={arm}")
    of = _Of(arm, features)

    def init(key: jax.Array) -> State:
        del key
        return State(
            ridges.fresh(n_arms, dim, ridge, prior=0.5),
            ridges.fresh(n_arms, dim + features, ridge, prior=0.5),
            ridges.fresh(1, dim, ridge, prior=0.5),
        )

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        del key
        is_look, looked = jnp.arange(n_arms) == arm, of.looked(seen)
        before = ridges.estimate(state.plain, seen.context)
        after = ridges.estimate(state.after, of.shown(seen))
        buying = ridges.estimate(state.looking, seen.context)
        worth: Any = {"learned": (buying.mean + alpha * buying.width)[0], "always": _SURE, "never": -_SURE}[
            buy
        ]
        index = jnp.where(is_look, worth, before.mean + alpha * before.width)
        index = jnp.where(looked, after.mean + alpha * after.width, index)
        asked = jnp.zeros(n_arms, bool) if seen.asked is None else seen.asked
        answered = (asked & ~is_look).any() | (asked.any() & ~seen.available.any())
        return jnp.where(answered, STOP, choose(index, seen.available)).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, called: jax.Array, told: Feedback) -> State:
        del key
        return _learned(of, state, seen, called, told.reward)

    return Policy(init, act, update, again=True)


class _Of(NamedTuple):
    """The look among the arms, -1 for none, and how many numbers it shows."""

    arm: int
    features: int

    def shown(self, seen: Observation) -> jax.Array:
        """Return the context after what the look has shown, 0 where it has not been called."""
        told = jnp.zeros(self.features) if seen.features is None or self.arm < 0 else seen.features[self.arm]
        return jnp.concatenate([told, seen.context])

    def looked(self, seen: Observation) -> jax.Array:
        """Return whether the look was called for this query."""
        return jnp.array(False) if seen.asked is None or self.arm < 0 else seen.asked[self.arm]


def _learned(of: _Of, state: State, seen: Observation, called: jax.Array, reward: jax.Array) -> State:
    """Return the state after an answer that was delivered; a look alone, or what is not told, says nothing."""
    known = ~jnp.isnan(reward) & (called != of.arm)
    worth, weight, bought = jnp.nan_to_num(reward), known * 1.0, of.looked(seen)
    return State(
        ridges.learn(state.plain, seen.context, called, worth, weight * ~bought),
        ridges.learn(state.after, of.shown(seen), called, worth, weight * bought),
        ridges.learn(state.looking, seen.context, jnp.int32(0), worth, weight * bought),
    )

"""Length-aware learning from bandit feedback: references are a policy's own latest answers, not the other models'."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, State, around, ranked
from bandits.late import jax, jnp
from bandits.lengths import FORMS, length_aware
from bandits.rewards import Outcome


class Lengths(NamedTuple):
    """The wrapped `policy`'s state, its latest `lengths` `(W,)` in tokens, NaN before them, and how many it `heard`."""

    policy: State
    lengths: jax.Array
    heard: jax.Array


def own_length(
    policy: Policy,
    n_arms: int,
    dim: int,
    *,
    form: str = "kimi",
    weight: float = 1.0,
    window: int = 100,
    correct: float = 0.5,
    limit: float = 2048.0,
    margin: float = 512.0,
) -> Policy:
    """Let a policy learn from reward `linear` plus a length-aware term that goes by the calls it has heard.

    The formulas are those of `bandits.lengths.length_aware`; their group, the models that answer a query, is not heard
    under bandit feedback. Least, greatest and median length are here those of the latest `window` calls, this one
    included (a running window that includes the newest value, as in Router-R1's cost reward, arXiv 2506.09033). What a
    run counts as reward is not changed: with `--reward length_aware` regret is counted on the group of all models. A
    call without recorded tokens is heard with the run's own reward, unchanged; one with them weighs utility and cost as
    `linear` does, whatever the run's reward. A policy that learns utility and cost apart does not hear the term.

    Args:
        policy: any policy that learns from rewards.
        n_arms, dim: `K` and `d`, not used.
        form, weight, correct, limit, margin: as `length_aware` has them.
        window: calls, >= 2.

    Raises:
        ValueError: an unknown form, a number out of range, or a margin that is not below the limit.
    """
    del n_arms, dim
    require.one_of("own_length", FORMS, form=form)
    require.whole("own_length", 2, window=window)
    require.finite("own_length", weight=weight, correct=correct)
    require.above("own_length", 0, limit=limit, margin=margin)
    if margin >= limit:
        wrong = f"limit={limit}" if limit < 2048 else f"margin={margin}"
        raise ValueError(
            f"own_length needs margin below limit (margin {margin:g}, limit {limit:g}), got {wrong}"
        )

    def init(key: jax.Array) -> Lengths:
        return Lengths(policy.init(key), jnp.full(window, jnp.nan, jnp.float32), jnp.int32(0))

    def act(key: jax.Array, state: Lengths, observation: Observation) -> jax.Array:
        return policy.act(key, state.policy, observation)

    def update(
        key: jax.Array, state: Lengths, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Lengths:
        told = jnp.isfinite(feedback.tokens)
        place = state.heard % window
        lengths = jnp.where(told, state.lengths.at[place].set(feedback.tokens), state.lengths)
        alike = jnp.broadcast_to(feedback.utility, (window,))
        group = Outcome(alike, jnp.zeros(window), alike, lengths, jnp.float32(1))
        shaped = length_aware(
            group, 0.0, form=form, weight=weight, correct=correct, limit=limit, margin=margin
        )
        term = shaped[place] - feedback.utility
        worth = feedback.utility - observation.preference * feedback.cost / observation.cost_scale
        heard = feedback._replace(reward=jnp.where(told, worth + term, feedback.reward))
        learned = policy.update(key, state.policy, observation, arm, heard)
        return Lengths(learned, lengths, state.heard + told)

    outside, inner = Policy(init, act, update), policy.index
    if inner is not None:
        outside = ranked(init, lambda key, state, seen: inner(key, state.policy, seen), update)
    return around(policy, outside, lambda state, seen: (state.policy, seen))

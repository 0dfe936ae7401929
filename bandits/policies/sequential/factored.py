"""One bandit for each kind of step: a query calls a model of every kind that it has, each hears its own outcome.

Semi-bandit feedback on a super-arm (Kveton, Wen, Ashkan, Szepesvari 2015, arXiv 1410.0949): of an assignment of models
to kinds of step, what each kind's model gave is heard, not the end alone, so that V + L estimates are learned and not
V x L.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bandits.base import Feedback, Observation, Policy
from bandits.late import jax, jnp

if TYPE_CHECKING:
    from bandits.base import State

STOP = -1  # as `envs.calls.STOP`


def factored(bases: Sequence[Policy], sizes: Sequence[int]) -> Policy:
    """Return the policy over `sum(sizes)` arms, the kinds' models one kind after the other.

    In a slot it calls, by its base, a model of the first kind that has models for this query and none called yet, and
    stops where there is no such kind. A base learns the utility of its own calls as its reward.

    Args:
        bases: a policy for each kind, of as many arms as the kind has models.
        sizes: models of each kind.
    """
    ends = [sum(sizes[: g + 1]) for g in range(len(sizes))]
    spans = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    kind_of = jnp.asarray([g for g, size in enumerate(sizes) for _ in range(size)])

    def seen_by(span: slice, seen: Observation) -> Observation:
        """Return what a base sees, which has one call a query."""
        own = seen._replace(available=seen.available[span], price=seen.price[span])
        return own._replace(asked=None, heard=None, room=None, features=None, spent=None, votes=None)

    def init(key: jax.Array) -> Any:
        keys = jax.random.split(key, len(bases))
        return tuple(base.init(k) for base, k in zip(bases, keys, strict=True))

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        asked = jnp.zeros_like(seen.available) if seen.asked is None else seen.asked
        arm: jax.Array = jnp.int32(STOP)
        for g in reversed(range(len(bases))):
            span, own = spans[g], seen_by(spans[g], seen)
            called = bases[g].act(jax.random.fold_in(key, g), state[g], own) + span.start
            due = own.available.any() & ~asked[span].any()
            arm = jnp.where(due, called, arm).astype(jnp.int32)
        return arm

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> Any:
        own = told._replace(reward=told.utility)
        new = []
        for g, (base, span) in enumerate(zip(bases, spans, strict=True)):
            place = jnp.clip(arm - span.start, 0, sizes[g] - 1)
            after = base.update(jax.random.fold_in(key, g), state[g], seen_by(span, seen), place, own)
            mine = kind_of[arm] == g
            new.append(jax.tree.map(lambda a, b, mine=mine: jnp.where(mine, a, b), after, state[g]))
        return tuple(new)

    return Policy(init, act, update, again=True)

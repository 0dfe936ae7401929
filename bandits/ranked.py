"""Policies that call the arm of the highest index, and can be asked for the index: what pacing lowers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax

from bandits.base import Observation, Policy, State, choose

Index = Callable[[jax.Array, State, Observation], jax.Array]


@dataclass(frozen=True)
class Ranked:
    """An `act` that calls the available arm of the highest index.

    A policy built as `Policy(init, Ranked(index), update)` keeps the contract like any other, and a wrapper that
    weighs reward against something else finds the two sides in `index` and in its own charge.

    Attributes:
        index: `(key, state, observation) -> (K,)`, what a call of each arm may be worth, in units of reward.
    """

    index: Index

    def __call__(self, key: jax.Array, state: State, observation: Observation) -> jax.Array:
        """Return the available arm of the highest index."""
        return choose(self.index(key, state, observation), observation.available)


def index_of(policy: Policy) -> Index | None:
    """Return the index that a policy calls by, or None where it chooses in another way."""
    return policy.act.index if isinstance(policy.act, Ranked) else None

"""Policies that call the arm of the highest index, and can be asked for the index: what pacing lowers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
        worth: False where the index is only a way to choose (it holds chance draws, say) and worth nothing to pacing.
        form: what the index was built from, where something else can compute it too (`bandits.policies.linear.affine`).
        update: the policy's own update that the form speaks for; with another one the form says nothing.
    """

    index: Index
    worth: bool = True
    form: Any = None
    update: Any = None

    def __call__(self, key: jax.Array, state: State, observation: Observation) -> jax.Array:
        """Return the available arm of the highest index."""
        return choose(self.index(key, state, observation), observation.available)


def index_of(policy: Policy) -> Index | None:
    """Return what a policy holds a call of each arm to be worth, or None where it does not choose by that alone."""
    return policy.act.index if isinstance(policy.act, Ranked) and policy.act.worth else None

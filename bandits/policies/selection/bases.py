"""The policies that another one chooses among: how they are named and how they hear."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bandits import resolve
from bandits.base import Feedback, Observation, Policy, State
from bandits.late import jax, jnp


def named(of: str) -> list[str]:
    """Return the specs in "linucb:alpha=0.3:prior=1+ucb1": bases parted by +, their hyperparameters by a colon.

    The colon of a user's own `file.py:name` is not one of these.

    Raises:
        ValueError: fewer than two bases, or one twice.
    """
    specs = [re.sub(r"(?<!\.py):", ",", part.strip()) for part in of.split("+")]
    if len(specs) < 2 or len(set(specs)) < len(specs) or "" in specs:
        raise ValueError(f"of needs two or more different policies, as in linucb:alpha=0.3+ucb1, got {of!r}")
    return specs


def built(of: str, bases: Sequence[Policy], n_arms: int, dim: int) -> tuple[Policy, ...]:
    """Return the bases as they are given, or those that the text names, at their own defaults.

    Raises:
        ValueError: no such policy, or what is given is none.
    """
    if bases:
        if strangers := [base for base in bases if not isinstance(base, Policy)]:
            raise ValueError(f"bases need to be policies, got {strangers[0]!r}")
        return tuple(bases)
    from bandits.policies import POLICIES  # late: it is made of every policy, of these too

    return tuple(resolve.function(spec, POLICIES, "policy")(n_arms, dim) for spec in named(of))


def begun(bases: Sequence[Policy], key: jax.Array) -> tuple[State, ...]:
    """Return the state of each base before the first round."""
    return tuple(b.init(k) for b, k in zip(bases, jax.random.split(key, len(bases)), strict=True))


def kept(bases: Sequence[Policy], states: Sequence[State], observation: Observation) -> tuple[object, ...]:
    """Return what each base keeps of a call whose outcome comes late; an empty tuple of one that keeps nothing."""
    return tuple(
        () if base.keep is None else base.keep(state, observation)
        for base, state in zip(bases, states, strict=True)
    )


def told(
    bases: Sequence[Policy],
    states: Sequence[State],
    key: jax.Array,
    observation: Observation,
    arm: jax.Array,
    feedback: Feedback,
    *,
    hears: jax.Array,
    own: jax.Array,
    late: Sequence[object] | None = None,
) -> tuple[State, ...]:
    """Return the bases' states after an outcome.

    A base that chooses by its own probabilities and by no index weighs what it hears by them, as exp3 does, and hears
    its own calls alone; one whose probabilities only follow from its index, such as averaged, hears every call.

    Args:
        bases, states: `M` of each.
        key, observation, arm, feedback: as `update` takes them.
        hears: `(M,)` bool, which of them hear it.
        own: `(M,)` bool, whose call it was.
        late: from `kept`, where the outcome comes late.
    """
    after = []
    for m, (base, state) in enumerate(zip(bases, states, strict=True)):
        heard, hearing = feedback._replace(kept=None), hears[m]
        if late is not None and base.keep is not None:
            heard = heard._replace(kept=late[m])
        if base.chances is not None and base.index is None:
            heard, hearing = heard._replace(chance=base.chances(key, state, observation)[arm]), own[m]
        learned = base.update(jax.random.fold_in(key, m), state, observation, arm, heard)
        after.append(jax.tree.map(lambda new, old, on=hearing: jnp.where(on, new, old), learned, state))
    return tuple(after)

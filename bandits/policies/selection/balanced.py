"""Regret balancing and elimination over policies: Pacchiano, Dann, Gentile, Bartlett 2020, arXiv 2012.13045."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, State, form_of, formed
from bandits.forms.choosing import Balancing, plain
from bandits.late import jax, jnp
from bandits.policies.selection import bases as panel
from bandits.policies.tabular.counts import HIGH, LOW, require_range, unit


class Balance(NamedTuple):
    """What is known of the `M` bases.

    Attributes:
        states: of each base.
        calls: `(M,)` float32, rounds that each has played.
        total: `(M,)` float32, reward of these, in units of the range.
        active: `(M,)` bool, not eliminated.
    """

    states: tuple[State, ...]
    calls: jax.Array
    total: jax.Array
    active: jax.Array


def balanced(
    n_arms: int,
    dim: int,
    *,
    of: str = "averaged+klucb",
    bases: Sequence[Policy] = (),
    bound: float = 0.2,
    width: float = 0.2,
    delta: float = 0.05,
    shared: bool = True,
    low: float = LOW,
    high: float = HIGH,
) -> Policy:
    """Play the base policy whose regret bound is lowest so far, and drop one that its bound cannot explain.

    Algorithm 1 of the paper, for candidate bounds `R(n) = bound sqrt(n)`: of the active bases the one of the lowest
    `R(n_i)` plays, and base `i` is eliminated once

        `U_i / n_i + R(n_i) / n_i + c(n_i) < max_j U_j / n_j - c(n_j)`,    `c(n) = width sqrt(ln(M ln n / delta) / n)`,

    with `n_i` rounds played and `U_i` their reward. Where the best base keeps its bound, regret is at most
    `(2 bound + 4 width sqrt(ln(M ln T / delta))) sqrt(M T) + M` in units of the range with probability `1 - delta`, at
    `width` 1 and with `shared` off, as in the paper; the defaults, narrower and with every base hearing every outcome,
    drop a bad base sooner and promise less. Cutkosky et al. 2021 (ICML, dynamic balancing) let bounds differ by base.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        of: the bases, as "linucb:alpha=0.3:prior=1+ucb1".
        bases: policies of the same `K` and `d`, instead of those that `of` names.
        bound: `R(1)`, in units of the range, > 0.
        width: of the confidence interval of a base's mean reward, > 0.
        delta: probability with which the promise may fail, in (0, 1).
        shared: every base hears every outcome; else only the one that called.
        low, high: range that rewards are clipped to, `low < high`.
    """
    require.above("balanced", 0, bound=bound, width=width, delta=delta)
    require.within("balanced", 0, 1, delta=delta)
    require_range("balanced", low, high)
    those = panel.built(of, bases, n_arms, dim)
    count = len(those)

    def init(key: jax.Array) -> Balance:
        none = jnp.zeros(count, jnp.float32)
        return Balance(panel.begun(those, key), none, none, jnp.ones(count, bool))

    def act(key: jax.Array, state: Balance, observation: Observation) -> jax.Array:
        arms = [base.act(key, s, observation) for base, s in zip(those, state.states, strict=True)]
        return jnp.stack(arms)[playing(state)]

    def index(key: jax.Array | None, state: Balance, observation: Observation) -> jax.Array:
        each = [b.index(key, s, observation) for b, s in zip(those, state.states, strict=True) if b.index]
        return jnp.stack(each)[playing(state)]

    def chances(key: jax.Array, state: Balance, observation: Observation) -> jax.Array:
        each = [b.chances(key, s, observation) for b, s in zip(those, state.states, strict=True) if b.chances]
        return jnp.stack(each)[playing(state)]

    def keep(state: Balance, observation: Observation) -> tuple[jax.Array, tuple[object, ...]]:
        return playing(state), panel.kept(those, state.states, observation)

    def update(
        key: jax.Array, state: Balance, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Balance:
        who, late = (playing(state), None) if feedback.kept is None else feedback.kept
        own = jnp.arange(count) == who
        states = panel.told(
            those, state.states, key, observation, arm, feedback, hears=own | shared, own=own, late=late
        )
        calls = state.calls + own
        total = state.total + own * unit(feedback.reward, low, high)
        return Balance(states, calls, total, state.active & kept_in(calls, total, bound, width, delta))

    ranks = all(base.index is not None for base in those)
    draws = all(base.chances is not None for base in those)
    made = Policy(
        init, act, update, index=index if ranks else None, chances=chances if draws else None, keep=keep
    )
    own = plain(form_of(base) for base in those)
    if own is None:
        return made
    form = Balancing(low=low, high=high, bases=own, bound=bound, width=width, delta=delta, shared=shared)
    return formed(made, form)


def playing(state: Balance) -> jax.Array:
    """Return which base plays: of equal bounds `bound sqrt(n)` the lowest is that of the fewest calls."""
    return jnp.argmin(jnp.where(state.active, state.calls, jnp.inf))


def kept_in(calls: jax.Array, total: jax.Array, bound: float, width: float, delta: float) -> jax.Array:
    """Return `(M,)` which bases pass the test of misspecification; one that has not played does."""
    n = jnp.maximum(calls, 1.0)
    # ln ln n is meant for n >= 3: below, the logarithm is taken as 1.
    sure = jnp.log(calls.shape[0] * jnp.maximum(jnp.log(n), 1.0) / delta)
    half, mean = width * jnp.sqrt(sure / n), total / n
    best = jnp.where(calls > 0, mean - half, -jnp.inf).max()
    return (calls == 0) | (mean + bound / jnp.sqrt(n) + half >= best)


def promised(rounds: int, count: int, *, bound: float, width: float, delta: float) -> float:
    """Return the most regret, in units of the range, that balancing `count` bases may have after so many rounds.

    While bases are active their calls differ by at most 1, so each has passed the test against the best base at about
    as many calls: it lost at most `2 R(n) + 4 n c(n)`, and the sum over bases is largest where their calls are equal.
    """
    sure = math.log(count * max(math.log(max(rounds, 3)), 1.0) / delta)
    return (2 * bound + 4 * width * math.sqrt(sure)) * math.sqrt(count * rounds) + count

"""Corralling a band of bandit algorithms: Agarwal, Luo, Neyshabur, Schapire 2017, arXiv 1612.06246, Algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bandits import require, threefry
from bandits.base import Feedback, Observation, Policy, State, form_of, formed
from bandits.forms.choosing import Corralling, plain
from bandits.late import jax, jnp
from bandits.policies.selection import bases as panel
from bandits.policies.tabular.counts import HIGH, LOW, require_range, unit
from bandits.policies.tabular.exp3 import draw, likely

_HALVINGS = 26  # of the interval that holds the multiplier: below the rounding of float32


class Band(NamedTuple):
    """What is known of the `M` bases.

    Attributes:
        states: of each base.
        chance: `(M,)` float32, `p_t`, with which each is followed, before it is mixed with the uniform choice.
        rate: `(M,)` float32, the learning rate of each.
        limit: `(M,)` float32, `rho`: 1 / chance beyond which a rate rises.
        horizon: `()` float32, `T`, rounds to come at the first call; 0 before it.
        lot: `()` uint32, seeds the bases' randomness in the coming round, so that `update` knows what they advised.
    """

    states: tuple[State, ...]
    chance: jax.Array
    rate: jax.Array
    limit: jax.Array
    horizon: jax.Array
    lot: jax.Array


def corral(
    n_arms: int,
    dim: int,
    *,
    of: str = "averaged+klucb",
    bases: Sequence[Policy] = (),
    eta: float = 0.1,
    low: float = LOW,
    high: float = HIGH,
) -> Policy:
    """Follow a base policy drawn by online mirror descent with a log barrier on their estimated losses (Corral).

    `1 / p_i' = 1 / p_i + eta_i (l_i - lambda)` with lambda such that the probabilities add up to 1 (Algorithm 2);
    mixed with the uniform choice by `gamma = 1 / T`; where `1 / p_i'` exceeds `rho_i`, `rho_i = 2 / p_i'` and `eta_i`
    grows by `exp(1 / ln T)` (lines 9 to 12). `l_i` is the loss over the probability of the arm where base `i` advised
    the arm that was called, else 0 (remark in section 3). Every base hears every outcome as it is, instead of its loss
    over `p_i` (line 6), which policies that fit a mean cannot use; so the paper's bound is not promised for them. The
    numbers of lines and algorithms are not checked against the paper.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        of: the bases, as "linucb:alpha=0.3:prior=1+ucb1".
        bases: policies of the same `K` and `d`, instead of those that `of` names.
        eta: first learning rate, > 0.
        low, high: range that rewards are clipped to, `low < high`.
    """
    require.above("corral", 0, eta=eta)
    require_range("corral", low, high)
    those = panel.built(of, bases, n_arms, dim)
    count = len(those)

    def init(key: jax.Array) -> Band:
        lot, rest = jax.random.split(key)
        even = jnp.full(count, 1.0 / count, jnp.float32)
        rate, limit = jnp.full(count, eta, jnp.float32), jnp.full(count, 2.0 * count, jnp.float32)
        return Band(panel.begun(those, rest), even, rate, limit, jnp.float32(0.0), jax.random.bits(lot))

    def advised(state: Band, observation: Observation) -> jax.Array:
        """Return `(M,)` the arm of each base."""
        keys = jax.random.split(threefry.key(state.lot), count)
        each = [b.act(k, s, observation) for b, k, s in zip(those, keys, state.states, strict=True)]
        return jnp.stack(each)

    def chances(key: jax.Array, state: Band, observation: Observation) -> jax.Array:
        del key
        horizon = jnp.where(state.horizon > 0, state.horizon, observation.rounds_left)
        return mixed(state.chance, horizon) @ jax.nn.one_hot(advised(state, observation), n_arms)

    def act(key: jax.Array, state: Band, observation: Observation) -> jax.Array:
        return draw(key, chances(key, state, observation))

    def keep(state: Band, observation: Observation) -> tuple[jax.Array, tuple[object, ...]]:
        return advised(state, observation), panel.kept(those, state.states, observation)

    def update(
        key: jax.Array, state: Band, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Band:
        advice, late = (advised(state, observation), None) if feedback.kept is None else feedback.kept
        followed = advice == arm
        horizon = jnp.where(state.horizon > 0, state.horizon, observation.rounds_left)
        loss = followed * (1.0 - unit(feedback.reward, low, high)) / likely(feedback.chance)
        chance = descended(state.chance, loss, state.rate)
        far = 1.0 / mixed(chance, horizon)
        beyond = far > state.limit
        growth = jnp.exp(1.0 / jnp.log(jnp.maximum(horizon, math.e)))
        lot, rest = jax.random.split(key)
        states = panel.told(
            those, state.states, rest, observation, arm, feedback,
            hears=jnp.ones(count, bool), own=followed, late=late,
        )  # fmt: skip
        rate = jnp.where(beyond, state.rate * growth, state.rate)
        limit = jnp.where(beyond, 2.0 * far, state.limit)
        return Band(states, chance, rate, limit, horizon, jax.random.bits(lot))

    made = Policy(init, act, update, chances=chances, keep=keep)
    own = plain(form_of(base) for base in those)
    return made if own is None else formed(made, Corralling(low=low, high=high, bases=own))


def mixed(chance: jax.Array, horizon: jax.Array) -> jax.Array:
    """Return `(M,)` the probabilities with which bases are followed: `(1 - gamma) p + gamma / M`, `gamma = 1 / T`."""
    gamma = 1.0 / jnp.maximum(horizon, 1.0)
    return (1.0 - gamma) * chance + gamma / chance.shape[0]


def descended(chance: jax.Array, loss: jax.Array, rate: jax.Array) -> jax.Array:
    """Return `(M,)` the probabilities after a step of mirror descent with the log barrier (Algorithm 2).

    The multiplier lies between the least and the highest loss: at the one no probability rises, at the other none
    falls.
    """

    def stepped(multiplier: jax.Array) -> jax.Array:
        return 1.0 / (1.0 / chance + rate * (loss - multiplier))

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        inverse = 1.0 / chance + rate * (loss - middle)
        # Past the first pole the sum means nothing: the multiplier lies below it.
        above = (inverse <= 0).any() | ((1.0 / inverse).sum() > 1.0)
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, _ = jax.lax.fori_loop(0, _HALVINGS, halve, (loss.min(), loss.max()))
    found = stepped(low)
    return found / found.sum()

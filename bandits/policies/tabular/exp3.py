"""Exp3, exponential weights over losses: Bubeck and Cesa-Bianchi 2012, arXiv 1204.5721, Figure 3.1."""

from __future__ import annotations

import math
from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed
from bandits.forms.tabular import Losing
from bandits.late import jax, jnp
from bandits.policies.tabular.counts import HIGH, LOW, require_range, unit


class Losses(NamedTuple):
    """How the options, arms or experts, have done.

    Attributes:
        total: `(N,)` float32, estimated loss of each so far.
        round: `()` float32, the number of the coming round, from 1.
    """

    total: jax.Array
    round: jax.Array


def exp3(n_arms: int, dim: int, *, eta: float = 1.0, low: float = LOW, high: float = HIGH) -> Policy:
    """Call an arm drawn by exponential weights of its estimated losses, whatever the query (Exp3).

    Needs no assumption on the rewards: its promise holds against any sequence. At round `t` the rate is
    `eta sqrt(ln K / (K t))` (Theorem 3.1), so that no horizon is needed.

    Args:
        n_arms: `K`.
        dim: not used.
        eta: multiplies the rate of the theorem, > 0; 1 is the theorem.
        low, high: range that rewards are clipped to, `low < high`.
    """
    del dim
    require.above("exp3", 0, eta=eta)
    require_range("exp3", low, high)

    def chances(key: jax.Array, state: Losses, observation: Observation) -> jax.Array:
        del key
        return weights(state, eta * math.sqrt(math.log(n_arms) / n_arms), observation.available)

    def init(key: jax.Array) -> Losses:
        del key
        return no_losses(n_arms)

    def act(key: jax.Array, state: Losses, observation: Observation) -> jax.Array:
        return draw(key, chances(key, state, observation))

    def update(
        key: jax.Array, state: Losses, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Losses:
        del key
        loss = 1.0 - unit(feedback.reward, low, high)
        estimated = jnp.zeros(n_arms, jnp.float32).at[arm].set(loss / likely(feedback.chance))
        return suffer(state, estimated, loss, observation.available)

    return formed(Policy(init, act, update, chances=chances), Losing(low, high, eta))


def no_losses(options: int) -> Losses:
    """Return the losses before the first round."""
    return Losses(jnp.zeros(options, jnp.float32), jnp.float32(1.0))


def weights(state: Losses, rate: float, awake: jax.Array) -> jax.Array:
    """Return the `(N,)` probabilities `p_i ~ exp(-rate / sqrt(t) total_i)` over the options awake."""
    return jax.nn.softmax(jnp.where(awake, -rate / jnp.sqrt(state.round) * state.total, -jnp.inf))


def draw(key: jax.Array, chance: jax.Array) -> jax.Array:
    """Return an arm, int32, drawn with these `(K,)` probabilities; never one of probability 0."""
    return jax.random.categorical(key, jnp.log(chance)).astype(jnp.int32)


def likely(chance: jax.Array) -> jax.Array:
    """Return a chance that can be divided by: one of a call that another made may be 0."""
    return jnp.maximum(chance, 1e-30)


def suffer(state: Losses, estimated: jax.Array, loss: jax.Array, awake: jax.Array) -> Losses:
    """Return the losses after a round.

    Options asleep are charged the loss that the policy suffered (Freund et al. 1997): charged nothing, an arm
    would come out of an outage as the apparent best.
    """
    total = state.total + jnp.where(awake, estimated, loss)
    # Only differences matter; taking the least off keeps float32 exact where it counts on long streams.
    return Losses(total - total.min(), state.round + 1.0)

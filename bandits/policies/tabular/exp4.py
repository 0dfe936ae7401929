"""Exp4, exponential weights over experts: Bubeck and Cesa-Bianchi 2012, arXiv 1204.5721, Figure 4.1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bandits import require, threefry
from bandits.base import Feedback, Observation, Policy, State
from bandits.late import jax, jnp
from bandits.policies.linear.linucb import linucb
from bandits.policies.tabular.beta_thompson import beta_thompson
from bandits.policies.tabular.counts import HIGH, LOW, require_range, unit
from bandits.policies.tabular.exp3 import Losses, draw, likely, no_losses, suffer, weights


class Committee(NamedTuple):
    """What the experts know and how they have done.

    Attributes:
        losses: of the `N` experts.
        lot: `()` uint32, seeds the experts' randomness in the coming round. Kept, since `update` has to know
            the same advice that `act` followed.
        experts: the state of each policy.
    """

    losses: Losses
    lot: jax.Array
    experts: tuple[State, ...]


def exp4(
    n_arms: int,
    dim: int,
    *,
    eta: float = 1.0,
    experts: Sequence[Policy] = (),
    low: float = LOW,
    high: float = HIGH,
) -> Policy:
    """Call an arm advised by an expert drawn by exponential weights of the experts' estimated losses (Exp4).

    The experts are each arm alone, the uniform choice, and `experts`. At round `t` the rate is
    `eta sqrt(ln N / (K t))` (Theorem 4.2). Every expert learns from every round, so choose ones that can
    learn from a call that another made.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        eta: multiplies the rate of the theorem, > 0; 1 is the theorem.
        experts: policies of the same `K` and `d`; none means `linucb` and `beta_thompson`.
        low, high: range that rewards are clipped to, `low < high`.
    """
    require.above("exp4", 0, eta=eta)
    require_range("exp4", low, high)
    strangers = [expert for expert in experts if not isinstance(expert, Policy)]
    if strangers:
        raise ValueError(f"exp4 needs experts to be policies, got {strangers[0]!r}")
    panel = tuple(experts) or (linucb(n_arms, dim), beta_thompson(n_arms, dim, low=low, high=high))
    n_experts = n_arms + 1 + len(panel)
    rate = eta * math.sqrt(math.log(n_experts) / n_arms)

    def counsel(state: Committee, observation: Observation) -> tuple[jax.Array, jax.Array]:
        return advice(panel, state, observation), jnp.append(
            observation.available, jnp.ones(1 + len(panel), bool)
        )

    def init(key: jax.Array) -> Committee:
        keys = jax.random.split(key, len(panel) + 1)
        states = tuple(expert.init(k) for expert, k in zip(panel, keys[1:], strict=True))
        return Committee(no_losses(n_experts), jax.random.bits(keys[0]), states)

    def chances(key: jax.Array, state: Committee, observation: Observation) -> jax.Array:
        del key
        advised, awake = counsel(state, observation)
        return weights(state.losses, rate, awake) @ advised

    def act(key: jax.Array, state: Committee, observation: Observation) -> jax.Array:
        return draw(key, chances(key, state, observation))

    def keep(state: Committee, observation: Observation) -> jax.Array:
        return advice(panel, state, observation)

    def update(
        key: jax.Array, state: Committee, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Committee:
        advised, awake = counsel(state, observation)
        advised = advised if feedback.kept is None else feedback.kept
        loss = 1.0 - unit(feedback.reward, low, high)
        keys = jax.random.split(key, len(panel) + 1)
        states = tuple(
            expert.update(k, known, observation, arm, feedback)
            for expert, k, known in zip(panel, keys[1:], state.experts, strict=True)
        )
        losses = suffer(state.losses, advised[:, arm] * loss / likely(feedback.chance), loss, awake)
        return Committee(losses, jax.random.bits(keys[0]), states)

    return Policy(init, act, update, chances=chances, keep=keep)


def advice(panel: Sequence[Policy], state: Committee, observation: Observation) -> jax.Array:
    """Return the `(N, K)` probabilities advised by each arm alone, the uniform choice and the policies."""
    available = observation.available.astype(jnp.float32)
    n_arms = available.shape[0]
    keys = jax.random.split(threefry.key(state.lot), len(panel))
    chosen = [expert.act(k, s, observation) for expert, k, s in zip(panel, keys, state.experts, strict=True)]
    return jnp.concatenate(
        [jnp.eye(n_arms), (available / available.sum())[None], jax.nn.one_hot(jnp.stack(chosen), n_arms)]
    )

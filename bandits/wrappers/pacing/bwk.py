"""Contextual bandits with knapsacks: Agrawal and Devanur 2016, arXiv 1507.06738, Algorithm 1."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import estimate
from bandits.wrappers.pacing.paced import (
    Pacer,
    R,
    Terms,
    Usage,
    Worth,
    first,
    no_usage,
    opens,
    paced,
    primed_usage,
    used,
)

_FLOOR = -12.0  # of a log weight: below a price of 6e-6 nothing is charged, and the way back up stays short


class Knapsack(NamedTuple):
    """`price` `(R,)` per share of a round's budget; `weight` `(R,)` logs of the mirror descent's weights; `target`
    `(R,)` a round and `rounds` `()` of the run, NaN before the first; `usage` what calls use."""

    price: jax.Array
    weight: jax.Array
    target: jax.Array
    rounds: jax.Array
    usage: Usage


def bwk(
    policy: Policy,
    n_arms: int,
    dim: int,
    *,
    z: float = 1.0,
    alpha: float = 0.1,
    step: float | None = None,
    ridge: float = 1.0,
) -> Policy:
    """Charge a pessimistic cost at a price found by online mirror descent (linear contextual bandits with knapsacks).

    Algorithm 1 plays `argmax_a UCB_r(x, a) - Z sum_j theta_j LCB_c,j(x, a)` and exits when a budget is gone. The
    policy's own index is the optimistic reward. Costs are a ridge regression an arm, in shares of the budget a
    round; `LCB = mean (1 - alpha width)`, at least 0: the width in units of the cost itself. `theta` comes
    from multiplicative weights with a slack: `w_j <- w_j exp(step (c_j / (B_j / T) - 1))`, `theta_j = w_j / (1 +
    sum w)`, `step = sqrt(log(R + 1) / T)` for `R` limited resources. The paper scales costs to [0, 1] and has `Z`
    about OPT / B; in shares of the budget a round that is OPT / T <= 1, the default `z`.

    Args:
        policy: what is paced; it needs an index.
        n_arms: `K`.
        dim: `d`, the constant column included.
        z: reward that a round's budget is worth at most, > 0.
        alpha: pessimism of the costs, >= 0.
        step: of the mirror descent, > 0; None takes the paper's.
        ridge: prior precision of the cost weights, > 0.
    """
    require.above("bwk", 0, z=z, ridge=ridge, **({} if step is None else {"step": step}))
    require.at_least("bwk", 0, alpha=alpha)

    def init() -> Knapsack:
        unknown = jnp.full(R, jnp.nan)
        return Knapsack(jnp.zeros(R), jnp.zeros(R), unknown, unknown[0], no_usage(n_arms, dim, ridge))

    def terms(state: Knapsack, worth: jax.Array, observation: Observation) -> Terms:
        del worth
        target = first(state.target, observation.budget / observation.rounds_left)
        expected = state.usage.expected(observation.context)
        width = estimate(state.usage.costs, observation.context).width
        pessimistic = jnp.maximum(expected * (1.0 - alpha * width[:, None]), 0.0)
        charge = z * (pessimistic / target) @ state.price
        return Terms(charge, jnp.ones(n_arms, bool), expected[:, 0])

    def update(
        key: jax.Array,
        state: Knapsack,
        observation: Observation,
        arm: jax.Array,
        feedback: Feedback,
        worth: Worth,
    ) -> Knapsack:
        del key, worth
        amount = used(feedback)
        target = first(state.target, observation.budget / observation.rounds_left)
        rounds = first(state.rounds, observation.rounds_left)
        limited = jnp.isfinite(target)
        rate = jnp.sqrt(jnp.log(limited.sum() + 1.0) / rounds) if step is None else step
        weight = jnp.clip(state.weight + rate * (amount / target - opens(observation)), _FLOOR, -_FLOOR)
        share = jnp.where(limited, jnp.exp(weight), 0.0)
        usage = state.usage.heard(observation.context, arm, amount)
        return Knapsack(share / (1.0 + share.sum()), weight, target, rounds, usage)

    return paced(policy, Pacer(init, terms, update, primed_usage), "bwk")

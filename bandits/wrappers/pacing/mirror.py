"""Dual mirror descent: Balseiro, Lu, Mirrokni 2020, arXiv 2011.10124, Algorithm 1 with the entropy."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy
from bandits.late import jax, jnp
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

_LOWEST, _HIGHEST = 1e-5, 10.0  # dual prices: from one that no reward feels to one that no reward bears


class Mirror(NamedTuple):
    """`price` `(R,)` per share of a round's budget; `target` `(R,)` a round, NaN before the first; `usage` what calls
    use."""

    price: jax.Array
    target: jax.Array
    usage: Usage


def mirror(
    policy: Policy, n_arms: int, dim: int, *, step: float = 0.03, start: float = 0.1, ridge: float = 1.0
) -> Policy:
    """Charge the expected cost at a price that is multiplied up or down by each call (dual mirror descent).

    Algorithm 1 takes `argmax_a r_a - mu c_a` and, with the entropy as its reference function, moves the price by
    `mu <- mu exp(step (c - rho))`, where `rho` is the budget a round; costs and `mu` are counted in units of `rho`
    here, so that one step serves every budget, and the cost of a call is predicted by ridge regression. Once too much
    has been spent, what is left a round takes the place of `rho` in the step, so that the debt is paid off. Unlike
    the additive pacer of `primal_dual` it finds prices of every size equally fast.

    Args:
        policy: what is paced; it needs an index.
        n_arms: `K`.
        dim: `d`, the constant column included.
        step: of the logarithm of the price, > 0.
        start: reward that a round's budget counts for at first, in [1e-5, 10].
        ridge: prior precision of the cost weights, > 0.
    """
    require.above("mirror", 0, step=step, ridge=ridge)
    require.within("mirror", _LOWEST, _HIGHEST, start=start)

    def init() -> Mirror:
        return Mirror(jnp.full(R, start), jnp.full(R, jnp.nan), no_usage(n_arms, dim, ridge))

    def terms(state: Mirror, worth: jax.Array, observation: Observation) -> Terms:
        del worth
        target = first(state.target, observation.budget / observation.rounds_left)
        cost = state.usage.expected(observation.context)
        return Terms((cost / target) @ state.price, jnp.ones(n_arms, bool), cost[:, 0])

    def update(
        key: jax.Array,
        state: Mirror,
        observation: Observation,
        arm: jax.Array,
        feedback: Feedback,
        worth: Worth,
    ) -> Mirror:
        del key, worth
        amount = used(feedback)
        target = first(state.target, observation.budget / observation.rounds_left)
        behind = jnp.minimum(1.0, observation.budget / observation.rounds_left / target)
        pace = jnp.where(jnp.isfinite(target), jnp.maximum(behind, 0.0), 1.0)
        pace = pace * opens(observation)  # once a query, however many calls it takes
        price = jnp.clip(state.price * jnp.exp(step * (amount / target - pace)), _LOWEST, _HIGHEST)
        return Mirror(price, target, state.usage.heard(observation.context, arm, amount))

    return paced(policy, Pacer(init, terms, update, primed_usage), "mirror")

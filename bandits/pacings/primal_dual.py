"""A dual price that follows smoothed spend: ParetoBandit's pacer, arXiv 2604.00136, section 3."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bandits import require
from bandits.base import Feedback, Observation, Policy
from bandits.pacings.pacing import Means, Pacer, R, Terms, Worth, first, no_means, paced, used


class Dual(NamedTuple):
    """`price` `(R,)`; `smooth` `(R,)`, spend in units of the target; `target` `(R,)` a round, NaN before the first."""

    price: jax.Array
    smooth: jax.Array
    target: jax.Array
    means: Means


def primal_dual(
    policy: Policy,
    n_arms: int,
    dim: int,
    *,
    step: float = 0.05,
    smoothing: float = 0.05,
    start: float = 0.0,
    highest: float = 5.0,
) -> Policy:
    """Charge by a dual price that follows smoothed spend, with a hard ceiling on dear arms (ParetoBandit's pacer).

    ParetoBandit, arXiv 2604.00136, section 3: after a call of cost `c`, `cbar <- (1 - smoothing) cbar + smoothing c`
    and `lambda <- clip(lambda + step (cbar / B - 1), 0, highest)`, with `B` the budget a round and `cbar = B` at
    first. The charge is `lambda ctil`, `ctil = log(c / c_min) / log(c_max / c_min)` of the posted price over the
    pool (the paper has a fixed market range; three decades below `c_max` are the most that count here, as there),
    and while `lambda > 0` arms with `c > c_max / (1 + lambda)` are forbidden. Without a posted price, the mean of
    the calls heard stands in. Each resource has a price of its own; charges add up.

    Args:
        policy: what is paced.
        n_arms: `K`.
        dim: `d`; it plays no part.
        step: of the dual price, > 0.
        smoothing: weight of the newest spend, in (0, 1].
        start: the first dual price, >= 0; above 0 keeps the dearest arm out until spending is known to be low.
        highest: dual price at most, > 0.
    """
    del dim
    require.above("primal_dual", 0, step=step, highest=highest)
    require.within("primal_dual", 0, highest, start=start)
    require.within("primal_dual", 1e-6, 1, smoothing=smoothing)

    def init() -> Dual:
        return Dual(jnp.full(R, start), jnp.ones(R), jnp.full(R, jnp.nan), no_means(n_arms))

    def terms(state: Dual, worth: jax.Array, observation: Observation) -> Terms:
        del worth
        cost = state.means.expected(observation.price)
        dearest = cost.max(axis=0)
        least = jnp.maximum(cost.min(axis=0), 1e-3 * dearest)
        spread = jnp.log(dearest / least)
        scaled = jnp.where(spread > 0, jnp.log(jnp.maximum(cost, least) / least) / spread, 0.0)
        price = jnp.where(jnp.isfinite(observation.budget), state.price, 0.0)
        below = (cost <= dearest / (1.0 + price)) | (price <= 0)
        return Terms(scaled @ price, below.all(axis=1), cost[:, 0])

    def update(
        key: jax.Array,
        state: Dual,
        observation: Observation,
        arm: jax.Array,
        feedback: Feedback,
        worth: Worth,
    ) -> Dual:
        del key, worth
        amount = used(feedback)
        target = first(state.target, observation.budget / observation.rounds_left)
        smooth = (1.0 - smoothing) * state.smooth + smoothing * amount / target
        price = jnp.clip(state.price + step * (smooth - 1.0), 0.0, highest)
        return Dual(price, smooth, target, state.means.heard(arm, amount))

    return paced(policy, Pacer(init, terms, update))

"""A dual price that follows smoothed spend: ParetoBandit's pacer, arXiv 2604.00136, section 3."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy, Prior
from bandits.late import jax, jnp
from bandits.wrappers.pacing.paced import Means, Pacer, R, Terms, Worth, first, no_means, opens, paced, used

_PRICES = 201  # at which a log is asked what it would have spent; denser towards 0, where most budgets end up


class Past(NamedTuple):
    """What a log would have spent: `price` `(P,)`, rising, and `spend` `(P, R)` a round at each; 0 without a log.

    Each resource alone is priced: with several limits the first prices are each a little high, never low.
    """

    price: jax.Array
    spend: jax.Array

    def first(self, target: jax.Array) -> jax.Array:
        """Return the least price `(R,)` at which the log fits into `target (R,)` a round; the highest if none does."""
        fits = self.spend <= target
        return jnp.where(fits.any(axis=0), self.price[jnp.argmax(fits, axis=0)], self.price[-1])

    def after(self, worth: jax.Array, used: jax.Array, cost: jax.Array) -> Past:
        """Return what these logged queries would have spent.

        Args:
            worth: `(N, K)` expected of each call, -inf where there is no outcome.
            used: `(N, K, R)` what each used.
            cost: `(K, R)` a call, what is charged for.
        """

        cheapest = jnp.where(jnp.isfinite(worth), -cost[:, 0], -jnp.inf)[:, None]

        def spent(price: jax.Array) -> jax.Array:
            charge, allowed = jax.vmap(partial(charged, cost))(jnp.diag(jnp.full(R, price)))
            index = jnp.where(allowed, worth[:, None] - charge, -jnp.inf)  # (N, R, K)
            # Where the ceiling leaves no model, the cheapest is called, as in `paced`.
            index = jnp.where(jnp.isfinite(index).any(axis=2, keepdims=True), index, cheapest)
            called = jnp.argmax(index, axis=2)
            return jnp.take_along_axis(used, called[:, None], axis=1)[:, 0].mean(axis=0)

        return Past(self.price, jax.lax.map(spent, self.price))


class Dual(NamedTuple):
    """`price` `(R,)`; `smooth` `(R,)`, spend in units of the target; `target` `(R,)` a round, NaN before the first;
    `means` of what calls use; `past`, from which the first price is taken."""

    price: jax.Array
    smooth: jax.Array
    target: jax.Array
    means: Means
    past: Past


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

    After a warm start the first price is the dual of the budget on the log instead of `start`: the least one at which
    calling `argmax_k worth_k - lambda ctil_k` on the logged queries, with what the log says they are worth, would have
    stayed within the budget a round. (Estimating the price on a sample and adapting it from there: Agrawal, Wang, Ye
    2014, arXiv 0911.2974; the paper leaves it at 0, and pays with what the first rounds overspend.)

    Args:
        policy: what is paced; it needs an index.
        n_arms: `K`.
        dim: `d`; it plays no part.
        step: of the dual price, > 0.
        smoothing: weight of the newest spend, in (0, 1].
        start: the first dual price, and the least that a log sets, >= 0; above 0 keeps the dearest arm out until
            spending is known to be low.
        highest: dual price at most, > 0.
    """
    del dim
    require.above("primal_dual", 0, step=step, highest=highest)
    require.within("primal_dual", 0, highest, start=start)
    require.within("primal_dual", 1e-6, 1, smoothing=smoothing)

    prices = start + (highest - start) * jnp.linspace(0.0, 1.0, _PRICES) ** 2

    def init() -> Dual:
        past = Past(prices, jnp.zeros((_PRICES, R)))
        return Dual(jnp.full(R, start), jnp.ones(R), jnp.full(R, jnp.nan), no_means(n_arms), past)

    def now(state: Dual, observation: Observation) -> tuple[jax.Array, jax.Array]:
        """Return the budget a round and the price that holds this round, each `(R,)`."""
        target = first(state.target, observation.budget / observation.rounds_left)
        return target, jnp.where(jnp.isnan(state.target), state.past.first(target), state.price)

    def terms(state: Dual, worth: jax.Array, observation: Observation) -> Terms:
        del worth
        cost = state.means.expected(observation.price)
        price = jnp.where(jnp.isfinite(observation.budget), now(state, observation)[1], 0.0)
        charge, allowed = charged(cost, price)
        return Terms(charge, allowed, cost[:, 0])

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
        target, price = now(state, observation)
        begun = opens(observation)  # a query's further calls add to what its first one has spent
        smooth = (1.0 - smoothing * begun) * state.smooth + smoothing * amount / target
        moved = smooth - 1.0 if observation.asked is None else smooth - begun - (1.0 - begun) * state.smooth
        price = jnp.clip(price + step * moved, 0.0, highest)
        return Dual(price, smooth, target, state.means.heard(arm, amount), state.past)

    return paced(policy, Pacer(init, terms, update, _primed), "primal_dual")


def _primed(state: Dual, prior: Prior) -> Dual:
    """Return the state that knows what calls use and what a log would have spent at each price."""
    cost = prior.mean.copy()
    cost[:, 0] = np.where(np.isnan(prior.price), cost[:, 0], prior.price)
    past = state.past.after(*(jnp.asarray(x, jnp.float32) for x in (prior.worth, prior.used, cost)))
    return state._replace(means=state.means.primed(prior), past=past)


def charged(cost: jax.Array, price: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the charge `(K,)` for calls of `cost (K, R)` at `price (R,)`, and which are below the ceiling `(K,)`."""
    dearest = cost.max(axis=0)
    least = jnp.maximum(cost.min(axis=0), 1e-3 * dearest)
    spread = jnp.log(dearest / least)
    scaled = jnp.where(spread > 0, jnp.log(jnp.maximum(cost, least) / least) / spread, 0.0)
    below = (cost <= dearest / (1.0 + price)) | (price <= 0)
    return scaled @ price, below.all(axis=1)

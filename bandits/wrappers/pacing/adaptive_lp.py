"""A linear program of what is left, solved again and again: the adaptive LP of contextual bandits with budgets.

Wu, Srikant, Liu, Jiang 2015 (arXiv 1504.06937, Algorithm 1): with budget `b` and `t` rounds left, play the
fractional allocation that is best at an average cost of `b / t`. Their contexts are finitely many and their rewards
are known in the LP; here the recent queries stand for the contexts and the policy's own estimates for the rewards.
"""

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

_HALVINGS = 30
_CHEAPEST, _DEAREST = -16.0, 8.0  # logs of the dual prices between which the program is solved


class Plan(NamedTuple):
    """`price` `(R,)` per unit of each resource, the dual of the last program, NaN before the first; `context` `(W, d)`,
    the recent queries, of which `seen` `()` have been asked; `usage` what calls use; `spent` `(2, R)`, with several
    calls a query, by first calls and by all."""

    price: jax.Array
    context: jax.Array
    seen: jax.Array
    usage: Usage
    spent: jax.Array


def dual_price(worth: jax.Array, load: jax.Array, weight: jax.Array) -> jax.Array:
    """Return the least price at which the best arms' mean load is at most 1: the dual of the fractional allocation.

    The program is `max sum w_i x_ik worth_ik` over `x_i` in the simplex with `sum w_i x_ik load_ikr <= 1`. At price
    `p` each query takes `argmax_k worth_ik - p sum_r load_ikr`, whose load falls as `p` rises, so the price is found
    by halving its logarithm. Exact for one resource; with several they share one price, set by the scarcest.

    Args:
        worth: `(W, K)`.
        load: `(W, K, R)`, use in shares of what may be used a round.
        weight: `(W,)` of the queries, summing to 1.
    """
    total = load.sum(axis=-1)

    def fits(price: jax.Array) -> jax.Array:
        picked = jnp.argmax(worth - price * total, axis=1)
        taken = jnp.take_along_axis(load, picked[:, None, None], axis=1)[:, 0]
        return (weight @ taken <= 1.0).all()

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        enough = fits(jnp.exp(middle))
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    ends = jnp.asarray(_CHEAPEST), jnp.asarray(_DEAREST)
    _, high = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
    return jnp.where(fits(jnp.asarray(0.0)), 0.0, jnp.exp(high))


def lp(
    policy: Policy,
    n_arms: int,
    dim: int,
    *,
    resolve_every: int = 32,
    window: int = 128,
    start: float = 0.1,
    ridge: float = 1.0,
) -> Policy:
    """Charge by the dual price of a fractional allocation of what is left, solved again every few rounds (adaptive LP).

    Every `resolve_every` rounds the price of `dual_price` is computed for the last `window` queries from the
    policy's present index and a ridge regression of each arm's use, with what is left of the budget over the
    rounds left as the limit. Until the first one, a round's budget is priced at `start`. The program is about first
    calls; where a query may have more of them, first calls get the share of what is left that they have had of all
    that was spent.

    Args:
        policy: what is paced; it needs an index.
        n_arms: `K`.
        dim: `d`, the constant column included.
        resolve_every: rounds between programs, >= 1.
        window: recent queries in a program, >= 1.
        start: reward that a round's budget counts for before the first program, >= 0.
        ridge: prior precision of the cost weights, > 0.

    Raises:
        ValueError: the policy ranks no arms, or a hyperparameter is out of range.
    """
    require.whole("lp", 1, resolve_every=resolve_every, window=window)
    require.above("lp", 0, ridge=ridge)
    require.at_least("lp", 0, start=start)

    def init() -> Plan:
        unasked = jnp.zeros((window, dim)), jnp.zeros((), jnp.int32)
        return Plan(jnp.full(R, jnp.nan), *unasked, no_usage(n_arms, dim, ridge), jnp.zeros((2, R)))

    def terms(state: Plan, worth: jax.Array, observation: Observation) -> Terms:
        del worth
        cost = state.usage.expected(observation.context)
        price = first(state.price, start * observation.rounds_left / observation.budget)
        return Terms(cost @ price, jnp.ones(n_arms, bool), cost[:, 0])

    def remembered(state: Plan, context: jax.Array) -> Plan:
        placed = state.context.at[state.seen % window].set(context)
        return state._replace(context=placed, seen=state.seen + 1)

    def solve(state: Plan, left: jax.Array, worth: Worth) -> jax.Array:
        values = jax.vmap(worth)(state.context)
        cost = state.usage.at_least(jnp.einsum("krd,wd->wkr", state.usage.costs.weight, state.context))
        asked = jnp.arange(window) < state.seen
        # What is overdrawn leaves nothing to spend: the price is then the highest there is.
        share = jnp.maximum(left, 1e-30)
        return dual_price(values, cost / share, asked / jnp.maximum(asked.sum(), 1)) / share

    def update(
        key: jax.Array,
        state: Plan,
        observation: Observation,
        arm: jax.Array,
        feedback: Feedback,
        worth: Worth,
    ) -> Plan:
        del key
        usage = state.usage.heard(observation.context, arm, used(feedback))
        after = Plan(state.price, state.context, state.seen, usage, state.spent)
        coming = observation.rounds_left - 1.0
        left = (observation.budget - used(feedback)) / jnp.maximum(coming, 1.0)
        if observation.asked is None:
            after = remembered(after, observation.context)
        else:  # a query is in the window once, however many calls it takes
            grown, begins = remembered(after, observation.context), opens(observation)
            after = jax.tree.map(lambda new, old: jnp.where(begins > 0, new, old), grown, after)
            after = after._replace(
                spent=after.spent + used(feedback) * jnp.stack([begins, jnp.ones(())])[:, None]
            )
            left = left * jnp.where(after.spent[1] > 0, after.spent[0] / after.spent[1], 1.0)
        # On the clock alone, which all seeds share, so that the branch stays a branch under `vmap`.
        price = jax.lax.cond(
            jnp.mod(coming, resolve_every) == 0,
            lambda: solve(after, left, worth),
            lambda: after.price,
        )
        return after._replace(price=price)

    return paced(policy, Pacer(init, terms, update, primed_usage), "lp")

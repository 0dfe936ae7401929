"""Pandora's rule for models: call in order of reservation values, stop once the best answer heard exceeds the next one.

For independent boxes it is the optimal search (Weitzman 1979, Econometrica 47). Here a box is a model's answer, what
is in it the probability that the answer is right once the judge was heard, and its distribution is learned for each
query from bandit feedback.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy
from bandits.late import jax, jnp
from bandits.policies.linear import ridge as ridges
from bandits.policies.linear.ridge import Ridge
from bandits.policies.sequential.reservation import reservation

STOP = -1  # as `envs.calls.STOP`
_NODES = 9  # of the quadrature over a judge's scores, for right and for wrong answers
_EDGE = 0.01  # of a probability that is expected before a call
_FAR = 7.0  # of a judge's logit
_PRIOR = 4.0  # answers that what is believed of a judge before any counts for
_DEAREST = 1e-6  # least cost of a call in units of reward


class State(NamedTuple):
    """What is known of each model.

    Attributes:
        right: ridge posterior of P(right | x) and, as a second target, of cost in units of the scale.
        number, total, square: `(K, 2)` of the judge's logits of wrong and of right answers: how many, sum, squares.
    """

    right: Ridge
    number: jax.Array
    total: jax.Array
    square: jax.Array


class _Boxes(NamedTuple):
    """Before a slot: `(K,)` probability of being right, cost in units of reward, and what scores would say."""

    chance: jax.Array
    cost: jax.Array
    sigma: jax.Array
    held: jax.Array


def pandora(n_arms: int, dim: int, *, alpha: float = 0.1, ridge: float = 1.0, joint: bool = True) -> Policy:
    """Call models in order of Weitzman's reservation values until the best answer heard is worth more than the next.

    P(right | x) and the cost of each model are ridge estimates from what was called; `alpha` widths are added to the
    probability of a model that was not called yet. The judge's logit is taken for normal, with a mean of its own for
    right and for wrong answers of each model and one deviation; what an answer is worth once its score is heard is the
    posterior probability by Bayes' rule. Costs count as in the reward `linear`. Made for `--deliver best_heard`.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
        joint: whether scores heard of other models for the query are features of those not called yet: without it,
            models are independent given the context, as the rule's optimality needs.
    """
    require.at_least("pandora", 0, alpha=alpha)
    require.above("pandora", 0, ridge=ridge)
    size = dim + 2 * n_arms * joint
    points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    nodes, share = jnp.asarray(points, jnp.float32), jnp.asarray(weights / weights.sum(), jnp.float32)

    def features(seen: Observation) -> jax.Array:
        if not joint:
            return seen.context
        logit = _logit(jnp.zeros(n_arms) if seen.heard is None else seen.heard)
        known = jnp.zeros(n_arms, bool) if seen.asked is None else seen.asked & ~jnp.isnan(logit)
        told = jnp.where(known, logit / _FAR, 0.0)
        return jnp.concatenate([told, known * 1.0, seen.context])

    def init(key: jax.Array) -> State:
        del key
        none = jnp.zeros((n_arms, 2), jnp.float32)
        return State(ridges.fresh(n_arms, size, ridge, (2,), prior=0.5), none, none, none)

    def boxes(state: State, seen: Observation) -> _Boxes:
        x = features(seen)
        found = ridges.estimate(state.right, x)
        chance = jnp.clip(found.mean[:, 0], _EDGE, 1 - _EDGE)
        hopeful = jnp.clip(found.mean[:, 0] + alpha * found.width, _EDGE, 1 - _EDGE)
        cost = jnp.maximum(seen.preference * found.mean[:, 1], _DEAREST)
        low, high, spread = _judge(state)
        scores = jnp.concatenate([m[:, None] + spread[:, None] * nodes for m in (low, high)], axis=1)
        likely = jnp.concatenate([(1 - hopeful)[:, None] * share, hopeful[:, None] * share], axis=1)
        sigma = reservation(_posterior(hopeful, scores, low, high, spread), likely, cost)
        heard = jnp.full(n_arms, jnp.nan) if seen.heard is None else _logit(seen.heard)
        held = _posterior(chance, heard[:, None], low, high, spread)[:, 0]
        return _Boxes(chance, cost, sigma, jnp.where(jnp.isnan(heard), chance, held))

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        del key
        now = boxes(state, seen)
        sigma = jnp.where(seen.available, now.sigma, -jnp.inf)
        then = jnp.argmax(sigma).astype(jnp.int32)
        if seen.asked is None:
            return then
        best = jnp.where(seen.asked, now.held, -jnp.inf).max()
        going = seen.available.any() & (~seen.asked.any() | (best < sigma.max()))
        return jnp.where(going, then, STOP).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> State:
        del key
        target = jnp.stack([told.utility, told.cost / seen.cost_scale])
        right = ridges.learn(state.right, features(seen), arm, target)
        if told.score is None:
            return state._replace(right=right)
        logit = _logit(told.score)
        known = ~jnp.isnan(logit)
        # An answer of utility u counts as right with weight u and as wrong with the rest.
        weight = jnp.where(known, jnp.stack([1 - told.utility, told.utility]), 0.0)
        value = jnp.where(known, logit, 0.0)
        return State(
            right,
            state.number.at[arm].add(weight),
            state.total.at[arm].add(weight * value),
            state.square.at[arm].add(weight * value**2),
        )

    return Policy(init, act, update, again=True)


def _logit(score: jax.Array) -> jax.Array:
    safe = jnp.clip(score, 1e-4, 1 - 1e-4)
    return jnp.clip(jnp.log(safe / (1 - safe)), -_FAR, _FAR)


def _judge(state: State) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return `(K,)` means of the judge's logits of wrong and of right answers, and their common deviation."""
    believed = jnp.asarray([-0.5, 0.5])
    count = state.number + _PRIOR
    mean = (state.total + _PRIOR * believed) / count
    square = (state.square + _PRIOR * (believed**2 + 1.0)).sum(axis=1)
    variance = (square - (count * mean**2).sum(axis=1)) / count.sum(axis=1)
    return mean[:, 0], jnp.maximum(mean[:, 1], mean[:, 0]), jnp.sqrt(jnp.maximum(variance, 1e-3))


def _posterior(chance: jax.Array, logit: jax.Array, low: Any, high: Any, spread: Any) -> jax.Array:
    """Return `(K, V)` P(right | score) from `(K,)` P(right) and `(K, V)` logits of the judge."""
    slope = ((high - low) / spread**2)[:, None]
    middle = ((high + low) / 2)[:, None]
    return jax.nn.sigmoid(jnp.log(chance / (1 - chance))[:, None] + slope * (logit - middle))

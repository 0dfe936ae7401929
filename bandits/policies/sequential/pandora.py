"""Pandora's rule for models: call in order of reservation values, stop once the best answer heard exceeds the next one.

For independent boxes it is the optimal search (Weitzman 1979, Econometrica 47). Here a box is a model's answer and what
is in it the probability that the answer is right once the judge was heard. Both are learned online from what a world
with users tells: costs and scores of all calls, and whether the answer that was delivered was right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy
from bandits.late import jax, jnp
from bandits.policies.linear import ridge as ridges
from bandits.policies.linear.ridge import Ridge
from bandits.sequential.reservation import reservation

STOP = -1  # as `envs.calls.STOP`
_NODES = 9  # of the quadrature over a judge's scores
_FAR = 7.0  # of a judge's logit
_PRIOR = 4.0  # scores that what is believed of their spread before any counts for
_FLAT = 0.02  # least curvature p (1 - p) of a logistic step: a sure answer still counts
_DEAREST = 1e-6  # least cost of a call in units of reward


class State(NamedTuple):
    """What is known of each model.

    Attributes:
        before: ridge posterior of the judge's logit before a call and, as a second target, of cost in the scale's unit.
        number, square: `(K,)` scores heard, and their squared errors of prediction.
        inverse: `(K, d + 1, d + 1)` of the precision of `weight`.
        weight: `(K, d + 1)` of the logit of P(right | judge's logit, x), that of the judge's logit first.
    """

    before: Ridge
    number: jax.Array
    square: jax.Array
    inverse: jax.Array
    weight: jax.Array


def pandora(n_arms: int, dim: int, *, alpha: float = 0.5, ridge: float = 1.0, joint: bool = True) -> Policy:
    """Call models in order of Weitzman's reservation values until the best answer heard is worth more than the next.

    The judge's logit is normal around a ridge regression on the context; P(right | logit, x) is a logistic regression,
    learned from delivered answers by one Newton step each, that begins by taking the judge at its word. A box's values
    are these probabilities over the quadrature of the normal, `alpha` standard errors up in the logit where the model
    was not called yet. Selection is no fault of either: scores are heard of every call, whose choice the features
    explain, and an answer is delivered by its score. Costs count as in the reward `linear`. Made for `--deliver
    best_heard`.

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

    def features(seen: Observation) -> jax.Array:
        if not joint:
            return seen.context
        score = jnp.full(n_arms, jnp.nan) if seen.heard is None else seen.heard
        told = jnp.where(jnp.isnan(score), 0.0, _logit(score) / _FAR)
        return jnp.concatenate([told, ~jnp.isnan(score) * 1.0, seen.context])

    def init(key: jax.Array) -> State:
        del key
        none = jnp.zeros(n_arms, jnp.float32)
        inverse = jnp.broadcast_to(jnp.eye(dim + 1, dtype=jnp.float32) / ridge, (n_arms, dim + 1, dim + 1))
        believed = jnp.zeros((n_arms, dim + 1), jnp.float32).at[:, 0].set(1.0)
        return State(ridges.fresh(n_arms, size, ridge, (2,)), none, none, inverse, believed)

    def index(key: jax.Array | None, state: State, seen: Observation) -> jax.Array:
        """Return how far each reservation value is above the best answer in hand; above 0 where there is none."""
        del key
        sigma = _sigma(state, seen, features(seen), alpha)
        if seen.asked is None or seen.heard is None:
            return sigma
        held = jax.nn.sigmoid(_posterior(state, seen.context, _logit(seen.heard)[:, None])[0][:, 0])
        return sigma - jnp.where(seen.asked.any(), jnp.where(seen.asked, held, -jnp.inf).max(), 0.0)

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        gain = jnp.where(seen.available, index(key, state, seen), -jnp.inf)
        then = jnp.argmax(gain).astype(jnp.int32)
        if seen.asked is None or seen.heard is None:
            return then
        going = seen.available.any() & (~seen.asked.any() | (gain.max() > 0))
        return jnp.where(going, then, STOP).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> State:
        del key
        return _learned(state, seen, features(seen), arm, told)

    return Policy(init, act, update, index=index, again=True)


def _sigma(state: State, seen: Observation, x: jax.Array, alpha: float) -> jax.Array:
    """Return `(K,)` reservation values from the features `x` of a query, its probabilities `alpha` errors up."""
    points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    nodes, share = jnp.asarray(points, jnp.float32), jnp.asarray(weights / weights.sum(), jnp.float32)
    found, spread = ridges.estimate(state.before, x), _spread(state)
    scores = jnp.clip(found.mean[:, :1] + spread[:, None] * nodes, -_FAR, _FAR)
    logit, width = _posterior(state, seen.context, scores)
    unsure = jnp.hypot(width, (state.weight[:, 0] * spread * found.width)[:, None])
    values = jax.nn.sigmoid(logit + alpha * unsure)
    cost = jnp.maximum(seen.preference * found.mean[:, 1], _DEAREST)
    return jnp.asarray(reservation(values, jnp.broadcast_to(share, values.shape), cost))


def _learned(state: State, seen: Observation, x: jax.Array, arm: jax.Array, told: Feedback) -> State:
    """Return the state after a call of `arm`, whose utility is NaN where its answer was not delivered."""
    z = jnp.float32(0) if told.score is None else _logit(told.score)
    error = z - state.before.weight[arm, 0] @ x
    before = ridges.learn(state.before, x, arm, jnp.stack([z, told.cost / seen.cost_scale]))
    inverse, weight = _newton(
        state.inverse[arm], state.weight[arm], jnp.append(z, seen.context), told.utility
    )
    return State(
        before,
        state.number.at[arm].add(1.0),
        state.square.at[arm].add(error**2),
        state.inverse.at[arm].set(inverse),
        state.weight.at[arm].set(weight),
    )


def _logit(score: jax.Array) -> jax.Array:
    """Return scores as logits, cut off far out; 0 where nothing was heard."""
    safe = jnp.clip(jnp.where(jnp.isnan(score), 0.5, score), 1e-4, 1 - 1e-4)
    return jnp.clip(jnp.log(safe / (1 - safe)), -_FAR, _FAR)


def _spread(state: State) -> jax.Array:
    """Return `(K,)`, the standard deviation of the judge's logit around its regression; 1 before any score."""
    return jnp.sqrt((state.square + _PRIOR) / (state.number + _PRIOR))


def _posterior(state: State, context: jax.Array, logit: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return `(K, V)` logits of P(right) and their standard errors, from `(K, V)` logits of the judge."""
    shape = (*logit.shape, len(context))
    x = jnp.concatenate([logit[..., None], jnp.broadcast_to(context, shape)], axis=-1)
    mean = jnp.einsum("kvd,kd->kv", x, state.weight)
    variance = jnp.einsum("kvd,kde,kve->kv", x, state.inverse, x)
    return mean, jnp.sqrt(jnp.maximum(variance, 0.0))


def _newton(
    inverse: jax.Array, weight: jax.Array, x: jax.Array, right: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the posterior of a logistic regression after one answer, by one Newton step; as it was where NaN.

    The Laplace approximation taken forward: precision `+= p (1 - p) x x'`, mean `+= A^-1 x (right - p)` (Bishop 2006,
    section 4.5, a step for each observation).
    """
    known = ~jnp.isnan(right)
    p = jax.nn.sigmoid(weight @ x)
    curve = jnp.where(known, jnp.maximum(p * (1 - p), _FLAT), 0.0)
    direction = inverse @ x
    scale = 1 + curve * (x @ direction)
    after = inverse - curve / scale * jnp.outer(direction, direction)
    return after, weight + jnp.where(known, right - p, 0.0) * direction / scale

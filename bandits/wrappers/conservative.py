"""Conservative exploration: Kazerouni, Ghavamzadeh, Abbasi-Yadkori, Van Roy 2017, arXiv 1611.06426; a wrapper."""

from __future__ import annotations

import math
from typing import NamedTuple

from bandits import require
from bandits.base import (
    Feedback,
    Observation,
    Policy,
    State,
    around,
    before_all,
    form_of,
    formed,
    ranked,
)
from bandits.forms.choosing import plain
from bandits.forms.guarding import Guarding
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, fresh, learn


class Guarded(NamedTuple):
    """The wrapped `policy`'s state, and what the promise is checked with.

    Attributes:
        policy: of the wrapped policy.
        known: a ridge posterior of each arm's reward above `low`.
        ahead: `(K, d)`, contexts summed by the arm that was called, less `1 - a` of each in the baseline's row.
        grown: `()`, `sum_k ln(det A_k / ridge^d)`.
    """

    policy: State
    known: Ridge
    ahead: jax.Array
    grown: jax.Array


def conservative(
    policy: Policy,
    n_arms: int,
    dim: int,
    *,
    model: int = 0,
    a: float = 0.1,
    delta: float = 0.05,
    noise: float = 0.5,
    size: float = 1.0,
    ridge: float = 1.0,
    radius: float | None = None,
    low: float = 0.0,
) -> Policy:
    """Call the baseline model unless the policy's call keeps `1 - a` of the baseline's reward so far (conservative).

    CLUCB2, Algorithm 2, the baseline's reward unknown: a call is made if, with it, the sum of rewards is at least
    `1 - a` of the sum that the baseline would have had, for every weight in the confidence set:

        `theta' z - beta sqrt(z' V^-1 z) >= 0`,    `z = sum_i phi(a_i) - (1 - a) sum_i phi(b_i)`,

    with `phi` the context in the arm's place, so that `V` is made of the arms' `A_k` and the set is one ellipsoid over
    all arms. Its radius is `beta = noise sqrt(2 ln(1 / delta) + sum_k ln(det A_k / ridge^d)) + sqrt(ridge) size`
    (Abbasi-Yadkori, Pal, Szepesvari 2011, Theorem 2, in its determinant form); with probability `1 - delta` the
    promise then holds at all times where rewards are linear in the context. A `radius` of one's own is narrower and
    promises less. Where the baseline cannot be called the policy calls as it would. Numbers of algorithms and theorems
    are not checked against the papers.

    Args:
        policy: any policy.
        n_arms: `K`.
        dim: `d`, the constant column included.
        model: the baseline, an arm; on the command line a model's name.
        a: share of the baseline's reward that may be given up, in (0, 1).
        delta: probability with which the promise may fail, in (0, 1).
        noise: of a reward around its mean, sub-Gaussian, > 0; 0.5 for rewards in a range of 1.
        size: the most that the norm of all weights may be, > 0.
        ridge: prior precision of the regression, > 0.
        radius: `beta` instead of the formula, >= 0.
        low: the reward from which rewards are counted: a share of a sum below 0 is no promise.
    """
    require.above("conservative", 0, a=a, delta=delta, noise=noise, size=size, ridge=ridge)
    require.within("conservative", 0, 1, a=a, delta=delta)
    require.finite("conservative", low=low)
    if radius is not None:
        require.at_least("conservative", 0, radius=radius)
    require.whole("conservative", 0, model=model)
    if model >= n_arms:
        raise ValueError(f"conservative needs model below {n_arms}, got {model}")

    def init(key: jax.Array) -> Guarded:
        nothing = jnp.zeros((n_arms, dim), jnp.float32)
        return Guarded(policy.init(key), fresh(n_arms, dim, ridge), nothing, jnp.float32(0.0))

    def beta(state: Guarded) -> jax.Array:
        if radius is not None:
            return jnp.asarray(radius, jnp.float32)
        spread = jnp.sqrt(2 * math.log(1 / delta) + state.grown)
        return jnp.asarray(noise * spread + math.sqrt(ridge) * size)

    def safe(state: Guarded, observation: Observation, arm: jax.Array) -> jax.Array:
        z = called(state.ahead, observation.context, arm)
        mean = (state.known.weight * z).sum()
        width = jnp.einsum("kd,kde,ke->", z, state.known.inverse, z)
        kept = mean - beta(state) * jnp.sqrt(jnp.maximum(width, 0.0)) >= 0
        return jnp.asarray(kept | (arm == model) | ~observation.available[model])

    def called(ahead: jax.Array, context: jax.Array, arm: jax.Array) -> jax.Array:
        return ahead.at[arm].add(context).at[model].add(-(1.0 - a) * context)

    def act(key: jax.Array, state: Guarded, observation: Observation) -> jax.Array:
        arm = policy.act(key, state.policy, observation)
        return jnp.where(safe(state, observation, arm), arm, model).astype(jnp.int32)

    def update(
        key: jax.Array, state: Guarded, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Guarded:
        x = observation.context
        return Guarded(
            policy.update(key, state.policy, observation, arm, feedback),
            learn(state.known, x, arm, feedback.reward - low),
            called(state.ahead, x, arm),
            # det(A + x x') = det(A) (1 + x' A^-1 x).
            state.grown + jnp.log1p(jnp.maximum(x @ state.known.inverse[arm] @ x, 0.0)),
        )

    inner, drawn = policy.index, policy.chances
    only = jnp.arange(n_arms) == model

    def index(key: jax.Array | None, state: Guarded, observation: Observation) -> jax.Array:
        assert inner is not None
        value = inner(key, state.policy, observation)
        arm = policy.act(key, state.policy, observation) if key is not None else value.argmax()
        return before_all(value, jnp.zeros(n_arms), only & ~safe(state, observation, arm), 1)

    def chances(key: jax.Array, state: Guarded, observation: Observation) -> jax.Array:
        assert drawn is not None
        each = drawn(key, state.policy, observation)
        held = jax.vmap(lambda arm: safe(state, observation, arm))(jnp.arange(n_arms))
        return jnp.where(held, each, 0.0) + only * jnp.where(held, 0.0, each).sum()

    outside = Policy(init, act, update) if inner is None else ranked(init, index, update)
    outside = outside._replace(chances=None if drawn is None else chances)
    made = around(policy, outside, lambda state, seen: (state.policy, seen))
    own = plain([form_of(policy)])
    if own is None:
        return made
    return formed(made, Guarding(own[0], model, a, delta, noise, size, ridge, radius, low))

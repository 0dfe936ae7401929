"""The per-arm ridge posterior that the linear family shares.

Arms are disjoint: arm `k` holds `A_k = ridge I + sum x x'` and the ridge estimate `theta_k = A_k^-1 sum r x`
(Li et al. 2010, arXiv 1003.0146, Algorithm 1, lines 8, 12 and 13). The inverse and the weights are both carried
and updated by rank one (Sherman and Morrison 1950), so a round costs `O(K d^2)` and nothing is ever solved.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandits.base import Prior
from bandits.late import begun, jax, jnp


class Ridge(NamedTuple):
    """What the arms know.

    Attributes:
        inverse: `(K, d, d)` float32, `A_k^-1`.
        weight: `(K, d)`, or `(K, m, d)` for `m` targets that share the inverse.
        pulls: `(K,)` int32, updates heard by each arm.
    """

    inverse: jax.Array
    weight: jax.Array
    pulls: jax.Array


class Estimate(NamedTuple):
    """What an index is computed from: `mean` `(K,)` (or `(K, m)`), `width` `(K,)` = sqrt(x' A^-1 x), and the
    number of this round among the heard ones, `round` `()` float32 from 1."""

    mean: jax.Array
    width: jax.Array
    round: jax.Array


def fresh(n_arms: int, dim: int, ridge: float, targets: tuple[int, ...] = (), *, prior: float = 0.0) -> Ridge:
    """Return the posterior before any feedback: `A = ridge I`, weights 0, or `prior` on the constant column.

    `prior` is what a call of any arm is believed to be worth before the first one (the first target, where there
    are several). At the paper's 0, rewards that are mostly positive make every arm look better than those not
    tried yet, and a narrow width never tries them; at the best possible reward each arm is tried until it
    disappoints (optimistic initial values, Sutton and Barto 2018, section 2.6).

    Nothing here needs JAX: a run that kernels play is spared loading it.
    """
    inverse: Any = np.broadcast_to(np.eye(dim, dtype=np.float32) / np.float32(ridge), (n_arms, dim, dim))
    weight: Any = np.zeros((n_arms, *targets, dim), np.float32)
    weight[(slice(None), *(0 for _ in targets), -1)] = prior
    pulls: Any = np.zeros(n_arms, np.int32)
    return begun(Ridge(inverse, weight, pulls))  # type: ignore[no-any-return]


def primed(state: Ridge, prior: Prior, targets: tuple[str, ...]) -> Ridge:
    """Return the posterior that begins where the prior ends; `targets` are the names of what its weights predict."""
    weight = np.stack([prior.weight[name] for name in targets], axis=1).reshape(state.weight.shape)
    pulls = jnp.full_like(state.pulls, round(prior.n_eff))
    return Ridge(jnp.asarray(prior.inverse, jnp.float32), jnp.asarray(weight, jnp.float32), pulls)


def estimate(state: Ridge, context: jax.Array) -> Estimate:
    """Return each arm's mean and width at this context."""
    width = jnp.sqrt(jnp.maximum(jnp.sum((state.inverse @ context) * context, axis=-1), 0.0))
    return Estimate(state.weight @ context, width, (state.pulls.sum() + 1).astype(jnp.float32))


def learn(
    state: Ridge, context: jax.Array, arm: jax.Array, target: jax.Array, importance: jax.Array | float = 1.0
) -> Ridge:
    """Return the posterior after `arm` gave `target`: `A += importance x x'` and the weights that follow from it.

    Args:
        state: before.
        context: `(d,)`.
        arm: int32 scalar.
        target: `()`, or `(m,)` for `m` targets.
        importance: weight of this observation, >= 0.
    """
    direction = state.inverse[arm] @ context
    factor = importance / (1.0 + importance * (context @ direction))
    gain = direction * factor
    error = target - state.weight[arm] @ context
    # As u u', which is symmetric to the bit: gain x direction is not, and where evidence fades that grows without end
    # (Verhaegen 1989, on recursive least squares with forgetting).
    u = direction * jnp.sqrt(jnp.abs(factor))
    return Ridge(
        state.inverse.at[arm].add(-jnp.sign(factor) * jnp.outer(u, u)),
        state.weight.at[arm].add(error[..., None] * gain),
        state.pulls.at[arm].add(1),
    )

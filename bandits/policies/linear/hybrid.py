"""LinUCB with hybrid models: Li, Chu, Langford, Schapire 2010, arXiv 1003.0146, Algorithm 2."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.linear import Joint
from bandits.late import begun, jax, jnp


class Hybrid(NamedTuple):
    """The paper's matrices, inverses carried: `shared` = A0^-1 `(q, q)`, `beta` `(q,)`, `inverse` = A_k^-1
    `(K, d, d)`, `cross` = A_k^-1 B_k `(K, d, q)`, `weight` = A_k^-1 b_k `(K, d)`."""

    shared: jax.Array
    beta: jax.Array
    inverse: jax.Array
    cross: jax.Array
    weight: jax.Array


def shared_features(observation: Observation) -> jax.Array:
    """Return `(K, 2 d)`: the context (how hard the query is, for every model alike) and the context times the
    posted price in units of the cost scale (how much a dearer model gains or loses there); 0 where none is posted."""
    price = jnp.nan_to_num(observation.price / observation.cost_scale)
    both = jnp.stack([jnp.ones_like(price), price], axis=1)
    return (both[:, :, None] * observation.context).reshape(len(price), -1)


def moments(state: Hybrid, context: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return each arm's mean and variance `s` `(K,)` (Algorithm 2, lines 11 to 13).

    With `r = z - B'A^-1 x`: `s = r' A0^-1 r + x' A^-1 x`, and the mean is `r' beta + x' A^-1 b`; both are the
    paper's, with its four terms gathered into a square.
    """
    rest = z - jnp.einsum("kdq,d->kq", state.cross, context)
    own = jnp.einsum("d,kde,e->k", context, state.inverse, context)
    variance = jnp.einsum("kq,qr,kr->k", rest, state.shared, rest) + own
    return rest @ state.beta + state.weight @ context, jnp.maximum(variance, 0.0)


def hybrid(n_arms: int, dim: int, *, alpha: float = 1.0, ridge: float = 1.0) -> Policy:
    """Call by LinUCB with weights that all arms share and weights of each arm's own (hybrid LinUCB, Algorithm 2).

    The shared features are those of `shared_features`. Lines 17 to 21 change A0 by
    `z z' + B'A^-1 B` before and `- B'A^-1 B` after, which together are the rank-one `r r' / (1 + x' A^-1 x)` with
    `r = z - B'A^-1 x` before the update, so no matrix is inverted here either.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0 (the paper has 1).
    """
    require.at_least("hybrid", 0, alpha=alpha)
    require.above("hybrid", 0, ridge=ridge)
    q = 2 * dim

    def init(key: jax.Array) -> Hybrid:
        del key
        own, both = (np.eye(n, dtype=np.float32) / np.float32(ridge) for n in (dim, q))
        eye = np.broadcast_to(own, (n_arms, dim, dim))
        none = np.zeros((n_arms, dim, q), np.float32), np.zeros((n_arms, dim), np.float32)
        whole: Any = both, np.zeros(q, np.float32), eye, *none
        return begun(Hybrid(*whole))  # type: ignore[no-any-return]

    def index(key: jax.Array | None, state: Hybrid, observation: Observation) -> jax.Array:
        del key
        mean, variance = moments(state, observation.context, shared_features(observation))
        return mean + alpha * jnp.sqrt(variance)

    def update(
        key: jax.Array, state: Hybrid, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Hybrid:
        del key
        x, z = observation.context, shared_features(observation)[arm]
        direction = state.inverse[arm] @ x
        own = 1.0 + x @ direction
        rest = z - x @ state.cross[arm]
        surprise = feedback.reward - x @ state.weight[arm]
        along = state.shared @ rest
        joint = own + rest @ along
        gain = direction / own
        return Hybrid(
            state.shared - jnp.outer(along, along) / joint,
            state.beta + along * ((surprise - rest @ state.beta) / joint),
            state.inverse.at[arm].add(-jnp.outer(gain, direction)),
            state.cross.at[arm].add(jnp.outer(gain, rest)),
            state.weight.at[arm].add(gain * surprise),
        )

    return formed(ranked(init, index, update), Joint(alpha, ridge))

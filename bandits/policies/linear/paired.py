"""LinUCB over the parts of an arm: an arm named `model@setting` is a pair, and pairs share what their parts learn.

Arm features as in Li, Chu, Langford, Schapire 2010 (arXiv 1003.0146, section 3.2): one ridge over `z_a = f_a (x) x`,
`f_a` the arm's parts and `x` the query. How many documents to give a model (M2RAG, arXiv 2502.17297) is such a pair,
and so are a resolution, a thinking budget or a number of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.linear import Paired
from bandits.late import jax, jnp

_MOST = 3000  # features of the one ridge: its inverse is a matrix of so many rows for each seed


class Shared(NamedTuple):
    """One ridge posterior: `inverse` `(q, q)` = A^-1 and `weight` `(q,)`, `q` = parts x `d`, part by part."""

    inverse: jax.Array
    weight: jax.Array


def parts_of(models: Sequence[str], *, own: float = 0.0) -> NDArray[np.float64]:
    """Return the `(K, P)` parts of each arm.

    A column for each model, one for each setting, `log(1 + n) / max log(1 + n)` where every setting is a number
    >= 0, and with `own` a column of that height for each pair. The setting stands behind the last `@`; a name
    without one has a part of its own and no setting.

    Args:
        models: `K` names.
        own: see `paired`.
    """
    named = [name.rpartition("@") if "@" in name else (name, "", "") for name in models]
    first, second = [pair[0] for pair in named], [pair[2] for pair in named]
    columns = [[float(one == each) for one in first] for each in dict.fromkeys(first)]
    settings = [each for each in dict.fromkeys(second) if each]
    columns += [[float(one == each) for one in second] for each in settings]
    number = np.array([_number(one) for one in second])
    there = np.array([bool(one) for one in second])
    if len(settings) > 1 and not np.isnan(number[there]).any() and number[there].max() > 0:
        height = np.where(there, np.log1p(np.where(there, number, 0.0)), 0.0)
        columns.append((height / height.max()).tolist())
    parts = np.array(columns, np.float64).T
    return np.concatenate([parts, own * np.eye(len(models))], axis=1) if own else parts


def _number(text: str) -> float:
    """Return a finite number >= 0, NaN where the text is none."""
    try:
        value = float(text)
    except ValueError:
        return np.nan
    return value if 0 <= value < np.inf else np.nan


def paired(
    n_arms: int,
    dim: int,
    *,
    alpha: float = 1.0,
    ridge: float = 1.0,
    own: float = 0.5,
    models: tuple[str, ...] = (),
) -> Policy:
    """Call by LinUCB on the parts of arms named `model@setting`: what one pair gives tells of those that share a part.

    The index is `theta' z_a + alpha sqrt(z_a' A^-1 z_a)`, `z_a` = parts of the arm (x) context, with one `A` and one
    `theta` for all arms. Utility need not rise with the setting: each one has a part, beside `log(1 + n)` where all
    are numbers. A model without `@` has a part of its own; where no name has one and `own` is 0, this is `linucb`.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
        own: prior deviation of what is a pair's own, in that of a part, >= 0; 0: a pair is the sum of its parts.
        models: `K` names; a run gives those of its table, without any each arm has a part of its own.
    """
    require.at_least("paired", 0, alpha=alpha, own=own)
    require.above("paired", 0, ridge=ridge)
    parts = parts_of(models or [str(k) for k in range(n_arms)], own=own)
    count = parts.shape[1]
    if count * dim > _MOST:
        raise ValueError(
            f"paired needs at most {_MOST:,} weights, got {count} parts x {dim} features = {count * dim:,};"
            " a smaller --dim, or own=0, makes them fewer"
        )
    of_arm = jnp.asarray(parts, jnp.float32)

    def init(key: jax.Array) -> Shared:
        del key
        return Shared(jnp.eye(count * dim) / ridge, jnp.zeros(count * dim))

    def index(key: jax.Array | None, state: Shared, observation: Observation) -> jax.Array:
        del key
        x = observation.context
        mean = of_arm @ (state.weight.reshape(count, dim) @ x)
        half = (state.inverse.reshape(count * dim, count, dim) @ x).reshape(count, dim, count)
        between = jnp.einsum("pdr,d->pr", half, x)  # x' A^-1 x between every two parts
        variance = ((of_arm @ between) * of_arm).sum(axis=1)
        return mean + alpha * jnp.sqrt(jnp.maximum(variance, 0.0))

    def update(
        key: jax.Array, state: Shared, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Shared:
        del key
        z = jnp.outer(of_arm[arm], observation.context).ravel()
        direction = state.inverse @ z
        factor = 1.0 / (1.0 + z @ direction)
        u = direction * jnp.sqrt(factor)  # u u' is symmetric to the bit
        error = feedback.reward - state.weight @ z
        return Shared(state.inverse - jnp.outer(u, u), state.weight + error * (direction * factor))

    form = Paired(alpha, ridge, tuple(tuple(row) for row in parts.tolist()))
    return formed(ranked(init, index, update), form)

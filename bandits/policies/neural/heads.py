"""A network with one output for each arm, shared by the policies whose arms share a representation."""

from __future__ import annotations

import math

from bandits.late import jax, jnp
from bandits.policies.neural.learner import Heard

Weights = tuple["jax.Array", ...]  # hidden layers (d, m), (m, m)...; heads (m + 1, K)


def first_weights(key: jax.Array, n_arms: int, dim: int, width: int, depth: int) -> Weights:
    """Return weights that keep the variance through the layers (He et al. 2015), with heads at 0.

    Args:
        key: randomness.
        n_arms: `K`.
        dim: `d`.
        width: `m`, units of a hidden layer.
        depth: matrices in the network, >= 2.
    """
    fans = [dim] + [width] * (depth - 2)
    keys = jax.random.split(key, len(fans))
    hidden = (
        jax.random.normal(k, (fan, width)) * math.sqrt(2.0 / fan) for k, fan in zip(keys, fans, strict=True)
    )
    return (*hidden, jnp.zeros((width + 1, n_arms)))


def features(
    weight: Weights, context: jax.Array, key: jax.Array | None = None, rate: float = 0.0
) -> jax.Array:
    """Return the last hidden layer and the constant 1, `(..., m + 1)`, for contexts `(..., d)`.

    Args:
        weight: of the network.
        context: one or many.
        key: drops units where given, each with chance `rate` (the others are scaled up to make good for them).
        rate: in [0, 1).
    """
    layer = context
    for number, matrix in enumerate(weight[:-1]):
        layer = jax.nn.relu(layer @ matrix)
        if key is not None:
            kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1.0 - rate, layer.shape)
            layer = jnp.where(kept, layer / (1.0 - rate), 0.0)
    return jnp.concatenate([layer, jnp.ones((*layer.shape[:-1], 1))], axis=-1)


def loss(rate: float, weight: Weights, start: Weights, key: jax.Array, batch: Heard) -> jax.Array:
    """Return half the mean square error of the called arms' outputs, with units dropped at `rate`."""
    del start
    values = features(weight, batch.context, key if rate else None, rate) @ weight[-1]
    of_called = jnp.take_along_axis(values, batch.arm[:, None], axis=1)[:, 0]
    return 0.5 * jnp.mean(jnp.square(of_called - batch.reward))

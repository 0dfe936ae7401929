"""Dense layers for the neural routers, initialised as PyTorch does: the published routers are written in it."""

from __future__ import annotations

import math

from bandits.late import jax, jnp

Layer = dict[str, "jax.Array"]


def dense(key: jax.Array, n_in: int, n_out: int) -> Layer:
    """Return a layer with weights `(n_in, n_out)` and bias `(n_out,)`, all uniform in +-1/sqrt(n_in)."""
    bound = 1 / math.sqrt(n_in)
    of_weight, of_bias = jax.random.split(key)
    return {
        "weight": jax.random.uniform(of_weight, (n_in, n_out), minval=-bound, maxval=bound),
        "bias": jax.random.uniform(of_bias, (n_out,), minval=-bound, maxval=bound),
    }


def stack(key: jax.Array, sizes: tuple[int, ...]) -> list[Layer]:
    """Return dense layers from `sizes[0]` inputs to `sizes[-1]` outputs."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [dense(k, a, b) for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def apply(layer: Layer, x: jax.Array) -> jax.Array:
    """Return `x @ weight + bias`."""
    return x @ layer["weight"] + layer["bias"]


def relu_net(layers: list[Layer], x: jax.Array) -> jax.Array:
    """Return the output of dense layers with ReLU between them."""
    for layer in layers[:-1]:
        x = jnp.maximum(apply(layer, x), 0)
    return apply(layers[-1], x)

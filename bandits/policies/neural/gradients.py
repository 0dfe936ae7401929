"""The network of NeuralUCB and NeuralTS, its gradients and their confidence matrix (arXiv 1911.04462, section 3).

One network of width `m` and depth `L` scores every arm: `f(x_a) = sqrt(m) W_L relu(... relu(W_1 x_a))`, where
`x_a` is the context in block `a` of `K d` numbers. `W_1 x_a` is then block `a` of `W_1` times the context, so `W_1`
is held as `(K, d, m)`, and the gradient of an arm's score is zero outside its own block: nothing is computed there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from bandits import require
from bandits.late import jax, jnp
from bandits.policies.neural.learner import Heard

FULL = 2048  # most weights of a full confidence matrix: 16 MiB a seed

Weights = tuple["jax.Array", ...]  # W_1 (K, d, m), hidden layers (m, m), W_L (m,)


class Shape(NamedTuple):
    """Attributes: `K` arms, `d` features, width `m` and depth `L` of the network."""

    n_arms: int
    dim: int
    width: int
    depth: int


def first_weights(key: jax.Array, shape: Shape) -> Weights:
    """Return weights in two halves that cancel, so that every score starts at 0 (Algorithm 1).

    The paper doubles the input and starts block-diagonal, `N(0, 4/m)` inside and `N(0, 2/m)` last; here both
    halves of `W_1` see the one input, which is the same function.
    """
    n_arms, dim, width, depth = shape
    half = width // 2
    first, last, *inner = jax.random.split(key, depth)
    block = jax.random.normal(first, (n_arms, dim, half)) * math.sqrt(4.0 / width)
    hidden = [jax.random.normal(k, (half, half)) * math.sqrt(4.0 / width) for k in inner]
    out = jax.random.normal(last, (half,)) * math.sqrt(2.0 / width)
    return (
        jnp.concatenate([block, block], axis=-1),
        *(jnp.kron(jnp.eye(2), h) for h in hidden),
        jnp.concatenate([out, -out]),
    )


def network(own: Weights, context: jax.Array) -> jax.Array:
    """Return `f(x_a) / sqrt(m)` of an arm; the first of its `own` weights is its block of `W_1`, `(d, m)`."""
    hidden = context
    for matrix in own[:-1]:
        hidden = jax.nn.relu(hidden @ matrix)
    return hidden @ own[-1]


def scores(weight: Weights, context: jax.Array) -> tuple[jax.Array, Weights]:
    """Return `f(x_a)`, `(K,)`, and `g(x_a) / sqrt(m)`, each arm's by its own block and the shared weights."""
    by_arm = (0, *(None for _ in weight[1:]))
    value, gradient = jax.vmap(jax.value_and_grad(network), in_axes=(by_arm, None))(weight, context)
    return math.sqrt(weight[-1].shape[0]) * value, gradient


def first_spread(weight: Weights, ridge: float, diagonal: bool) -> Any:
    """Return `ridge I`: its diagonal laid out as the weights, or its inverse `(p, p)`."""
    if diagonal:
        return tuple(jnp.full_like(w, ridge) for w in weight)
    return jnp.eye(sum(w.size for w in weight), dtype=jnp.float32) / ridge


def diagonal_width(spread: Weights, gradient: Weights) -> jax.Array:
    """Return the `(K,)` widths `sqrt(sum_i g_i^2 / (m Z_ii))`."""
    terms = (jnp.square(g) / z for g, z in zip(gradient, spread, strict=True))
    return jnp.sqrt(sum(jnp.sum(t.reshape(t.shape[0], -1), axis=1) for t in terms))


def diagonal_add(spread: Weights, gradient: Weights, arm: jax.Array) -> Weights:
    """Return the diagonal of `Z + g g' / m`, `g` the gradient of `arm`."""
    own = tuple(jnp.square(g[arm]) for g in gradient)
    return (spread[0].at[arm].add(own[0]), *(z + g for z, g in zip(spread[1:], own[1:], strict=True)))


def dense(gradient: Weights) -> jax.Array:
    """Return the `(K, p)` gradients by all weights, zeros outside an arm's own block of `W_1`."""
    n_arms = gradient[0].shape[0]
    blocks = jnp.eye(n_arms)[:, :, None] * gradient[0].reshape(n_arms, 1, -1)
    return jnp.concatenate([g.reshape(n_arms, -1) for g in (blocks, *gradient[1:])], axis=1)


def full_width(inverse: jax.Array, gradient: Weights) -> jax.Array:
    """Return the `(K,)` widths `sqrt(g' Z^-1 g / m)`."""
    by_all = dense(gradient)
    return jnp.sqrt(jnp.maximum(jnp.sum((by_all @ inverse) * by_all, axis=1), 0.0))


def full_add(inverse: jax.Array, gradient: Weights, arm: jax.Array) -> jax.Array:
    """Return `(Z + g g' / m)^-1` by Sherman and Morrison, `g` the gradient of `arm`."""
    own = dense(gradient)[arm]
    direction = inverse @ own
    return inverse - jnp.outer(direction, direction) / (1.0 + own @ direction)


def loss(
    ridge: float, memory: int, weight: Weights, start: Weights, key: jax.Array, batch: Heard
) -> jax.Array:
    """Return Algorithm 2's loss over the `n` rounds in a buffer of `memory`, divided by `n`.

    That is half the mean square error, for which a batch stands, and the pull to the first weights.
    """
    del key
    n_arms, dim, width = weight[0].shape
    # One product with the block-coded contexts: gathering each row's block of W_1 would be many times slower.
    blocks = jax.nn.one_hot(batch.arm, n_arms)[:, :, None] * batch.context[:, None, :]
    every_arm = (weight[0].reshape(n_arms * dim, width), *weight[1:])
    score = math.sqrt(width) * network(every_arm, blocks.reshape(-1, n_arms * dim))
    drift = sum(jnp.sum(jnp.square(w - s)) for w, s in zip(weight, start, strict=True))
    held = jnp.minimum(batch.rounds, memory)
    return 0.5 * jnp.mean(jnp.square(score - batch.reward)) + 0.5 * width * ridge * drift / held


def require_shape(name: str, shape: Shape, diagonal: bool) -> None:
    """Raise unless the network can be built and its confidence matrix held."""
    require.whole(name, 2, width=shape.width, depth=shape.depth)
    if shape.width % 2:
        raise ValueError(f"{name} needs width to be even, got width={shape.width}")
    n_arms, dim, width, depth = shape
    size = n_arms * dim * width + (depth - 2) * width**2 + width
    if not diagonal and size > FULL:
        raise ValueError(
            f"{name} needs at most {FULL} weights for a full confidence matrix, got {size} with width={width}:"
            " lower width or keep diagonal=True"
        )

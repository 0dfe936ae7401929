"""NeuralUCB (Zhou, Li, Gu 2020, arXiv 1911.04462, Algorithm 1) and NeuralTS (Zhang et al. 2021, arXiv 2010.00827).

One network of width `m` and depth `L` scores every arm: `f(x_a) = sqrt(m) W_L relu(... relu(W_1 x_a))`, where `x_a` is
the context in block `a` of `K d` numbers. `W_1 x_a` is then block `a` of `W_1` times the context, so `W_1` is held as
`(K, d, m)`, and the gradient of an arm's score is zero outside its own block: nothing is computed there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bandits import require
from bandits.base import Feedback, Observation, Policy, choose
from bandits.neural import Heard, Learner, training

FULL = 2048  # most weights of a full confidence matrix: 16 MiB a seed

Weights = tuple[jax.Array, ...]  # W_1 (K, d, m), hidden layers (m, m), W_L (m,)
# (key, f (K,), width (K,)) -> index (K,)
Index = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class Shape(NamedTuple):
    """Attributes: `K` arms, `d` features, width `m` and depth `L` of the network."""

    n_arms: int
    dim: int
    width: int
    depth: int


class Confident(NamedTuple):
    """What NeuralUCB knows.

    Attributes:
        learner: the network, its training and the buffer.
        spread: `Z`, laid out as the weights, where it is diagonal; else `Z^-1`, `(p, p)`.
    """

    learner: Learner
    spread: Weights | jax.Array


def neuralucb(
    n_arms: int,
    dim: int,
    *,
    alpha: float = 0.03,
    ridge: float = 0.01,
    width: int = 32,
    depth: int = 2,
    diagonal: bool = True,
    lr: float = 0.003,
    train_every: int = 20,
    train_steps: int = 20,
    batch: int = 64,
    memory: int = 4096,
) -> Policy:
    """Call the arm of the highest network score plus gradient confidence width (NeuralUCB).

    Zhou, Li and Gu 2020 (arXiv 1911.04462, Algorithm 1): the width is `sqrt(g' Z^-1 g / m)`, `g` the gradient of
    the score. Training goes on from the last weights, by Adam on batches, where Algorithm 2 starts over.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: multiplies the width (gamma in the paper), >= 0.
        ridge: lambda, > 0: `Z` starts as `ridge I`, and training is drawn to the first weights by it.
        width: `m`, even, >= 2.
        depth: `L`, matrices in the network, >= 2.
        diagonal: whether `Z` keeps its diagonal only, as in the paper's experiments; full takes `p^2` numbers.
        lr: step size of Adam, > 0.
        train_every: rounds between trainings, >= 1.
        train_steps: steps a training, >= 1.
        batch: rounds a step, >= 1.
        memory: rounds remembered, >= 1.
    """
    require.at_least("neuralucb", 0, alpha=alpha)

    def index(key: jax.Array, score: jax.Array, width: jax.Array) -> jax.Array:
        del key
        return score + alpha * width

    shape = Shape(n_arms, dim, width, depth)
    options = dict(lr=lr, train_every=train_every, train_steps=train_steps, batch=batch, memory=memory)
    return _gradient_policy("neuralucb", shape, index, ridge, diagonal, options)


def neuralts(
    n_arms: int,
    dim: int,
    *,
    nu: float = 0.3,
    ridge: float = 0.01,
    width: int = 32,
    depth: int = 2,
    diagonal: bool = True,
    lr: float = 0.003,
    train_every: int = 20,
    train_steps: int = 20,
    batch: int = 64,
    memory: int = 4096,
) -> Policy:
    """Call the arm whose draw around its network score is highest (neural Thompson sampling).

    Zhang, Zhou, Li and Gu 2021 (arXiv 2010.00827, Algorithm 1): the draw is normal with mean `f` and deviation
    `nu sqrt(ridge g' Z^-1 g / m)`. Training goes on from the last weights, where the paper starts over.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        nu: multiplies the deviation, >= 0.
        ridge, width, depth, diagonal, lr, train_every, train_steps, batch, memory: as in `neuralucb`.
    """
    require.at_least("neuralts", 0, nu=nu)

    def index(key: jax.Array, score: jax.Array, width: jax.Array) -> jax.Array:
        return score + nu * math.sqrt(ridge) * width * jax.random.normal(key, score.shape)

    shape = Shape(n_arms, dim, width, depth)
    options = dict(lr=lr, train_every=train_every, train_steps=train_steps, batch=batch, memory=memory)
    return _gradient_policy("neuralts", shape, index, ridge, diagonal, options)


def _gradient_policy(
    name: str, shape: Shape, index: Index, ridge: float, diagonal: bool, options: dict[str, Any]
) -> Policy:
    """Return the policy that chooses by `index` of each arm's score and gradient width."""
    _require_shape(name, shape, diagonal)
    require.above(name, 0, ridge=ridge)
    trainer = training(name, partial(loss, ridge), **options)

    def init(key: jax.Array) -> Confident:
        weight = first_weights(key, shape)
        if diagonal:
            return Confident(trainer.begin(weight, shape.dim), jax.tree.map(lambda w: jnp.full_like(w, ridge), weight))
        return Confident(trainer.begin(weight, shape.dim), jnp.eye(_size(shape), dtype=jnp.float32) / ridge)

    def act(key: jax.Array, state: Confident, observation: Observation) -> jax.Array:
        score, gradient = scores(state.learner.weight, observation.context)
        width = diagonal_width(state.spread, gradient) if diagonal else full_width(state.spread, gradient)
        return choose(index(key, score, width), observation.available)

    def update(
        key: jax.Array, state: Confident, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Confident:
        _, gradient = scores(state.learner.weight, observation.context)
        spread = diagonal_add(state.spread, gradient, arm) if diagonal else full_add(state.spread, gradient, arm)
        return Confident(trainer.learn(key, state.learner, observation, arm, feedback), spread)

    return Policy(init, act, update)


def first_weights(key: jax.Array, shape: Shape) -> Weights:
    """Return weights in two halves that cancel, so that every score starts at 0 (Algorithm 1, initialisation).

    The paper doubles the input and starts block-diagonal, `N(0, 4/m)` inside and `N(0, 2/m)` last; here both halves
    of `W_1` see the one input, which is the same function.
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
    """Return `f(x_a) / sqrt(m)` of an arm whose block of `W_1`, `(d, m)`, is the first of its `own` weights."""
    hidden = context
    for matrix in own[:-1]:
        hidden = jax.nn.relu(hidden @ matrix)
    return hidden @ own[-1]


def scores(weight: Weights, context: jax.Array) -> tuple[jax.Array, Weights]:
    """Return `f(x_a)`, `(K,)`, and `g(x_a) / sqrt(m)`: each arm's gradient by its own block and the shared weights."""
    by_arm = (0, *(None for _ in weight[1:]))
    value, gradient = jax.vmap(jax.value_and_grad(network), in_axes=(by_arm, None))(weight, context)
    return math.sqrt(weight[-1].shape[0]) * value, gradient


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


def loss(ridge: float, weight: Weights, start: Weights, key: jax.Array, batch: Heard) -> jax.Array:
    """Return Algorithm 2's loss a round: half the mean square error, plus `m ridge / (2 t)` off the first weights."""
    del key
    n_arms, dim, width = weight[0].shape
    # One product with the block-coded contexts: gathering each row's block of W_1 would be many times slower.
    blocks = jax.nn.one_hot(batch.arm, n_arms)[:, :, None] * batch.context[:, None, :]
    every_arm = (weight[0].reshape(n_arms * dim, width), *weight[1:])
    score = math.sqrt(width) * network(every_arm, blocks.reshape(-1, n_arms * dim))
    drift = sum(jnp.sum(jnp.square(w - s)) for w, s in zip(weight, start, strict=True))
    return 0.5 * jnp.mean(jnp.square(score - batch.reward)) + 0.5 * width * ridge * drift / batch.count


def _size(shape: Shape) -> int:
    """Return `p`, the number of weights."""
    n_arms, dim, width, depth = shape
    return n_arms * dim * width + (depth - 2) * width**2 + width


def _require_shape(name: str, shape: Shape, diagonal: bool) -> None:
    """Raise unless the network can be built and its confidence matrix held."""
    require.whole(name, 2, width=shape.width, depth=shape.depth)
    if shape.width % 2:
        raise ValueError(f"{name} needs width to be even, got width={shape.width}")
    if not diagonal and _size(shape) > FULL:
        raise ValueError(
            f"{name} needs at most {FULL} weights for a full confidence matrix, got {_size(shape)}"
            f" with width={shape.width}: lower width or keep diagonal=True"
        )

"""NeuralUCB, arXiv 1911.04462, Algorithm 1, and neural Thompson sampling, arXiv 2010.00827, Algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, ranked
from bandits.late import jax
from bandits.policies.neural import gradients
from bandits.policies.neural.gradients import Shape
from bandits.policies.neural.learner import Learner, training

# (key, f (K,), width (K,)) -> index (K,)
Score = Callable[["jax.Array | None", "jax.Array", "jax.Array"], "jax.Array"]


class Confident(NamedTuple):
    """What NeuralUCB knows.

    Attributes:
        learner: the network, its training and the buffer.
        spread: `Z`, laid out as the weights, where it is diagonal; else `Z^-1`, `(p, p)`.
    """

    learner: Learner
    spread: Any


def neuralucb(
    n_arms: int,
    dim: int,
    *,
    alpha: float = 0.1,
    ridge: float = 0.1,
    width: int = 32,
    depth: int = 2,
    diagonal: bool = True,
    lr: float = 0.0003,
    train_every: int = 20,
    train_steps: int = 20,
    batch: int = 64,
    memory: int = 4096,
) -> Policy:
    """Call the arm of the highest network score plus gradient confidence width (NeuralUCB).

    Zhou, Li and Gu 2020 (arXiv 1911.04462, Algorithm 1): the width is `sqrt(g' Z^-1 g / m)`, `g` the gradient
    of the score. Training goes on from the last weights, by Adam on batches, where Algorithm 2 starts over.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: multiplies the width (gamma in the paper), >= 0.
        ridge: lambda, > 0: `Z` starts as `ridge I`, and training is drawn to the first weights by it.
        width: `m`, even, >= 2.
        depth: `L`, matrices in the network, >= 2.
        diagonal: whether `Z` keeps its diagonal only, as in the paper's experiments; else `p^2` numbers.
        lr: step size of Adam, > 0.
        train_every: rounds between trainings, >= 1.
        train_steps: steps a training, >= 1.
        batch: rounds a step, >= 1.
        memory: rounds remembered, >= 1.
    """
    require.at_least("neuralucb", 0, alpha=alpha)

    def score_of(key: jax.Array | None, score: jax.Array, width: jax.Array) -> jax.Array:
        del key
        return score + alpha * width

    shape = Shape(n_arms, dim, width, depth)
    options = dict(lr=lr, train_every=train_every, train_steps=train_steps, batch=batch, memory=memory)
    return _gradient_policy("neuralucb", shape, score_of, ridge, diagonal, options)


def neuralts(
    n_arms: int,
    dim: int,
    *,
    nu: float = 0.1,
    ridge: float = 0.1,
    width: int = 32,
    depth: int = 2,
    diagonal: bool = True,
    lr: float = 0.0003,
    train_every: int = 20,
    train_steps: int = 20,
    batch: int = 64,
    memory: int = 4096,
) -> Policy:
    """Call the arm whose draw around its network score is highest (neural Thompson sampling).

    Zhang, Zhou, Li and Gu 2021 (arXiv 2010.00827, Algorithm 1): the draw is normal with mean `f` and
    deviation `nu sqrt(ridge g' Z^-1 g / m)`. Training goes on from the last weights, where the paper starts over.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        nu: multiplies the deviation, >= 0.
        ridge, width, depth, diagonal, lr, train_every, train_steps, batch, memory: as in `neuralucb`.
    """
    require.at_least("neuralts", 0, nu=nu)

    def score_of(key: jax.Array | None, score: jax.Array, width: jax.Array) -> jax.Array:
        if key is None:
            return score
        return score + nu * math.sqrt(ridge) * width * jax.random.normal(key, score.shape)

    shape = Shape(n_arms, dim, width, depth)
    options = dict(lr=lr, train_every=train_every, train_steps=train_steps, batch=batch, memory=memory)
    return _gradient_policy("neuralts", shape, score_of, ridge, diagonal, options)


def _gradient_policy(
    name: str, shape: Shape, score_of: Score, ridge: float, diagonal: bool, options: dict[str, Any]
) -> Policy:
    """Return the policy that chooses by `score_of` each arm's score and gradient width."""
    gradients.require_shape(name, shape, diagonal)
    require.above(name, 0, ridge=ridge)
    width_of, add = (
        (gradients.diagonal_width, gradients.diagonal_add)
        if diagonal
        else (gradients.full_width, gradients.full_add)
    )
    trainer = training(name, partial(gradients.loss, ridge, options["memory"]), **options)

    def init(key: jax.Array) -> Confident:
        weight = gradients.first_weights(key, shape)
        return Confident(trainer.begin(weight, shape.dim), gradients.first_spread(weight, ridge, diagonal))

    def index(key: jax.Array | None, state: Confident, observation: Observation) -> jax.Array:
        score, gradient = gradients.scores(state.learner.weight, observation.context)
        return score_of(key, score, width_of(state.spread, gradient))

    def update(
        key: jax.Array, state: Confident, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Confident:
        _, gradient = gradients.scores(state.learner.weight, observation.context)
        learner = trainer.learn(key, state.learner, observation, arm, feedback)
        return Confident(learner, add(state.spread, gradient, arm))

    return ranked(init, index, update)

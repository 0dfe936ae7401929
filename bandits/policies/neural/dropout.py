"""Dropout Thompson sampling: Riquelme, Tucker, Snoek 2018, arXiv 1802.09127, section 3."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, before_all, ranked
from bandits.late import jax, jnp
from bandits.policies.neural import heads
from bandits.policies.neural.learner import Learner, training


class State(NamedTuple):
    """Attributes: `learner`, the network and the buffer; `pulls` `(K,)` int32."""

    learner: Learner
    pulls: jax.Array


def dropout(
    n_arms: int,
    dim: int,
    *,
    rate: float = 0.2,
    initial: int = 10,
    width: int = 64,
    depth: int = 2,
    lr: float = 0.001,
    train_every: int = 20,
    train_steps: int = 20,
    batch: int = 64,
    memory: int = 4096,
) -> Policy:
    """Call the arm that scores highest in a network with units dropped at random (dropout Thompson sampling).

    Riquelme, Tucker and Snoek 2018 (arXiv 1802.09127, section 3): the network is trained with dropout, and each
    choice is greedy under a fresh draw of the units that stay. An arm that was never called has no unit to drop and
    would never be, so every arm is called a few times first.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        rate: chance that a unit is dropped, in [0, 0.9]; 0 is greedy.
        initial: calls of each arm before the network decides, >= 1.
        width: units of a hidden layer, >= 1.
        depth: matrices in the network, >= 2.
        lr: step size of Adam, > 0.
        train_every: rounds between trainings, >= 1.
        train_steps: steps a training, >= 1.
        batch: rounds a step, >= 1.
        memory: rounds remembered, >= 1.
    """
    require.within("dropout", 0, 0.9, rate=rate)
    require.whole("dropout", 1, initial=initial, width=width)
    require.whole("dropout", 2, depth=depth)
    options = dict(train_every=train_every, train_steps=train_steps, batch=batch, memory=memory)
    trainer = training("dropout", partial(heads.loss, rate), lr=lr, **options)

    def init(key: jax.Array) -> State:
        learner = trainer.begin(heads.first_weights(key, n_arms, dim, width, depth), dim)
        return State(learner, jnp.zeros(n_arms, jnp.int32))

    def index(key: jax.Array | None, state: State, observation: Observation) -> jax.Array:
        weight = state.learner.weight
        scores = heads.features(weight, observation.context, key, rate) @ weight[-1]
        return before_all(scores, state.pulls, state.pulls < initial, initial)

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> State:
        learner = trainer.learn(key, state.learner, observation, arm, feedback)
        return State(learner, state.pulls.at[arm].add(1))

    return ranked(init, index, update)

"""What the neural policies share: a replay buffer, and training on it every so many rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bandits import require
from bandits.base import Feedback, Observation
from bandits.branches import rarely
from bandits.late import jax, jnp, optax


class Heard(NamedTuple):
    """Choices and what they gave, in a ring of `M` places (or a batch drawn from it).

    Attributes:
        context: `(M, d)`.
        arm: `(M,)` int32.
        reward: `(M,)`.
        rounds: `()` int32, heard in all; the first `min(rounds, M)` places are filled.
    """

    context: jax.Array
    arm: jax.Array
    reward: jax.Array
    rounds: jax.Array


class Learner(NamedTuple):
    """A network that learns.

    Attributes:
        weight: of the network now.
        start: of the network at first.
        moments: Adam's.
        heard: the buffer.
    """

    weight: Any
    start: Any
    moments: Any
    heard: Heard


# (weight, start, key, batch) -> (); the batch's `rounds` is that of the buffer it is drawn from.
Loss = Callable[[Any, Any, "jax.Array", Heard], "jax.Array"]


class Training(NamedTuple):
    """How a network is trained.

    Attributes:
        begin: `(weight, dim) -> Learner`.
        learn: `(key, learner, observation, arm, feedback) -> Learner`: remembers, and trains when it is time.
        due: `(observation) -> () bool`, whether `learn` trains in this round.
    """

    begin: Callable[[Any, int], Learner]
    learn: Callable[[jax.Array, Learner, Observation, jax.Array, Feedback], Learner]
    due: Callable[[Observation], jax.Array]


def training(
    policy: str, loss: Loss, *, lr: float, train_every: int, train_steps: int, batch: int, memory: int
) -> Training:
    """Return the training by Adam on batches drawn uniformly from the last `memory` rounds.

    Args:
        policy: name for messages.
        loss: of a batch.
        lr: step size of Adam, > 0.
        train_every: rounds between trainings, >= 1.
        train_steps: steps a training, >= 1.
        batch: rounds a step, >= 1.
        memory: rounds remembered, >= 1.
    """
    require.above(policy, 0, lr=lr)
    require.whole(policy, 1, train_every=train_every, train_steps=train_steps, batch=batch, memory=memory)

    adam = optax.adam(lr)

    def begin(weight: Any, dim: int) -> Learner:
        empty = Heard(jnp.zeros((memory, dim)), jnp.zeros(memory, jnp.int32), jnp.zeros(memory), jnp.int32(0))
        return Learner(weight, weight, adam.init(weight), empty)

    def due(observation: Observation) -> jax.Array:
        # `rounds_left` is the one number that all seeds share: a counter in the state would have each seed train at
        # a time of its own (as feedback that is late by chance does), one after the other.
        return observation.rounds_left % train_every == 0

    def train(key: jax.Array, weight: Any, moments: Any, start: Any, heard: Heard) -> tuple[Any, Any]:
        def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], None]:
            weight, moments = carry
            to_draw, to_lose = jax.random.split(key)
            gradient = jax.grad(loss)(weight, start, to_lose, sample(to_draw, heard, batch))
            change, moments = adam.update(gradient, moments)
            return (optax.apply_updates(weight, change), moments), None

        trained, _ = jax.lax.scan(step, (weight, moments), jax.random.split(key, train_steps))
        return trained

    def learn(
        key: jax.Array, learner: Learner, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Learner:
        _, start, _, heard = learner
        heard = remember(heard, observation.context, arm, feedback.reward)
        given = key, learner.weight, learner.moments, start, heard
        weight, moments = rarely(
            due(observation), train, lambda key, weight, moments, *_: (weight, moments), *given
        )
        return Learner(weight, start, moments, heard)

    return Training(begin, learn, due)


def remember(heard: Heard, context: jax.Array, arm: jax.Array, reward: jax.Array) -> Heard:
    """Return the buffer with this round in the place of the oldest."""
    at = heard.rounds % heard.arm.shape[0]
    return Heard(
        heard.context.at[at].set(context),
        heard.arm.at[at].set(arm),
        heard.reward.at[at].set(reward),
        heard.rounds + 1,
    )


def sample(key: jax.Array, heard: Heard, batch: int) -> Heard:
    """Return `batch` rounds drawn from the buffer with replacement; `rounds` stays that of the buffer."""
    filled = jnp.minimum(heard.rounds, heard.arm.shape[0])
    at = jax.random.randint(key, (batch,), 0, filled)
    return Heard(heard.context[at], heard.arm[at], heard.reward[at], heard.rounds)

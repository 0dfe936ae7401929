"""Router-R1's state and networks: LLM Bandit's set encoder over models, each with what was heard of it.

The paper's policy is a language model that reads the answers so far (arXiv 2506.09033, section 3). Here the state is
what a simulator has of them: the query's context, which models were asked, what a judge said of each answer, and what
was spent; an action is a model or to stop.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bandits.late import jax, jnp
from bandits.policies.llmbandit.identity import Response, first_dense, logit
from bandits.policies.llmbandit.networks import Actor, Critic, Models, Pool, encode, first_encoder, tokens
from bandits.policies.neural.layers import apply, relu_net

_ASIDE = 2  # spent, share of the turns used
_UNITS = 8  # that they become
_MORE = 2  # numbers of a model beside its identity: whether it was asked, what was heard
_FAR = 7.0  # of a judge's logit


class Situation(NamedTuple):
    """Before a turn.

    Attributes:
        context: `(d,)`.
        available: `(K,)` bool, can be called now.
        asked: `(K,)` bool.
        heard: `(K,)` judge's scores in [0, 1], NaN where there are none.
        spent: `()` in units of the dearest model's mean cost.
    """

    context: jax.Array
    available: jax.Array
    asked: jax.Array
    heard: jax.Array
    spent: jax.Array


class Frozen(NamedTuple):
    """What is fitted before the policy and stays as it is: identities' response, the pool, its dearest mean cost."""

    response: Response
    pool: Pool
    unit: jax.Array


class Networks(NamedTuple):
    """The policy network and the critic; the critic's head has one output."""

    actor: Actor
    critic: Critic


def first_networks(rng: np.random.Generator, dim: int, size: int, width: int) -> Networks:
    """Return networks for contexts of `dim` features and identities of `size` numbers, with `width` units."""
    size += _MORE
    actor, critic = first_encoder(rng, size, width), first_encoder(rng, size, width)
    read = width + dim + _UNITS
    head = first_dense(rng, read, 2 * width, size + 3)  # a token, and one for stopping
    small = [{name: part / 10 for name, part in layer.items()} for layer in head[-1:]]
    return Networks(
        Actor(actor, first_dense(rng, _ASIDE, _UNITS)[0], [*head[:-1], *small]),
        Critic(critic, first_dense(rng, width + dim + _ASIDE, 2 * width, 1)),
    )


def _models(frozen: Frozen, now: Situation) -> Models:
    """Return the models as a set: identity, asked, heard, mean cost, expected chance; asked ones stay in it."""
    chance = jax.nn.sigmoid(logit(frozen.response, now.context, frozen.pool.vector))
    safe = jnp.clip(now.heard, 1e-4, 1 - 1e-4)
    said = jnp.clip(jnp.log(safe / (1 - safe)), -_FAR, _FAR) / _FAR
    told = jnp.where(now.asked & ~jnp.isnan(said), said, 0.0)
    vector = jnp.concatenate([frozen.pool.vector, now.asked[:, None] * 1.0, told[:, None]], axis=1)
    return Models(vector, frozen.pool.cost / frozen.unit, chance, now.available | now.asked)


def log_chances(actor: Actor, frozen: Frozen, now: Situation, turns: int) -> jax.Array:
    """Return `log pi(a | s)`, `(K + 1,)`, the last of stopping; -inf where the sequence of calls would be invalid.

    Valid is to call an available model that was not asked while turns are left, and to stop after one call or more.
    """
    models, aside = _models(frozen, now), _aside(now, turns)
    read = jnp.concatenate([encode(actor.encoder, models), now.context, apply(actor.omega, aside)])
    wanted = relu_net(actor.head, read)
    score = jnp.append(tokens(models) @ wanted[:-1], wanted[-1])
    open_ = now.available & ~now.asked & (now.asked.sum() < turns)
    may = jnp.append(open_, now.asked.any() | ~open_.any())
    return jax.nn.log_softmax(jnp.where(may, score, -jnp.inf))


def value(critic: Critic, frozen: Frozen, now: Situation, turns: int) -> jax.Array:
    """Return the reward that the critic expects of the episode, `()`."""
    read = [encode(critic.encoder, _models(frozen, now)), now.context, _aside(now, turns)]
    return relu_net(critic.head, jnp.concatenate(read))[0]


def _aside(now: Situation, turns: int) -> jax.Array:
    return jnp.stack([now.spent, now.asked.sum() / turns])

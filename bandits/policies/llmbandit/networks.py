"""LLM Bandit's networks (arXiv 2502.02743): a set encoder over model identities, the actor and the critic on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bandits.base import Observation, choose
from bandits.late import jax, jnp
from bandits.policies.llmbandit.identity import Response, first_dense, logit
from bandits.policies.neural.layers import Layer, apply, relu_net

if TYPE_CHECKING:
    pass

HEADS = 4  # of attention
_OMEGA = 8  # units that the preference becomes: Linear(omega)


class Pool(NamedTuple):
    """The models that there are.

    Attributes:
        vector: `(K, m)` identities.
        cost: `(K,)` mean cost of a call, in the table's unit.
    """

    vector: jax.Array
    cost: jax.Array


class Models(NamedTuple):
    """A set of models as a query meets it, `C = {(I_k, cbar_k, phat_k)}`.

    Attributes:
        vector: `(K, m)` identities.
        cost: `(K,)` mean cost of a call, in units of the dearest model.
        chance: `(K,)` predicted chances of a right answer, not calibrated.
        available: `(K,)` bool; the others change nothing.
    """

    vector: jax.Array
    cost: jax.Array
    chance: jax.Array
    available: jax.Array


class Attention(NamedTuple):
    """One multi-head attention block with its feed-forward net (Set Transformer, arXiv 1810.00825, Eq. 6)."""

    query: Layer
    key: Layer
    value: Layer
    out: Layer
    feed: list[Layer]


class Encoder(NamedTuple):
    """A set encoder: models to tokens, attention among them, attention of one learned `seed` `(1, u)` to them."""

    token: Layer
    among: Attention
    seed: jax.Array
    pool: Attention


class Actor(NamedTuple):
    """The policy network `h_theta`."""

    encoder: Encoder
    omega: Layer
    head: list[Layer]


class Critic(NamedTuple):
    """The vector critic `V(x, C)`: expected utility and cost of what the policy calls, for no preference at all."""

    encoder: Encoder
    head: list[Layer]


class Trained(NamedTuple):
    """All that training leaves: enough to act, and to take in a model that it never saw.

    Attributes:
        response: how queries ask, fitted with the identities and frozen since.
        calibration: `(2,)` Platt's slope and offset.
        actor, critic: the networks; acting needs the actor alone.
        pool: the models trained on.
    """

    response: Response
    calibration: jax.Array
    actor: Actor
    critic: Critic
    pool: Pool


def first_attention(rng: np.random.Generator, width: int) -> Attention:
    """Return an attention block of `width` units."""
    query, key, value, out = (first_dense(rng, width, width)[0] for _ in range(4))
    return Attention(query, key, value, out, first_dense(rng, width, width, width))


def first_encoder(rng: np.random.Generator, size: int, width: int) -> Encoder:
    """Return a set encoder for identities of `size` numbers, with `width` units."""
    seed = jnp.asarray(rng.normal(size=(1, width)), jnp.float32)
    token = first_dense(rng, size + 2, width)[0]
    return Encoder(token, first_attention(rng, width), seed, first_attention(rng, width))


def first_actor(rng: np.random.Generator, dim: int, size: int, width: int, match: str = "token") -> Actor:
    """Return a policy network for contexts of `dim` features and identities of `size` numbers; see `scores`."""
    encoder, omega = first_encoder(rng, size, width), first_dense(rng, 2, _OMEGA)[0]
    out = size + 2 if match == "token" else size
    return Actor(encoder, omega, first_dense(rng, width + dim + _OMEGA, 2 * width, out))


def first_critic(rng: np.random.Generator, dim: int, size: int, width: int) -> Critic:
    """Return a critic for contexts of `dim` features and identities of `size` numbers."""
    return Critic(first_encoder(rng, size, width), first_dense(rng, width + dim, 2 * width, 2))


def attend(block: Attention, asking: jax.Array, tokens: jax.Array, available: jax.Array) -> jax.Array:
    """Return `(q, u)`: what `asking` `(q, u)` becomes by attending to the available ones of `tokens` `(K, u)`."""
    query, key, value = (
        apply(layer, x).reshape(len(x), HEADS, -1)
        for layer, x in ((block.query, asking), (block.key, tokens), (block.value, tokens))
    )
    score = jnp.einsum("qhc,khc->hqk", query, key) / math.sqrt(query.shape[-1])
    weight = jax.nn.softmax(jnp.where(available, score, -jnp.inf), axis=-1)
    heard = jnp.einsum("hqk,khc->qhc", weight, value).reshape(asking.shape)
    hidden = asking + apply(block.out, heard)
    return hidden + relu_net(block.feed, hidden)


def tokens(models: Models) -> jax.Array:
    """Return `(I_k, cbar_k, phat_k)` of each model as one row, `(K, m + 2)`."""
    return jnp.concatenate([models.vector, models.cost[:, None], models.chance[:, None]], axis=1)


def encode(encoder: Encoder, models: Models) -> jax.Array:
    """Return what the set of available models is, `(u,)`, in whatever order they come."""
    each = apply(encoder.token, tokens(models))
    each = attend(encoder.among, each, each, models.available)
    return attend(encoder.pool, encoder.seed, each, models.available)[0]


def scores(actor: Actor, models: Models, context: jax.Array, preference: jax.Array) -> jax.Array:
    """Return the logits of Eq. 5, `(K,)`, with `h = h_theta(SetTransformer(C), e, Linear(omega))`, `omega = [1, w]`.

    Eq. 5 has `I_k'h`. An identity says nothing of a model's price, so that costs of models never seen reach those
    logits only as far as identities happen to span them; `h` is therefore matched with the whole token `(I_k,
    cbar_k, phat_k)` unless the head was made for the identity alone.

    Args:
        actor: the policy network.
        models: the set.
        context: `(d,)`.
        preference: `()` the weight `w` on cost.
    """
    omega = apply(actor.omega, jnp.stack([jnp.ones_like(preference), preference]))
    wanted = relu_net(actor.head, jnp.concatenate([encode(actor.encoder, models), context, omega]))
    return tokens(models)[:, : len(wanted)] @ wanted


def values(critic: Critic, models: Models, context: jax.Array) -> jax.Array:
    """Return the expected utility and minus cost of what the policy calls, `(2,)`."""
    return relu_net(critic.head, jnp.concatenate([encode(critic.encoder, models), context]))


@jax.jit
def decide(trained: Trained, pool: Pool, observation: Observation) -> jax.Array:
    """Return the arm of the highest logit; models and their number may be others than those trained on.

    A posted price stands for the mean cost, so that a change of prices reaches the policy at once.
    """
    posted = jnp.where(jnp.isfinite(observation.price), observation.price, pool.cost)
    chance = jax.nn.sigmoid(logit(trained.response, observation.context, pool.vector))
    models = Models(pool.vector, posted / observation.cost_scale, chance, observation.available)
    index = scores(trained.actor, models, observation.context, observation.preference)
    return choose(index, observation.available)

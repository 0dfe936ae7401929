"""LLM Bandit's preference-conditioned policy over any set of models (arXiv 2502.02743, Eq. 5 and appendix B.2)."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bandits.base import Feedback, Observation, Policy, State, choose
from bandits.identity import Response, logit
from bandits.routers.layers import Layer, apply, dense, relu_net, stack

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


def first_attention(key: jax.Array, width: int) -> Attention:
    """Return an attention block of `width` units."""
    query, of_key, value, out, feed = jax.random.split(key, 5)
    return Attention(
        *(dense(k, width, width) for k in (query, of_key, value, out)), stack(feed, (width, width, width))
    )


def first_encoder(key: jax.Array, size: int, width: int) -> Encoder:
    """Return a set encoder for identities of `size` numbers, with `width` units."""
    token, among, seed, pool = jax.random.split(key, 4)
    return Encoder(
        dense(token, size + 2, width),
        first_attention(among, width),
        jax.random.normal(seed, (1, width)),
        first_attention(pool, width),
    )


def first_actor(key: jax.Array, dim: int, size: int, width: int, out: int = 0) -> Actor:
    """Return a policy network for contexts of `dim` features and identities of `size` numbers."""
    encoder, omega, head = jax.random.split(key, 3)
    sizes = (width + dim + _OMEGA, 2 * width, size + out)
    return Actor(first_encoder(encoder, size, width), dense(omega, 2, _OMEGA), stack(head, sizes))


def first_critic(key: jax.Array, dim: int, size: int, width: int) -> Critic:
    """Return a critic for contexts of `dim` features and identities of `size` numbers."""
    encoder, head = jax.random.split(key)
    return Critic(first_encoder(encoder, size, width), stack(head, (width + dim, 2 * width, 2)))


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


def encode(
    encoder: Encoder, vector: jax.Array, cost: jax.Array, chance: jax.Array, available: jax.Array
) -> jax.Array:
    """Return what the set `C = {(I_k, cbar_k, phat_k)}` of available models is, `(u,)`, in whatever order they come.

    Args:
        encoder: of the set.
        vector: `(K, m)` identities.
        cost: `(K,)` in units of the dearest model.
        chance: `(K,)` predicted chances of a right answer, not calibrated.
        available: `(K,)` bool; the others change nothing.
    """
    tokens = apply(encoder.token, jnp.concatenate([vector, cost[:, None], chance[:, None]], axis=1))
    tokens = attend(encoder.among, tokens, tokens, available)
    return attend(encoder.pool, encoder.seed, tokens, available)[0]


def scores(
    actor: Actor,
    vector: jax.Array,
    cost: jax.Array,
    chance: jax.Array,
    available: jax.Array,
    context: jax.Array,
    preference: jax.Array,
) -> jax.Array:
    """Return the logits `I_k'h` of Eq. 5, `(K,)`, `h = h_theta(SetTransformer(C), e, Linear(omega))`, `omega = [1, w]`.

    Args:
        actor: the policy network.
        vector, cost, chance, available: the set of models, see `encode`.
        context: `(d,)`.
        preference: `()` the weight `w` on cost.
    """
    omega = apply(actor.omega, jnp.stack([jnp.ones_like(preference), preference]))
    models = encode(actor.encoder, vector, cost, chance, available)
    wanted = relu_net(actor.head, jnp.concatenate([models, context, omega]))
    told = jnp.concatenate([vector, cost[:, None], chance[:, None]], axis=1)
    return told[:, : len(wanted)] @ wanted


def values(
    critic: Critic,
    vector: jax.Array,
    cost: jax.Array,
    chance: jax.Array,
    available: jax.Array,
    context: jax.Array,
) -> jax.Array:
    """Return the expected utility and minus cost, `(2,)`; arguments as in `scores`."""
    models = encode(critic.encoder, vector, cost, chance, available)
    return relu_net(critic.head, jnp.concatenate([models, context]))


@jax.jit
def decide(trained: Trained, pool: Pool, observation: Observation) -> jax.Array:
    """Return the arm of the highest logit; models and their number may be others than those trained on.

    A posted price stands for the mean cost, so that a change of prices reaches the policy at once.
    """
    posted = jnp.where(jnp.isfinite(observation.price), observation.price, pool.cost)
    chance = jax.nn.sigmoid(logit(trained.response, observation.context, pool.vector))
    index = scores(
        trained.actor,
        pool.vector,
        posted / observation.cost_scale,
        chance,
        observation.available,
        observation.context,
        observation.preference,
    )
    return choose(index, observation.available)


def policy(trained: Trained, pool: Pool | None = None) -> Policy:
    """Return the policy that calls the most probable model of a pool and learns nothing online.

    The paper's policy is trained on logs: `update` returns the state, which is empty, as it is.

    Args:
        trained: from `llmbandit_training.train`.
        pool: of the `K` models in the stream's order; None: those trained on.
    """
    pool = trained.pool if pool is None else pool

    def init(key: jax.Array) -> State:
        del key
        return ()

    def act(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        del key, state
        return decide(trained, pool, observation)

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> State:
        del key, observation, arm, feedback
        return state

    return Policy(init, act, update)

"""LLM Bandit: a preference-conditioned policy over any set of models (arXiv 2502.02743, Eq. 5 and appendix B.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy, State, choose
from bandits.policies.llmbandit.identity import Response, first_dense, logit
from bandits.policies.neural.layers import Layer, apply, relu_net

if TYPE_CHECKING:
    from bandits.policies.llmbandit.tasks import Log

HEADS = 4  # of attention
MATCHES = ("token", "identity")
PICKS = ("discrimination", "random")
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


def policy(trained: Trained, pool: Pool | None = None) -> Policy:
    """Return the policy that calls the most probable model of a pool and learns nothing online.

    The paper's policy is trained on logs: the state is what was trained, and `update` returns it as it is.

    Args:
        trained: from `llmbandit_training.train`.
        pool: of the `K` models in the stream's order; None: those trained on.
    """
    begun = trained, trained.pool if pool is None else pool

    def init(key: jax.Array) -> State:
        del key
        return begun

    def act(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        del key
        arm: jax.Array = decide(*state, observation)
        return arm

    def chances(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        return jax.nn.one_hot(act(key, state, observation), len(observation.available))

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> State:
        del key, observation, arm, feedback
        return state

    return Policy(init, act, update, chances=chances)


def llmbandit(
    n_arms: int,
    dim: int,
    *,
    log: Log | None = None,
    quiz: int = 0,
    pick: str = "discrimination",
    match: str = "token",
    width: int = 32,
    rollouts: int = 150,
    seed: int = 0,
) -> Policy:
    """Call the best match of query and preference, trained on logged outcomes of all models (LLM Bandit).

    Nothing is learned online. With a quiz, half of the models (drawn by the seed) are kept from the training and
    come in by their answers to a quiz alone: a pool that the policy has never seen in part.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        log: outcomes of every model on rows that are not evaluated; the command gives those of `--train-share`.
        quiz: queries put to a new model, >= 1; 0 trains on all models.
        pick: quiz queries by `discrimination` or at `random`.
        match: what the network's output is multiplied with: the `identity` alone (Eq. 5) or the `token`, see `scores`.
        width: hidden units, a multiple of 4.
        rollouts: of PPO, >= 1.
        seed: of the training; the command trains once for each seed of a run, with draws from this and that one.
    """
    require.whole("llmbandit", 0, quiz=quiz, seed=seed)
    require.whole("llmbandit", 1, width=width, rollouts=rollouts)
    require.one_of("llmbandit", MATCHES, match=match)
    require.one_of("llmbandit", PICKS, pick=pick)
    if width % HEADS:
        raise ValueError(f"llmbandit needs width to be a multiple of {HEADS}, got width={width}")
    if log is None:
        raise ValueError("llmbandit needs logged outcomes to train on, got none; give --train-share SHARE")
    if np.shape(log.utility)[1:] != (n_arms,) or np.shape(log.context)[1:] != (dim,):
        raise ValueError(
            f"llmbandit needs a log of {n_arms} models and {dim} features, got utility {np.shape(log.utility)}"
            f" and context {np.shape(log.context)}"
        )
    from bandits.policies.llmbandit import training as training  # here: both need this module's networks
    from bandits.policies.llmbandit.tasks import Schedule

    schedule = Schedule(match=match, width=width, rollouts=rollouts)
    if not quiz:
        return policy(training.train(log, seed=seed, schedule=schedule))
    known = training.half(n_arms, seed)
    trained = training.train(training.part(log, columns=known), seed=seed, schedule=schedule)
    rows = training.quiz_rows(trained, log, known, size=quiz, pick=pick, seed=seed)
    return policy(trained, training.enrol(trained, log, known, rows))

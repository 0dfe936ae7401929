"""BaRP, a preference-conditioned softmax router trained by REINFORCE: Wei et al. 2025, arXiv 2510.07429."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy
from bandits.branches import rarely
from bandits.late import jax, jnp, optax

CODE = 16  # units that encode the preference
CLOSED = -1e9  # logit of an arm that cannot be called: finite, so that the entropy's gradient is too


class Batch(NamedTuple):
    """Rounds since the last step, in `B` places, and how many of them are `filled`.

    Attributes:
        context: `(B, d)`.
        preference: `(B,)`.
        available: `(B, K)` bool.
        arm: `(B,)` int32.
        reward: `(B,)`, divided by one plus the preference.
        filled: `()` int32.
    """

    context: jax.Array
    preference: jax.Array
    available: jax.Array
    arm: jax.Array
    reward: jax.Array
    filled: jax.Array


class Router(NamedTuple):
    """Weights of the network: `code` `(2, 16)`, `hidden` `(d + 16, m)`, `heads` `(m + 1, K)`."""

    code: jax.Array
    hidden: jax.Array
    heads: jax.Array


class State(NamedTuple):
    """Attributes: `router`, the weights; `moments`, Adam's; `batch`, the rounds to learn from."""

    router: Router
    moments: Any
    batch: Batch


def barp(
    n_arms: int,
    dim: int,
    *,
    lr: float = 0.03,
    entropy: float = 0.01,
    width: int = 64,
    batch: int = 32,
) -> Policy:
    """Call an arm drawn from a softmax of query and preference, trained by REINFORCE with baseline and entropy (BaRP).

    Wei et al. 2025 (arXiv 2510.07429). The paper passes 100 times over its logs at a step size of 1e-4. A stream is
    seen once, and a step belongs to the rounds that its own weights chose: one step a batch, so they are larger here.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        lr: step size of Adam, > 0.
        entropy: weight of the entropy bonus (beta), >= 0.
        width: units of the hidden layer, >= 1.
        batch: rounds a step, >= 2: their mean reward is the baseline.
    """
    require.above("barp", 0, lr=lr)
    require.at_least("barp", 0, entropy=entropy)
    require.whole("barp", 1, width=width)
    require.whole("barp", 2, batch=batch)

    adam = optax.adam(lr)

    def init(key: jax.Array) -> State:
        router = first_router(key, n_arms, dim, width)
        flat = jnp.zeros(batch)
        empty = Batch(
            jnp.zeros((batch, dim)),
            flat,
            jnp.ones((batch, n_arms), bool),
            flat.astype(jnp.int32),
            flat,
            jnp.int32(0),
        )
        return State(router, adam.init(router), empty)

    def scored(state: State, observation: Observation) -> jax.Array:
        return logits(state.router, observation.context, observation.preference, observation.available)

    def act(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        return jax.random.categorical(key, scored(state, observation)).astype(jnp.int32)

    def chances(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        del key
        return jax.nn.softmax(scored(state, observation))

    def step(state: State, heard: Batch) -> State:
        gradient = jax.grad(loss)(state.router, heard, entropy)
        change, moments = adam.update(gradient, state.moments)
        return State(optax.apply_updates(state.router, change), moments, heard._replace(filled=jnp.int32(0)))

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> State:
        del key
        heard = append(state.batch, observation, arm, feedback.reward)
        # Only `rounds_left` is the same for all seeds: see `neural.training`.
        due = observation.rounds_left % batch == 0
        after: State = rarely(due, step, lambda state, heard: state._replace(batch=heard), state, heard)
        return after

    return Policy(init, act, update, chances=chances)


def first_router(key: jax.Array, n_arms: int, dim: int, width: int) -> Router:
    """Return weights under which every arm is as likely as another."""
    to_code, to_hidden = jax.random.split(key)
    return Router(
        jax.random.normal(to_code, (2, CODE)),
        jax.random.normal(to_hidden, (dim + CODE, width)) * math.sqrt(2.0 / (dim + CODE)),
        jnp.zeros((width + 1, n_arms)),
    )


def logits(router: Router, context: jax.Array, preference: jax.Array, available: jax.Array) -> jax.Array:
    """Return the `(K,)` logits of the arms for a context `(d,)` and a preference `()`."""
    simplex = jnp.stack([jnp.ones_like(preference), preference]) / (1.0 + preference)  # (w_q, w_c)
    layer = jnp.concatenate([context, jax.nn.relu(simplex @ router.code)])
    layer = jnp.append(jax.nn.relu(layer @ router.hidden), 1.0)
    return jnp.where(available, layer @ router.heads, CLOSED)


def loss(router: Router, heard: Batch, entropy: float) -> jax.Array:
    """Return the mean of `-(r - b) log pi(a) - entropy H(pi)` over the filled places, `b` their mean reward."""
    scores = jax.vmap(logits, in_axes=(None, 0, 0, 0))(
        router, heard.context, heard.preference, heard.available
    )
    log_chance = jax.nn.log_softmax(scores)
    filled = jnp.arange(heard.arm.shape[0]) < heard.filled
    share = filled / jnp.maximum(heard.filled, 1)
    advantage = heard.reward - share @ heard.reward
    of_called = jnp.take_along_axis(log_chance, heard.arm[:, None], axis=1)[:, 0]
    spread = -jnp.sum(jnp.exp(log_chance) * log_chance, axis=1)
    return share @ (-advantage * of_called - entropy * spread)


def append(heard: Batch, observation: Observation, arm: jax.Array, reward: jax.Array) -> Batch:
    """Return the batch with this round; rewards of every preference are brought to one scale, `w_q q - w_c c`."""
    places = heard.arm.shape[0]
    at = heard.filled % places
    return Batch(
        heard.context.at[at].set(observation.context),
        heard.preference.at[at].set(observation.preference),
        heard.available.at[at].set(observation.available),
        heard.arm.at[at].set(arm),
        heard.reward.at[at].set(reward / (1.0 + observation.preference)),
        jnp.minimum(heard.filled + 1, places),
    )

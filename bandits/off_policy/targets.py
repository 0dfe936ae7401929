"""What is valued on a log: each target's probabilities `(n, K)` of calling each model in each logged round."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Feedback, Observation, Policy, chances_of
from bandits.metrics.off_policy.models import folds
from bandits.off_policy.rounds import Rounds

Floats = NDArray[np.float64]
DRAWS = 256  # keys, where a policy cannot tell its probabilities
BLOCK = 4096  # rounds at a time: bounds memory


class Sized(NamedTuple):
    """What `lineup.build` needs to know of a stream, of a log."""

    models: tuple[str, ...]
    n_arms: int
    dim: int
    answered: NDArray[np.int64]


def sized(rounds: Rounds) -> Sized:
    """Return what a policy is built for."""
    return Sized(rounds.models, len(rounds.models), rounds.context.shape[1], rounds.available.sum(axis=0))


def halves(rounds: Rounds, seed: int = 0) -> NDArray[np.bool_]:
    """Return `(n,)` a random half of the rounds; the rounds of one query stay together."""
    part = folds(int(rounds.group.max()) + 1, 2, seed)
    return np.asarray(part[rounds.group] == 0)


def learned(policy: Policy, rounds: Rounds, *, seed: int = 0) -> Floats:
    """Return `(n, K)` probabilities of a policy that was shown the other half of the log, once, in the order of time.

    It hears every logged call of that half as its own: a ridge posterior needs no more. The two halves change places,
    so that every round is valued and none by a policy that has seen it; the value is that of either's mean.
    """
    first, found = halves(rounds, seed), np.empty(rounds.available.shape)
    seen, arms, heard = _laid_out(rounds)
    key = jax.random.key(seed)
    for half in (first, ~first):
        rows = np.flatnonzero(~half)
        rows = jnp.asarray(rows[np.argsort(rounds.time[rows], kind="stable")])
        state = _hear(policy, key, seen, arms, heard, rows)
        mine = np.flatnonzero(half)
        for begin in range(0, len(mine), BLOCK):
            some = mine[begin : begin + BLOCK]
            padded = jnp.asarray(np.resize(some, BLOCK))  # one shape, one program
            found[some] = np.asarray(_choose(policy, key, state, seen, padded))[: len(some)]
    total = found.sum(axis=1, keepdims=True)
    return np.asarray(found / np.where(total > 0, total, 1.0), np.float64)


def _laid_out(rounds: Rounds) -> tuple[Observation, jax.Array, Feedback]:
    """Return the log's observations, arms and feedback, `(n, ...)` each."""
    n = len(rounds)

    def column(values: Any) -> jax.Array:
        return jnp.broadcast_to(jnp.asarray(values, jnp.float32), (n,))

    price = np.full(len(rounds.models), np.nan)
    seen = Observation(
        jnp.asarray(rounds.context, jnp.float32),
        jnp.asarray(rounds.available),
        jnp.broadcast_to(jnp.asarray(price, jnp.float32), (n, len(price))),
        column(rounds.preference),
        column(rounds.scale),
        jnp.full((n, len(RESOURCES)), jnp.inf, jnp.float32),
        jnp.arange(n, 0, -1, jnp.float32),
    )
    cost = rounds.values.get("cost", 0.0)
    unknown = column(np.nan)
    chance = column(1.0 if rounds.propensity is None else rounds.propensity)
    heard = Feedback(
        column(rounds.values["utility"]),
        column(cost),
        column(rounds.values["reward"]),
        unknown,
        unknown,
        chance,
    )
    return seen, jnp.asarray(rounds.arm, jnp.int32), heard


@partial(jax.jit, static_argnums=0)
def _hear(policy: Policy, key: jax.Array, seen: Any, arms: jax.Array, heard: Any, rows: jax.Array) -> Any:
    def step(state: Any, i: jax.Array) -> tuple[Any, None]:
        observation, feedback = (jax.tree.map(lambda x: x[i], tree) for tree in (seen, heard))
        if policy.keep is not None:
            feedback = feedback._replace(kept=policy.keep(state, observation))
        return policy.update(jax.random.fold_in(key, i), state, observation, arms[i], feedback), None

    return jax.lax.scan(step, policy.init(key), rows)[0]


@partial(jax.jit, static_argnums=0)
def _choose(policy: Policy, key: jax.Array, state: Any, seen: Any, rows: jax.Array) -> jax.Array:
    def one(i: jax.Array) -> jax.Array:
        observation = jax.tree.map(lambda x: x[i], seen)
        return chances_of(policy, jax.random.fold_in(key, i), state, observation, draws=DRAWS)

    return jax.lax.map(one, rows, batch_size=256)


def still(policy: Policy, rounds: Rounds) -> Floats:
    """Return `(n, K)` probabilities of a policy that does not learn: nothing of the log is shown to it."""
    seen, _, _ = _laid_out(rounds)
    key, n = jax.random.key(0), len(rounds)
    state, found = policy.init(key), np.empty(rounds.available.shape)
    for begin in range(0, n, BLOCK):
        some = np.arange(begin, min(begin + BLOCK, n))
        padded = jnp.asarray(np.resize(some, BLOCK))
        found[some] = np.asarray(_choose(policy, key, state, seen, padded))[: len(some)]
    return found / found.sum(axis=1, keepdims=True)

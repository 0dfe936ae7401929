"""What is valued on a log: each target's probabilities `(n, K)` of calling each model in each logged round."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import threefry
from bandits.base import RESOURCES, Feedback, Observation, Policy, chances_of
from bandits.late import jax, jnp
from bandits.loop.keys import seed_keys
from bandits.loop.rejection import accepted
from bandits.loop.rounds import Chunk, Shared
from bandits.metrics.off_policy.models import folds
from bandits.off_policy.rounds import Rounds

if TYPE_CHECKING:
    from bandits.base import State
    from bandits.serving.router import Router

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
    key = threefry.key(seed)
    for half in (first, ~first):
        other = np.flatnonzero(~half)
        order = other[np.argsort(rounds.time[other], kind="stable")]
        state = _hear(policy, key, seen, arms, heard, jnp.asarray(order))
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
def _hear(
    policy: Policy, key: jax.Array, seen: Observation, arms: jax.Array, heard: Feedback, rows: jax.Array
) -> Any:
    def step(state: State, i: jax.Array) -> tuple[Any, None]:
        observation, feedback = (jax.tree.map(lambda x: x[i], tree) for tree in (seen, heard))
        if policy.keep is not None:
            feedback = feedback._replace(kept=policy.keep(state, observation))
        return policy.update(jax.random.fold_in(key, i), state, observation, arms[i], feedback), None

    return jax.lax.scan(step, policy.init(key), rows)[0]


@partial(jax.jit, static_argnums=0)
def _choose(policy: Policy, key: jax.Array, state: State, seen: Observation, rows: jax.Array) -> jax.Array:
    def one(i: jax.Array) -> jax.Array:
        observation = jax.tree.map(lambda x: x[i], seen)
        return chances_of(policy, jax.random.fold_in(key, i), state, observation, draws=DRAWS)

    return jnp.asarray(jax.lax.map(one, rows, batch_size=256))


def still(policy: Policy, rounds: Rounds) -> Floats:
    """Return `(n, K)` probabilities of a policy that does not learn: nothing of the log is shown to it."""
    seen, _, _ = _laid_out(rounds)
    key, n = threefry.key(0), len(rounds)
    state, found = policy.init(key), np.empty(rounds.available.shape)
    for begin in range(0, n, BLOCK):
        some = np.arange(begin, min(begin + BLOCK, n))
        padded = jnp.asarray(np.resize(some, BLOCK))
        found[some] = np.asarray(_choose(policy, key, state, seen, padded))[: len(some)]
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def exported(router: Router, rounds: Rounds, *, draws: int = 32) -> Floats:
    """Return `(n, K)` frequencies with which an exported router calls each model, at its own preference.

    Raises:
        ValueError: it was trained on other contexts, or calls a model that the log does not name.
    """
    names, d = router.settings.models, router.projection.features
    if d != rounds.context.shape[1]:
        raise ValueError(
            f"an exported router needs contexts of {d} numbers, as it was trained on; {rounds.name} has"
            f" {rounds.context.shape[1]}"
        )
    if unknown := [m for m in names if m not in rounds.models]:
        raise ValueError(f"the router calls {unknown[0]!r}, which {rounds.name} does not name")
    place, found = np.array([rounds.models.index(m) for m in names]), np.zeros(rounds.available.shape)
    if not rounds.available[:, place].any(axis=1).all():
        raise ValueError(f"{rounds.name}: a row has no candidate that the router knows")
    for i, context in enumerate(rounds.context):
        mask = rounds.available[i, place]
        for _ in range(draws):
            found[i, place[router.arm_of(context, router.settings.preference, mask)]] += 1 / draws
    return found


class Replayed(NamedTuple):
    """What rejection replay found: `accepted (n,)` bool, and the `bound` of the acceptance, `c <= min p / pi`."""

    accepted: NDArray[np.bool_]
    bound: float


def rejection(policy: Policy, rounds: Rounds, *, seed: int = 0) -> Replayed:
    """Run an online policy on a log by rejection, in the order of time, through the loop's own round.

    A round in which it chooses the logged model is accepted with probability `c / p`, so each with `c pi / p`, `c` the
    least propensity of the log, the largest bound that needs no knowledge of `pi` (Dudik et al. 2012, 1210.4862,
    section 3; on a uniform log `c / p` is 1: Li et al. 2011, 1003.5956): accepted rounds are those of a run of the
    policy itself, fewer of them.

    Raises:
        ValueError: no propensities.
    """
    p = rounds.propensity
    if p is None:
        raise ValueError(
            f"{rounds.name}: rejection replay needs propensities; --estimate-propensities estimates them"
        )
    order, bound = np.argsort(rounds.time, kind="stable"), float(p.min())
    coin = np.random.default_rng([seed, 13]).random(len(p)) < bound / p
    unknown = np.full(len(p), np.nan)
    y = rounds.values
    told = (y["utility"], y["reward"], y.get("cost", np.zeros(len(p))), unknown, unknown)
    met = Chunk(
        jnp.asarray(rounds.context[order], jnp.float32),
        jnp.asarray(rounds.available[order]),
        jnp.asarray(np.stack(told, axis=1)[order], jnp.float32),
        jnp.full(len(p), rounds.preference, jnp.float32),
    )
    shared = Shared(jnp.full(len(rounds.models), jnp.nan), jnp.float32(rounds.scale))
    arms = jnp.asarray(rounds.arm[order], jnp.int32)
    kept = np.zeros(len(p), bool)
    kept[order] = np.asarray(
        accepted(policy, seed_keys(seed, 1)[0], shared, met, arms, jnp.asarray(coin[order]))
    )
    return Replayed(kept, bound)

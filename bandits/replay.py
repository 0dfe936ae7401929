"""The loop: the one place that knows about seeds, rounds and chunks.

One `lax.scan` over the rounds of a chunk inside one `vmap` over seeds, compiled once for a policy and its shapes.
A chunk has a fixed number of rounds, whatever the length of the stream, so neither another stream nor another seed
or preference compiles anything anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Feedback, Observation, Policy, State
from bandits.rewards import PREFERENCE

CHUNK = 1024  # rounds: long enough to hide the call, short enough for progress and a prompt stop
ORDERS = ("shuffle", "given", "dataset")


class Trace(NamedTuple):
    """Which model answered which query; everything else is computed from it afterwards.

    Attributes:
        order: `(S, T)` int32 row of the stream asked at each round.
        arms: `(S, T)` int32 model called, -1 where no call was made.
    """

    order: NDArray[np.int32]
    arms: NDArray[np.int32]


class _Chunk(NamedTuple):
    """What `S` seeds meet in `C` rounds; `outcome` stacks utility, reward and `RESOURCES` last."""

    context: Any  # (S, C, d)
    available: Any  # (S, C, K)
    outcome: Any  # (S, C, K, 2 + R)
    preference: Any  # (S, C)


def orders(
    stream: Any, *, seeds: int, seed: int = 0, order: str = "shuffle", rounds: int | None = None
) -> NDArray[np.int32]:
    """Return the `(S, T)` rows that each seed asks, in order.

    Args:
        stream: a `Stream` of `N` rows.
        seeds: `S`.
        seed: seeds the permutations; seed `s` of a run sees the same order under every policy.
        order: `shuffle` (each seed its own permutation), `given` (file order), or `dataset` (one dataset after the
            other in file order, shuffled inside).
        rounds: `T`; the stream is repeated (shuffled anew each time) or cut to it. None: once through.

    Raises:
        ValueError: an option is out of range.
    """
    total = len(stream) if rounds is None else rounds
    if seeds < 1 or total < 1:
        raise ValueError(f"replay needs seeds >= 1 and rounds >= 1, got seeds={seeds}, rounds={rounds}")
    if order not in ORDERS:
        raise ValueError(f"order needs to be one of {', '.join(ORDERS)}, got {order!r}")
    rows = np.empty((seeds, total), np.int32)
    first_seen = {name: i for i, name in enumerate(dict.fromkeys(stream.dataset.tolist()))}
    group = np.array([first_seen[name] for name in stream.dataset.tolist()])
    for s in range(seeds):
        rng = np.random.default_rng([seed, s])
        passes = []
        for _ in range(-(-total // len(stream))):
            once = np.arange(len(stream)) if order == "given" else rng.permutation(len(stream))
            passes.append(once[np.argsort(group[once], kind="stable")] if order == "dataset" else once)
        rows[s] = np.concatenate(passes)[:total]
    return rows


def replay(
    policy: Policy,
    stream: Any,
    table: NDArray[np.float64],
    *,
    seeds: int = 20,
    seed: int = 0,
    order: str = "shuffle",
    rounds: int | None = None,
    preference: Any = PREFERENCE,
    progress: Callable[[int], object] | None = None,
) -> Trace:
    """Return what `policy` called when each of `S` seeds met the stream in an order of its own.

    Args:
        policy: three pure functions; build it once and reuse it, since it is compiled by identity.
        stream: a `Stream` of `N` rows and `K` models.
        table: `(N, K)` what each outcome is worth, from `reward_table`; the policy hears the chosen entry.
        seeds: `S`.
        seed: fixes the orders and the policy's randomness.
        order, rounds: see `orders`.
        preference: what the policy is shown: a number, or `(N,)` one for each query; give `reward_table` the same.
        progress: called after each chunk with the number of rounds done, all seeds together.

    Raises:
        ValueError: an option or a shape is wrong.
    """
    if table.shape != stream.utility.shape:
        raise ValueError(
            f"replay needs a table of shape {stream.utility.shape} like the stream, got {table.shape}"
        )
    rows = orders(stream, seeds=seeds, seed=seed, order=order, rounds=rounds)
    sheet = _sheet(stream, table, preference)
    shared = jnp.asarray(stream.price, jnp.float32), jnp.float32(stream.cost_scale)
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(seeds))
    state, total = _start(policy, keys), rows.shape[1]
    arms = np.empty(rows.shape, np.int32)
    for begin in range(0, total, CHUNK):
        ahead = rows[:, begin : begin + CHUNK]
        # The last chunk is filled up with rounds after the end; nothing that they do is kept.
        padded = np.pad(ahead, ((0, 0), (0, CHUNK - ahead.shape[1])), mode="edge")
        number = np.arange(begin, begin + CHUNK)
        left = np.maximum(total - number, 1).astype(np.float32)
        state, called = _run_chunk(
            policy, state, keys, shared, number, left, _Chunk(*(a[padded] for a in sheet))
        )
        arms[:, begin : begin + CHUNK] = np.asarray(called)[:, : ahead.shape[1]]
        if progress is not None:
            progress(arms[:, : begin + CHUNK].size)
    return Trace(rows, arms)


def _sheet(stream: Any, table: NDArray[np.float64], preference: Any) -> _Chunk:
    """Return the whole stream in the dtypes and the layout that the scan reads, one row a query."""
    unknown = np.full(stream.utility.shape, np.nan, np.float32)
    recorded = {name: getattr(stream, name) for name in RESOURCES}
    outcome = [stream.utility, table, *(unknown if recorded[r] is None else recorded[r] for r in RESOURCES)]
    return _Chunk(
        np.asarray(stream.context, np.float32),
        stream.available,
        np.stack(outcome, axis=-1).astype(np.float32),
        np.broadcast_to(np.asarray(preference, np.float32), (len(stream),)),
    )


@partial(jax.jit, static_argnums=0)
def _start(policy: Policy, keys: jax.Array) -> State:
    return jax.vmap(policy.init)(keys)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _run_chunk(
    policy: Policy, state: State, keys: jax.Array, shared: Any, number: Any, rounds_left: Any, chunk: _Chunk
) -> tuple[State, jax.Array]:
    """Return the states after a chunk and the `(S, C)` arms called in it.

    `number` and `rounds_left`, `(C,)`, are the same for every seed and stay outside the `vmap`: a policy that
    branches on them alone keeps a real branch, where a branch on its own state would run both sides every round.
    """
    price, cost_scale = shared
    open_budget = jnp.full(len(RESOURCES), jnp.inf, jnp.float32)

    def one_round(state: State, key: jax.Array, now: _Chunk, number: jax.Array, left: jax.Array) -> Any:
        to_act, to_learn = jax.random.split(jax.random.fold_in(key, number))
        observation = Observation(
            now.context, now.available, price, now.preference, cost_scale, open_budget, left
        )
        arm = policy.act(to_act, state, observation)
        utility, reward, cost, latency, tokens = now.outcome[arm]
        feedback = Feedback(utility, cost, reward, latency, tokens)
        return policy.update(to_learn, state, observation, arm, feedback), arm

    def step(state: State, xs: Any) -> tuple[State, jax.Array]:
        now, number, left = xs
        return jax.vmap(one_round, in_axes=(0, 0, 0, None, None))(state, keys, now, number, left)

    by_round = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), chunk)
    after, arms = jax.lax.scan(step, state, (by_round, number, rounds_left))
    return after, jnp.asarray(arms).T

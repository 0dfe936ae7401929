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
        probed: `(S, T, ...)` what a probe read in the policy's state before each round; None without one.
    """

    order: NDArray[np.int32]
    arms: NDArray[np.int32]
    probed: NDArray[np.float32] | None = None


class _Chunk(NamedTuple):
    """What `S` seeds meet in `C` rounds; `outcome` stacks utility, reward and `RESOURCES` last."""

    context: Any  # (S, C, d)
    available: Any  # (S, C, K)
    outcome: Any  # (S, C, K, 2 + R)
    preference: Any  # (S, C)


class _Account(NamedTuple):
    """What a run has spent of each of `RESOURCES`, `(S, R)`: the sum, and what rounding has kept out of it.

    Ten thousand float32 additions are off by up to a call; with the second term (Kahan 1965) they are not.
    """

    spent: jax.Array
    owed: jax.Array

    def pay(self, used: jax.Array) -> _Account:
        """Return the account after `used`."""
        due = used + self.owed
        spent = self.spent + due
        return _Account(spent, due - (spent - self.spent))


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
    budget: NDArray[np.float64] | None = None,
    probe: Callable[[State], jax.Array] | None = None,
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
        budget: `(R,)` how much of each of `RESOURCES` a run may use, inf where that is not limited. The policy sees
            what is left; once something is overdrawn no further call is made. A policy that may answer -1 (no call)
            needs a budget, if only an infinite one.
        probe: `(state) -> array`, read before each round; build it once, since it is compiled by identity.
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
    limits = None if budget is None else jnp.asarray(_checked(budget), jnp.float32)
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(seeds))
    shared = keys, jnp.asarray(stream.price, jnp.float32), jnp.float32(stream.cost_scale), limits
    state, total = _start(policy, keys), rows.shape[1]
    account = None if budget is None else _Account(*jnp.zeros((2, seeds, len(RESOURCES)), jnp.float32))
    arms, probed = np.empty(rows.shape, np.int32), []
    for begin in range(0, total, CHUNK):
        ahead = rows[:, begin : begin + CHUNK]
        # The last chunk is filled up with rounds after the end; nothing that they do is kept.
        padded = np.pad(ahead, ((0, 0), (0, CHUNK - ahead.shape[1])), mode="edge")
        number = np.arange(begin, begin + CHUNK)
        left = np.maximum(total - number, 1).astype(np.float32)
        (state, account), called, read = _run_chunk(
            policy, probe, (state, account), shared, (number, left), _Chunk(*(a[padded] for a in sheet))
        )
        arms[:, begin : begin + CHUNK] = np.asarray(called)[:, : ahead.shape[1]]
        if read is not None:
            probed.append(np.asarray(read)[:, : ahead.shape[1]])
        if progress is not None:
            progress(arms[:, : begin + CHUNK].size)
    if budget is not None:
        arms = _stopped(stream, rows, arms, budget)
    return Trace(rows, arms, np.concatenate(probed, axis=1) if probed else None)


def _checked(budget: NDArray[np.float64]) -> NDArray[np.float64]:
    limits = np.asarray(budget, np.float64)
    if limits.shape != (len(RESOURCES),) or not (limits > 0).all():
        raise ValueError(
            f"replay needs a budget of {len(RESOURCES)} numbers > 0 ({', '.join(RESOURCES)}), got {limits.tolist()}"
        )
    return limits


def _stopped(
    stream: Any, rows: NDArray[np.int32], arms: NDArray[np.int32], budget: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Return the arms with -1 after the round that overdrew the budget.

    Marked here and not in the scan: a state frozen there would be copied whole, every round.
    """
    over = np.zeros(arms.shape, bool)
    for name, limit in zip(RESOURCES, budget, strict=True):
        if np.isfinite(limit):
            used = np.where(arms >= 0, getattr(stream, name)[rows, np.maximum(arms, 0)], 0.0)
            over |= np.cumsum(used, axis=1) > limit * (1 + 1e-6)  # float32's rounding is no overdraft
    late = np.pad(over[:, :-1], ((0, 0), (1, 0)))
    return np.where(late, np.int32(-1), arms)


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


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _run_chunk(
    policy: Policy,
    probe: Callable[[State], jax.Array] | None,
    carry: tuple[State, _Account | None],
    shared: Any,
    clock: Any,
    chunk: _Chunk,
) -> tuple[tuple[State, _Account | None], jax.Array, jax.Array | None]:
    """Return the states and accounts after a chunk, the `(S, C)` arms called in it and what the probe read.

    The `clock`, round number and rounds left `(C,)`, is the same for every seed and stays outside the `vmap`: a
    policy that branches on it alone keeps a real branch, where one on its own state would run both sides each round.
    """
    keys, price, cost_scale, limits = shared
    open_budget = jnp.full(len(RESOURCES), jnp.inf, jnp.float32)

    def one_round(carry: Any, key: jax.Array, now: _Chunk, number: jax.Array, left: jax.Array) -> Any:
        state, account = carry
        to_act, to_learn = jax.random.split(jax.random.fold_in(key, number))
        budget = open_budget if account is None else limits - account.spent
        observation = Observation(now.context, now.available, price, now.preference, cost_scale, budget, left)
        arm = policy.act(to_act, state, observation)
        read = None if probe is None else probe(state)
        heard = now.outcome[arm]
        if account is not None:
            heard = jnp.where(arm >= 0, heard, 0.0)
            account = account.pay(jnp.nan_to_num(heard[-len(RESOURCES) :]))
        utility, reward, cost, latency, tokens = heard
        feedback = Feedback(utility, cost, reward, latency, tokens)
        return (policy.update(to_learn, state, observation, arm, feedback), account), (arm, read)

    def step(carry: Any, xs: Any) -> Any:
        now, number, left = xs
        return jax.vmap(one_round, in_axes=(0, 0, 0, None, None))(carry, keys, now, number, left)

    by_round = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), chunk)
    after, (arms, read) = jax.lax.scan(step, carry, (by_round, *clock))
    return after, jnp.asarray(arms).T, None if read is None else jnp.swapaxes(read, 0, 1)

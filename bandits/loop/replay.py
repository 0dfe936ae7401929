"""The loop: the one place that knows about seeds, rounds and chunks.

One `lax.scan` over the rounds of a chunk around one `vmap` over seeds (`bandits.rounds`), compiled once for a policy
and its shapes. A chunk has a fixed number of rounds, whatever the length of the stream, so neither another stream nor
another seed or preference compiles anything anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Policy, State
from bandits.loop import feedback as feedbacks
from bandits.loop.blocks import advance
from bandits.loop.feedback import Late, Timetable
from bandits.loop.rounds import Account, Chunk, Due, Ring, Shared, start
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

    A stream that changes is laid out in the order in which its seeds ask, and keeps it: `order` is not asked then, and
    the first `seeds` and `rounds` of those that it was made for are taken.

    Raises:
        ValueError: an option is out of range.
    """
    if stream.world is not None:
        return _laid_out(stream.world, seeds, rounds)
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


def _laid_out(world: Any, seeds: int, rounds: int | None) -> NDArray[np.int32]:
    total = world.rounds if rounds is None else rounds
    if not (1 <= seeds <= world.seeds and 1 <= total <= world.rounds):
        raise ValueError(
            f"replay of a changed stream needs at most the {world.seeds} seeds and {world.rounds} rounds that it was"
            f" made for, got seeds={seeds}, rounds={rounds}"
        )
    rows = np.arange(len(world.row), dtype=np.int32).reshape(world.seeds, world.rounds)
    return rows[:seeds, :total]


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
    feedback: Late | None = None,
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
        feedback: how outcomes are heard, from `feedback.parse`; None: at once. A budget is charged at the call.
        probe: `(state) -> array`, read before each round; build it once, since it is compiled by identity.
        progress: called after each chunk with the number of rounds done, all seeds together.

    Raises:
        ValueError: an option or a shape is wrong.
    """
    if table.shape != stream.utility.shape:
        raise ValueError(
            f"replay needs a table of shape {stream.utility.shape} like the stream, got {table.shape}"
        )
    if stream.world is not None and stream.world.judged is not None:
        raise ValueError(
            "replay of a judged stream needs stream.heard and its reward_table; regret needs the truth"
        )
    rows = orders(stream, seeds=seeds, seed=seed, order=order, rounds=rounds)
    sheet, total = _sheet(stream, table, preference), rows.shape[1]
    limits = None if budget is None else jnp.asarray(_checked(budget), jnp.float32)
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(seeds))
    shared = Shared(keys, jnp.asarray(stream.price, jnp.float32), jnp.float32(stream.cost_scale), limits)
    account = None if budget is None else Account(*jnp.zeros((2, seeds, len(RESOURCES)), jnp.float32))
    times = None if feedback is None else feedbacks.timetable(feedbacks.due(feedback, rows.shape, seed))
    full = feedback is not None and feedback.full
    carry = start(policy, keys), account, _ring(times, seeds, budget is not None)
    arms, probed = np.empty(rows.shape, np.int32), []
    for begin in range(0, total, CHUNK):
        ahead = rows[:, begin : begin + CHUNK]
        # The last chunk is filled up with rounds after the end; nothing that they do is kept.
        padded = np.pad(ahead, ((0, 0), (0, CHUNK - ahead.shape[1])), mode="edge")
        number = np.arange(begin, begin + CHUNK)
        clock: Any = (number, np.maximum(total - number, 1).astype(np.float32))
        late = None
        if times is not None:
            late, slots = _due(times, sheet, rows, begin, total)
            clock = (*clock, *slots)
        carry, called, read = advance(policy, probe, full, carry, shared, clock, _rows(sheet, padded), late)
        arms[:, begin : begin + CHUNK] = np.asarray(called)[:, : ahead.shape[1]]
        if read is not None:
            probed.append(np.asarray(read)[:, : ahead.shape[1]])
        if progress is not None:
            progress(arms[:, : begin + CHUNK].size)
    if budget is not None:
        arms = _stopped(stream, rows, arms, budget)
    return Trace(rows, arms, np.concatenate(probed, axis=1) if probed else None)


def _ring(times: Timetable | None, seeds: int, budgeted: bool) -> Ring | None:
    if times is None:
        return None
    budget = jnp.zeros((seeds, times.ring, len(RESOURCES)), jnp.float32) if budgeted else None
    return Ring(jnp.zeros((seeds, times.ring), jnp.int32), budget)


def _due(times: Timetable, sheet: Chunk, rows: NDArray[np.int32], begin: int, total: int) -> tuple[Due, Any]:
    """Return what is heard in the chunk that begins here, and the first and last slot of each of its rounds."""
    source, first = times.chunk(begin, min(begin + CHUNK, total))
    edges = np.pad(first, (0, CHUNK + 1 - len(first)), mode="edge").astype(np.int32)
    asked = np.take_along_axis(
        rows, np.broadcast_to(np.maximum(source, 0), (len(rows), source.shape[1])), axis=1
    )
    return Due(_rows(sheet, asked), source.astype(np.int32), np.int32(total)), (edges[:-1], edges[1:])


def _rows(sheet: Chunk, rows: NDArray[np.int32]) -> Chunk:
    """Return what stands in these `(S, C)` rows."""
    return Chunk(*(None if a is None else a[rows] for a in sheet))


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


def _sheet(stream: Any, table: NDArray[np.float64], preference: Any) -> Chunk:
    """Return the whole stream in the dtypes and the layout that the scan reads, one row a query."""
    unknown = np.full(stream.utility.shape, np.nan, np.float32)
    recorded = {name: getattr(stream, name) for name in RESOURCES}
    outcome = [stream.utility, table, *(unknown if recorded[r] is None else recorded[r] for r in RESOURCES)]
    return Chunk(
        np.asarray(stream.context, np.float32),
        stream.available,
        np.stack(outcome, axis=-1).astype(np.float32),
        np.broadcast_to(np.asarray(preference, np.float32), (len(stream),)),
        None
        if stream.world is None or stream.world.posted is None
        else stream.world.posted.astype(np.float32),
    )

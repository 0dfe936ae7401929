"""The loop itself: lanes, a seed of a case each, side by side through the chunks of a stream.

One program serves all chunks: a chunk has a fixed number of rounds, and the last one is filled up with what nothing
keeps. So it is with lanes: many are played in groups of one size, one group after the other, whatever the machine.
How a group is shared out over the cores is the player's affair (`bandits.loop.player`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Policy, State
from bandits.late import jax, jnp
from bandits.loop.feedback import Timetable, timetable
from bandits.loop.player import Player, player
from bandits.loop.rounds import Account, Chunk, Due, Shared, ring
from bandits.loop.turns import Turns
from envs.ahead import ahead

if TYPE_CHECKING:
    from bandits.rewards import Preference
    from envs.shapes import Queries
    from envs.stream import Stream

Ints = NDArray[np.integer[Any]]
CHUNK = 1024  # rounds: long enough to hide the call, short enough for progress and a prompt stop
GROUP = 64  # lanes at most that are played as one batch: it bounds memory


class Lane(NamedTuple):
    """What one seed of one case meets.

    Attributes:
        sheet: the whole stream as `Chunk` has it, without the first axis; lanes of one case share it.
        rows: `(T,)` int32, the row asked at each round.
        key: of the policy's randomness.
        budget: `(R,)` or None.
        due: `(T,)`, the round after which each round is heard, from `feedback.due`; None: at once.
    """

    sheet: Chunk
    rows: NDArray[np.int32]
    key: jax.Array
    budget: Any = None
    due: NDArray[np.int64] | None = None


def lanes_of(
    sheets: Sequence[Chunk], budgets: Sequence[Any], rows: NDArray[np.int32], keys: Sequence[Any], after: Any
) -> list[Lane]:
    """Return a lane for each case and seed, those of a case one after the other.

    Args:
        sheets, budgets: of each case, as `Lane` has them.
        rows: `(S, T)` asked.
        keys: of each seed.
        after: `(S, T)` from `feedback.due`; None: at once.
    """
    return [
        Lane(sheet, rows[s], keys[s], budget, None if after is None else after[s])
        for sheet, budget in zip(sheets, budgets, strict=True)
        for s in range(len(rows))
    ]


def play(
    policy: Policy,
    shared: Shared,
    lanes: Sequence[Lane],
    *,
    full: bool = False,
    turns: Turns | None = None,
    probe: Callable[[State], jax.Array] | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
    """Return the `(L, T)` arms called in each lane, `(L, T, M)` of several calls a query, and what the probe read.

    Args:
        policy: three pure functions.
        shared: what is the same for all lanes.
        lanes: `L` of them, all of the same length.
        full: whether the outcome of every available model is heard.
        turns: of a policy that may call again for a query; None: one call.
        probe: `(state) -> array`, read before each round, or None.
        progress: called with the number of rounds done, all lanes together.
    """
    size = group_size(len(lanes))
    groups = [list(lanes[i : i + size]) for i in range(0, len(lanes), size)]
    done, played = 0, []
    for group in groups:
        so_far = done

        def told(rounds: int, group: list[Lane] = group, so_far: int = so_far) -> None:
            if progress is not None:
                progress(so_far + rounds * len(group))

        filled = group + [group[0]] * (size - len(group))
        arms, read = _group(policy, shared, filled, full, turns, probe, told)
        played.append((arms[: len(group)], None if read is None else read[: len(group)]))
        done += len(group) * len(group[0].rows)
    arms = np.concatenate([called for called, _ in played])
    return arms, None if played[0][1] is None else np.concatenate([read for _, read in played])


def group_size(lanes: int) -> int:
    """Return how many lanes are played together: as few groups as `GROUP` allows, as even as can be."""
    return -(-lanes // -(-lanes // GROUP))


def _group(
    policy: Policy,
    shared: Shared,
    lanes: list[Lane],
    full: bool,
    turns: Turns | None,
    probe: Callable[[State], jax.Array] | None,
    told: Callable[[int], None],
) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
    """Return what `play` returns, for lanes that are one batch."""
    rows, held = np.stack([lane.rows for lane in lanes]), _account(lanes)
    times = None if lanes[0].due is None else timetable(np.stack([lane.due for lane in lanes]))  # type: ignore[misc]
    sheet, waiting = lanes[0].sheet, None
    if times is not None:
        sizes = sheet.available.shape[1], sheet.context.shape[1]
        most = None if turns is None else turns.calls.most
        waiting = ring(policy, len(lanes), times.ring, *sizes, budgeted=held is not None, calls=most)
    keys, sheets = [lane.key for lane in lanes], [lane.sheet for lane in lanes]
    playing = player(policy, keys, shared, account=held, ring=waiting, probe=probe, full=full, turns=turns)
    late = None if times is None else partial(due, times, sheets, rows, total=rows.shape[1])
    shape = rows.shape if turns is None else (*rows.shape, turns.calls.most)
    arms, probed, done = np.empty(shape, np.int32), [], 0
    for size, ((called, read),) in rounds([playing], sheets, rows, total=rows.shape[1], late=late):
        arms[:, done : done + size] = called
        if read is not None:
            probed.append(read)
        done += size
        told(done)
    return arms, np.concatenate(probed, axis=1) if probed else None


def rounds(
    playing: Sequence[Player],
    sheets: Sequence[Chunk],
    rows: NDArray[np.integer[Any]],
    *,
    total: int,
    first: int = 0,
    done: int = 0,
    late: Callable[[int], tuple[Due, Any]] | None = None,
) -> Iterator[tuple[int, list[tuple[NDArray[np.int32], NDArray[np.float32] | None]]]]:
    """Play the rounds of a window chunk by chunk; yield after each how many it had, and of each player the arms
    `(L, c)` and what its probe read.

    Chunk `c` of a run has the rounds `c CHUNK` onwards, and each round's key is folded from its number, whatever was
    read when: a run goes on from any chunk with the numbers that it would have had. What comes next is gathered while a
    chunk is played; at each yield the players have played just what was yielded.

    Args:
        playing: from `player`.
        sheets: of each lane.
        rows: `(L, m)` of the sheets, in the order in which each lane asks them.
        total: rounds of the run.
        first: round of the run that the window begins with.
        done: rounds of the window that were played before, a multiple of `CHUNK`.
        late: what is heard in the chunk that begins with a round, and its slots; None: each round at once.
    """

    def coming() -> Iterator[tuple[Any, Chunk, Any, list[Any]]]:
        for clock, chunk in chunks(sheets, rows[:, done:], total=total, first=first + done):
            heard, slots = (None, ()) if late is None else late(int(clock[0][0]))
            now = (*clock, *slots)
            yield now, chunk, heard, [one.foresee(now, chunk) for one in playing]

    begins = range(done, rows.shape[1], CHUNK)
    for begin, (clock, chunk, heard, foreseen) in zip(begins, ahead(coming()), strict=True):
        size = min(CHUNK, rows.shape[1] - begin)
        played = [one.play(clock, chunk, own, heard) for one, own in zip(playing, foreseen, strict=True)]
        yield size, [(arms[:, :size], None if read is None else read[:, :size]) for arms, read in played]


def chunks(
    sheets: Sequence[Chunk], rows: NDArray[np.integer[Any]], *, total: int, first: int = 0
) -> Iterator[tuple[Any, Chunk]]:
    """Yield the clock and what the lanes meet of each chunk; the next but one is written over it.

    Args:
        sheets: of each lane.
        rows: `(L, T)` asked.
        total: rounds of the run.
        first: round of the run that these rows begin with.
    """
    # Two in turn, one that is played and one that comes next: fresh memory would cost more than what is put there.
    rooms = cycle([room(sheets, CHUNK), room(sheets, CHUNK)])
    for begin in range(0, rows.shape[1], CHUNK):
        coming = rows[:, begin : begin + CHUNK]
        # The last chunk is filled up with rounds after the end; nothing that they do is kept.
        padded = np.pad(coming, ((0, 0), (0, CHUNK - coming.shape[1])), mode="edge")
        number = np.arange(first + begin, first + begin + CHUNK)
        clock = (number, np.maximum(total - number, 1).astype(np.float32))
        yield clock, gather(sheets, padded, next(rooms))


def _account(lanes: list[Lane]) -> Account | None:
    return None if lanes[0].budget is None else account(np.stack([lane.budget for lane in lanes]))


def account(limits: NDArray[np.float64]) -> Account:
    """Return the account of lanes before the first round; `limits` `(L, R)`."""
    none = jnp.zeros(limits.shape, jnp.float32)
    return Account(none, jnp.zeros_like(none), jnp.asarray(limits, jnp.float32))


def due(
    times: Timetable, sheets: Sequence[Chunk], rows: Ints, begin: int, *, total: int, low: int = 0
) -> tuple[Due, Any]:
    """Return what is heard in the chunk that begins here, and the first and last slot of each of its rounds.

    Args:
        times: of the window that the chunk is in.
        sheets: of each lane.
        rows: `(L, n)` of the sheets that are asked from round `low` on.
        begin: round of the run.
        total: rounds of the run.
        low: none before it is heard any more.
    """
    source, first = times.chunk(begin, min(begin + CHUNK, low + rows.shape[1]))
    edges = np.pad(first, (0, CHUNK + 1 - len(first)), mode="edge").astype(np.int32)
    places = np.broadcast_to(np.maximum(source - low, 0), (len(rows), source.shape[1]))
    asked = np.take_along_axis(rows, places, axis=1)
    heard = gather(sheets, asked, room(sheets, asked.shape[1]))
    return Due(heard, source.astype(np.int32), np.int32(total)), (edges[:-1], edges[1:])


def room(sheets: Sequence[Chunk], rounds: int) -> Chunk:
    """Return a chunk of so many rounds of each lane's sheet that nothing stands in yet."""

    def empty(column: NDArray[Any]) -> NDArray[Any]:
        return np.empty((len(sheets), rounds, *column.shape[1:]), column.dtype)

    return Chunk(*(None if column is None else empty(column) for column in sheets[0]))


def gather(sheets: Sequence[Chunk], rows: NDArray[np.integer[Any]], into: Chunk) -> Chunk:
    """Return `into` with what stands in these `(L, C)` rows of each lane's sheet."""
    for places, *columns in zip(into, *sheets, strict=True):
        if places is not None:
            for place, column, asked in zip(places, columns, rows, strict=True):
                np.take(
                    column, asked, axis=0, out=place, mode="clip"
                )  # all in range; "raise" would take a copy
    return into


def sheets(stream: Stream, cases: Sequence[Any]) -> list[Chunk]:
    """Return the `sheet` of each case on the whole stream."""
    posted = None if stream.world is None else stream.world.posted
    return [sheet(stream, case.table, case.preference, posted=posted) for case in cases]


def sheet(
    stream: Queries,
    reward: NDArray[np.float64],
    preference: Preference,
    *,
    posted: NDArray[np.floating[Any]] | None = None,
) -> Chunk:
    """Return some rows of a table in the dtypes and the layout that the loop reads, one row a query.

    Args:
        stream: with `utility`, `available`, `context` and what is recorded of `RESOURCES`, as `Stream` has them.
        reward: `(N, K)`.
        preference: shown, a number or `(N,)`.
        posted: `(N, K)` prices that change, or None.
    """
    outcome = np.full((*reward.shape, 2 + len(RESOURCES)), np.nan, np.float32)
    recorded = (stream.utility, reward, *(getattr(stream, name) for name in RESOURCES))
    for i, matrix in enumerate(recorded):
        if matrix is not None:
            outcome[..., i] = matrix
    shown = np.broadcast_to(np.asarray(preference, np.float32), (len(reward),))
    posted = None if posted is None else posted.astype(np.float32)
    return Chunk(np.asarray(stream.context, np.float32), stream.available, outcome, shown, posted)

"""Which query each seed asks when: of a table in memory, of one window of a larger table, of a world that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from envs.stream import Stream, World

ORDERS = ("shuffle", "given", "dataset")  # the last needs the whole table in memory


def orders(
    stream: Stream, *, seeds: int, seed: int = 0, order: str = "shuffle", rounds: int | None = None
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
    if order == "dataset":
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


def window_order(rows: int, window: int, *, seeds: int, seed: int, order: str) -> NDArray[np.integer[Any]]:
    """Return `(S, n)`, the rows of a window of a larger table in the order in which each seed meets them.

    Args:
        rows: `n` of the window.
        window: its number. The order of the first is that of `orders` on a table of as many rows.
        seeds: `S`.
        seed: of the shuffling.
        order: `shuffle` (inside the window, each seed its own way) or `given`.
    """
    if order == "given":
        return np.broadcast_to(np.arange(rows), (seeds, rows))
    drawn = [np.random.default_rng([seed, s, 0, window]).permutation(rows) for s in range(seeds)]
    return np.stack(drawn)


def _laid_out(world: World, seeds: int, rounds: int | None) -> NDArray[np.int32]:
    total = world.rounds if rounds is None else rounds
    if not (1 <= seeds <= world.seeds and 1 <= total <= world.rounds):
        raise ValueError(
            f"replay of a changed stream needs at most the {world.seeds} seeds and {world.rounds} rounds that it was"
            f" made for, got seeds={seeds}, rounds={rounds}"
        )
    rows = np.arange(len(world.row), dtype=np.int32).reshape(world.seeds, world.rounds)
    return rows[:seeds, :total]

"""The loop over a window of a table too large to hold: the same chunks, keys and compiled rounds as `replay`.

Chunk `c` of a run has the rounds `c CHUNK` onwards, whatever was read when, and each round's key is folded from its
number. So a run goes on from any chunk with the numbers that it would have had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy
from bandits.loop.lanes import CHUNK, chunks
from bandits.loop.player import Player, player
from bandits.loop.replay import seed_keys
from bandits.loop.rounds import Chunk, Shared
from envs.ahead import ahead

Ints = NDArray[np.integer[Any]]
ORDERS = ("shuffle", "given")


def players(policies: Sequence[Policy], table: Any, *, seeds: int, seed: int) -> list[Player]:
    """Return what plays each policy for `S` seeds on a table with `price` `(K,)` and `cost_scale`."""
    keys = seed_keys(seed, seeds)
    shared = Shared(jnp.asarray(table.price, jnp.float32), jnp.float32(table.cost_scale))
    return [player(policy, keys, shared) for policy in policies]


def order(rows: int, window: int, *, seeds: int, seed: int, kind: str) -> Ints:
    """Return `(S, n)`, the rows of a window in the order in which each seed meets them.

    Args:
        rows: `n` of the window.
        window: its number. The order of the first is that of `replay.orders` on a table of as many rows.
        seeds: `S`.
        seed: of the shuffling.
        kind: `shuffle` (inside the window, each seed its own way) or `given`.
    """
    if kind == "given":
        return np.broadcast_to(np.arange(rows), (seeds, rows))
    drawn = [np.random.default_rng([seed, s, 0, window]).permutation(rows) for s in range(seeds)]
    return np.stack(drawn)


def play(
    playing: Sequence[Player], window: Chunk, rows: Ints, first: int, done: int, total: int
) -> Iterator[tuple[int, list[Any]]]:
    """Play a window chunk by chunk; yield after each how many rounds of the window it had, and the arms `(S, c)`.

    What comes next is gathered while a chunk is played. At each yield the players have played just what was yielded.

    Args:
        playing: from `players`.
        window: from `bandits.loop.lanes.sheet`.
        rows: `(S, m)` from `order`.
        first: round of the run that the window begins with.
        done: rounds of the window that were played before, a multiple of `CHUNK`.
        total: rounds of the run.
    """
    met = chunks([window] * len(rows), rows[:, done:], first=first + done, total=total)
    coming = ((*now, [one.foresee(*now) for one in playing]) for now in met)
    for at, (clock, chunk, foreseen) in zip(range(done, rows.shape[1], CHUNK), ahead(coming), strict=True):
        size = min(CHUNK, rows.shape[1] - at)
        called = [one.play(clock, chunk, own)[0] for one, own in zip(playing, foreseen, strict=True)]
        yield size, [arms[:, :size] for arms in called]

"""The loop over a window of a table too large to hold: the same chunks, keys and compiled rounds as `replay`.

Chunk `c` of a run has the rounds `c CHUNK` onwards, whatever was read when, and each round's key is folded from its
number. So a run goes on from any chunk with the numbers that it would have had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Policy
from bandits.loop.blocks import advance
from bandits.loop.lanes import CHUNK
from bandits.loop.replay import seed_keys
from bandits.loop.rounds import Carry, Chunk, Shared, start

Ints = NDArray[np.integer[Any]]
ORDERS = ("shuffle", "given")


class Players(NamedTuple):
    """`P` policies, the keys `(S,)` of the seeds, what all rounds share, and the number of rounds `T`."""

    policies: tuple[Policy, ...]
    keys: jax.Array
    shared: Shared
    total: int


def players(policies: tuple[Policy, ...], table: Any, *, seeds: int, seed: int, rounds: int) -> Players:
    """Return the players of a run of `S` seeds on a table with `price` `(K,)` and `cost_scale`."""
    keys = jnp.stack(seed_keys(seed, seeds))
    shared = Shared(jnp.asarray(table.price, jnp.float32), jnp.float32(table.cost_scale))
    return Players(policies, keys, shared, rounds)


def begin(playing: Players) -> list[Carry]:
    """Return what each policy carries into the first chunk, all seeds together."""
    return [(start(policy, playing.keys), None, None) for policy in playing.policies]


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


def sheet(piece: Any, reward: NDArray[np.float64], preference: Any) -> Chunk:
    """Return the rows of a window as the compiled rounds read them, one row a query."""
    outcome = np.full((*reward.shape, 2 + len(RESOURCES)), np.nan, np.float32)
    for i, matrix in enumerate((piece.utility, reward, piece.cost, piece.latency, piece.tokens)):
        if matrix is not None:
            outcome[..., i] = matrix
    weight = np.broadcast_to(np.asarray(preference, np.float32), (len(reward),))
    return Chunk(np.asarray(piece.context, np.float32), piece.available, outcome, weight)


def play(
    playing: Players, carries: list[Carry], window: Chunk, rows: Ints, first: int, done: int
) -> Iterator[tuple[int, list[Any]]]:
    """Play a window chunk by chunk; yield after each how many rounds of the window it had, and the arms `(S, c)`.

    Args:
        playing: from `players`.
        carries: one a policy, replaced in place; whole at each yield.
        window: from `sheet`.
        rows: `(S, m)` from `order`.
        first: round of the run that the window begins with.
        done: rounds of the window that were played before, a multiple of `CHUNK`.
    """
    for at in range(done, rows.shape[1], CHUNK):
        coming = rows[:, at : at + CHUNK]
        size = coming.shape[1]
        # The last chunk is filled up with rounds after the end; nothing that they do is kept.
        padded = np.pad(coming, ((0, 0), (0, CHUNK - size)), mode="edge")
        number = np.arange(first + at, first + at + CHUNK)
        clock = (number, np.maximum(playing.total - number, 1).astype(np.float32))
        met = Chunk(*(None if a is None else a[padded] for a in window))
        called = []
        for p, policy in enumerate(playing.policies):
            carries[p], arms = _advance(playing, policy, carries[p], clock, met)
            called.append(arms if size == CHUNK else arms[:, :size])
        yield size, called


def _advance(playing: Players, policy: Policy, carry: Carry, clock: Any, chunk: Chunk) -> tuple[Carry, Any]:
    """Return what a policy carries on from a chunk and the arms `(S, C)`: the one call of the compiled rounds here."""
    carry, arms, _ = advance(policy, None, False, carry, playing.keys, playing.shared, clock, chunk)
    return carry, arms

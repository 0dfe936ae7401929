"""What is known of a window of a table before it is played: every outcome, and what the references call.

Letters: `n` rows of the window, `K` models, `D` data sets. A table in memory is one window, whatever its size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.regret import BASELINES, comparator, plain, stand_in

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
REFERENCES = (*BASELINES, "uniform")


class Book(NamedTuple):
    """The rows of a window.

    Attributes:
        outcome: `(n, K, 3)` reward, accuracy and cost, NaN where unavailable.
        chance: `(n, 3)` their means over the models that can be called: what `uniform` expects.
        code: `(n,)` data set.
        best: `(n, 3)` what each of `BASELINES` calls.
        other: `(n,)` what stands in for a model that cannot be called (`metrics.regret.fall_back`).
        alike: `(n,)` a number that near copies of a query share.
        row: `(n,)` of the table, before any change.
    """

    outcome: Floats
    chance: Floats
    code: NDArray[np.int64]
    best: NDArray[np.int32]
    other: NDArray[np.int32]
    alike: NDArray[np.uint64]
    row: NDArray[np.int64]


class Best(NamedTuple):
    """What only the whole table tells: `sums` `(D, K)` of `metrics.regret.fixed_sums`, and the fall-back's `order`.

    References call the models of `order` only: columns after those are sequences of calls.
    """

    sums: Floats
    order: NDArray[np.int32]


def book(reward: Floats, piece: Any, means: Best, *, row: Ints, alike: Ints) -> Book:
    """Return the book of a window.

    Args:
        reward: `(n, K)`, NaN where unavailable.
        piece: `utility`, `cost` `(n, K)` and `code` `(n,)` of these rows.
        means: over all rows that are played.
        row, alike: as in `Book`.
    """
    outcome = np.stack([reward, piece.utility, piece.cost], axis=-1)
    alone = len(means.order)
    seen = ~np.isnan(reward[:, :alone])
    chance, there = np.zeros((len(reward), 3)), seen.sum(axis=1)[:, None]
    for k in range(alone):  # one after the other: the same digits in windows of any size
        chance += np.where(seen[:, k, None], outcome[:, k], 0.0)
    other = stand_in(seen, means.order)
    at = np.arange(len(reward))
    sums = means.sums[:, :alone]
    wanted = np.broadcast_to(sums.sum(axis=0).argmax(), at.shape), sums.argmax(axis=1)[piece.code]
    fixed = [np.where(seen[at, k], k, other) for k in wanted]
    best = np.stack([comparator(reward[:, :alone], "oracle", cost=piece.cost[:, :alone]), *fixed], axis=1)
    return Book(
        plain(outcome, np.float64),
        chance / there,
        plain(piece.code, np.int64),
        plain(best, np.int32),
        plain(other, np.int32),
        plain(alike, np.uint64),
        plain(row, np.int64),
    )

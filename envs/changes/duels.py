"""Duels: two models are called for a query and only the preference between them is heard.

A duel is a call of a pair, so a stream of duels is a stream whose `P = K (K + 1) / 2` models are pairs `(i, j)` with
`i <= j`, and loop, regret and summary stay as they are. A pair `(k, k)` is a single call and tells nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]


def sides(n_models: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second model of each of the `P` pairs, `(P,)` each."""
    return np.triu_indices(n_models)


def models_of(n_pairs: int) -> int:
    """Return `K` for `P` pairs.

    Raises:
        ValueError: there is none.
    """
    found = round((np.sqrt(8 * n_pairs + 1) - 1) / 2)
    if found < 2 or found * (found + 1) // 2 != n_pairs:
        raise ValueError(
            f"a duelling policy needs the pairs of 2 or more models as arms (3, 6, 10, ...), got {n_pairs};"
            " give --feedback dueling"
        )
    return int(found)


def pairs(stream: Stream) -> Any:
    """Return the stream of pairs: the utility of a pair is the mean of both, its cost is both costs.

    Latency is that of the slower one, tokens are of both. A pair is available where both models are.
    """
    old, (first, second) = stream.outcomes, sides(stream.n_arms)
    single = first == second

    def both(values: Any) -> Any:
        if values is None:
            return None
        return np.where(single, values[..., first], values[..., first] + values[..., second])

    slower = None if old.latency is None else np.maximum(old.latency[:, first], old.latency[:, second])
    names = [m if one else f"{m} | {stream.models[j]}" for m, j, one in _named(stream, first, second)]
    outcomes = replace(
        old,
        models=tuple(names),
        utility=(old.utility[:, first] + old.utility[:, second]) / 2,
        cost=both(old.cost),
        price=both(old.price),
        latency=slower,
        tokens=both(old.tokens),
    )
    world = stream.world
    if world is not None:
        judged = None if world.judged is None else (world.judged[:, first] + world.judged[:, second]) / 2
        world = world._replace(posted=both(world.posted), judged=judged)
    return replace(stream, outcomes=outcomes, world=world, unit=stream.cost_scale)


def _named(stream: Stream, first: NDArray[np.intp], second: NDArray[np.intp]) -> list[tuple[str, int, bool]]:
    return [(stream.models[i], int(j), bool(i == j)) for i, j in zip(first, second, strict=True)]


def preferred(stream: Stream, table: Floats, *, seed: int = 0) -> tuple[Any, Floats]:
    """Return the stream and the table that duellists hear: 1 where the first model of a pair is preferred, else 0.

    The model whose own call would be worth more is preferred; a fair coin settles ties. Nothing else is heard:
    the utility is the preference too.

    Args:
        stream: of `pairs`.
        table: `(N, P)` its rewards.
        seed: of the coins.
    """
    first, second = sides(models_of(table.shape[1]))
    alone = table[:, first == second]
    lead = alone[:, first] - alone[:, second]
    coin = np.random.default_rng([seed, 13]).random(table.shape) < 0.5
    told = np.where(np.isnan(table), np.nan, np.where(lead == 0, coin, lead > 0).astype(np.float64))
    return replace(stream, outcomes=replace(stream.outcomes, utility=told)), told

"""Synthetic models merged from others, as OptMerge and Tiny-R1V's AMM produce: between their parents, set by set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.changes.world import arm, draws, entered
from envs.outcomes import Floats
from envs.stream import ANSWERED, Stream, World


def arrive_merged(
    stream: Stream, parents: str, *, name: str = "", between: float = 0.5
) -> tuple[Stream, int]:
    """Return the stream with a merged model as its last one, and the column of that.

    In each data set the model answers a share `between` of the queries as the parent that is best there, and each
    of the others as one of the other parents, drawn at random: its accuracy is `between best + (1 - between) mean of
    the others`, up to the draw. It has the parents' size, so its cost is their mean.

    Args:
        stream: an unrolled stream.
        parents: two or more models or roles, joined by `+`.
        name: of the new model; "" for `merged(A+B)`.
        between: in [0, 1].

    Raises:
        ValueError: fewer than two parents, a name that is taken, or `between` out of range.
    """
    world = entered(stream, "arrive", ANSWERED)
    columns = [arm(stream, parent.strip(), "arrive") for parent in parents.split("+")]
    name = name or f"merged({'+'.join(stream.models[k] for k in columns)})"
    if len(set(columns)) < 2 or not 0 <= between <= 1 or name in stream.models:
        raise ValueError(
            "change arrive needs merge=A+B of two different models, between in [0, 1] and a new name, got"
            f" merge={parents}, between={between}, model={name}"
        )
    rng = draws(world, f"merge:{name}")
    picked = _parents(stream, world, columns, between, rng)[world.row]
    rows, old = np.arange(len(picked)), stream.outcomes

    def grown(values: Any) -> Any:
        return None if values is None else np.column_stack([values, values[rows, picked]])

    cost = np.column_stack(
        [old.cost, np.where(np.isnan(old.utility[rows, picked]), np.nan, _mean(old.cost, columns))]
    )
    posted = None if world.posted is None else np.column_stack([world.posted, _mean(world.posted, columns)])
    outcomes = replace(
        old,
        models=(*old.models, name),
        utility=grown(old.utility),
        cost=cost,
        latency=grown(old.latency),
        tokens=grown(old.tokens),
        price=np.append(old.price, old.price[columns].mean()),
        label=f"{old.label}; {name} is synthetic",
    )
    return replace(stream, outcomes=outcomes, world=world._replace(posted=posted)), len(old.models)


def _parents(
    stream: Stream, world: World, columns: list[int], between: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return `(N,)`, for each row of the base the parent that the merged model answers as."""
    # Parents may have changed or be synthetic themselves: which is best is read off the stream as it is now.
    base, row = world.base, world.row
    picked = np.empty(len(base), np.int64)
    for name in np.unique(base.dataset.astype(str)):
        inside = np.flatnonzero(base.dataset.astype(str) == name)
        asked = stream.outcomes.utility[np.isin(row, inside)][:, columns]
        seen = ~np.isnan(asked)
        mean = np.where(seen, asked, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        best = int(mean.argmax())
        others = [k for i, k in enumerate(columns) if i != best]
        first = rng.random(len(inside)) < between
        picked[inside] = np.where(first, columns[best], rng.choice(others, len(inside)))
    return picked


def _mean(values: Floats, columns: list[int]) -> Floats:
    """Return the mean of these columns over those that are not NaN; NaN where all are."""
    part = values[:, columns]
    seen = ~np.isnan(part)
    total = np.where(seen, part, 0.0).sum(axis=1)
    return np.where(seen.any(axis=1), total / np.maximum(seen.sum(axis=1), 1), np.nan)

"""World: what a changing stream knows beside its rows. Every row belongs to one seed and one round.

A change depends on the round, and each seed asks in an order of its own. `unroll` therefore lays the rows out as they
will be asked, row `s T + t` for seed `s` and round `t`, and a change edits rows. Whatever reads a plain stream
(rewards, loop, regret, summary) reads a changed one without knowing: the oracle of a row is the oracle of the moment.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.nearest import near
from envs.stream import Stream, World

_ROWS = (
    "utility", "cost", "latency", "tokens", "dataset", "scenario", "group_id", "question", "image_path", "origin",
)  # fmt: skip
_VALUE = 0.2  # the default preference, in which the role @value is judged


def unroll(stream: Stream, rows: NDArray[np.integer[Any]], *, seed: int = 0) -> Stream:
    """Return the stream laid out in the order in which each seed asks, ready for changes.

    Args:
        stream: a plain `Stream`.
        rows: `(S, T)` the row that each seed asks in each round.
        seed: of everything that changes will draw.

    Raises:
        ValueError: the stream is unrolled already.
    """
    if stream.world is not None:
        raise ValueError("unroll needs a stream in file order, got one that is unrolled already")
    taken = np.asarray(rows, np.int64).ravel()
    world = World(stream, taken, len(rows), seed)
    return placed(stream, world)


def placed(stream: Stream, world: World) -> Stream:
    """Return the rows of `world.row` with ids of seed and round; embeddings stay with the base."""
    rounds = np.tile(np.arange(world.rounds), world.seeds)
    seeds = np.repeat(np.arange(world.seeds), world.rounds)
    asked = world.base.outcomes.query_id[world.row]
    ids = [f"{s}/{t}/{q}" for s, t, q in zip(seeds.tolist(), rounds.tolist(), asked.tolist(), strict=True)]
    repeated: dict[str, Any] = {
        name: None
        if getattr(world.base.outcomes, name) is None
        else getattr(world.base.outcomes, name)[world.row]
        for name in _ROWS
    }
    laid = replace(world.base.outcomes, query_id=np.array(ids, object), text=None, image=None, **repeated)
    context = world.base.context[world.row]
    several = None if world.base.several is None else world.base.several.take(world.row)
    return replace(
        stream, outcomes=laid, context=context, world=world, unit=world.base.cost_scale, several=several
    )


def entered(stream: Stream, kind: str, stage: int) -> World:
    """Return the world of a stream that a change of this stage can still be applied to, with the stage noted.

    Raises:
        ValueError: the stream is not unrolled, or a change of a later stage has been applied.
    """
    world = stream.world
    if world is None:
        raise ValueError(f"change {kind} needs an unrolled stream, see envs.changes.world.unroll")
    if stage < world.stage:
        raise ValueError(
            f"change {kind} needs to come before {world.done[-1]}; envs.changes.changes.apply orders them"
        )
    return world._replace(stage=stage)


def draws(world: World, name: str) -> np.random.Generator:
    """Return the generator of the change `name`: no other change moves its draws, so changes commute."""
    return np.random.default_rng([world.seed, zlib.crc32(name.encode()), world.done.count(name)])


def noted(world: World, name: str, *marks: tuple[int, str]) -> World:
    """Return the world with this change among those done, and its marks inside the run."""
    inside = tuple((at, label) for at, label in marks if 0 < at < world.rounds)
    return world._replace(done=(*world.done, name), marks=tuple(sorted({*world.marks, *inside})))


def moment(option: str, value: Any, rounds: int) -> int:
    """Return a round in [0, T] from a whole number of rounds, a share of the run such as 0.5, or `50%`.

    Raises:
        ValueError: it is none of these.
    """
    try:
        if isinstance(value, str) and value.endswith("%"):
            found = float(value[:-1]) / 100 * rounds
        elif isinstance(value, str):
            found = float(value) * rounds if "." in value else int(value)
        else:
            found = value * rounds if isinstance(value, float) and value <= 1 else float(value)
    except (TypeError, ValueError):
        found = np.nan
    if not 0 <= found < np.inf or isinstance(value, bool):
        raise ValueError(f"{option} needs a round such as 500 or a share such as 0.5 or 50%, got {value!r}")
    return int(min(round(found), rounds))


def parts(value: Any) -> list[str]:
    """Return the parts of a list such as `0.1/1`; a single value is a list of one."""
    return [part.strip() for part in str(value).split("/")]


def arm(stream: Stream, name: Any, kind: str) -> int:
    """Return the column of a model, by name or by its role in the unchanged table.

    Roles: `@best` and `@second` by mean utility, `@dearest` and `@cheapest` by mean cost, `@value` by mean utility
    less 0.2 times mean cost in units of the dearest model's.

    Raises:
        ValueError: no such model or role.
    """
    name = str(name)
    if name in stream.models:
        return stream.models.index(name)
    base = stream if stream.world is None else stream.world.base
    utility, cost = np.nanmean(base.utility, axis=0), np.nanmean(base.cost, axis=0)
    roles = {
        "@best": int(utility.argmax()),
        "@second": int(np.argsort(-utility, kind="stable")[1]),
        "@dearest": int(cost.argmax()),
        "@cheapest": int(cost.argmin()),
        "@value": int((utility - _VALUE * cost / base.cost_scale).argmax()),
    }
    if name not in roles:
        raise ValueError(f"change {kind}: no model {name!r}; {near(name, [*stream.models, *roles])}")
    return roles[name]

"""Changes of the world, each a pure seeded function from unrolled Stream to unrolled Stream.

Times are whole rounds or shares of the run (`at=500`, `at=0.5`); a model is a name or a role (`@best`, see
`world.arm`); a list is parted by `/`. A change leaves everything that it does not name bit-equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from envs.changes.availability import arrive, leave, outage
from envs.changes.hearing import censor, judge, noise, poison
from envs.changes.masks import mask
from envs.changes.traffic import mix
from envs.changes.world import arm, draws, entered, moment, noted, parts
from envs.outcomes import Floats
from envs.stream import ANSWERED, ASKED, HEARD, THERE, Stream, World

Change = Callable[[Stream], Stream]


def price(
    stream: Stream, *, model: str, factor: Any = 0.5, at: Any = 0.5, walk: float = 0.0, lag: Any = 0
) -> Stream:
    """Scale a model's cost from a time on, in phases (factor=0.5/1,at=0.3/0.7), or by a random walk.

    Args:
        stream: an unrolled stream of a table with costs.
        model: whose.
        factor: of the unchanged cost, >= 0, from each time in `at` on.
        at: as many times, ascending.
        walk: standard deviation of the log cost at the end of the run, >= 0: a Gaussian walk, one for each seed, that
            begins at the first time, whenever that is, and multiplies the factor.
        lag: rounds that the posted price stays behind.
    """
    world, column = entered(stream, "price", ANSWERED), arm(stream, model, "price")
    if not stream.outcomes.priced:
        raise ValueError("change price needs a table with costs, and this one has none")
    if not walk >= 0:
        raise ValueError(f"change price needs walk >= 0, got {walk}")
    name = f"price:{stream.models[column]}"
    times = [moment("change price: at", x, world.rounds) for x in parts(at)]
    scale = np.tile(_phases(factor, times, world.rounds), (world.seeds, 1))
    if walk:
        left = max(world.rounds - times[0], 1)
        steps = draws(world, name).normal(0, walk / np.sqrt(left), scale.shape)
        steps[:, : times[0]] = 0.0
        scale = scale * np.exp(np.cumsum(steps, axis=1))
    late = moment("change price: lag", lag, world.rounds)
    seen = np.pad(scale, ((0, 0), (late, 0)), constant_values=1.0)[:, : world.rounds]
    cost = stream.outcomes.cost.copy()
    cost[:, column] *= scale.ravel()
    posted = _own(stream.price, world)
    posted[:, column] *= seen.ravel()
    marks = [(t, f"price of {stream.models[column]}") for t in times]
    world = noted(world, name, *marks)._replace(posted=posted)
    return replace(stream, outcomes=replace(stream.outcomes, cost=cost), world=world)


def _phases(factor: Any, times: Sequence[int], rounds: int) -> Floats:
    """Return `(T,)`: 1 before the first time, then the factor of the latest time."""
    try:
        factors = [1.0, *(float(x) for x in parts(factor))]
    except ValueError:
        factors = [np.nan]
    if len(factors) != len(times) + 1 or not min(factors) >= 0 or list(times) != sorted(times):
        raise ValueError(f"change price needs a factor >= 0 for each of the ascending times, got {factor!r}")
    return np.asarray(factors)[np.searchsorted(times, np.arange(rounds), side="right")]


def _own(price: Floats, world: World) -> Floats:
    """Return the posted prices `(S T, K)` so far, to be written to."""
    return np.tile(price, (len(world.row), 1)) if world.posted is None else world.posted.copy()


def quality(
    stream: Stream, *, model: str, change: float = -0.2, at: Any = 0.5, ramp: Any = 0, label: str = ""
) -> Stream:
    """Make a model worse or better: answers flipped at random until its accuracy has changed by a stated amount.

    For the worse an answer becomes wrong (0) with probability `-change / accuracy`, for the better right (1) with
    `change / (1 - accuracy)`, so the mean moves by `change`, whether utility is graded or not. A query that is asked
    again is answered the same.

    Args:
        stream: an unrolled stream.
        model: whose.
        change: of the mean utility from `at` on, in [-1, 1].
        at: when it begins.
        ramp: how long it takes to come; 0 is at once.
        label: of the mark in plots.

    Raises:
        ValueError: the accuracy would leave [0, 1].
    """
    world, column = entered(stream, "quality", ANSWERED), arm(stream, model, "quality")
    start = moment("change quality: at", at, world.rounds)
    length = moment("change quality: ramp", ramp, world.rounds)
    clock = np.arange(world.rounds)
    came = np.clip((clock - start + 1) / max(length, 1), 0.0, 1.0)
    utility = stream.outcomes.utility.copy()
    own = utility[:, column]
    after = own[world.by_round(clock >= start)]
    accuracy = float(np.nanmean(after)) if np.isfinite(after).any() else 0.5
    room = accuracy if change < 0 else 1 - accuracy
    if not abs(change) <= room:
        raise ValueError(
            f"change quality of {stream.models[column]} needs an accuracy in [0, 1] afterwards, got"
            f" {accuracy:.3f} {change:+g}"
        )
    name = f"quality:{stream.models[column]}"
    drawn = draws(world, name).random(len(world.base))[world.row]
    flipped = drawn < world.by_round(came) * (abs(change) / room if room else 0.0)
    utility[:, column] = np.where(np.isnan(own), np.nan, np.where(flipped, float(change > 0), own))
    shown = label or f"quality of {stream.models[column]}"
    ends = [(start + length, f"{shown}, all of it")] if length else []
    world = noted(world, name, (start, shown), *ends)
    return replace(stream, outcomes=replace(stream.outcomes, utility=utility), world=world)


# Name on the command line -> change.
CHANGES: dict[str, Callable[..., Stream]] = {
    "mix": mix,
    "price": price,
    "quality": quality,
    "mask": mask,
    "noise": noise,
    "poison": poison,
    "censor": censor,
    "judge": judge,
    "outage": outage,
    "arrive": arrive,
    "leave": leave,
}
_STAGES = {
    "mix": ASKED,
    **dict.fromkeys(("noise", "poison", "censor", "judge"), HEARD),
    **dict.fromkeys(("outage", "leave"), THERE),
}


def apply(stream: Stream, changes: Sequence[Change]) -> Stream:
    """Return the unrolled stream after all changes: stage by stage, in the order given inside a stage.

    Args:
        stream: from `world.unroll`.
        changes: functions of the stream alone, for example `partial(price, model="gpt", factor=0.1)`.
    """
    for change in sorted(changes, key=_stage):
        stream = change(stream)
    return stream


def _stage(change: Any) -> int:
    name, given = getattr(getattr(change, "func", change), "__name__", ""), getattr(change, "keywords", {})
    if name == "arrive":
        return ANSWERED if given.get("merge") else THERE
    return _STAGES.get(name, ANSWERED)

"""Traffic: which data sets the queries come from, over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.changes.world import draws, entered, moment, noted, parts, placed
from envs.outcomes import Floats
from envs.selection import select
from envs.stream import ASKED, Stream

SHAPES = ("steps", "ramp", "cycle")


def mix(stream: Stream, *, phases: str, shape: str = "steps", at: Any = "", period: Any = 0.5) -> Stream:
    """Draw the queries from data sets in proportions that change: phases such as ocr/math or ocr:0.8+math:0.2/math.

    In each round the data set is drawn, then the next query of its shuffled queries; those that have all been asked
    are shuffled anew. `phases=a/b/c` in steps is one data set after the other.

    Args:
        stream: an unrolled stream without other changes.
        phases: parted by `/`, in each the names of data sets or scenarios with weights, joined by `+`; `@first` and
            `@next` are the two largest scenarios, or data sets of a table with fewer than two scenarios.
        shape: `steps`: each phase for an equal time or until `at`; `ramp`: the proportions go from each phase to
            the next in straight lines; `cycle`: there and back again, in sinusoids of `period` (two phases).
        at: times at which the second and later phases begin, parted by `/`; "" for equal times. Steps only.
        period: of a cycle.

    Raises:
        ValueError: an unknown name or shape, or weights that are not positive.
    """
    world = entered(stream, "mix", ASKED)
    stages = [_weights(part) for part in parts(phases)]
    names = list(dict.fromkeys(name for stage in stages for name in stage))
    weight = np.array([[stage.get(name, 0.0) for name in names] for stage in stages])
    weight /= weight.sum(axis=1, keepdims=True)
    if shape not in SHAPES or (shape == "cycle" and len(stages) != 2):
        raise ValueError(
            f"change mix needs shape {', '.join(SHAPES)}, a cycle with two phases; got {shape}, {len(stages)} phases"
        )
    times = [moment("change mix: at", x, world.rounds) for x in parts(at)] if str(at) else None
    length = moment("change mix: period", period, world.rounds)
    proportion = _proportions(weight, shape, times, length, world.rounds)
    roles = _roles(world.base) if any(name.startswith("@") for name in names) else {}
    asked = [roles.get(name, name) for name in names]
    pools = [np.flatnonzero(select(world.base.outcomes, name, world.base.name)) for name in asked]
    rng = draws(world, "mix")
    rows = np.stack([_asked(rng, proportion, pools) for _ in range(world.seeds)])
    begins = times or [round(i * world.rounds / len(stages)) for i in range(1, len(stages))]
    told = ["+".join(f"{roles.get(n, n)}:{w:g}" for n, w in stage.items()) for stage in stages[1:]]
    marks = [(t, f"traffic {mixed}") for t, mixed in zip(begins, told, strict=True)]
    world = noted(world, "mix", *(marks if shape == "steps" else []))._replace(row=rows.ravel())
    return placed(stream, world)


def _roles(base: Stream) -> dict[str, str]:
    """Return the names that `@first` and `@next` stand for."""
    for labels in (base.outcomes.scenario, base.dataset):
        names, counts = np.unique(labels.astype(str)[labels.astype(str) != ""], return_counts=True)
        if len(names) > 1:
            largest = np.argsort(-counts, kind="stable")
            return {"@first": str(names[largest[0]]), "@next": str(names[largest[1]])}
    raise ValueError("change mix needs a table of two or more data sets, and this one names fewer")


def _weights(text: str) -> dict[str, float]:
    found = {}
    for part in text.split("+"):
        name, _, weight = part.partition(":")
        try:
            found[name.strip()] = float(weight or 1.0)
        except ValueError:
            found[name.strip()] = np.nan
    if not all(w > 0 for w in found.values()):
        raise ValueError(f"change mix needs phases such as ocr:0.8+math:0.2, got {text!r}")
    return found


def _proportions(weight: Floats, shape: str, times: list[int] | None, period: int, rounds: int) -> Floats:
    """Return `(T, names)` from the weights of each phase `(phases, names)`, rows adding up to 1."""
    clock, n = np.arange(rounds), len(weight)
    if shape == "ramp":
        knots = np.linspace(0, max(rounds - 1, 1), n)
        return np.stack([np.interp(clock, knots, column) for column in weight.T], axis=1)
    if shape == "cycle":
        second = (1 - np.cos(2 * np.pi * clock / max(period, 1))) / 2
        return np.outer(1 - second, weight[0]) + np.outer(second, weight[1])
    begins = times if times is not None else [round(i * rounds / n) for i in range(1, n)]
    if len(begins) != n - 1 or begins != sorted(begins):
        raise ValueError(
            f"change mix needs a time for each of the {n - 1} later phases, ascending; got {begins}"
        )
    return weight[np.searchsorted(begins, clock, side="right")]


def _asked(rng: np.random.Generator, proportion: Floats, pools: list[NDArray[np.intp]]) -> NDArray[np.int64]:
    """Return `(T,)` rows for one seed."""
    reached = rng.random(len(proportion))[:, None] < np.cumsum(proportion, axis=1)
    group = np.where(reached.any(axis=1), reached.argmax(axis=1), proportion.shape[1] - 1)
    rows = np.empty(len(proportion), np.int64)
    for g, pool in enumerate(pools):
        wanted = np.flatnonzero(group == g)
        passes = [rng.permutation(pool) for _ in range(-(-len(wanted) // len(pool)))]
        rows[wanted] = np.concatenate([*passes, pool[:0]])[: len(wanted)]
    return rows

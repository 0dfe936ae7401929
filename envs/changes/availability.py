"""Models that come and go: outages, arrivals, withdrawals, as functions from unrolled Stream to unrolled Stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.changes.merged import arrive_merged
from envs.changes.world import arm, draws, entered, moment, noted
from envs.stream import ANSWERED, THERE, Stream, World


def outage(
    stream: Stream, *, model: str, start: Any = 0.4, end: Any = 0.6, between: Any = 0, repair: Any = 0
) -> Stream:
    """Take a model away in an interval, or at random with given mean times between failures and to repair.

    Args:
        stream: an unrolled stream.
        model: which.
        start, end: of the interval; at random, of the time in which failures happen.
        between: mean rounds from a repair to the next failure (exponential); 0: out for the whole interval.
        repair: mean rounds that a repair takes (exponential); each seed has failures of its own.
    """
    world, column = entered(stream, "outage", THERE), arm(stream, model, "outage")
    begin, stop = (moment("change outage: start, end", x, world.rounds) for x in (start, end))
    up, down = (moment("change outage: between, repair", x, world.rounds) for x in (between, repair))
    if begin > stop or (up > 0) != (down > 0):
        raise ValueError(
            "change outage needs start <= end, and between and repair both or neither, got"
            f" start={start}, end={end}, between={between}, repair={repair}"
        )
    name, out = f"outage:{stream.models[column]}", np.zeros((world.seeds, world.rounds), bool)
    out[:, begin:stop] = (
        True if not up else _failures(draws(world, name), world.seeds, stop - begin, up, down)
    )
    shown = f"outages of {stream.models[column]}" if up else f"outage of {stream.models[column]}"
    back = f"{stream.models[column]} is back"
    return _without(stream, noted(world, name, (begin, shown), (stop, back)), column, out.ravel())


def _failures(rng: np.random.Generator, seeds: int, rounds: int, up: int, down: int) -> NDArray[np.bool_]:
    """Return `(S, rounds)` True while out: exponential times up and down in turn, up at first."""
    pairs = 2 * rounds // (up + down) + 20  # twice what is needed in the mean, and the rest is cut off
    spans = np.stack([rng.exponential(up, (seeds, pairs)), rng.exponential(down, (seeds, pairs))], axis=2)
    ends = np.cumsum(spans.reshape(seeds, -1), axis=1)
    return np.stack([np.searchsorted(row, np.arange(rounds), side="right") % 2 == 1 for row in ends])


def arrive(
    stream: Stream, *, model: str = "", at: Any = 0.3, merge: str = "", between: float = 0.5
) -> Stream:
    """Let a model join at a time, hidden before: one of the table, or one merged from others (merge=A+B).

    A merged model is synthetic: see `merged.arrive_merged`.

    Args:
        stream: an unrolled stream.
        model: which; for a merged one its name, which may be left out.
        at: when.
        merge: parents joined by `+`.
        between: share of a data set in which a merged model answers as its best parent there, in [0, 1].
    """
    if merge:
        stream, column = arrive_merged(stream, merge, name=str(model), between=between)
        world = entered(stream, "arrive", ANSWERED)
    else:
        world, column = entered(stream, "arrive", THERE), arm(stream, model, "arrive")
    start = moment("change arrive: at", at, world.rounds)
    name = stream.models[column]
    world = noted(world, f"arrive:{name}", (start, f"{name} arrives"))
    return _without(stream, world, column, world.by_round(np.arange(world.rounds) < start))


def leave(stream: Stream, *, model: str, at: Any = 0.7) -> Stream:
    """Withdraw a model at a time, for good.

    Args:
        stream: an unrolled stream.
        model: which.
        at: when.
    """
    world, column = entered(stream, "leave", THERE), arm(stream, model, "leave")
    stop, name = moment("change leave: at", at, world.rounds), stream.models[column]
    world = noted(world, f"leave:{name}", (stop, f"{name} leaves"))
    return _without(stream, world, column, world.by_round(np.arange(world.rounds) >= stop))


def _without(stream: Stream, world: World, column: int, gone: NDArray[np.bool_]) -> Stream:
    """Return the stream without a model in these rows; it stays where it alone could answer, which a note says."""
    others = np.delete(stream.available, column, axis=1).any(axis=1)
    left = int((gone & stream.available[:, column] & ~others).sum())
    hidden = gone & others
    utility, judged = stream.outcomes.utility.copy(), world.judged
    utility[hidden, column] = np.nan
    if judged is not None:
        judged = judged.copy()
        judged[hidden, column] = np.nan
    cost = stream.outcomes.cost.copy()
    if stream.outcomes.priced:
        cost[hidden, column] = np.nan
    stayed = f"{stream.models[column]} stays in {left} rounds in which no other model could answer"
    notes = (*stream.notes, stayed) if left else stream.notes
    outcomes = replace(stream.outcomes, utility=utility, cost=cost)
    return replace(stream, outcomes=outcomes, notes=notes, world=world._replace(judged=judged))

"""What a policy hears is not the truth: a judge that errs or another one, false reports, outcomes never heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.changes.world import arm, draws, entered, moment, noted
from envs.outcomes import Outcomes
from envs.stream import HEARD, Stream, World
from envs.tables import formats

WHEN = ("any", "right", "wrong")
_RIGHT = 0.5  # utility from which an answer counts as right


def noise(
    stream: Stream, *, sensitivity: float = 1.0, specificity: float = 1.0, sd: float = 0.0, at: Any = 0
) -> Stream:
    """Let a judge err: the policy hears a flipped or blurred utility, while regret is counted on the truth.

    Args:
        stream: an unrolled stream.
        sensitivity: probability that a right answer (1) is heard as right.
        specificity: probability that a wrong answer (0) is heard as wrong.
        sd: standard deviation of a Gaussian error on the utility, clipped to [0, 1] afterwards, >= 0.
        at: when the judge begins to err.

    Raises:
        ValueError: a number out of range, or flips of a utility that is neither 0 nor 1.
    """
    world = entered(stream, "noise", HEARD)
    if not (0 <= sensitivity <= 1 and 0 <= specificity <= 1 and sd >= 0):
        raise ValueError(
            "change noise needs sensitivity and specificity in [0, 1] and sd >= 0, got"
            f" {sensitivity}, {specificity}, {sd}"
        )
    start = moment("change noise: at", at, world.rounds)
    heard = stream.outcomes.utility if world.judged is None else world.judged
    rng = draws(world, "noise")
    told = heard
    if sensitivity < 1 or specificity < 1:
        if not np.isin(heard[~np.isnan(heard)], (0, 1)).all():
            raise ValueError("change noise needs utilities of 0 and 1 for its flips; use sd for graded ones")
        kept = rng.random(heard.shape) < np.where(heard == 1, sensitivity, specificity)
        told = np.where(kept, heard, 1.0 - heard)
    if sd > 0:
        told = np.clip(told + rng.normal(0, sd, heard.shape), 0, 1)
    begun = world.by_round(np.arange(world.rounds) >= start)[:, None]
    judged = np.where(begun, told, heard)
    world = noted(world, "noise", (start, "noisy judge"))._replace(judged=judged)
    return replace(_synthetic(stream, "the judge's errors are synthetic"), world=world)


def poison(stream: Stream, *, model: str, share: float = 0.2, to: float = 0.0, at: Any = 0) -> Stream:
    """Report one model falsely: a share of its outcomes is heard as `to`, while regret is counted on the truth.

    A query that is asked again is reported the same.

    Args:
        stream: an unrolled stream.
        model: whose.
        share: of its outcomes, drawn at random, in [0, 1].
        to: utility that is heard instead, in [0, 1]: 0 runs a model down, 1 praises it.
        at: when it begins.

    Raises:
        ValueError: a number out of range.
    """
    world, column = entered(stream, "poison", HEARD), arm(stream, model, "poison")
    if not (0 <= share <= 1 and 0 <= to <= 1):
        raise ValueError(f"change poison needs share and to in [0, 1], got {share} and {to}")
    start = moment("change poison: at", at, world.rounds)
    judged = (stream.outcomes.utility if world.judged is None else world.judged).copy()
    name = f"poison:{stream.models[column]}"
    drawn = draws(world, name).random(len(world.base))[world.row]
    false = (drawn < share) & world.by_round(np.arange(world.rounds) >= start) & ~np.isnan(judged[:, column])
    judged[false, column] = to
    mark = (start, f"false feedback on {stream.models[column]}")
    world = noted(world, name, mark)._replace(judged=judged)
    return replace(_synthetic(stream, "false reports are synthetic"), world=world)


def censor(
    stream: Stream, *, model: str = "all", share: float = 0.5, when: str = "any", at: Any = 0
) -> Stream:
    """Hear nothing of a share of the outcomes: the call is paid and counts, and the policy does not learn from it.

    With `when=right` only right answers go unheard, as where users report what is wrong and say nothing of the rest.
    A query that is asked again is heard or not as before.

    Args:
        stream: an unrolled stream.
        model: whose, or `all`.
        share: of these outcomes, drawn at random, in [0, 1].
        when: which outcomes: `any`, `right` (utility of 0.5 or more) or `wrong`.
        at: when it begins.

    Raises:
        ValueError: a number out of range, or another word.
    """
    world = entered(stream, "censor", HEARD)
    if not 0 <= share <= 1 or when not in WHEN:
        raise ValueError(
            f"change censor needs share in [0, 1] and when={', '.join(WHEN)}, got {share} and {when}"
        )
    every = model == "all" and "all" not in stream.models
    columns = np.ones(stream.n_arms, bool)
    if not every:
        columns = np.arange(stream.n_arms) == arm(stream, model, "censor")
    name = f"censor:{'all' if every else stream.models[int(columns.argmax())]}"
    start = moment("change censor: at", at, world.rounds)
    drawn = draws(world, name).random((len(world.base), stream.n_arms))[world.row]
    lost = (drawn < share) & columns & world.by_round(np.arange(world.rounds) >= start)[:, None]
    right = stream.outcomes.utility >= _RIGHT
    lost &= {"any": np.ones_like(right), "right": right, "wrong": ~right}[when]
    mark = (start, "outcomes unheard" if every else f"outcomes of {name.partition(':')[2]} unheard")
    world = noted(world, name, mark)._replace(silent=_silent(world, lost))
    return replace(_synthetic(stream, "which outcomes are unheard is synthetic"), world=world)


def judge(stream: Stream, *, file: str, at: Any = 0, low: float = 0.0, high: float = 1.0) -> Stream:
    """Hear another judge: utilities of the same answers from a second table, while regret is counted on the first.

    Args:
        stream: an unrolled stream.
        file: a table with the same query ids and models; what it has no outcome of is not heard.
        at: when it takes over.
        low, high: the range of the file's scores, mapped to 0 to 1.

    Raises:
        ValueError: the file cannot be read, has scores outside the range, lacks a model, or has none of the queries.
    """
    world = entered(stream, "judge", HEARD)
    other = _table(file, stream.models, low, high)
    place = {name: row for row, name in enumerate(other.query_id.astype(str).tolist())}
    rows = np.array([place.get(name, -1) for name in world.base.query_id.astype(str).tolist()])
    if (rows < 0).all():
        raise ValueError(
            f"change judge: {file} needs the query ids of {stream.name}, such as"
            f" {str(world.base.query_id[0])!r}; it has none of them"
        )
    said = np.where(rows[:, None] >= 0, other.utility[rows], np.nan)[world.row]
    begun = world.by_round(np.arange(world.rounds) >= moment("change judge: at", at, world.rounds))[:, None]
    true = stream.outcomes.utility if world.judged is None else world.judged
    judged = np.where(begun & ~np.isnan(said), said, true)
    judged = np.where(np.isnan(true), np.nan, judged)
    mark = (moment("change judge: at", at, world.rounds), "another judge")
    world = noted(world, "judge", mark)._replace(judged=judged)
    world = world._replace(silent=_silent(world, begun & np.isnan(said)))
    lacking = int((rows < 0).sum())
    note = f"{lacking:,} of {len(rows):,} queries are not in {file}: their outcomes go unheard"
    return replace(stream, world=world, notes=(*stream.notes, note) if lacking else stream.notes)


def _table(file: str, models: tuple[str, ...], low: float, high: float) -> Outcomes:
    """Return the table of a judge whose scores go from low to high, mapped to 0 to 1."""
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"change judge needs low below high, got low={low}, high={high}")
    try:
        return formats.read(file, models=models, scale=(low, high))
    except ValueError as error:
        ranged = "needs a number in [" in str(error)
        raise ValueError(
            f"{error}; low=LOW,high=HIGH in the change state a range" if ranged else error
        ) from error


def _synthetic(stream: Stream, said: str) -> Stream:
    """Return the stream with a label that says, once, what of it was drawn and not recorded."""
    label = stream.outcomes.label
    if said in label.split("; "):
        return stream
    return replace(stream, outcomes=replace(stream.outcomes, label=f"{label}; {said}"))


def _silent(world: World, lost: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is not heard, these outcomes added."""
    return lost if world.silent is None else world.silent | lost

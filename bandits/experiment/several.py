"""Runs with several calls a query: what a judge says, what is delivered, what a query may use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import RESOURCES
from bandits.experiment.sequences import paid
from bandits.metrics import judges
from envs import judges as simulated
from envs.calls import Answers, Calls, Several, best_heard, check, last, several_of, vote
from envs.tables import judged as columns

if TYPE_CHECKING:
    from bandits.experiment.ask import Ask
    from envs.stream import Stream

DELIVER: dict[str, Callable[..., Answers]] = {"last": last, "best_heard": best_heard, "vote": vote}

Floats = NDArray[np.float64]


def judged(stream: Stream, ask: Ask, path: Any) -> Any:
    """Return the stream with what its judge says and how a query may be answered, as `ask` has it.

    Args:
        stream: a `Stream` of one call a query.
        ask: with `calls`, `deliver`, `judge`, `judge_column`, `judge_cost`, `within_query` and `seed`.
        path: the table's file; None for the twin.

    Raises:
        ValueError: one line: nothing to hear, a judge out of its range, a vote without predictions, a wrong number.
    """
    if not 2 <= ask.calls <= stream.n_arms:
        raise ValueError(f"--calls needs 1 to {stream.n_arms}, as many as there are models, got {ask.calls}")
    if ask.abstain is not None and not 0 <= ask.abstain <= 1:
        raise ValueError(f"--abstain needs a score of the judge from 0 to 1, got {ask.abstain:g}")
    if ask.judge is not None and ask.judge_column is not None:
        raise ValueError(
            f"--judge {ask.judge} simulates a judge and --judge-column {ask.judge_column} reads one: give one of them"
        )
    found = columns.Judged() if path is None else columns.read(path, stream.outcomes, column=ask.judge_column)
    if path is None and ask.judge_column is not None:
        raise ValueError("--judge-column needs a table of your own: the twin has none")
    score = found.score
    if ask.judge is not None:
        score = simulated.simulated(simulated.parse(ask.judge), stream.utility, stream.models, seed=ask.seed)
    if score is None:
        raise ValueError(
            f"a second call needs something to hear after the first: columns {stream.models[0]}_conf ..."
            " in the table, --judge-column NAME, or a simulated judge, --judge auc=0.8"
        )
    if ask.deliver == "vote" and found.votes is None:
        raise ValueError(
            f"--deliver vote needs the models' answers, columns {stream.models[0]}_prediction ...; the table has none"
        )
    combine = resolve.function(ask.deliver, DELIVER, "delivery")
    room = _room(ask.within_query, stream)
    cost = found.cost if ask.judge_cost is None else np.full(score.shape, _price(ask.judge_cost))
    several = Several(
        Calls(ask.calls, "end" if ask.parallel else "each", combine, room, "delivered", ask.parallel),
        score,
        votes=found.votes,
        judge_cost=cost,
        split=found.split,
    )
    check(several, stream.utility.shape, len(RESOURCES))
    made = replace(stream, several=several, notes=(*stream.notes, _said(ask, found)))
    if ask.abstain is None or cost is None:
        return made
    # Whether an answer is withheld goes by its score: then the answers of every policy are judged, and paid for so.
    return replace(paid(made), several=several._replace(judge_cost=None))


def logged(log: Stream, ask: Ask, path: Any) -> Any:
    """Return a log from a table of its own with what the judge says of its answers; nothing where it has no judge.

    Args:
        log: a `Stream` of logged rows.
        ask: as for `judged`.
        path: the log's file.

    Raises:
        ValueError: the judge's columns are not as they need to be.
    """
    found = columns.heard(path, log.outcomes) or columns.Judged()
    score = found.score
    if ask.judge is not None:
        judge = simulated.parse(ask.judge)
        score = simulated.simulated(judge, log.utility, log.models, seed=ask.seed, part=1)
    if score is None or (ask.deliver == "vote" and found.votes is None):
        return log
    cost = found.cost if ask.judge_cost is None else np.full(score.shape, _price(ask.judge_cost))
    calls = Calls(ask.calls, combine=resolve.function(ask.deliver, DELIVER, "delivery"))
    return replace(log, several=Several(calls, score, votes=found.votes, judge_cost=cost))


def changed(stream: Stream, ask: Any) -> Any:
    """Return a changed stream with what its judge says of the answers as they are now; others as they are.

    Raises:
        ValueError: the answers are others than those that the table's judge saw, or are of a model that has no judge.
    """
    world, several = stream.world, stream.several
    if world is None or several is None:
        return stream
    before = world.base.utility
    if before.shape[1] != stream.n_arms:
        raise ValueError(f"--calls {ask.calls} needs models that the table has a judge of, not a merged one")
    same = np.isnan(stream.utility) | (before[world.row] == stream.utility)
    if same.all():
        return stream
    if ask.judge is None or ask.deliver == "vote":
        raise ValueError(
            f"a change that makes answers others than recorded needs --judge with --calls {ask.calls}, and no vote:"
            " what the table's judge and models said is of the recorded answers"
        )
    judge = simulated.parse(ask.judge)
    scores = simulated.simulated(judge, stream.utility, stream.models, seed=ask.seed, of=(before, world.row))
    return replace(stream, several=several._replace(scores=scores))


def fingerprint(stream: Stream) -> str | None:
    """Return the sha256 of what is heard and paid beside outcomes; None where a query has one call."""
    if stream.several is None:
        return None
    digest = hashlib.sha256()
    for each in (stream.several.scores, stream.several.votes, stream.several.judge_cost):
        digest.update(b"-" if each is None else np.ascontiguousarray(each).tobytes())
    return digest.hexdigest()


def _said(ask: Ask, found: columns.Judged) -> str:
    if ask.judge is not None:
        return f"the judge is simulated ({ask.judge}, seed {ask.seed}): no verifier of these models was run"
    return "the judge's columns are read as " + (
        "natural logarithms of probabilities" if found.logs else "probabilities"
    )


def _price(amount: float) -> float:
    if amount < 0:
        raise ValueError(f"--judge-cost needs a number >= 0, got {amount:g}")
    return amount


def _room(text: str | None, stream: Stream) -> tuple[float, ...] | None:
    """Return what a query may use, in the order of `RESOURCES`; None where nothing is said.

    Raises:
        ValueError: no number above 0, or of a resource that the table does not record.
    """
    if text is None:
        return None
    room = dict.fromkeys(RESOURCES, float("inf"))
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in room or not number > 0:
            raise ValueError(
                f"--within-query needs {', '.join(f'{r}=N' for r in RESOURCES)} with N > 0, got {part.strip()!r}"
            )
        if (name == "cost" and not stream.outcomes.priced) or getattr(stream.outcomes, name) is None:
            raise ValueError(f"--within-query {name} needs a table that records it, this one has no {name}")
        room[name] = number
    return tuple(room.values())


def quality(stream: Stream) -> list[dict[str, Any]]:
    """Return a row for each model: how good the judge of its answers is."""
    rows, scores = [], several_of(stream).scores
    if scores is None:
        return []
    for k, model in enumerate(stream.models):
        seen = stream.available[:, k]
        score, right = scores[seen, k], stream.utility[seen, k]
        found = judges.quality(score, right)
        rows.append({"model": model, "accuracy": float(right.mean()), **found._asdict()})
    return rows

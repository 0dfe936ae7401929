"""Runs with several calls a query: what a judge says, what is delivered, and which policies may call again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import RESOURCES, Policy
from bandits.experiment.lineup import bounds_of, hindsight, lineup
from bandits.experiment.sequences import Done, as_sequences, paid
from bandits.loop import slots
from bandits.loop.replay import Trace
from bandits.loop.replay import replay as single
from bandits.metrics import judges
from bandits.rewards import REWARDS, Reward, preferences, reward_table
from bandits.sequential.logged import Logged
from bandits.wrappers import warm
from envs import judges as simulated
from envs.calls import Answers, Calls, Several, best_heard, check, last, several_of, vote
from envs.selection import is_path
from envs.tables import judged as columns

if TYPE_CHECKING:
    from envs.stream import Stream

DELIVER: dict[str, Callable[..., Answers]] = {"last": last, "best_heard": best_heard, "vote": vote}
_LACKING = ("budget", "cap", "n_eff", "scenario", "change", "delay", "batch")

SPLIT = "split"  # rows that the table calls train are the log, those that it calls test are evaluated

Floats = NDArray[np.float64]


def judged(stream: Stream, ask: Any, path: Any) -> Any:
    """Return the stream with what its judge says and how a query may be answered, as `ask` has it.

    Args:
        stream: a `Stream` of one call a query.
        ask: with `calls`, `deliver`, `judge`, `judge_column`, `judge_cost`, `within_query` and `seed`.
        path: the table's file; None for the twin.

    Raises:
        ValueError: one line: nothing to hear, a judge out of its range, a vote without predictions, a wrong number.
    """
    refuse(ask)
    if not 2 <= ask.calls <= stream.n_arms:
        raise ValueError(f"--calls needs 2 to {stream.n_arms}, as many as there are models, got {ask.calls}")
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
        Calls(ask.calls, combine=combine, room=room, hear="delivered"),
        score,
        votes=found.votes,
        judge_cost=cost,
        split=found.split,
    )
    check(several, stream.utility.shape, len(RESOURCES))
    return replace(stream, several=several, notes=(*stream.notes, _said(ask, found)))


def _said(ask: Any, found: columns.Judged) -> str:
    if ask.judge is not None:
        return f"the judge is simulated ({ask.judge}, seed {ask.seed}): no verifier of these models was run"
    return "the judge's columns are read as " + (
        "natural logarithms of probabilities" if found.logs else "probabilities"
    )


def refuse(ask: Any) -> None:
    """Refuse options that several calls a query do not have.

    Raises:
        ValueError: one line that names the option.
    """
    for name in _LACKING:
        if getattr(ask, name) not in (None, (), ""):
            raise ValueError(f"--calls {ask.calls} cannot be combined with --{name.replace('_', '-')} yet")
    if ask.warm_start is not None and is_path(ask.warm_start):
        raise ValueError(
            f"--calls {ask.calls} needs --warm-start with rows of the table, 10%, 500 or {SPLIT}, got"
            f" {ask.warm_start!r}"
        )
    if ask.feedback != "bandit":
        raise ValueError(f"--calls {ask.calls} needs --feedback bandit, got {ask.feedback!r}")


def _price(amount: float) -> float:
    if amount < 0:
        raise ValueError(f"--judge-cost needs a number >= 0, got {amount:g}")
    return amount


def _room(text: str | None, stream: Any) -> tuple[float, ...] | None:
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


def runs(
    stream: Stream, ask: Any, progress: Callable[[str, int], object] | None, *, play: bool = True
) -> Iterator[tuple[str, Done, tuple[float, float]]]:
    """Yield for each preference of an ask its text, the finished play, and the least and the highest reward.

    Raises:
        ValueError: as `refuse`, or the run is to be made from traces: those of several calls name columns of their run.
    """
    if not play or stream.several is None:
        raise ValueError("a run with several calls a query is played again, not made from its trace")
    refuse(ask)
    worth: Reward = resolve.function(ask.reward, REWARDS, "reward")
    options = {"seeds": ask.seeds, "seed": ask.seed, "order": ask.order, "rounds": ask.rounds}
    logged, stream = _set_aside(stream, ask)
    past = None if logged is None else _past(logged)
    for text, value in preferences(ask.preference, len(stream), ask.seed).items():
        bounds = bounds_of(reward_table(worth, stream, value))
        built = lineup(
            stream, ask.policies, worth, past, bounds=bounds, runs=(ask.seed, ask.seeds), again=True
        )
        if logged is not None:
            built = _warmed(built, logged, reward_table(worth, logged, np.mean(value)), float(np.mean(value)))
        yield text, played(stream, built, worth, value, progress=progress, **options), bounds


def _set_aside(stream: Stream, ask: Any) -> tuple[Any, Any]:
    """Return the log, None where none is asked for, and what is evaluated.

    Raises:
        ValueError: `--warm-start split` without the table's column `split`, or an amount that cannot be taken.
    """
    if ask.warm_start is None:
        return None, stream
    if ask.warm_start != SPLIT:
        return warm.split(stream, ask.warm_start, seed=ask.seed)
    split = several_of(stream).split
    if split is None or not {"train", "test"} <= set(split):
        raise ValueError("--warm-start split needs a table with a column split that says train and test")
    logged, rest = (warm.part(stream, np.flatnonzero(split == name)) for name in ("train", "test"))
    return replace(logged, unit=rest.cost_scale), rest


def _past(logged: Stream) -> Logged:
    """Return the log as policies of several calls are fitted on it."""
    several = several_of(logged)
    said = (several.scores, several.judge_cost, several.votes, several.calls.combine or last)
    return Logged(logged.context, logged.utility, logged.cost, *said)


def _warmed(
    built: Mapping[str, Policy | None], logged: Stream, table: Floats, preference: float
) -> dict[str, Policy | None]:
    """Return the policies of one call with what the log says; one that may call again has what it was fitted on."""
    plain = replace(logged, several=None)
    prior = warm.fit(plain, table)

    def one(policy: Policy) -> Policy:
        if policy.again:
            return policy
        return (
            warm.hear(policy, plain, table, preference) if policy.prime is None else warm.start(policy, prior)
        )

    return {spec: None if policy is None else one(policy) for spec, policy in built.items()}


def played(
    stream: Stream,
    policies: Mapping[str, Policy | None],
    worth: Reward,
    preference: Any,
    *,
    progress: Callable[[str, int], object] | None = None,
    **options: Any,
) -> Done:
    """Return what all policies called; those that may not call again for a query play the plain loop.

    Args:
        stream: from `judged`.
        policies: from `lineup.lineup`, None for a reference.
        worth, preference: of the reward.
        progress: called with a policy's spec and the rounds done.
        options: seeds, seed, order, rounds as `replay` takes them.
    """
    plain = replace(stream, several=None)
    table = reward_table(worth, plain, preference)
    called: dict[str, Trace] = {}
    for spec, policy in policies.items():
        if policy is None:
            called[spec] = hindsight(plain, table, spec, options)
        elif policy.again:
            called[spec] = slots.replay(policy, paid(stream), worth, preference=preference, **options)
        else:
            called[spec] = single(policy, plain, table, preference=preference, **options)
        if progress is not None:
            progress(spec, called[spec].order.size)
    again = {spec for spec, policy in policies.items() if policy is not None and policy.again}
    return as_sequences(stream, called, again, worth, preference)

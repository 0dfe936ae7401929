"""Runs with several calls a query: what a judge says, and the play as a run whose arms are sequences of calls.

A finished play becomes a stream of its own: beside the single models it has a column for each sequence of calls that
was made, `a>b`, with the utility that is delivered after it and all that its calls use. A trace then names a column,
and every table of a run is made from it as from any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import RESOURCES, Policy
from bandits.experiment.lineup import bounds_of, hindsight, lineup
from bandits.loop import slots
from bandits.loop.replay import Trace
from bandits.loop.replay import replay as single
from bandits.metrics import judges
from bandits.rewards import REWARDS, Reward, preferences, reward_table
from envs import judges as simulated
from envs.calls import Answers, Calls, Several, best_heard, check, last, vote
from envs.tables import judged as columns

DELIVER: dict[str, Callable[..., Answers]] = {"last": last, "best_heard": best_heard, "vote": vote}
_LACKING = ("budget", "cap", "warm_start", "n_eff", "scenario", "change", "delay", "batch")
_MOST_COLUMNS = 2000

Floats = NDArray[np.float64]
Sequence_ = tuple[int, ...]


class Done(NamedTuple):
    """A finished play: the stream of sequences, its reward table, traces that name its columns, rows about calls."""

    stream: Any
    table: Floats
    traces: dict[str, Trace]
    calls: tuple[dict[str, Any], ...]


def judged(stream: Any, ask: Any, path: Any) -> Any:
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
            f"--calls {ask.calls} needs something to hear after a call: columns {stream.models[0]}_conf ..."
            " in the table, --judge-column NAME, or a simulated judge, --judge auc=0.8"
        )
    if ask.deliver == "vote" and found.votes is None:
        raise ValueError(
            f"--deliver vote needs the models' answers, columns {stream.models[0]}_prediction ...; the table has none"
        )
    combine = resolve.function(ask.deliver, DELIVER, "delivery")
    room = _room(ask.within_query)
    cost = found.cost if ask.judge_cost is None else np.full(score.shape, _price(ask.judge_cost))
    several = Several(Calls(ask.calls, combine=combine, room=room), score, votes=found.votes, judge_cost=cost)
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
    if ask.feedback != "bandit":
        raise ValueError(f"--calls {ask.calls} needs --feedback bandit, got {ask.feedback!r}")


def _price(amount: float) -> float:
    if amount < 0:
        raise ValueError(f"--judge-cost needs a number >= 0, got {amount:g}")
    return amount


def _room(text: str | None) -> tuple[float, ...] | None:
    """Return what a query may use, in the order of `RESOURCES`; None where nothing is said."""
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
        room[name] = number
    return tuple(room.values())


def quality(stream: Any) -> list[dict[str, Any]]:
    """Return a row for each model: how good the judge of its answers is."""
    rows = []
    for k, model in enumerate(stream.models):
        seen = stream.available[:, k]
        score, right = stream.several.scores[seen, k], stream.utility[seen, k]
        found = judges.quality(score, right)
        rows.append({"model": model, "accuracy": float(right.mean()), **found._asdict()})
    return rows


def runs(
    stream: Any, ask: Any, progress: Callable[[str, int], object] | None, *, play: bool = True
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
    for text, value in preferences(ask.preference, len(stream), ask.seed).items():
        bounds = bounds_of(reward_table(worth, stream, value))
        built = lineup(stream, ask.policies, worth, bounds=bounds, runs=(ask.seed, ask.seeds), again=True)
        yield text, played(stream, built, worth, value, progress=progress, **options), bounds


def played(
    stream: Any,
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
    return _as_sequences(stream, called, again, worth, preference)


def paid(stream: Any) -> Any:
    """Return the stream in which every call is judged, and paid for with its judge."""
    cost = stream.several.judge_cost
    if cost is None or not np.any(cost > 0):
        return stream
    outcomes = replace(stream.outcomes, cost=stream.cost + cost)
    return replace(stream, outcomes=outcomes, unit=stream.cost_scale)


def _as_sequences(
    stream: Any, called: Mapping[str, Trace], again: set[str], worth: Reward, preference: Any
) -> Done:
    """Return the play as one of a stream whose columns are sequences of calls."""
    dear = paid(stream)
    found: dict[str, tuple[NDArray[np.int32], NDArray[np.int64]]] = {}
    for spec in again:
        sequences, place = np.unique(
            called[spec].arms.reshape(-1, called[spec].arms.shape[-1]), axis=0, return_inverse=True
        )
        found[spec] = sequences, place.reshape(called[spec].order.shape)
    used = {tuple(int(a) for a in row if a >= 0) for sequences, _ in found.values() for row in sequences}
    alone = dear is stream  # with a free judge a single call is the model's own column
    columns_ = sorted((u for u in used if len(u) > 1 or not alone), key=lambda u: (len(u), u))
    if len(columns_) > _MOST_COLUMNS:
        raise ValueError(
            f"{len(columns_):,} different sequences of calls were made, at most {_MOST_COLUMNS:,} can be told apart;"
            " fewer --calls or --models help"
        )
    gave = {sequence: delivered(dear, sequence) for sequence in used}
    wide = _widened(stream, columns_, gave)
    at: dict[Sequence_, int] = {(k,): k for k in range(stream.n_arms)} if alone else {}
    at |= {sequence: stream.n_arms + i for i, sequence in enumerate(columns_)}
    traces = {}
    for spec, trace in called.items():
        if spec in found:
            sequences, place = found[spec]
            number = np.array([at[tuple(int(a) for a in row if a >= 0)] for row in sequences], np.int32)
            trace = Trace(trace.order, number[place])
        traces[spec] = trace
    calls = [_about(spec, called[spec], dear, gave) for spec in called if spec in again]
    return Done(wide, reward_table(worth, wide, preference), traces, tuple(calls))


def delivered(stream: Any, sequence: Sequence_) -> tuple[Floats, Floats]:
    """Return `(N,)` utility and `(N, R)` use of a sequence of calls on every row, NaN where one cannot be made."""
    several, count = stream.several, stream.n_arms
    turn = np.full((len(stream), count), -1)
    turn[:, list(sequence)] = np.arange(len(sequence))
    used = [
        np.zeros(stream.utility.shape) if (x := getattr(stream, r)) is None else np.nan_to_num(x)
        for r in RESOURCES
    ]
    heard = np.where(turn >= 0, several.scores, np.nan)
    answers = Answers(np.nan_to_num(stream.utility), np.stack(used, axis=-1), several.votes)
    told = (several.calls.combine or last)(turn, heard, answers)
    open_ = stream.available[:, list(sequence)].all(axis=1)
    return np.where(open_, told.utility, np.nan), np.where(open_[:, None], told.used, np.nan)


def _widened(
    stream: Any, sequences: Sequence[Sequence_], gave: Mapping[Sequence_, tuple[Floats, Floats]]
) -> Any:
    """Return the stream with a column more for each sequence."""
    if not sequences:
        return replace(stream, several=None)
    outcomes = stream.outcomes
    names = [">".join(stream.models[k] for k in sequence) for sequence in sequences]
    names = [f"{name} (judged)" if name in stream.models else name for name in names]
    more: dict[str, Any] = {"utility": np.column_stack([outcomes.utility, *[gave[s][0] for s in sequences]])}
    for r, name in enumerate(RESOURCES):
        own = getattr(outcomes, name)
        recorded = own is not None and (name != "cost" or outcomes.priced)
        used = [gave[s][1][:, r] if recorded else np.full(len(stream), np.nan) for s in sequences]
        more[name] = None if own is None else np.column_stack([own, *used])
    price = np.concatenate([stream.price, [stream.price[list(s)].sum() for s in sequences]])
    wide = replace(outcomes, models=(*outcomes.models, *names), price=price, **more)
    return replace(stream, outcomes=wide, several=None, unit=stream.cost_scale)


def _about(
    spec: str, trace: Trace, stream: Any, gave: dict[Sequence_, tuple[Floats, Floats]]
) -> dict[str, Any]:
    """Return a row on a policy's calls: how many, the share that stops after each, what each of them added and cost."""
    row: dict[str, Any] = {"policy": spec}
    made = (trace.arms >= 0).sum(axis=2)
    most = trace.arms.shape[2]
    row["calls"] = float(made.mean())
    row |= {f"stopped_{m}": float((made == m).mean()) for m in range(1, most + 1)}
    utility, cost = np.zeros((2, most + 1))
    flat, order = trace.arms.reshape(-1, most), trace.order.ravel()
    for m in range(1, most + 1):
        total = np.zeros(2)
        for prefix in np.unique(flat[:, :m], axis=0):
            sequence = tuple(int(a) for a in prefix if a >= 0)
            rows = order[(flat[:, :m] == prefix).all(axis=1)]
            if sequence not in gave:
                gave[sequence] = delivered(stream, sequence)
            total += [gave[sequence][0][rows].sum(), gave[sequence][1][rows, 0].sum()]
        utility[m], cost[m] = total / len(order)
    row |= {f"added_{m}": float(utility[m] - utility[m - 1]) for m in range(1, most + 1)}
    row["paid"] = float(cost[most])
    return row

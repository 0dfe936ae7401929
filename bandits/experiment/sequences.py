"""A play with several calls a query as one of a stream whose arms are sequences of calls.

Beside the single models the stream has a column for each sequence that was made, `a>b`, with the utility that is
delivered after it and all that its calls use. A trace then names a column, and every table of a run is made from it as
from any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES
from bandits.loop.replay import Trace
from bandits.loop.slots import answers_of
from bandits.rewards import Reward, reward_table
from envs.calls import STOP, Answers, several_of

if TYPE_CHECKING:
    from bandits.rewards import Preference
    from envs.stream import Stream

_MOST_COLUMNS, _MOST_CELLS = 2000, 60_000_000  # of sequences; a cell takes up to 40 bytes

Floats = NDArray[np.float64]
Sequence_ = tuple[int, ...]


class Done(NamedTuple):
    """A finished play: the stream of sequences, its reward table, traces that name its columns, rows about calls.

    `confidence` `(N, columns)` is the judge's score of what each column delivers, NaN where there is none.
    """

    stream: Stream
    table: Floats
    traces: dict[str, Trace]
    calls: tuple[dict[str, Any], ...]
    confidence: Floats


def paid(stream: Stream) -> Any:
    """Return the stream in which every call is judged, and paid for with its judge; a log without a judge as it is."""
    cost = None if stream.several is None else stream.several.judge_cost
    if cost is None or not np.any(cost > 0):
        return stream
    outcomes = replace(stream.outcomes, cost=stream.cost + cost)
    return replace(stream, outcomes=outcomes, unit=stream.cost_scale)


def as_sequences(stream: Stream, called: Mapping[str, Trace], worth: Reward, preference: Preference) -> Done:
    """Return the play as one of a stream whose columns are sequences of calls.

    Args:
        stream: of several calls a query.
        called: traces; arms `(S, T, M)` of policies that may call again, `(S, T)` of the others.
        worth, preference: of the reward.

    Raises:
        ValueError: there are too many sequences.
    """
    dear, again = paid(stream), [spec for spec, trace in called.items() if trace.arms.ndim == 3]
    found: dict[str, tuple[NDArray[np.int32], NDArray[np.int64]]] = {}
    for spec in again:
        sequences, place = np.unique(
            called[spec].arms.reshape(-1, called[spec].arms.shape[-1]), axis=0, return_inverse=True
        )
        found[spec] = sequences, place.reshape(called[spec].order.shape)
    used = {tuple(int(a) for a in row if a >= 0) for sequences, _ in found.values() for row in sequences} - {
        ()
    }
    alone = dear is stream  # with a free judge a single call is the model's own column
    columns_ = sorted((u for u in used if len(u) > 1 or not alone), key=lambda u: (len(u), u))
    if len(columns_) > _MOST_COLUMNS:
        raise ValueError(
            f"{len(columns_):,} different sequences of calls were made, at most {_MOST_COLUMNS:,} can be told apart;"
            " fewer --calls or --models help"
        )
    if len(columns_) * len(stream) > _MOST_CELLS:
        raise ValueError(
            f"{len(columns_):,} different sequences of calls on {len(stream):,} rows take too much memory; fewer"
            " --seeds, --rounds, --calls or --models help"
        )
    gave = {sequence: delivered(dear, sequence) for sequence in used}
    gave[()] = np.zeros(len(stream)), np.zeros((len(stream), len(RESOURCES)))
    wide = _widened(stream, columns_, gave)
    at: dict[Sequence_, int] = {(k,): k for k in range(stream.n_arms)} if alone else {}
    at[()] = STOP
    at |= {sequence: stream.n_arms + i for i, sequence in enumerate(columns_)}
    traces = {}
    for spec, trace in called.items():
        if spec in found:
            sequences, place = found[spec]
            number = np.array([at[tuple(int(a) for a in row if a >= 0)] for row in sequences], np.int32)
            trace = trace._replace(arms=number[place])
        traces[spec] = trace
    calls = [_about(spec, called[spec], dear, gave) for spec in again]
    said = several_of(stream).scores
    heard = np.full(stream.utility.shape, np.nan) if said is None else said
    confidence = np.column_stack([heard, *[confident(stream, s) for s in columns_]])
    return Done(wide, reward_table(worth, wide, preference), traces, tuple(calls), confidence)


def called_again(
    traces: Mapping[str, Trace],
    sequences: Sequence[Sequence[int]],
    again: Sequence[str],
    models: int,
    most: int,
) -> dict[str, Trace]:
    """Return traces as they were before `as_sequences`.

    Args:
        traces: that name columns.
        sequences: of calls, of the columns after those of the models.
        again: which may call again for a query.
        models: `K`.
        most: `M`.

    Raises:
        ValueError: a trace names a column that is not there.
    """
    rows = [
        *((k,) for k in range(models)),
        *map(tuple, sequences),
        (),
    ]  # the last is column -1: no call was made
    arms = np.full((len(rows), most), STOP, np.int32)
    for row, sequence in zip(arms, rows, strict=True):
        row[: len(sequence)] = sequence
    found = dict(traces)
    for spec in again:
        if spec in traces:
            own = traces[spec]
            if own.arms.min(initial=STOP) < STOP or own.arms.max(initial=STOP) >= len(rows) - 1:
                raise ValueError(f"the trace of {spec!r} names sequences of calls that its run does not have")
            found[spec] = own._replace(arms=arms[own.arms])
    return found


def delivered(stream: Stream, sequence: Sequence_) -> tuple[Floats, Floats]:
    """Return `(N,)` utility and `(N, R)` use of a sequence of calls on every row, NaN where one cannot be made."""
    told = _told(stream, sequence, answers_of(stream))
    open_ = np.asarray(stream.available[:, list(sequence)].all(axis=1))
    return np.where(open_, told.utility, np.nan), np.where(open_[:, None], told.used, np.nan)


def valued(
    stream: Stream, sequences: Sequence[Sequence_], worth: Reward, preference: Preference
) -> tuple[Floats, Floats, Floats]:
    """Return `(N, n)` utility, cost and reward of sequences of calls on every row, NaN where one cannot be made."""
    gave = {sequence: delivered(stream, sequence) for sequence in sequences}
    wide = _widened(stream, sequences, gave)
    table = reward_table(worth, wide, preference)
    return tuple(each[:, stream.n_arms :] for each in (wide.utility, wide.cost, table))  # type: ignore[return-value]


def confident(stream: Stream, sequence: Sequence_) -> Floats:
    """Return `(N,)` the judge's score of what a sequence of calls delivers, NaN where there is none.

    It is what would be delivered if answers were worth their score: the score of the answer that is chosen.
    """
    said = several_of(stream).scores
    if said is None:
        return np.full(len(stream), np.nan)
    told = _told(stream, sequence, answers_of(stream)._replace(utility=np.nan_to_num(said)))
    known = ~np.isnan(said[:, list(sequence)]).any(axis=1)
    return np.where(known, told.utility, np.nan)


def _told(stream: Stream, sequence: Sequence_, answers: Answers) -> Answers:
    several = several_of(stream)
    turn = np.full((len(stream), stream.n_arms), STOP)
    turn[:, list(sequence)] = np.arange(len(sequence))
    heard = np.where(turn >= 0, np.nan if several.scores is None else several.scores, np.nan)
    return several.calls.delivered(turn, heard, answers)


def _widened(
    stream: Stream, sequences: Sequence[Sequence_], gave: Mapping[Sequence_, tuple[Floats, Floats]]
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
    return replace(
        stream, outcomes=wide, several=None, unit=stream.cost_scale, sequences=tuple(map(tuple, sequences))
    )


def _about(
    spec: str, trace: Trace, stream: Stream, gave: dict[Sequence_, tuple[Floats, Floats]]
) -> dict[str, Any]:
    """Return a row on a policy's calls: how many, the share that stops after each, what each of them added and cost."""
    row: dict[str, Any] = {"policy": spec}
    made = (trace.arms >= 0).sum(axis=2)
    most = trace.arms.shape[2]
    row["calls"] = float(made.mean())
    row |= {f"stopped_{m}": float((made == m).mean()) for m in range(1, most + 1)}
    if (made == 0).any():
        row["unanswered"] = float((made == 0).mean())
    utility, cost = np.zeros((2, most + 1))
    by_model = np.zeros(stream.n_arms)
    flat, order = trace.arms.reshape(-1, most), trace.order.ravel()
    for m in range(1, most + 1):
        total = np.zeros(2)
        for prefix in np.unique(flat[:, :m], axis=0):
            sequence = tuple(int(a) for a in prefix if a >= 0)
            rows = order[(flat[:, :m] == prefix).all(axis=1)]
            if sequence not in gave:
                gave[sequence] = delivered(stream, sequence)
            now = gave[sequence][0][rows].sum()
            total += [now, gave[sequence][1][rows, 0].sum()]
            if prefix[-1] >= 0:
                by_model[prefix[-1]] += now - gave[sequence[:-1]][0][rows].sum()
        utility[m], cost[m] = total / len(order)
    row |= {f"added_{m}": float(utility[m] - utility[m - 1]) for m in range(1, most + 1)}
    row |= {f"added:{stream.models[k]}": float(by_model[k] / len(order)) for k in np.unique(flat) if k >= 0}
    row["paid"] = float(cost[most])
    return row | _promise(stream, flat, order, gave)


def _promise(
    stream: Stream,
    arms: NDArray[np.int32],
    order: NDArray[np.int32],
    gave: Mapping[Sequence_, tuple[Floats, Floats]],
) -> dict[str, float]:
    """Return what an answered query cost on rows called train and on those called test; nothing without both."""
    split = several_of(stream).split
    answered = (arms >= 0).any(axis=1)
    arms, order = arms[answered], order[answered]
    if split is None or not {"train", "test"} <= set(split[order]):
        return {}
    sequences, place = np.unique(arms, axis=0, return_inverse=True)
    made = [gave[tuple(int(a) for a in row if a >= 0)][1][:, 0] for row in sequences]
    spent = np.stack(made)[place.ravel(), order]
    promised, paid_ = (float(spent[split[order] == name].mean()) for name in ("train", "test"))
    return {
        "promised": promised,
        "paid_test": paid_,
        "over_promise": paid_ / promised - 1 if promised else np.nan,
    }

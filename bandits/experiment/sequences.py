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
from envs.calls import last, several_of

if TYPE_CHECKING:
    from envs.stream import Stream

_MOST_COLUMNS = 2000

Floats = NDArray[np.float64]
Sequence_ = tuple[int, ...]


class Done(NamedTuple):
    """A finished play: the stream of sequences, its reward table, traces that name its columns, rows about calls."""

    stream: Stream
    table: Floats
    traces: dict[str, Trace]
    calls: tuple[dict[str, Any], ...]


def paid(stream: Stream) -> Any:
    """Return the stream in which every call is judged, and paid for with its judge."""
    cost = several_of(stream).judge_cost
    if cost is None or not np.any(cost > 0):
        return stream
    outcomes = replace(stream.outcomes, cost=stream.cost + cost)
    return replace(stream, outcomes=outcomes, unit=stream.cost_scale)


def as_sequences(
    stream: Stream, called: Mapping[str, Trace], again: set[str], worth: Reward, preference: Any
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


def delivered(stream: Stream, sequence: Sequence_) -> tuple[Floats, Floats]:
    """Return `(N,)` utility and `(N, R)` use of a sequence of calls on every row, NaN where one cannot be made."""
    several, count = several_of(stream), stream.n_arms
    turn = np.full((len(stream), count), -1)
    turn[:, list(sequence)] = np.arange(len(sequence))
    heard = np.where(turn >= 0, np.nan if several.scores is None else several.scores, np.nan)
    told = (several.calls.combine or last)(turn, heard, answers_of(stream))
    open_ = np.asarray(stream.available[:, list(sequence)].all(axis=1))
    return np.where(open_, told.utility, np.nan), np.where(open_[:, None], told.used, np.nan)


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
    return replace(stream, outcomes=wide, several=None, unit=stream.cost_scale)


def _about(
    spec: str, trace: Trace, stream: Stream, gave: dict[Sequence_, tuple[Floats, Floats]]
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
    return row | _promise(stream, flat, order, gave)


def _promise(
    stream: Stream,
    arms: NDArray[np.int32],
    order: NDArray[np.int32],
    gave: Mapping[Sequence_, tuple[Floats, Floats]],
) -> dict[str, float]:
    """Return what a policy cost on rows called train and on those called test; nothing where there are not both."""
    split = several_of(stream).split
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

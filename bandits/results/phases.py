"""What a changing world and late feedback add to a run's tables: phases, recovery, take-up, updates outstanding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.loop import feedback
from bandits.metrics.changing import (
    adoption,
    arrivals,
    best_of_phase,
    changes_at,
    recovery,
    recovery_interval,
)
from bandits.metrics.intervals import band, student
from bandits.metrics.regret import comparator, cumulative_regret, earned_by, rewards
from bandits.results.waits import Waits

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]
REGRET = "regret_best_of_phase"


def marks(stream: Stream) -> list[tuple[int, str]]:
    """Return the first round (from 1) and the label of everything that begins or ends while a stream is replayed."""
    return [] if stream.world is None else [(at + 1, label) for at, label in stream.world.marks]


def outcome(stream: Stream, table: Floats, trace: Trace, *, seed: int = 0) -> dict[str, float]:
    """Return what one policy made of all changes of a stream, in one row.

    Returns:
        `regret_best_of_phase`, up to the last round; `recovery`, the longest of the changes in rounds, with the ends of
        its interval over seeds (see `metrics.changing`; NaN where one is not recovered from, inf for an end); the
        number of `unrecovered` changes; `adoption` and `adoption_pulls`, rounds and calls until the first model that
        arrives holds 20 % of the calls, medians over seeds (NaN where none arrives, or half of them never see it).
    """
    values = np.asarray(table, np.float64)
    reference = earned_by(values, best_of_phase(stream, values))
    back = recovery(stream, values, trace)
    low, high = recovery_interval(stream, values, trace, seed=seed)
    row = {REGRET: float(cumulative_regret(values, trace, reference)[:, -1].mean())}
    for name, each in (("recovery", back), ("recovery_lo", low), ("recovery_hi", high)):
        row[name] = float(np.max(each)) if len(each) else float("nan")
    row["unrecovered"] = int(np.isnan(back).sum())
    found = [adoption(trace, columns, at) for _, at, columns in arrivals(stream)][:1]
    for i, name in enumerate(("adoption", "adoption_pulls")):
        row[name] = _middle(found[0][i]) if found else float("nan")
    return row


def _middle(values: Floats) -> float:
    """Return the median, in which NaN is longer than anything; NaN if it is itself."""
    middle = float(np.median(np.where(np.isnan(values), np.inf, values)))
    return middle if np.isfinite(middle) else float("nan")


def phases(stream: Stream, table: Floats, traces: Mapping[str, Trace], *, seed: int = 0) -> pd.DataFrame:
    """Return a row for each policy and phase of a changed stream.

    Columns: policy; `phase` from 0; `begins`, its first round from 1; `change`, what happened then; `best_model`, the
    available model of the highest mean reward in the phase, and its `best_reward` a round; `reward` a round with its
    interval; `regret_oracle` (of the moment) and `regret_best_of_phase` in the phase alone; `recovery` in rounds with
    its interval; `arrives`, the model that joins, and `adoption` and `adoption_pulls`, see `outcome`.
    """
    import pandas as pd

    values = np.asarray(table, np.float64)
    begins = np.array([0, *changes_at(stream)])
    labels: dict[int, dict[str, None]] = {int(at): {} for at in begins}
    for at, label in () if stream.world is None else stream.world.marks:
        labels[at][label] = None
    shared = {"phase": np.arange(len(begins)), "begins": begins + 1}
    frames = []
    for policy, trace in traces.items():
        columns = {"change": [", ".join(labels[at]) for at in begins], **_earned(stream, values, trace)}
        back = recovery(stream, values, trace), *recovery_interval(stream, values, trace, seed=seed)
        for name, each in zip(("recovery", "recovery_lo", "recovery_hi"), back, strict=True):
            columns[name] = np.concatenate([[np.nan], each])
        columns |= _taken_up(stream, trace, begins)
        frames.append(pd.DataFrame({"policy": policy, **shared, **columns}))
    return pd.concat(frames, ignore_index=True)


def _earned(stream: Stream, table: Floats, trace: Trace) -> dict[str, Any]:
    """Return what a policy and the best model of each phase earned in it, and how far apart they and the oracle are."""
    arms, begins = best_of_phase(stream, table), np.array([0, *changes_at(stream)])
    length = np.diff([*begins, trace.order.shape[1]])
    got, best, oracle = (
        np.add.reduceat(x, begins, axis=1)  # (S, phases)
        for x in (
            rewards(table, trace),
            earned_by(table, arms)[trace.order],
            earned_by(table, comparator(stream.single(table), "oracle"))[trace.order],
        )
    )
    low, high = student(got / length)
    called = np.split(arms[trace.order], begins[1:], axis=1)
    return {
        "best_model": [stream.models[np.bincount(part.ravel()).argmax()] for part in called],
        "best_reward": best.mean(axis=0) / length,
        "reward": got.mean(axis=0) / length,
        "reward_lo": low,
        "reward_hi": high,
        "regret_oracle": (oracle - got).mean(axis=0),
        REGRET: (best - got).mean(axis=0),
    }


def _taken_up(stream: Stream, trace: Trace, begins: NDArray[np.int64]) -> dict[str, Any]:
    """Return for each phase the model that joins with it, and the rounds and calls until it holds its share."""
    joins = {at: (name, adoption(trace, columns, at)) for name, at, columns in arrivals(stream)}
    absent = ("", np.full((2, 1), np.nan))
    found = [joins.get(int(at), absent) for at in begins]
    return {
        "arrives": [name for name, _ in found],
        "adoption": [_middle(taken[0]) for _, taken in found],
        "adoption_pulls": [_middle(taken[1]) for _, taken in found],
    }


def added(
    stream: Stream, table: Floats, traces: Mapping[str, Trace], late: feedback.Late | None, *, seed: int = 0
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield what belongs into a run's summary and curves: of its changes, where it has any, and of late feedback.

    Each time columns by policy, and rows as the curves of a summary have them. Of changes: the columns of `outcome`,
    and regret against the best model of each phase over time. Of late feedback: `outstanding`, rounds called and not
    heard yet, in the mean over the run and over time, and `never_heard` by its end. When a round is heard depends on
    no policy's choices, so all policies of a run wait alike.

    Args:
        stream, table, traces: of the run, without references.
        late: how its feedback came, None for at once.
        seed: of the run.
    """
    import pandas as pd

    if traces and marks(stream):
        rows = [
            {"policy": name, **outcome(stream, table, trace, seed=seed)} for name, trace in traces.items()
        ]
        reference = earned_by(table, best_of_phase(stream, table))
        behind = {name: cumulative_regret(table, trace, reference) for name, trace in traces.items()}
        yield pd.DataFrame(rows), _long(behind, REGRET)
    if traces and late is not None:
        shape = next(iter(traces.values())).arms.shape
        waits = Waits(*shape)
        waits.add(feedback.heard(feedback.due(late, shape, seed), 0, shape[1]))
        yield waits.tables(list(traces))


def _long(curves: Mapping[str, Floats], quantity: str, points: int = 200) -> pd.DataFrame:
    """Return curves `(S, T)` by policy as rows: policy, round (from 1), quantity, mean, lo, hi."""
    import pandas as pd

    frames = []
    for policy, curve in curves.items():
        at = np.unique(np.linspace(1, curve.shape[1], points).round().astype(int))
        kept = curve[:, at - 1]
        low, high = band(kept)
        known = {"policy": policy, "round": at, "quantity": quantity}
        frames.append(pd.DataFrame({**known, "mean": kept.mean(axis=0), "lo": low, "hi": high}))
    return pd.concat(frames, ignore_index=True)

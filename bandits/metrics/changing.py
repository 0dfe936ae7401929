"""What a changing world asks: regret by phase, rounds to recovery, and how soon a newcomer is taken up.

A changed stream has a row for each seed and round (see `envs.changes.world`), so the per-query oracle of `regret` is
the oracle of the moment, and the best model of each phase is the best model of each data set with phases for data sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.regret import comparator, earned_by, rewards

if TYPE_CHECKING:
    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]


def changes_at(stream: Stream) -> NDArray[np.int64]:
    """Return the ascending rounds (from 0) at which phases of a stream begin, after the first; none without changes."""
    marks = () if stream.world is None else stream.world.marks
    return np.unique(np.array([at for at, _ in marks], np.int64))


def phase(stream: Stream) -> NDArray[np.int64]:
    """Return `(N,)`, the phase (from 0) that each row of a stream is in."""
    if stream.world is None:
        return np.zeros(len(stream), np.int64)
    clock = np.arange(stream.world.rounds)
    within = np.searchsorted(changes_at(stream), clock, side="right")
    return np.asarray(stream.world.by_round(within), np.int64)


def best_of_phase(stream: Stream, table: ArrayLike) -> NDArray[np.int32]:
    """Return `(N,)`, the available model of the highest mean reward in the phase of each row (needs hindsight)."""
    return comparator(stream.single(np.asarray(table, np.float64)), "best_per_dataset", dataset=phase(stream))


def recovery(
    stream: Stream, table: ArrayLike, trace: Trace, *, window: int = 100, within: float = 0.05
) -> Floats:
    """Return `(P,)`, for each change the rounds until reward is back near that of the new phase's best model.

    The first `n` from which on the mean reward over the seeds is at most `within` below that of the best model of the
    phase on the same rounds, in shares of its mean reward in the phase, both over the next `window` rounds and over
    all that is left of the phase: a lucky hundred rounds is no recovery. 0 where it never was. NaN where it is not
    before the next change (or the end), or where a phase is shorter than the window.

    Args:
        stream: changed, of `N` rows.
        table: `(N, K)` reward.
        trace: of a policy on it, on all its rounds.
        window: rounds, >= 1.
        within: share of the best model's mean reward, >= 0.
    """
    each = [
        _back(gap.mean(axis=0), within * abs(best.mean()), window)
        for gap, best in _gaps(stream, table, trace)
    ]
    return np.array(each, np.float64)


def recovery_interval(
    stream: Stream,
    table: ArrayLike,
    trace: Trace,
    *,
    window: int = 100,
    within: float = 0.05,
    resamples: int = 400,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Return `(P,)` and `(P,)`, the ends of the 95 % interval of `recovery` over resampled seeds; inf is never.

    The same seeds are drawn for every policy, so policies are compared on the same resamples. NaN with one seed.

    Args:
        stream, table, trace, window, within: see `recovery`.
        resamples: draws of the seeds, >= 1.
        seed: of the draws.
    """
    runs = len(trace.order)
    drawn = np.random.default_rng(seed).integers(0, runs, (resamples, runs))
    weight = np.stack([np.bincount(row, minlength=runs) for row in drawn]) / runs
    ends = []
    for gap, best in _gaps(stream, table, trace):
        limit = within * np.abs(weight @ best.mean(axis=1))
        each = [_back(w @ gap, at_most, window) for w, at_most in zip(weight, limit, strict=True)]
        # Whole resamples, not points between them: halfway to "never" is no number.
        found = np.sort(np.where(np.isnan(each), np.inf, each))
        cut = int(0.025 * (resamples - 1))
        ends.append((found[cut], found[-1 - cut]) if runs > 1 else (np.nan, np.nan))
    low, high = np.array(ends, np.float64).reshape(-1, 2).T
    return low, high


def _gaps(stream: Stream, table: ArrayLike, trace: Trace) -> Iterator[tuple[Floats, Floats]]:
    """Yield for each change `(S, n)` and `(S, n)`: how far behind the phase's best model, and what that earns."""
    values = np.asarray(table, np.float64)
    best = earned_by(values, best_of_phase(stream, values))[trace.order]
    gap = best - rewards(values, trace)
    begins = changes_at(stream).tolist()
    for begin, end in zip(begins, [*begins, gap.shape[1]][1:], strict=True):
        yield gap[:, begin:end], best[:, begin:end]


def _back(gap: Floats, at_most: float, window: int) -> float:
    """Return the first round from which the gap `(n,)` is within a limit, over a window and to the end; NaN if none."""
    if len(gap) < window:
        return float("nan")
    total, first = np.concatenate([[0.0], np.cumsum(gap)]), np.arange(len(gap) - window + 1)
    near = (total[first + window] - total[first]) / window
    left = (total[-1] - total[first]) / (len(gap) - first)
    back = np.flatnonzero(np.maximum(near, left) <= at_most + 1e-12)
    return float(back[0]) if len(back) else float("nan")


def arrivals(stream: Stream) -> list[tuple[str, int, NDArray[np.intp]]]:
    """Return each model that joins while the run goes on: its name, its first round (from 0) and its columns.

    In a stream of duels (`envs.changes.duels`) its columns are all pairs that it is part of.
    """
    marks = () if stream.world is None else stream.world.marks
    names = [(label.removesuffix(" arrives"), at) for at, label in marks if label.endswith(" arrives")]
    sides = [model.split(" | ") for model in stream.models]
    return [(name, at, np.flatnonzero([name in side for side in sides])) for name, at in names]


def adoption(
    trace: Trace, arm: ArrayLike, arrived: int, *, share: float = 0.2, window: int = 100
) -> tuple[Floats, Floats]:
    """Return `(S,)` rounds from its arrival until a model holds its share, and `(S,)` its calls until then.

    It holds it at the first round whose `window` (or as many rounds as there have been since the arrival, at least a
    fifth of the window) has called it in `share` of the rounds; NaN where it never does.

    Args:
        trace: of a policy.
        arm: the model's column, or its columns.
        arrived: its first round, from 0.
        share: of the calls, in (0, 1].
        window: rounds, >= 5.
    """
    called = np.cumsum(np.isin(trace.arms[:, arrived:], arm), axis=1)
    before = np.pad(called, ((0, 0), (window, 0)))[:, : called.shape[1]]
    rounds = np.minimum(np.arange(1, called.shape[1] + 1), window)
    holds = ((called - before) >= share * rounds) & (rounds >= window // 5)
    first, seeds = holds.argmax(axis=1), np.arange(len(called))
    ever = holds.any(axis=1)
    return np.where(ever, first + 1.0, np.nan), np.where(ever, called[seeds, first], np.nan)

"""What a changing world asks: regret by phase, rounds to recovery, and how soon a newcomer is taken up.

A changed stream has a row for each seed and round (see `envs.world`), so the per-query oracle of `regret` is the
oracle of the moment, and the best model of each phase is the best model of each data set with phases for data sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.regret import comparator, earned_by, rewards

if TYPE_CHECKING:
    from bandits.loop.replay import Trace

Floats = NDArray[np.float64]


def changes_at(stream: Any) -> NDArray[np.int64]:
    """Return the ascending rounds (from 0) at which phases of a stream begin, after the first; none without changes."""
    marks = () if stream.world is None else stream.world.marks
    return np.unique(np.array([at for at, _ in marks], np.int64))


def phase(stream: Any) -> NDArray[np.int64]:
    """Return `(N,)`, the phase (from 0) that each row of a stream is in."""
    if stream.world is None:
        return np.zeros(len(stream), np.int64)
    clock = np.arange(stream.world.rounds)
    within = np.searchsorted(changes_at(stream), clock, side="right")
    return np.asarray(stream.world.by_round(within), np.int64)


def best_of_phase(stream: Any, table: ArrayLike) -> NDArray[np.int32]:
    """Return `(N,)`, the available model of the highest mean reward in the phase of each row (needs hindsight)."""
    return comparator(table, "best_per_dataset", dataset=phase(stream))


def recovery(
    stream: Any, table: ArrayLike, trace: Trace, *, window: int = 100, within: float = 0.05
) -> Floats:
    """Return `(P,)`, for each change the rounds until reward is back near that of the new phase's best model.

    The first `n` from which on, over `window` rounds, the mean reward over the seeds is at most `within` below that
    of the best model of the phase on the same rounds, in shares of its mean reward in the phase; 0 where it never
    was. NaN where it is not before the next change (or the end), or where a phase is shorter than the window.

    Args:
        stream: changed, of `N` rows.
        table: `(N, K)` reward.
        trace: of a policy on it, on all its rounds.
        window: rounds, >= 1.
        within: share of the best model's mean reward, >= 0.
    """
    values = np.asarray(table, np.float64)
    reference = earned_by(values, best_of_phase(stream, values))[trace.order].mean(axis=0)
    gap = reference - rewards(values, trace).mean(axis=0)
    begins = changes_at(stream)
    ends = [*begins.tolist(), len(gap)][1:]
    found = np.full(len(begins), np.nan)
    for i, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        if end - begin >= window:
            sums = np.concatenate([[0.0], np.cumsum(gap[begin:end])])
            behind = (sums[window:] - sums[:-window]) / window
            back = np.flatnonzero(behind <= within * abs(reference[begin:end].mean()) + 1e-12)
            found[i] = back[0] if len(back) else np.nan
    return found


def adoption(
    trace: Trace, arm: int, arrived: int, *, share: float = 0.2, window: int = 100
) -> tuple[Floats, Floats]:
    """Return `(S,)` rounds from its arrival until a model holds its share, and `(S,)` its calls until then.

    It holds it at the first round whose `window` (or as many rounds as there have been since the arrival, at least a
    fifth of the window) has called it in `share` of the rounds; NaN where it never does.

    Args:
        trace: of a policy.
        arm: the model.
        arrived: its first round, from 0.
        share: of the calls, in (0, 1].
        window: rounds, >= 5.
    """
    called = np.cumsum(trace.arms[:, arrived:] == arm, axis=1)
    before = np.pad(called, ((0, 0), (window, 0)))[:, : called.shape[1]]
    rounds = np.minimum(np.arange(1, called.shape[1] + 1), window)
    holds = ((called - before) >= share * rounds) & (rounds >= window // 5)
    first, seeds = holds.argmax(axis=1), np.arange(len(called))
    ever = holds.any(axis=1)
    return np.where(ever, first + 1.0, np.nan), np.where(ever, called[seeds, first], np.nan)

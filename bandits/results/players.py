"""What every player got, round by round: the policies of a run, the references with hindsight, the single models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.base import RESOURCES
from bandits.metrics.knapsack import plan_within
from bandits.metrics.regret import BASELINES, comparator, earned_by, played, rewards

if TYPE_CHECKING:
    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]
Arms = NDArray[np.int32]


class Play(NamedTuple):
    """What one player got, all `(S, T)`: every player over the same rounds.

    Attributes:
        name, kind: the player; kind is policy, reference or model.
        reward, accuracy, cost: of each round.
        arms: the model called, -1 where none was; None for a player that is an expected value. A single model is
            the fixed choice of it: where it cannot be called, the fall-back order answers (`metrics.comparator`).
    """

    name: str
    kind: str
    reward: Floats
    accuracy: Floats
    cost: Floats
    arms: Arms | None = None


def shared_order(traces: dict[str, Trace]) -> Arms:
    """Return the `(S, T)` rows that all traces asked.

    Raises:
        ValueError: no trace, or traces of different orders.
    """
    if not traces:
        raise ValueError("summarise needs at least one trace, got none")
    (first, trace), *others = traces.items()
    for name, other in others:
        if not np.array_equal(trace.order, other.order):
            raise ValueError(
                f"policies need the same seeds and orders to be compared; {first} and {name} differ"
            )
    return np.asarray(trace.order)


def hindsight(stream: Stream, table: ArrayLike, order: Arms) -> dict[str, Arms]:
    """Return `(N,)`, the model that each reference of `BASELINES` calls in each row, the best of the rows played."""
    often = played(order, len(stream))
    return {b: comparator(table, b, cost=stream.cost, dataset=stream.dataset, times=often) for b in BASELINES}


def planned(stream: Stream, table: Floats, order: Arms, limits: ArrayLike | None) -> Floats | None:
    """Return `(S, T)`: what each round earns in the best plan that hindsight has for the budgets; None without any.

    With several budgets it is the plan of the one that buys least alone, an upper bound. A query may be split among
    models there, or left unanswered.

    Args:
        stream: a `Stream` of `N` rows.
        table: `(N, K)` reward.
        order: `(S, T)` rows.
        limits: `(R,)` from `budget.parse`, inf where nothing is limited.
    """
    limit = np.full(len(RESOURCES), np.inf) if limits is None else np.asarray(limits, np.float64)
    held = [(getattr(stream, RESOURCES[r]), float(limit[r])) for r in np.flatnonzero(np.isfinite(limit))]
    if not held:
        return None
    earned = np.empty(order.shape)
    for s, rows in enumerate(order):
        times = np.bincount(rows, minlength=len(table))
        plans = [plan_within(table, cost, amount, times=times) for cost, amount in held]
        earned[s] = min(plans, key=lambda plan: float(plan @ times))[rows]
    return earned


def plays(
    stream: Stream, table: Floats, traces: dict[str, Trace], references: dict[str, Arms]
) -> Iterator[Play]:
    """Yield the policies, then the references that were not run as policies, then the single models.

    Args:
        stream: a `Stream` of `N` rows and `K` models.
        table: `(N, K)` reward.
        traces: of policies that share seeds and orders.
        references: from `hindsight`.

    Raises:
        ValueError: as `shared_order`, or a trace that does not fit the table.
    """
    order = shared_order(traces)

    def each(of: Callable[[Any], Any]) -> tuple[Floats, Floats, Floats]:
        return of(table), of(stream.utility), of(stream.cost)

    for name, trace in traces.items():
        kind = "reference" if name in BASELINES else "policy"
        yield Play(name, kind, *each(partial(rewards, trace=trace)), np.asarray(trace.arms))
    fixed = [(name, "reference", arms) for name, arms in references.items() if name not in traces]
    alone = [(m, "model", comparator(table, k)) for k, m in enumerate(stream.models)]
    for name, kind, arms in fixed:
        yield Play(name, kind, *each(partial(_asked, arms=arms, order=order)), arms[order])
    if "uniform" not in traces:
        yield Play("uniform", "reference", *each(partial(_expected, order=order)))
    for name, kind, arms in alone:
        yield Play(name, kind, *each(partial(_asked, arms=arms, order=order)), arms[order])


def _asked(sheet: Floats, *, arms: Arms, order: Arms) -> Floats:
    return earned_by(sheet, arms)[order]


def _expected(sheet: Floats, *, order: Arms) -> Floats:
    return np.asarray(np.nanmean(sheet, axis=1)[order])

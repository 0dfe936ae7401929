"""Whose numbers a run's tables hold: the policies of a run, the references with hindsight, the single models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.base import RESOURCES
from bandits.metrics.knapsack import plan_within
from bandits.metrics.regret import BASELINES
from bandits.results.book import REFERENCES

if TYPE_CHECKING:
    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]
Arms = NDArray[np.int32]


class Players(NamedTuple):
    """The players of a tally.

    Attributes:
        names, kinds: of all; a kind is policy, reference or model.
        kept: those in the tables: a reference that was run as a policy stands there once, as it was run.
        policies: how many were run.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    kept: tuple[int, ...]
    policies: int


def players(policies: Sequence[str], models: Sequence[str]) -> Players:
    """Return who is in the tables of a run of these policies."""
    names = (*policies, *REFERENCES, *models)
    run = tuple("reference" if name in BASELINES else "policy" for name in policies)
    kinds = (*run, *["reference"] * len(REFERENCES), *["model"] * len(models))
    own = range(len(policies), len(policies) + len(REFERENCES))
    kept = tuple(i for i, name in enumerate(names) if i not in own or name not in policies)
    return Players(names, kinds, kept, len(policies))


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

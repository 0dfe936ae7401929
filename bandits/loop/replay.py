"""From a policy and a stream to traces: which query comes in which order, and for how many cases at once.

A case (a reward table, a preference, a budget) times a seed is a lane. The lanes of all cases are played side by side
(`bandits.loop.lanes`), so that a sweep over preferences or budgets costs one program and few passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Policy, State
from bandits.late import jax
from bandits.loop import feedback as feedbacks
from bandits.loop.feedback import Late
from bandits.loop.keys import named
from bandits.loop.lanes import lanes_of, play, sheets
from bandits.loop.orders import orders
from bandits.loop.rounds import Shared
from bandits.rewards import PREFERENCE

if TYPE_CHECKING:
    import pandas as pd

    from bandits.rewards import Preference
    from envs.shapes import Queries
    from envs.stream import Stream
    from envs.windows.big import Big

Ints = NDArray[np.integer[Any]]


class Trace(NamedTuple):
    """Which model answered which query; everything else is computed from it afterwards.

    Attributes:
        order: `(S, T)` int32 row of the stream asked at each round.
        arms: `(S, T)` int32 model called, -1 where no call was made.
        probed: `(S, T, ...)` what a probe read in the policy's state before each round; None without one.
    """

    order: NDArray[np.int32]
    arms: NDArray[np.int32]
    probed: NDArray[np.float32] | None = None

    def to_frame(self, stream: Stream) -> pd.DataFrame:
        """Return a row for each round of each seed, with what the call gave.

        Columns: seed, round (both from 0), row, query_id, dataset, arm, model, utility, cost; where no call was made
        arm is -1, model "" and what was given NaN.

        Args:
            stream: the one that was replayed.

        Raises:
            ValueError: the trace asks rows or calls models that this stream has not.
        """
        import pandas as pd

        seeds, rounds = self.order.shape
        order, arms = self.order.ravel(), self.arms.ravel()
        if order.max(initial=0) >= len(stream) or arms.max(initial=0) >= stream.n_arms:
            raise ValueError(f"to_frame needs the stream that was replayed, got {stream!r}")
        called = arms >= 0
        models = np.append(np.asarray(stream.models, object), "")
        given = {
            name: np.where(called, getattr(stream, name)[order, np.maximum(arms, 0)], np.nan)
            for name in ("utility", "cost")
        }
        return pd.DataFrame(
            {
                "seed": np.repeat(np.arange(seeds), rounds),
                "round": np.tile(np.arange(rounds), seeds),
                "row": order,
                "query_id": stream.query_id[order],
                "dataset": stream.dataset[order],
                "arm": arms,
                "model": models[arms],
                **given,
            }
        )

    def __repr__(self) -> str:
        seeds, rounds = self.order.shape
        missed = int((self.arms < 0).sum())
        return f"Trace({seeds} seeds of {rounds:,} rounds{f', {missed:,} without a call' if missed else ''})"

    def _repr_html_(self) -> str:
        """Return how often each arm was called, mean over seeds and least and most of a seed."""
        import pandas as pd

        arms = range(int(self.arms.max(initial=0)) + 1)
        shares = np.array([(self.arms == k).mean(axis=1) for k in arms])
        rows = [
            {
                "arm": k,
                "share of calls": f"{100 * s.mean():.1f} %",
                "least": f"{100 * s.min():.1f} %",
                "most": f"{100 * s.max():.1f} %",
            }
            for k, s in zip(arms, shares, strict=True)
        ]
        return f"<p>{self!r}</p>{pd.DataFrame(rows).to_html(index=False, border=0)}"


class Case(NamedTuple):
    """What a policy is replayed for.

    Attributes:
        table: `(N, K)` what each outcome is worth, from `reward_table`; the policy hears the chosen entry.
        preference: what the policy is shown: a number, or `(N,)` one for each query; give `reward_table` the same.
        budget: `(R,)` how much of each of `RESOURCES` a run may use, inf where that is not limited. The policy sees
            what is left; once something is overdrawn no further call is made. A policy that may answer -1 (no call)
            needs a budget, if only an infinite one.
    """

    table: NDArray[np.float64]
    preference: Any = PREFERENCE
    budget: NDArray[np.float64] | None = None


def replay(
    policy: Policy,
    stream: Stream,
    table: NDArray[np.float64],
    *,
    preference: Preference = PREFERENCE,
    budget: NDArray[np.float64] | None = None,
    seeds: int = 20,
    seed: int = 0,
    order: str = "shuffle",
    rounds: int | None = None,
    feedback: Late | None = None,
    probe: Callable[[State], jax.Array] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Trace:
    """Return what `policy` called when each of `S` seeds met the stream in an order of its own.

    Args:
        policy: three pure functions; build it once and reuse it, since it is compiled by identity.
        stream: a `Stream` of `N` rows and `K` models.
        table, preference, budget: as in `Case`.
        seeds: `S`.
        seed: fixes the orders and the policy's randomness.
        order, rounds: see `orders`.
        feedback, probe, progress: see `replays`.

    Raises:
        ValueError: an option or a shape is wrong.
    """
    return replays(
        policy, stream, [Case(table, preference, budget)], seeds=seeds, seed=seed, order=order, rounds=rounds,
        feedback=feedback, probe=probe, progress=progress,
    )[0]  # fmt: skip


def replays(
    policy: Policy,
    stream: Stream,
    cases: Sequence[Case],
    *,
    seeds: int = 20,
    seed: int = 0,
    order: str = "shuffle",
    rounds: int | None = None,
    feedback: Late | None = None,
    probe: Callable[[State], jax.Array] | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Trace]:
    """Return a trace for each case, all on the same seeds and orders.

    Args:
        policy, stream: as `replay` takes them.
        cases: all with a budget, or none.
        seeds: `S`.
        seed: fixes the orders and the policy's randomness.
        order, rounds: see `orders`.
        feedback: how outcomes are heard, from `feedback.parse`; None: at once. A budget is charged at the call.
        probe: `(state) -> array`, read before each round; build it once, since it is compiled by identity.
        progress: called after each chunk with the number of rounds done, all seeds and cases together.

    Raises:
        ValueError: an option or a shape is wrong.
    """
    if stream.several is not None and stream.several.calls.most > 1:
        raise ValueError("a stream of several calls a query needs bandits.loop.slots.replay")
    checked(stream, cases)
    if stream.world is not None and stream.world.silent is not None:
        policy = feedbacks.attentive(policy)
    rows = orders(stream, seeds=seeds, seed=seed, order=order, rounds=rounds)
    keys = named(seed, seeds)
    after = None if feedback is None else feedbacks.due(feedback, rows.shape, seed)
    full = feedback is not None and feedback.full
    lanes = lanes_of(sheets(stream, cases), [case.budget for case in cases], rows, keys, after)
    played = play(policy, shared(stream), lanes, full=full, probe=probe, progress=progress)
    return traces_of(cases, rows, *played, stopped=partial(stopped, stream))


def traces_of(
    cases: Sequence[Case],
    rows: NDArray[np.int32],
    arms: NDArray[np.int32],
    read: NDArray[np.float32] | None,
    *,
    stopped: Callable[[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]], NDArray[np.int32]],
) -> list[Trace]:
    """Return a trace for each case from what its lanes called, `(L, T)` or `(L, T, M)`, and what a probe read.

    Args:
        stopped: `(rows, arms, budget) -> arms` without the calls after a budget was overdrawn.
    """
    traces = []
    for i, case in enumerate(cases):
        own = slice(i * len(rows), (i + 1) * len(rows))
        called = arms[own] if case.budget is None else stopped(rows, arms[own], case.budget)
        traces.append(Trace(rows, called, None if read is None else read[own]))
    return traces


def shared(stream: Stream | Big) -> Shared:
    """Return what all rounds of a table with `price` `(K,)` and `cost_scale` share."""
    world = getattr(stream, "world", None)
    changes = world is not None and world.posted is not None
    price: Any = None if changes else np.asarray(stream.price, np.float32)
    scale: Any = np.float32(stream.cost_scale)
    return Shared(price, scale)


def checked(stream: Stream, cases: Sequence[Case]) -> None:
    """Refuse cases that do not fit a stream.

    Raises:
        ValueError: one line: a table of another shape, a budget that is none, some with one and some without, a
            stream whose utilities are not those that are heard.
    """
    for case in cases:
        if case.table.shape != stream.utility.shape:
            raise ValueError(
                f"replay needs a table of shape {stream.utility.shape} like the stream, got {case.table.shape}"
            )
        limits = None if case.budget is None else np.asarray(case.budget, np.float64)
        if limits is not None and (limits.shape != (len(RESOURCES),) or not (limits > 0).all()):
            raise ValueError(
                f"replay needs a budget of {len(RESOURCES)} numbers > 0 ({', '.join(RESOURCES)}), got {limits.tolist()}"
            )
    if len({case.budget is None for case in cases}) != 1:
        raise ValueError("replays needs cases that all have a budget, or none, and at least one case")
    if stream.world is not None and stream.world.judged is not None:
        raise ValueError(
            "replay of a judged stream needs stream.heard and its reward_table; regret needs the truth"
        )


def stopped(
    stream: Queries,
    rows: Ints,
    arms: NDArray[np.int32],
    limits: NDArray[np.float64],
    spent: NDArray[np.float64] | None = None,
) -> NDArray[np.int32]:
    """Return the arms `(S, m)` with -1 after the round that overdrew the budget.

    Marked here and not in the scan: a state frozen there would be copied whole, every round.

    Args:
        stream: whose rows are asked.
        rows: `(S, m)`.
        arms: `(S, m)` called, as if there was enough.
        limits: `(R,)`.
        spent: `(S, R)` before these rounds; None: nothing.
    """
    over = np.zeros(arms.shape, bool)
    for r, (name, limit) in enumerate(zip(RESOURCES, limits, strict=True)):
        if np.isfinite(limit):
            used = np.where(arms >= 0, getattr(stream, name)[rows, np.maximum(arms, 0)], 0.0)
            before = np.zeros(len(rows)) if spent is None else spent[:, r]
            so_far = np.cumsum(np.column_stack([before, used]), axis=1)[:, :-1]
            over |= so_far > limit * (1 + 1e-6)  # float32's rounding is no overdraft
    return np.where(over, np.int32(-1), arms)

"""What a run under a budget did with it: spend, unanswered queries, and reward against what the budget could buy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES
from bandits.metrics.intervals import band, paired
from bandits.metrics.knapsack import best_mixture, best_within
from bandits.metrics.regret import rewards

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]


def account(
    stream: Stream,
    table: Floats,
    traces: Mapping[str, Trace],
    limits: Floats,
    *,
    cap: float | None = None,
) -> pd.DataFrame:
    """Return one row for each policy: what it spent, what that earned, and what it could have earned.

    Args:
        stream: a `Stream`.
        table: `(N, K)` reward, from `reward_table`.
        traces: of runs with this budget.
        limits: `(R,)` from `budget.parse`, inf where nothing is limited.
        cap: counts calls that cost more; None: no such column is filled.

    Returns:
        A frame with the columns `policy`; `budget_<resource>` and `spent_<resource>`, the limit and the share of it
        that was spent, for each limited resource, with `spent_most`, the highest share of any seed and resource;
        `out_at`, the first round without a call, from 1 (mean over the seeds that had one); `unanswered` queries a
        run; `over_cap`, calls a run above the cap; `reward`, a round; `within`, what the budget buys at best, and
        `mixture`, what a fixed mixture of models buys for what was spent, both a round; `over_mixture` with its
        interval `over_lo`, `over_hi`, paired over seeds; `gap_closed`, the share of the way from the mixture to the
        best at the same spend. With several budgets, `within` and `mixture` are the least of those that each buys
        alone: an upper bound.

    Raises:
        ValueError: no resource is limited, or a trace does not fit the table.
    """
    import pandas as pd

    names = [name for name, limit in zip(RESOURCES, limits, strict=True) if np.isfinite(limit)]
    if not names:
        raise ValueError("account needs a budget on something, got none")
    limit = {name: float(limits[RESOURCES.index(name)]) for name in names}
    rows = [{"policy": name, **_row(stream, table, trace, limit, cap)} for name, trace in traces.items()]
    return pd.DataFrame(rows)


def _row(
    stream: Stream,
    table: Floats,
    trace: Trace,
    limit: Mapping[str, float],
    cap: float | None,
) -> dict[str, float]:
    silent = trace.arms < 0
    total = {name: rewards(getattr(stream, name), trace).sum(axis=1) for name in limit}
    reward = rewards(table, trace).mean(axis=1)
    within = _bought(
        best_within, stream, table, trace, {n: np.full(len(reward), x) for n, x in limit.items()}
    )
    mixture, best = (_bought(buy, stream, table, trace, total) for buy in (best_mixture, best_within))
    over = paired(reward, mixture)
    first_silent = np.where(silent.any(axis=1), silent.argmax(axis=1) + 1.0, np.nan)
    dear = np.nan if cap is None else (rewards(stream.cost, trace) > cap).sum(axis=1).mean()
    return {
        **{f"budget_{n}": limit[n] for n in limit},
        **{f"spent_{n}": float((total[n] / limit[n]).mean()) for n in limit},
        "spent_most": float(max((total[n] / limit[n]).max() for n in limit)),
        "out_at": float(np.nanmean(first_silent)) if silent.any() else np.nan,
        "unanswered": float(silent.sum(axis=1).mean()),
        "over_cap": float(dear),
        "reward": float(reward.mean()),
        "within": float(within.mean()),
        "mixture": float(mixture.mean()),
        "over_mixture": float(over.mean),
        "over_lo": float(over.lo),
        "over_hi": float(over.hi),
        "gap_closed": float(((reward - mixture) / np.maximum(best - mixture, 1e-12)).mean()),
    }


def _bought(buy: Any, stream: Stream, table: Floats, trace: Trace, spent: Mapping[str, Floats]) -> Floats:
    """Return `(S,)` reward a round that `buy` has for what each seed spent, the least over the resources."""
    rows = [np.bincount(order, minlength=len(table)) for order in trace.order]
    each = [
        [float(buy(table, getattr(stream, name), amount[s], times=rows[s])) for s in range(len(rows))]
        for name, amount in spent.items()
    ]
    return np.asarray(np.min(each, axis=0) / trace.order.shape[1])


def burn_down(
    stream: Stream, traces: Mapping[str, Trace], limits: Floats, *, points: int = 200
) -> pd.DataFrame:
    """Return what was left over time, and the dual price where a run was probed for it (`Policy.price`).

    Long, like the curves of a summary: policy, round (from 1), quantity, mean, lo, hi. Quantities are
    `left:<resource>`, as a share of the limit, and `price:<resource>`, in the unit of the pacing.
    """
    import pandas as pd

    frames = []
    for policy, trace in traces.items():
        at = np.unique(np.linspace(1, trace.arms.shape[1], points).round().astype(int))
        for r, name in enumerate(RESOURCES):
            if not np.isfinite(limits[r]):
                continue
            spent = np.cumsum(rewards(getattr(stream, name), trace), axis=1)[:, at - 1]
            curves = {f"left:{name}": 1.0 - spent / limits[r]}
            if trace.probed is not None:
                curves[f"price:{name}"] = trace.probed[:, at - 1, r].astype(float)
            for quantity, curve in curves.items():
                low, high = band(curve)
                known = {"policy": policy, "round": at, "quantity": quantity}
                frames.append(pd.DataFrame({**known, "mean": curve.mean(axis=0), "lo": low, "hi": high}))
    return pd.concat(frames, ignore_index=True)

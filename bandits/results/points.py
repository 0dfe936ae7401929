"""The runs of one ask side by side, as rows: reward against budget and accuracy against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES
from bandits.experiment.ask import Run
from bandits.experiment.lineup import REFERENCES
from bandits.metrics.intervals import ANYTHING, SHARE, student
from bandits.metrics.knapsack import best_mixture, best_within
from bandits.metrics.regret import comparator, rewards

if TYPE_CHECKING:
    import pandas as pd

_POINTS = 100  # of a curve of hindsight
_COLUMNS = (
    "run", "preference", "asked", "name", "kind", "resource", "budget", "spent", "reward", "reward_lo", "reward_hi",
    "accuracy", "accuracy_lo", "accuracy_hi", "cost",
)  # fmt: skip


def points(run: Run) -> pd.DataFrame:
    """Return what a finished run adds to the curves, and what they are drawn against.

    Args:
        run: one of an ask.

    Returns:
        A frame with the columns `run`, `preference` and `asked` (the budget as it was given); `name`, `kind`;
        `resource`, the limited one (the first of several; cost where none is), in which `budget` and `spent` count,
        a query; `reward` and `accuracy` with 95 % intervals over seeds, and `cost`, a query. Kinds are `policy`;
        `model` (always calling it: a point at what it uses); `mixture` and `within`, hindsight's best fixed mixture
        of models and best choice for each query, at 100 budgets over the range of the models' use.
    """
    import pandas as pd

    limits = np.full(len(RESOURCES), np.inf) if run.limits is None else run.limits
    limited = np.isfinite(limits)
    r = int(limited.argmax())
    use = run.stream.cost if r == 0 else getattr(run.stream, RESOURCES[r])
    limit = float(limits[r]) if limited.any() else np.nan
    told = [_point(run, name, use, limit) for name in run.traces if name not in REFERENCES]
    told += _models(run, use)
    if limited.any():
        told += _hindsight(run.table, use)
    known = {
        "run": run.name,
        "preference": run.preference,
        "asked": run.budget,
        "resource": RESOURCES[r],
    }
    return pd.DataFrame(told).assign(**known).reindex(columns=list(_COLUMNS))


def _point(run: Run, name: str, use: NDArray[Any], limit: float) -> dict[str, Any]:
    trace = run.traces[name]
    reward, accuracy, spent, cost = (
        rewards(sheet, trace).mean(axis=1) for sheet in (run.table, run.stream.utility, use, run.stream.cost)
    )
    ends = {
        f"{what}_{end}": float(x)
        for what, values, within in (("reward", reward, ANYTHING), ("accuracy", accuracy, SHARE))
        for end, x in zip(("lo", "hi"), student(values, within=within), strict=True)
    }
    return {
        "name": name,
        "kind": "policy",
        "budget": limit / trace.arms.shape[1],
        "spent": spent.mean(),
        "reward": reward.mean(),
        "accuracy": accuracy.mean(),
        "cost": cost.mean(),
        **ends,
    }


def _models(run: Run, use: NDArray[Any]) -> list[dict[str, Any]]:
    """Return a row for each model: what its fixed choice uses and earns on average over all queries."""
    sheets = {"spent": use, "reward": run.table, "accuracy": run.stream.utility, "cost": run.stream.cost}
    arms = np.stack([comparator(run.table, k) for k in range(run.table.shape[1])], axis=1)
    means = {name: np.take_along_axis(sheet, arms, axis=1).mean(axis=0) for name, sheet in sheets.items()}
    return [
        {"name": model, "kind": "model", "budget": means["spent"][k], **{n: x[k] for n, x in means.items()}}
        for k, model in enumerate(run.stream.models)
    ]


def _hindsight(table: NDArray[Any], use: NDArray[Any]) -> list[dict[str, Any]]:
    """Return what each budget buys at best, and what a fixed mixture of models buys with it."""
    mean = np.nanmean(np.where(np.isnan(table), np.nan, use), axis=0)
    grid = np.geomspace(mean[mean > 0].min() / 2, mean.max() * 1.05, _POINTS)
    bought = {
        kind: buy(table, use, grid * len(table)) / len(table)
        for kind, buy in (("mixture", best_mixture), ("within", best_within))
    }
    return [
        {"name": kind, "kind": kind, "budget": b, "spent": b, "reward": earned}
        for kind, curve in bought.items()
        for b, earned in zip(grid, curve, strict=True)
    ]

"""How near a table comes to the published figures of MMR-Bench (arXiv 2601.17814): what the twin promises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bandits.mmrbench import evaluate
from envs.outcomes import Floats, Outcomes
from envs.twin import published
from envs.twin.published import Published

Row = dict[str, Any]
LEARNED = {"linearmf": "LinearMF", "knn": "KNN", "kmeans": "KMeans"}


def fidelity(outcomes: Outcomes) -> list[Row]:
    """Return one row for each figure that the twin must meet.

    Args:
        outcomes: the whole twin, or the released table.

    Returns:
        Rows with `quantity, where, published, twin, difference` (twin less published), `tolerance` and `ok`.

    Raises:
        ValueError: a dataset or model of the paper is missing from the table.
    """
    figures = published.figures()
    accuracy, cost = _means(outcomes, figures)
    return [
        *_marginals(figures, accuracy, cost),
        *_oracles(outcomes, figures),
        *_references(figures, accuracy),
        *_routers(outcomes),
    ]


def _means(outcomes: Outcomes, figures: Published) -> tuple[Floats, Floats]:
    """Return mean utility and mean cost, each `(K, D)`, in the order of the figures."""
    for what, needed, found in (
        ("dataset", figures.datasets, set(outcomes.dataset)),
        ("model", figures.models, set(outcomes.models)),
    ):
        missing = [name for name in needed if name not in found]
        if missing:
            raise ValueError(f"fidelity needs every {what} of MMR-Bench, the table has no {missing[0]!r}")
    columns = [outcomes.models.index(m) for m in figures.models]
    rows = [outcomes.dataset == d for d in figures.datasets]
    utility, cost = outcomes.utility[:, columns], outcomes.cost[:, columns]
    means = [np.stack([np.nanmean(v[r], axis=0) for r in rows], axis=1) for v in (utility, cost)]
    return means[0], means[1]


def _marginals(figures: Published, accuracy: Floats, cost: Floats) -> list[Row]:
    """Return the rows of single models: their worst dataset, or their pool, and their mean cost."""
    rows = []
    for k, model in enumerate(figures.models):
        known = ~np.isnan(figures.accuracy[k])
        if known.any():
            d = int(np.nanargmax(np.abs(accuracy[k] - figures.accuracy[k])))
            where = f"{model}, worst dataset {figures.datasets[d]}"
            rows.append(_row("accuracy", where, figures.accuracy[k, d], accuracy[k, d], 0.0005))
        else:
            pool = f"{model}, six-dataset pool"
            rows.append(_row("accuracy", pool, figures.pool_accuracy[k], accuracy[k] @ figures.pool, 0.0005))
    for k, model in enumerate(figures.models):
        mean, goal = cost[k] @ figures.pool, figures.cost[k]
        if not math.isnan(goal):
            rows.append(_row("mean cost", f"{model}, six-dataset pool", goal, mean, 0.01 * goal))
    return rows


def _oracles(outcomes: Outcomes, figures: Published) -> list[Row]:
    """Return the rows of the share of queries that at least one model answers."""
    answered = (outcomes.utility == 1).any(axis=1)
    rows = [
        _row("oracle", name, goal, answered[outcomes.dataset == name].mean(), 0.005)
        for name, goal in zip(figures.datasets, figures.oracle, strict=True)
    ]
    full = published.table2()["ALL", "Oracle"]["Ps"]
    return [*rows, _row("oracle", "Full", full, answered.mean(), 0.005)]


def _references(figures: Published, accuracy: Floats) -> list[Row]:
    """Return the rows of the best fixed choices; gpt-5-nano, whose accuracy is assumed, is no dataset's best."""
    weight = figures.queries / figures.queries.sum()
    goals = np.where(np.isnan(figures.accuracy), 0.0, figures.accuracy)
    return [
        _row("best single model", "Full", (goals @ weight).max(), (accuracy @ weight).max(), 0.0005),
        _row("best model of each dataset", "Full", goals.max(0) @ weight, accuracy.max(0) @ weight, 0.002),
    ]


def _routers(outcomes: Outcomes) -> list[Row]:
    """Return the rows of Table 2's Full column: trained on a random 20 %, scored on the rest."""
    named = {**LEARNED, "oracle": "Oracle", "random": "Random"}
    goals = published.table2()
    rows = []
    for scored in evaluate(outcomes, routers=tuple(named), mode="22", resamples=1):
        method = named[scored["router"]]
        goal = goals["ALL", method]
        if method != "Oracle":
            rows.append(_row("peak score", f"{method}, Full test split", goal["Ps"], scored["Ps"], 0.01))
        if not math.isnan(goal["nAUC"]):
            rows.append(_row("nAUC", f"{method}, Full test split", goal["nAUC"], scored["nAUC"], 0.02))
    return rows


def _row(quantity: str, where: str, goal: float, found: float, tolerance: float) -> Row:
    goal, found = float(goal), float(found)
    return {
        "quantity": quantity,
        "where": where,
        "published": goal,
        "twin": found,
        "difference": found - goal,
        "tolerance": tolerance,
        "ok": abs(found - goal) <= tolerance,
    }

"""Points of the cost-accuracy plane as other papers score them: a row for each, and one for a router's settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bandits.metrics import scores
from bandits.metrics.regret import comparator, earned_by
from bandits.money import UNNAMED, Money, plain

if TYPE_CHECKING:
    import pandas as pd

    from envs.stream import Stream

Rows = list[dict[str, Any]]


class Point(NamedTuple):
    """A model, or a policy at one setting.

    Attributes:
        name, setting: of the row; the setting is empty where there is one only.
        kind: `model`, `policy` or `reference`.
        accuracy: mean utility.
        cost: mean cost, in the table's unit.
        ies: efficiency, of a table's queries; NaN where those are not known.
        ies_of_means: efficiency from mean utility and mean cost alone, without latency; NaN where `ies` is known.
    """

    name: str
    setting: str
    kind: str
    accuracy: float
    cost: float
    ies: scores.Ies = scores.Ies(math.nan, math.nan)
    ies_of_means: float = math.nan


def of_table(stream: Stream, *, alpha: float) -> list[Point]:
    """Return every single model of a table over all queries, with the fall-back where it has no outcome."""
    dearest = float(np.nanmax(np.nanmean(stream.cost, axis=0)))
    slow = None if stream.latency is None else float(np.nanmax(np.nanmean(stream.latency, axis=0)))
    points = []
    for arm, model in enumerate(stream.models):
        arms = comparator(stream.utility, arm)
        quality, cost = earned_by(stream.utility, arms), earned_by(stream.cost, arms)
        found = scores.Ies(math.nan, math.nan)
        if dearest > 0 and slow and stream.latency is not None:
            quick = scores.responsiveness(earned_by(stream.latency, arms), slow)
            found = scores.ies(quality, quick, cost / dearest, alpha=alpha)
        elif dearest > 0:
            found = scores.ies(quality, np.zeros(len(quality)), cost / dearest, alpha=1.0)
        points.append(Point(model, "", "model", float(quality.mean()), float(cost.mean()), found))
    return points


def of_run(summary: pd.DataFrame, setting: str) -> list[Point]:
    """Return the players of a finished run from its `summary.csv`; `setting` sets the run apart from others."""
    dearest = float(summary.loc[summary.kind == "model", "cost_mean"].max())
    points = []
    for name, kind, accuracy, cost in summary[["policy", "kind", "accuracy", "cost_mean"]].itertuples(
        index=False
    ):
        apart = "" if kind == "model" else setting
        ratio = scores.ies_of_means(accuracy, cost, dearest)
        points.append(Point(name, apart, kind, accuracy, cost, ies_of_means=ratio))
    return points


def rows(points: Sequence[Point], money: Money) -> Rows:
    """Return a row for each point, best RouterArena or rank score first.

    `arena` is for costs in US dollars alone, as which a table's without a unit are taken. Gains are over the most
    accurate single model and over the mean of all of them, which is what calling one at random gives.
    """
    pool = [p for p in points if p.kind == "model"]
    costs = sorted(p.cost for p in pool)
    best, random = max(p.accuracy for p in pool), float(np.mean([p.accuracy for p in pool]))
    away = scores.pareto_distance([p.cost for p in points], [p.accuracy for p in points])
    ranked = 0 < costs[0] < costs[-1] and all(0 <= p.accuracy <= 1 for p in points)
    made: Rows = []
    for point, distance in zip(points, away, strict=True):
        per_1000 = 1000 * point.cost * money.factor
        dollars = ranked and money.currency in ("USD", UNNAMED)
        made.append(
            {
                "name": point.name,
                "setting": point.setting,
                "kind": point.kind,
                "accuracy": point.accuracy,
                "cost_per_1000": per_1000,
                "rank_score": scores.rank_score(point.accuracy, point.cost, low=costs[0], high=costs[-1])
                if ranked
                else math.nan,
                "arena": scores.arena(point.accuracy, per_1000) if dollars else math.nan,
                "ies_mean_of_ratios": point.ies.mean_of_ratios,
                "ies_ratio_of_means": point.ies.ratio_of_means,
                "ies_of_means": point.ies_of_means,
                "gain_over_best": scores.gain(point.accuracy, best) if best > 0 else math.nan,
                "gain_over_random": scores.gain(point.accuracy, random) if random > 0 else math.nan,
                "pareto_distance": float(distance),
            }
        )
    told = [key for key in made[0] if any(row[key] not in ("",) and row[key] == row[key] for row in made)]
    ordered = sorted(made, key=lambda row: row["rank_score" if ranked else "accuracy"], reverse=True)
    return [{key: row[key] for key in told} for row in ordered]


def table(found: Rows, money: Money) -> tuple[list[str], list[list[str]], str]:
    """Return headings and cells of `rows` that fit a terminal, and what they mean; `rows` has more columns."""
    per_1000 = f"{money.currency} per 1,000"
    numbers = {
        "rank_score": "rank",
        "arena": "arena",
        "ies_ratio_of_means": "ies",
        "ies_of_means": "ies means",
    }
    there = {key: head for key, head in numbers.items() if key in found[0]}
    lines = [
        [
            " ".join(filter(None, (row["name"], row.get("setting", "")))),
            f"{100 * row['accuracy']:.1f}",
            plain(row["cost_per_1000"]),
            *(f"{row[key]:.3f}" if row[key] == row[key] else "-" for key in there),
            f"{100 * row['gain_over_best']:+.1f}",
            f"{row['pareto_distance']:.3f}",
        ]
        for row in found
    ]
    said = (
        f"Cost in {money.per_1000}; gain: accuracy over the best single model's, in % of it; pareto: distance to the"
        " frontier of all rows; rank, arena, ies and ies means: rank_score, arena, ies_ratio_of_means and"
        " ies_of_means of docs/scores.md."
        " All columns: --format csv."
    )
    return ["", "accuracy %", per_1000, *there.values(), "gain %", "pareto"], lines, said


def over_settings(points: Sequence[Point]) -> Rows:
    """Return what is said of a router as a whole: a row for each policy, over the settings that it was run at."""
    pool = [p for p in points if p.kind == "model"]
    best = min(pool, key=lambda p: (-p.accuracy, p.cost))
    away = scores.pareto_distance([p.cost for p in points], [p.accuracy for p in points])
    made = []
    for name in dict.fromkeys(p.name for p in points if p.kind == "policy"):
        mine = [(p, d) for p, d in zip(points, away, strict=True) if p.name == name]
        cost, accuracy = [p.cost for p, _ in mine], [p.accuracy for p, _ in mine]
        save = math.nan
        if best.cost > 0:
            save = scores.cost_save(cost, accuracy, best_cost=best.cost, best_accuracy=best.accuracy)
        made.append(
            {
                "name": name,
                "settings": len(mine),
                "aiq": scores.aiq(cost, accuracy),
                "perf_gain": scores.gain(max(accuracy), best.accuracy) if best.accuracy > 0 else math.nan,
                "cost_save": save,
                "pareto_dist": float(np.mean([d for _, d in mine])),
            }
        )
    return made

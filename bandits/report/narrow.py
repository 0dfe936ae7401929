"""A run's table on a plain terminal: accuracy, cost and the difference to the best single model, 80 columns wide."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bandits.metrics.intervals import SHARE, clustered
from bandits.money import Money, money, plain
from bandits.report.opening import Row, yardstick
from bandits.results.differences import Scores, against, paired_differences
from bandits.rows import cut

_RUN, _CHANGE = 14, 18  # characters of what sets a run apart, and of a change or a model
_MODELS = 8  # single models that are listed beside policies and references
_NAMES = {"oracle": "oracle (hindsight)", "best_per_dataset": "best per dataset (hindsight)"}


class Told(NamedTuple):
    """A finished run as a terminal shows it.

    Attributes:
        name: what sets it apart from the others of its command; "" where it is the only one.
        rows: its summary.
        got: what each player got by seed and by query.
    """

    name: str
    rows: Sequence[Row]
    got: Scores


def table(runs: Sequence[Told], unit: str) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells: every policy of every run, references of a run that is alone, then single models.

    Args:
        runs: at least one.
        unit: of cost, as the table has it.
    """
    priced = any(not math.isnan(row["cost_mean"]) for run in runs for row in run.rows)
    several, of = len(runs) > 1, money(unit)
    spent = not several and any(not math.isnan(row.get("spent_most", math.nan)) for row in runs[0].rows)
    told = [(run, row) for run in runs for row in run.rows if row["kind"] == "policy"]
    told += [] if several else [(runs[0], row) for row in runs[0].rows if row["kind"] == "reference"]
    told += [(runs[0], row) for row in _models(runs[0].rows)]
    gaps = {run.name: _differences(run) for run in runs}
    lines = [
        [
            _name(run, row),
            *[_run(run) if row["kind"] == "policy" else ""] * several,
            _accuracy(run.got, row),
            *[_cost(row, of)] * priced,
            *[_used(row)] * spent,
            gaps[run.name].get(row["policy"], "") if row["kind"] == "policy" or not several else "",
        ]
        for run, row in told
    ]
    headings = ["", *[_apart(runs[0])] * several, "accuracy %", *[f"{of.currency} per 1,000"] * priced]
    return [*headings, *["of budget"] * spent, "difference"], lines


def legend(runs: Sequence[Told], unit: str) -> str:
    """Return what the columns mean, and how many single models are left out."""
    rows = runs[0].rows
    priced = any(not math.isnan(row["cost_mean"]) for run in runs for row in run.rows)
    cost = f", cost in {money(unit).per_1000}" if priced else ""
    left = sum(row["kind"] == "model" for row in rows) - len(_models(rows))
    # With several calls a query a sequence of calls is a row too: `experiment/sequences.py` names it a>b.
    what = "models and sequences of calls" if any(">" in row["policy"] for row in rows) else "single models"
    more = f" {left} more {what} and" if left > 0 else ""
    return (
        f"Accuracy with its 95 % interval{cost}; difference: reward of 100 queries more than always calling the best"
        f" single model, shown where it is.{more} {'a' if more else 'A'}ll figures: --wide."
    )


def _run(run: Told) -> str:
    """Return what sets a run apart, its values alone: 0.5 of preference=0.5."""
    return cut(",".join(part.partition("=")[2] for part in re.split(r",(?=budget=)", run.name)), _RUN)


def _apart(run: Told) -> str:
    """Return what the values of `_run` are."""
    return ",".join(part.partition("=")[0] for part in re.split(r",(?=budget=)", run.name)).replace(
        "preference", "pref."
    )


def changes(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells of what changed in a run: the best model of each phase, and what a policy earned."""
    headings = ["", "from", "what begins", "best model", "its reward", "reward"]
    lines = [
        [
            str(row["policy"]),
            str(row["begins"]),
            cut(str(row["change"]), _CHANGE),
            cut(str(row["best_model"]), _CHANGE),
            f"{row['best_reward']:.3f}",
            f"{row['reward']:.3f}",
        ]
        for row in rows
    ]
    return headings, lines


def _models(rows: Sequence[Row]) -> list[Row]:
    models = sorted((row for row in rows if row["kind"] == "model"), key=lambda row: -row["accuracy"])
    return models if len(models) <= _MODELS + 1 else models[:_MODELS]


def _name(run: Told, row: Row) -> str:
    """Return a player's name; the best fixed choice by its model's."""
    if row["kind"] != "reference":
        return str(row["policy"])
    if row["policy"] != "best_fixed":
        return _NAMES.get(row["policy"], str(row["policy"]))
    models = [r for r in run.rows if r["kind"] == "model"]
    best = max(models, key=lambda r: r["reward_mean"], default=None)
    return "best_fixed" if best is None else f"best_fixed: {best['policy']}"


def _accuracy(got: Scores, row: Row) -> str:
    """Return accuracy in per cent with its 95 % interval, over queries or over seeds, whichever is wider."""
    low, high = (float(row[f"accuracy_{end}"]) for end in ("lo", "hi"))
    if got.queries is not None and row["policy"] in got.players:
        place, queries = got.players.index(row["policy"]), got.queries
        code = np.unique(queries.cluster, return_inverse=True)[1]
        sums = np.bincount(code, queries.value["accuracy"][:, place] * queries.rounds)
        rounds = np.bincount(code, queries.rounds)
        over = clustered(sums[rounds > 0], rounds[rounds > 0]).within(SHARE)
        low, high = float(np.fmin(low, over.lo)), float(np.fmax(high, over.hi))
    text = f"{100 * row['accuracy']:.1f}"
    return text if math.isnan(low) else f"{text} ({100 * low:.1f}-{100 * high:.1f})"


def _cost(row: Row, of: Money) -> str:
    return plain(float(row["cost_mean"]) * of.factor * 1000)


def _used(row: Row) -> str:
    used = row.get("spent_most", math.nan)
    return "" if math.isnan(used) else f"{100 * used:.1f} %"


def _differences(run: Told) -> Mapping[str, str]:
    """Return each player's difference in reward to the best single model, of policies with whether it is shown."""
    other = yardstick(run.rows)
    told = {
        row["policy"]: f"{100 * (row['reward_mean'] - other['reward_mean']):+.2f}"
        for row in run.rows
        if row["policy"] != other["policy"]
    }
    if not (pairs := against(run.got, other["policy"])):
        return told
    frame = paired_differences(run.got, pairs, measures=("reward",))
    for row in frame[frame["dataset"] == run.got.datasets[0]].to_dict("records"):
        told[str(row["policy"])] = f"{100 * row['difference']:+.2f}{' shown' if row['shown'] else ''}"
    return told

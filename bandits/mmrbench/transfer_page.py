"""The page and the table of zero-shot transfer: the paper's tables 4 and 5 beside ours, and every difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bandits import rows as tables
from bandits.mmrbench import transfer
from bandits.mmrbench.protocol import Row
from bandits.report import forest
from bandits.report.forest import Line, Table
from bandits.report.words import minus

FILES = ("transfer.html", "transfer.csv", "new_models.csv")
_TITLES = {
    transfer.SETS: "Another data set of the scenario (table 4)",
    transfer.TEXTS: "Text alone (table 5)",
}
CAPTION = (
    "Accuracy at the peak, on queries that did not choose it, less that of the best single model of what tests: right"
    " of 0 the router is better. A line is the 95 % interval over queries; a filled point is shown over seeds too."
)


def publish(
    folder: Path, found: Mapping[str, Sequence[Row]], new: Sequence[Row], known: Mapping[str, Any]
) -> Path:
    """Write the page and the tables that have rows, each whole or not at all; return the page's path.

    Args:
        folder: made where it is lacking; other files stay.
        found: of `transfer.transfer`.
        new: of `new_models.new_models`; none: it was not asked for.
        known: as `forest.render` takes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables.write(str(folder / FILES[0]), render(found, new, known).rstrip("\n"))
    for name, rows in zip(FILES[1:], (flat(found), list(new)), strict=True):
        if rows:
            tables.write(str(folder / name), tables.render(rows, "csv"))
    return folder / FILES[0]


def flat(found: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Return every row of both tables with the best single model by name and its accuracy."""
    return [
        {"table": kind, **row, "best_single": row["best_single"]["model_name"],
         "best_single_accuracy": row["best_single"]["accuracy"]}
        for kind, rows in found.items()
        for row in rows
    ]  # fmt: skip


def render(found: Mapping[str, Sequence[Row]], new: Sequence[Row], known: Mapping[str, Any]) -> str:
    """Return the page, self-contained and without a script; arguments as of `publish`."""
    lines = [_line(row) for rows in found.values() for row in rows]
    layouts = [_layout(kind, rows) for kind, rows in found.items() if rows]
    layouts += [_models(new)] if new else []
    return forest.render(
        known, lines, layouts, heading="Trained elsewhere, against the best model here", axis="accuracy above the best"
        " single model of what tests", caption=CAPTION,
    )  # fmt: skip


def _line(row: Row) -> Line:
    low, high = row["over_single_lo"], row["over_single_hi"]
    shown = bool(row["beats"]) or bool(row["below"])
    said = row["beats"] or ("below" if row["below"] else "not shown")
    told = f"{row['dataset']}, {row['router']}: {row['over_single']:.4f} ({low:.4f} to {high:.4f}), {said}"
    return Line(row["dataset"], row["router"], row["over_single"], low, high, shown, minus(told))


def _layout(kind: str, rows: Sequence[Row]) -> Table:
    """Return one table in the paper's layout, a row for each target and player."""
    told = [
        {
            "name": row["target"],
            "cells": [(row["player"], ""), (f"{row['pairs']}", ""), *((_share(row[c]), "") for c in (
                "best_model", "shift", "paper_best_model", "paper_shift"))],
            "note": "",
        }
        for row in transfer.scenario_means(rows)
    ]  # fmt: skip
    masked = kind == transfer.TEXTS and any(row["masked"] for row in rows)
    own = (
        " This table has no data set of text alone: each of its own was left out of the training in turn, and asked"
        " with its image masked, so the paper's three sets have no row here."
    )
    return Table(
        _TITLES[kind],
        "Peak scores, means over pairs of data sets. Which pair the paper means is not published; its figures are of"
        " the recorded answers." + own * masked,
        [
            "tested on",
            "trained elsewhere",
            "pairs",
            "best model",
            "shift",
            "paper: best model",
            "paper: shift",
        ],
        told,
    )


def _models(new: Sequence[Row]) -> Table:
    """Return the table of models that were never seen."""
    told = []
    for row in new:
        low, high = row.get("queries_lo", math.nan), row.get("queries_hi", math.nan)
        over = (
            ("-", "")
            if math.isnan(low)
            else (minus(f"{row['over_quiz']:+.4f}"), minus(f"{low:+.4f} to {high:+.4f}"))
        )
        cells = [(row["player"], ""), (f"{row['reward']:.4f}", ""), over, (row.get("verdict", "-"), "")]
        told.append({"name": f"{row['preference']:g}", "cells": cells, "note": ""})
    return Table(
        "Models never seen",
        "Half of the models trains, the other half is routed among, known by a quiz of a few queries. Over the quiz:"
        " reward a query more than the model that is best on it; small print: 95 % interval over queries.",
        ["weight on cost", "player", "reward a query", "over the best by quiz", "verdict"],
        told,
    )


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"

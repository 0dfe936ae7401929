"""The page of a model that may join the pool: what it adds at each weight on cost, drawn and in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.report import forest
from bandits.report.forest import Line, Table
from bandits.report.words import minus, whole

Row = Mapping[str, Any]
CAPTION = (
    "Reward a query that the new model adds, decided on other queries: right of 0 the pool is better with it. A line is"
    " the 95 % interval, over draws or over queries, whichever is wider; a filled point is shown by both."
)


def render(rows: Sequence[Row], known: Mapping[str, Any]) -> str:
    """Return the page, self-contained and without a script.

    Args:
        rows: of `bandits.sweeps.merged.worth`.
        known: as `forest.render` takes it.
    """
    return forest.render(
        known,
        [_line(row) for row in rows],
        [_table(rows)],
        heading="What the new model adds",
        axis="reward a query with the new model, less without it",
        caption=CAPTION,
    )


def wider(row: Row) -> tuple[float, float]:
    """Return the wider interval of a value; NaN where there is none."""
    over = [(row["lo"], row["hi"]), (row["queries_lo"], row["queries_hi"])]
    known = [ends for ends in over if not math.isnan(ends[0])]
    return max(known, key=lambda ends: ends[1] - ends[0], default=(math.nan, math.nan))


def _line(row: Row) -> Line:
    low, high = wider(row)
    name = row["decided"] + ("" if row["quality"] == "recorded" else f", quality {row['quality']}")
    told = f"weight {row['weight']:g}, {name}: {row['value']:.4f} ({low:.4f} to {high:.4f}), {row['verdict']}"
    return Line(f"quality {row['quality']}, weight {row['weight']:g}" if row["quality"] != "recorded" else
                f"weight {row['weight']:g}", row["decided"], row["value"], low, high, row["verdict"] != "not shown",
                minus(told))  # fmt: skip


def _table(rows: Sequence[Row]) -> Table:
    told = []
    for row in rows:
        low, high = wider(row)
        cells = [
            (f"{row['weight']:g}", ""),
            (row["decided"], ""),
            (minus(f"{row['value']:+.4f}"), "" if math.isnan(low) else minus(f"{low:+.4f} to {high:+.4f}")),
            (row["verdict"], ""),
            (whole(row["share"]), ""),
            (whole(row["accuracy"]), ""),
            (f"{row['cost']:.3g}", ""),
        ]
        told.append({"name": row["quality"], "cells": cells, "note": ""})
    return Table(
        "Every weight in numbers",
        "Quality: 0 is the mean of the other parents, 1 the best parent in each data set; recorded: a model of the"
        " table. Cost is in units of the dearest model's mean. Share: of the queries that the new model gets.",
        ["quality", "weight on cost", "decided by", "added", "verdict", "share", "its accuracy", "its cost"],
        told,
    )

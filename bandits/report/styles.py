"""Colours, dashes and symbols: the same player looks the same in every chart of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]  # one row of the summary
Figure = dict[str, Any]  # what page.js draws: id, views of traces, axes, height
# Okabe and Ito's palette, safe for colour-blind readers. Yellow is for areas only: as a line it vanishes
# on a light page, and black does so on a dark one. A seventh policy takes the first colour again, dashed and
# with another symbol.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
AREAS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY = "#808080"
OTHER_MODELS = "other models"
SYMBOLS = {"oracle": "star", "best_fixed": "square", "best_per_dataset": "triangle-up", "uniform": "x"}
_DASHES = ("solid", "dash", "dot", "dashdot")
MARKERS = dict(zip(_DASHES, ("diamond", "circle", "pentagon", "hexagram"), strict=True))
_REFERENCE_DASH = {
    "best_fixed": "dash",
    "best_per_dataset": "dot",
    "uniform": "dashdot",
    "oracle": "longdash",
}


def family(row: Row) -> str:
    """Return the name that the runs of one policy under several settings share: its own where there is one run."""
    return str(row.get("family") or row["policy"])


def styles(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the line of each policy and reference; a policy's runs under several settings share a colour."""
    policies = [r for r in rows if r["kind"] == "policy"]
    number = {name: i for i, name in enumerate(dict.fromkeys(map(family, policies)))}
    found: dict[str, Figure] = {}
    seen: dict[str, int] = {}
    for row in policies:
        i, turn = number[family(row)], seen.setdefault(family(row), 0)
        seen[family(row)] += 1
        dash = _DASHES[(i // len(COLOURS) + turn) % len(_DASHES)]
        found[row["policy"]] = {"color": COLOURS[i % len(COLOURS)], "width": 2.5, "dash": dash}
    for row in rows:
        if row["kind"] == "reference":
            dash = _REFERENCE_DASH.get(family(row), "dot")
            found[row["policy"]] = {"color": GREY, "width": 1.5, "dash": dash}
    return found


def model_colours(totals: Mapping[str, float]) -> dict[str, str]:
    """Return the colour of each model: the most called have one of their own, the others share grey."""
    ranked = sorted(totals, key=lambda model: -totals[model])
    colours = dict(zip(ranked, AREAS, strict=False))
    return colours if len(ranked) == len(colours) else {**colours, OTHER_MODELS: GREY}


def tidy(values: Any) -> list[float | None]:
    """Return five digits of each number: what a chart can show, at half the size; None for NaN."""
    return [None if math.isnan(v) else float(f"{v:.5g}") for v in np.asarray(values, float).ravel()]

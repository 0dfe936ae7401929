"""Colours, dashes and symbols: the same player looks the same in every chart of a report."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bandits.policies import POLICIES

Row = Mapping[str, Any]  # one row of the summary
Figure = dict[str, Any]  # what page.js draws: id, views of traces, axes, height
# Okabe and Ito's palette, safe for colour-blind readers, and three more that stand as far apart from all the others,
# to the three kinds of colour-blind eye too, as its own do from each other. Its yellow is for areas only: as a line it
# vanishes on a light page, and black does so on a dark one.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A33F0", "#A0522D", "#BFAC4D",
)  # fmt: skip
AREAS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY = "#808080"
# The same policy has the same colour in every report: by its place in `POLICIES`, whose first nine are compared most.
# A user's own policy gets one by its letters. Within a report, dashes and symbols tell apart policies of one colour.
_WRAPPED = {"restart": 4, "explore_new": 7}  # places further than the policy inside
_PLACE = {name: place for place, name in enumerate(POLICIES)}
OTHER_MODELS = "other models"
SYMBOLS = {"oracle": "star", "best_fixed": "square", "best_per_dataset": "triangle-up", "uniform": "x"}
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SHAPES = ("diamond", "circle", "pentagon", "hexagram", "bowtie", "cross")
MARKERS = dict(zip(_DASHES, _SHAPES, strict=True))
_REFERENCE_DASH = {
    "best_fixed": "dash",
    "best_per_dataset": "dot",
    "uniform": "dashdot",
    "oracle": "longdash",
}


def family(row: Row) -> str:
    """Return the name that the runs of one policy under several settings share: its own where there is one run."""
    return str(row.get("family") or row["policy"])


def own(rows: Sequence[Row], reference: str, player: Row) -> Row | None:
    """Return the row of a reference that belongs to a player's own run, where a report has several; None: none."""
    same = (r for r in rows if family(r) == reference and r.get("run") == player.get("run"))
    return next(same, next((r for r in rows if r["policy"] == reference), None))


def colour(name: str) -> str:
    """Return a policy's colour, by its name alone: hyperparameters share it, a wrapped policy has another."""
    wrapper, _, inside = name.partition("(")
    base = (inside if wrapper in _WRAPPED else name).partition(",")[0].strip("() ")
    if base == "uniform":
        return GREY
    place = _PLACE.get(base, zlib.crc32(base.encode()))
    return COLOURS[(place + _WRAPPED.get(wrapper, 0)) % len(COLOURS)]


def styles(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the line of each policy and reference; those of one colour differ in dashes."""
    found: dict[str, Figure] = {}
    for row in rows:
        if row["kind"] == "policy":
            shade = colour(family(row))
            turn = sum(line["color"] == shade for line in found.values())
            found[row["policy"]] = {"color": shade, "width": 2.5, "dash": _DASHES[turn % len(_DASHES)]}
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

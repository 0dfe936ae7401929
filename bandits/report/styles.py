"""Colours, dashes and symbols: the same player looks the same in every chart of a report."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bandits.metrics.frontier import pareto
from bandits.policies import POLICIES

Row = Mapping[str, Any]  # one row of the summary
Figure = dict[str, Any]  # what page.js draws: id, views of traces, axes, height
# Policies are told apart by colour, models by greys and shapes. Nine hues in two palettes, one for a light and one for
# a dark page: each has a contrast of 4.5 with its page, so that a label can have the colour of its line, and any two of
# a palette stand further apart than two of Okabe and Ito's, to the three kinds of colour-blind eye too.
COLOURS = (
    "#0A78CF", "#902500", "#26703B", "#6A1E4D", "#A46900", "#004081", "#8A33F0", "#DD2F4E", "#272500",
)  # fmt: skip
GREY = "#59626D"
_ON_DARK = (
    "#3386C8", "#D45D16", "#87FFCA", "#D797B3", "#FE9901", "#9FC6FF", "#B24CFF", "#90804F", "#F4DE7C",
)  # fmt: skip
# Greys of models in stacked areas: neighbours stand apart, and each area is named at its end.
AREAS = ("#4A525B", "#AEB5BD", "#79828C", "#D3D7DC", "#5F6872", "#BFC5CC")
OTHERS = "#E6E8EB"
_AREAS_ON_DARK = ("#C3C9D0", "#6A727B", "#9AA2AB", "#4A525B", "#B0B7BF", "#59616A")
# What page.js draws on a dark page in place of each colour.
DARK = dict(
    zip((*COLOURS, *AREAS, GREY, OTHERS), (*_ON_DARK, *_AREAS_ON_DARK, "#A7AFB9", "#343A41"), strict=True)
)
MATTER = 10  # policies that are drawn; the others can be picked from the table
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


def sheet() -> str:
    """Return the colours as classes of a style sheet, `c0` to `c8` and `grey`, for pages without a script."""
    names = {**{f"c{i}": shade for i, shade in enumerate(COLOURS)}, "grey": GREY}
    light = "".join(f".{name} {{ color: {shade}; }}\n" for name, shade in names.items())
    dark = "".join(f".{name} {{ color: {DARK[shade]}; }}\n" for name, shade in names.items())
    return f"{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


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
    taken: dict[tuple[str, str], int] = {}
    for name in ranked(rows):
        row = next(r for r in rows if r["policy"] == name)
        home = COLOURS.index(shade) if (shade := colour(family(row))) in COLOURS else -1
        looks = [(shade, dash) for dash in _DASHES]
        # Beyond six settings of one colour the next colours lend theirs, so that no two of 54 look alike.
        looks += [
            (COLOURS[(home + k) % len(COLOURS)], dash) for k in range(1, len(COLOURS)) for dash in _DASHES
        ]
        look = min(looks, key=lambda one: taken.get(one, 0))
        taken[look] = taken.get(look, 0) + 1
        found[name] = {"color": look[0], "width": 2.5, "dash": look[1]}
    for row in rows:
        if row["kind"] == "reference":
            dash = _REFERENCE_DASH.get(family(row), "dot")
            found[row["policy"]] = {"color": GREY, "width": 1.5, "dash": dash}
    return found


def ranked(rows: Sequence[Row]) -> list[str]:
    """Return the policies in the order in which they matter: what they earn, or, where runs count that differently,
    those that no other policy dominates in accuracy and cost, then the most accurate."""
    policies = [r for r in rows if r["kind"] == "policy"]
    if comparable(rows):
        return [r["policy"] for r in sorted(policies, key=lambda r: -r["reward_mean"])]
    costs = [0.0 if math.isnan(r["cost_mean"]) else r["cost_mean"] for r in policies]
    kept = pareto(costs, [r["accuracy"] for r in policies])
    both = sorted(zip(policies, kept, strict=True), key=lambda pair: (not pair[1], -pair[0]["accuracy"]))
    return [r["policy"] for r, _ in both]


def comparable(rows: Sequence[Row]) -> bool:
    """Return whether all rows count reward alike: else each run has references of its own."""
    return not any(r["kind"] == "reference" and r["policy"] != family(r) for r in rows)


def model_colours(totals: Mapping[str, float]) -> dict[str, str]:
    """Return the grey of each model: the most called have one of their own, the others share one."""
    most = sorted(totals, key=lambda model: -totals[model])
    colours = dict(zip(most, AREAS, strict=False))
    return colours if len(most) == len(colours) else {**colours, OTHER_MODELS: OTHERS}


def tidy(values: Any) -> list[float | None]:
    """Return five digits of each number: what a chart can show, at half the size; None for NaN."""
    return [None if math.isnan(v) else float(f"{v:.5g}") for v in np.asarray(values, float).ravel()]

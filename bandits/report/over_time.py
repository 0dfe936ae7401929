"""The charts over rounds as plain dictionaries: regret, reward, spending, and what is left of a budget."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.metrics.regret import growth_rounds, slope
from bandits.report import words
from bandits.report.styles import Figure, Row, family, styles, tidy

if TYPE_CHECKING:
    import pandas as pd

COMPARATORS = {
    "regret_oracle": "against per-query oracle",
    "regret_best_fixed": "against best fixed model",
    "regret_best_per_dataset": "against best model of each dataset",
    "regret_best_within": "against best within the budget",
    "regret_best_of_phase": "against best model of each phase",
}


def regret(rows: Sequence[Row], curves: pd.DataFrame) -> Figure:
    """Return the regret chart: one view a comparator that the run has, in each a line and a band for each player.

    The oracle is left out: its regret, far below 0 against the others, would flatten every line that matters.
    """
    fitted = {row["policy"]: row["exponent"] for row in rows if "exponent" in row}
    views = []
    for quantity, label in COMPARATORS.items():
        data = _lines(rows, curves, quantity, left_out=("oracle", quantity.removeprefix("regret_")))
        if not data:
            continue  # nothing was limited, or nothing changed
        for trace, part in data:
            own = quantity == "regret_oracle" and part["policy"].iloc[0] in fitted
            grown = fitted[part["policy"].iloc[0]] if own else _growth(part)
            trace["growth"] = None if math.isnan(grown) else round(grown, 2)
        views.append({"label": label, "data": [trace for trace, _ in data]})
    axes = {"x": "round", "y": "cumulative regret"}
    return {"id": "regret", "views": views, "axes": axes, "loglog": True, "height": 440}


def _growth(part: pd.DataFrame) -> float:
    """Return the exponent of a curve that was kept at some rounds only."""
    rounds = part["round"].to_numpy()
    looked_at = growth_rounds(rounds[-1])
    return slope(looked_at, np.interp(looked_at, rounds, part["mean"]))


def reward(rows: Sequence[Row], curves: pd.DataFrame, unit: str) -> Figure:
    """Return the chart of smoothed reward a query, with a view of the money spent where there are costs.

    It begins where a quarter of the window is filled: the mean of a few rounds would stretch the axis.
    """
    curves = curves[(curves["quantity"] != "reward") | (curves["round"] >= words.window(rows) / 4)]
    views = [("reward", "reward a query", "reward a query")]
    if (curves["quantity"] == "cost").any():
        views.append(("cost", "spent so far", f"spent so far ({unit})" if unit else "spent so far"))
    if (curves["quantity"] == "outstanding").any():
        views.append(("outstanding", "updates outstanding", "rounds called and not heard yet"))
    shown = []
    for quantity, label, axis in views:
        data = [trace for trace, _ in _lines(rows, curves, quantity, left_out=())]
        shown.append({"label": label, "data": data, "y": html.escape(axis)})
    return {"id": "reward", "views": shown, "axes": {"x": "round", "y": ""}, "height": 400}


def budget(rows: Sequence[Row], curves: pd.DataFrame) -> Figure | None:
    """Return the burn-down of each budget and its dual price, a view each; None where nothing was limited."""
    named = {"left": ("left of the {}", "share of the budget left"), "price": ("price of {}", "dual price")}
    views = []
    for quantity in dict.fromkeys(curves["quantity"]):
        kind, _, resource = str(quantity).partition(":")
        data = [t for t, _ in _lines(rows, curves, quantity, left_out=())] if kind in named else []
        if data:
            label, axis = named[kind]
            views.append({"label": html.escape(label.format(resource)), "data": data, "y": axis})
    if not views:
        return None
    return {"id": "budget", "views": views, "axes": {"x": "round", "y": ""}, "height": 380}


def _lines(
    rows: Sequence[Row], curves: pd.DataFrame, quantity: str, *, left_out: Sequence[str]
) -> list[tuple[Figure, pd.DataFrame]]:
    """Return each player's line with the rows that it was made from.

    Runs that count reward in different ways have references of their own: several of each, which are left out, since
    they would cover the policies and none is a measure for all.
    """
    several = any(row["kind"] == "reference" and row["policy"] != family(row) for row in rows)
    own = {row["policy"] for row in rows if row["kind"] == "policy" or not several}
    chosen = curves[curves["quantity"] == quantity]
    parts = {name: part for name, part in chosen.groupby("policy", sort=False)}
    families = {row["policy"]: family(row) for row in rows}
    return [
        (_line(name, parts[name], line), parts[name])
        for name, line in styles(rows).items()
        if name in own and name in parts and families[name] not in left_out
    ]


def _line(name: str, part: pd.DataFrame, line: Figure) -> dict[str, Any]:
    shown = html.escape(name)
    drawn = {
        "x": part["round"].tolist(),
        "y": tidy(part["mean"]),
        "name": shown,
        "legendgroup": shown,
        "mode": "lines",
        "line": line,
        "hovertemplate": f"{shown}<br>round %{{x:,}}: %{{y:,.4~g}}<extra></extra>",
    }
    if not part["lo"].isna().any():
        drawn |= {"lo": tidy(part["lo"]), "hi": tidy(part["hi"])}
    return drawn

"""The charts over rounds as plain dictionaries: regret, reward, spending, and what is left of a budget."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.metrics.regret import growth_rounds, slope
from bandits.money import money
from bandits.report import words
from bandits.report.axes import sign
from bandits.report.styles import MATTER, Figure, Row, comparable, family, ranked, styles, tidy

if TYPE_CHECKING:
    import pandas as pd

COMPARATORS = {
    "regret_best_fixed": "against best fixed model",
    "regret_oracle": "against per-query oracle",
    "regret_best_per_dataset": "against best model of each dataset",
    "regret_best_within": "against best within the budget",
    "regret_best_of_phase": "against best model of each phase",
}
_DRAWN, _OTHERS = 120, 40  # points of a line that is drawn at once, and of one that can be picked


def regret(rows: Sequence[Row], curves: pd.DataFrame) -> Figure | None:
    """Return the regret chart: one view a comparator that the run has, in each a line and a band for each player.

    The first is the best fixed model. The oracle is left out: its regret, far below 0 against the others, would flatten
    every line that matters. None where runs count reward in different ways: their regrets are in different units.
    """
    if not comparable(rows):
        return None
    fitted = {row["policy"]: row["exponent"] for row in rows if "exponent" in row}
    views = []
    for quantity, label in COMPARATORS.items():
        data = _lines(rows, curves, quantity, left_out=("oracle", quantity.removeprefix("regret_")))
        if not data:
            continue  # nothing was limited, or nothing changed
        told = words.against(rows, quantity)
        for trace, part in data:
            own = quantity == "regret_oracle" and part["policy"].iloc[0] in fitted
            grown = fitted[part["policy"].iloc[0]] if own else _growth(part)
            trace["growth"] = None if math.isnan(grown) else round(grown, 2)
        final = [_last(rows, trace, part) for trace, part in data]
        views.append(
            {
                "label": label,
                "data": [trace for trace, _ in data],
                "title": words.regret_title(told, final),
                "caption": words.regret_caption(rows, told, final),
            }
        )
    axes = {"x": "round", "y": "cumulative regret, reward"}
    return _figure("regret", views, axes, 400, rows) | {"loglog": True}


def of_models(curves: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows are shares of models: nine in ten, and none is a line over the rounds."""
    return curves["quantity"].str.startswith(("share:", "share@"))


def _last(rows: Sequence[Row], trace: Figure, part: pd.DataFrame) -> words.Final:
    """Return what a line ends at, and how it grows where the run says so."""
    row, name = part.iloc[-1], part["policy"].iloc[0]
    kind = next(r["kind"] for r in rows if r["policy"] == name)
    mean, low, high = (float(row[c]) for c in ("mean", "lo", "hi"))
    return words.Final(str(name), str(kind), mean, low, high, trace["growth"])


def _growth(part: pd.DataFrame) -> float:
    """Return the exponent of a curve that was kept at some rounds only."""
    rounds = part["round"].to_numpy()
    looked_at = growth_rounds(rounds[-1])
    return slope(looked_at, np.interp(looked_at, rounds, part["mean"]))


def reward(rows: Sequence[Row], curves: pd.DataFrame, unit: str) -> Figure:
    """Return the chart of smoothed reward a query, with a view of the money spent where there are costs.

    It begins where a quarter of the window is filled: the mean of a few rounds would stretch the axis. The oracle, far
    above all that can be reached, is there for whoever asks for it. Where runs count reward in different ways there is
    the money alone.
    """
    curves = curves[(curves["quantity"] != "reward") | (curves["round"] >= words.window(rows) / 4)]
    of, views = money(unit), []
    if comparable(rows):
        views.append(("reward", "reward a query", "reward a query", 1.0, ""))
    if (curves["quantity"] == "cost").any():
        views.append(("cost", "spent so far", f"spent so far, {of.currency}", of.factor, sign(of)))
    if (curves["quantity"] == "outstanding").any():
        views.append(("outstanding", "updates outstanding", "rounds called and not heard yet", 1.0, ""))
    shown = []
    for quantity, label, axis, scale, prefix in views:
        lines = _lines(rows, curves, quantity, left_out=(), scale=scale, prefix=prefix)
        for trace, part in lines:
            if quantity == "reward" and part["policy"].iloc[0] == "oracle":
                trace["asked"] = True
        ends = {str(part["policy"].iloc[0]): float(part["mean"].iloc[-1]) * scale for _, part in lines}
        told = {
            "title": words.reward_title(rows, quantity, ends, of),
            "caption": words.reward_caption(rows, quantity, ends, of),
        }
        data = [trace for trace, _ in lines]
        shown.append({"label": label, "data": data, "y": html.escape(axis), "prefix": prefix, **told})
    return _figure("reward", shown, {"x": "round", "y": ""}, 380, rows) | {"asked": "the oracle"}


def budget(rows: Sequence[Row], curves: pd.DataFrame) -> Figure | None:
    """Return the burn-down of each budget and its dual price, a view each; None where nothing was limited."""
    named = {
        "left": ("left of the {}", "share of the budget left", 100.0, " %"),
        "price": ("price of {}", "dual price, reward a unit", 1.0, ""),
    }
    views = []
    for quantity in curves["quantity"].unique():
        kind, _, resource = str(quantity).partition(":")
        if kind not in named:
            continue
        label, axis, scale, suffix = named[kind]
        data = [t for t, _ in _lines(rows, curves, quantity, left_out=(), scale=scale, suffix=suffix)]
        if data:
            known = {"label": html.escape(label.format(resource)), "y": axis, "suffix": suffix}
            views.append({**known, "data": data, "caption": words.budget_caption(rows)})
    if not views:
        return None
    return _figure("budget", views, {"x": "round", "y": ""}, 360, rows)


def _figure(name: str, views: list[Figure], axes: Figure, height: int, rows: Sequence[Row]) -> Figure:
    first = ranked(rows)[:MATTER]
    return {"id": name, "views": views, "axes": axes, "height": height, "ends": True, "picked": first}


def _lines(
    rows: Sequence[Row],
    curves: pd.DataFrame,
    quantity: str,
    *,
    left_out: Sequence[str],
    scale: float = 1.0,
    prefix: str = "",
    suffix: str = "",
) -> list[tuple[Figure, pd.DataFrame]]:
    """Return each player's line with the rows that it was made from, those that matter first.

    Runs that count reward in different ways have references of their own: several of each, which are left out, since
    they would cover the policies and none is a measure for all.
    """
    several, first = not comparable(rows), ranked(rows)[:MATTER]
    own = {row["policy"] for row in rows if row["kind"] == "policy" or not several}
    policies = {row["policy"] for row in rows if row["kind"] == "policy"}
    chosen = curves[curves["quantity"] == quantity]
    parts = {name: part for name, part in chosen.groupby("policy", sort=False)}
    families = {row["policy"]: family(row) for row in rows}
    found = []
    for name, line in styles(rows).items():
        if name not in own or name not in parts or families[name] in left_out:
            continue
        drawn = name in first or name not in policies
        kept = _thinned(parts[name], _DRAWN if drawn else _OTHERS)
        trace = _line(name, kept, line, scale, prefix, suffix, banded=drawn)
        if name in policies:
            trace["of"] = name
        found.append((trace, parts[name]))
    return found


def _thinned(part: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return so many rows of a curve, the first and the last among them."""
    if len(part) <= most:
        return part
    return part.iloc[np.unique(np.linspace(0, len(part) - 1, most).round().astype(int))]


def _line(
    name: str, part: pd.DataFrame, line: Figure, scale: float, prefix: str, suffix: str, *, banded: bool
) -> dict[str, Any]:
    shown = html.escape(name)
    drawn = {
        "x": part["round"].tolist(),
        "y": tidy(part["mean"] * scale),
        "name": shown,
        "mode": "lines",
        "line": line,
        "hovertemplate": f"{shown}<br>round %{{x:,}}: {prefix}%{{y:,.4~g}}{suffix}<extra></extra>",
    }
    if banded and not part["lo"].isna().any():
        drawn |= {"lo": tidy(part["lo"] * scale), "hi": tidy(part["hi"] * scale)}
    return drawn


def drawable(figures: Sequence[Figure | None]) -> list[Figure]:
    """Return the charts that have anything to draw."""
    return [f for f in figures if f is not None and any(view["data"] for view in f["views"])]

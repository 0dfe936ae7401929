"""The charts of a report as plain Plotly dictionaries, made from the summary and the curves."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.metrics.frontier import pareto

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
Figure = dict[str, Any]
# Okabe and Ito's palette, safe for colour-blind readers. Yellow is for areas only: as a line it vanishes
# on a light page, and black does so on a dark one. A seventh policy takes the first colour again, dashed and
# with another symbol.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
AREAS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY = "#808080"
_DASHES = ("solid", "dash", "dot", "dashdot")
_MARKERS = dict(zip(_DASHES, ("diamond", "circle", "pentagon", "hexagram"), strict=True))
_REFERENCE_DASH = {
    "best_fixed": "dash",
    "best_per_dataset": "dot",
    "uniform": "dashdot",
    "oracle": "longdash",
}
_SYMBOLS = {"oracle": "star", "best_fixed": "square", "best_per_dataset": "triangle-up", "uniform": "x"}
_COMPARATORS = {
    "regret_oracle": "per-query oracle",
    "regret_best_fixed": "best fixed model",
    "regret_best_per_dataset": "best model of each dataset",
}


def styles(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the line of each policy and reference: the same colour and dash in every chart."""
    found: dict[str, Figure] = {}
    for i, name in enumerate(r["policy"] for r in rows if r["kind"] == "policy"):
        dash = _DASHES[i // len(COLOURS) % len(_DASHES)]
        found[name] = {"color": COLOURS[i % len(COLOURS)], "width": 2.5, "dash": dash}
    for name in (r["policy"] for r in rows if r["kind"] == "reference"):
        found[name] = {"color": GREY, "width": 1.5, "dash": _REFERENCE_DASH.get(name, "dot")}
    return found


def regret(rows: Sequence[Row], curves: pd.DataFrame) -> Figure:
    """Return the regret chart: one view a comparator, in each a line and a band for each player.

    The oracle is left out: its regret, far below 0 against the others, would flatten every line that matters.
    """
    lines, views = styles(rows), []
    for quantity, label in _COMPARATORS.items():
        data = []
        for name, line in lines.items():
            part = curves[(curves["policy"] == name) & (curves["quantity"] == quantity)]
            if len(part) and name not in ("oracle", quantity.removeprefix("regret_")):
                data += _banded(name, part, line)
        views.append({"label": label, "data": data})
    return {
        "id": "regret",
        "views": views,
        "axes": {"x": "round", "y": "cumulative regret"},
        "loglog": True,
        "height": 440,
    }


def _banded(name: str, part: pd.DataFrame, line: Figure) -> list[Figure]:
    """Return a line with its band behind it, switched together from the legend."""
    x, mean = part["round"].to_numpy(), _tidy(part["mean"])
    shown = html.escape(name)
    drawn = {
        "x": x.tolist(),
        "y": mean,
        "name": shown,
        "legendgroup": shown,
        "mode": "lines",
        "line": line,
        "hovertemplate": f"{shown}<br>round %{{x:,}}: %{{y:,.1f}}<extra></extra>",
    }
    if part["lo"].isna().any():
        return [drawn]
    band = {
        "x": np.concatenate([x, x[::-1]]).tolist(),
        "y": _tidy(part["hi"]) + _tidy(part["lo"])[::-1],
        "legendgroup": shown,
        "mode": "lines",
        "fill": "toself",
        "fillcolor": line["color"],
        "opacity": 0.2,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [band, drawn]


def plane(rows: Sequence[Row], unit: str) -> tuple[Figure, list[str]]:
    """Return the chart of accuracy against mean cost, and the names on its frontier, cheapest first.

    Without costs it is a dot plot of accuracies, and nobody is on a frontier. References are drawn but cannot
    be on the frontier: nobody could deploy hindsight.
    """
    if all(math.isnan(r["cost_mean"]) for r in rows):
        return _dots(rows), []
    real = [r for r in rows if r["kind"] != "reference"]
    kept = pareto([r["cost_mean"] for r in real], [r["accuracy"] for r in real])
    front = sorted((r for r, keep in zip(real, kept, strict=True) if keep), key=lambda r: r["cost_mean"])
    costs = [r["cost_mean"] for r in rows]
    spread = max(costs) / min(costs) if min(costs) > 0 else 0.0
    line = {
        **_points(front, "Pareto frontier", {}),
        "mode": "lines",
        "line": {"color": GREY, "width": 1.5, "shape": "hv"},
        "hoverinfo": "skip",
    }
    models = [r for r in rows if r["kind"] == "model"]
    named = _points(models, "single models", {"color": GREY, "size": 9, "symbol": "circle-open"})
    data = [line, {**named, "mode": "markers+text", "labels": True}]
    for name, style in styles(rows).items():
        row = next(r for r in rows if r["policy"] == name)
        own = row["kind"] == "policy"
        symbol = _MARKERS[style["dash"]] if own else _SYMBOLS.get(name, "diamond")
        marker = {"color": style["color"], "size": 12 if own else 10, "symbol": symbol}
        data.append({**_points([row], name, marker), "mode": "markers"})
    cost = f"mean cost ({unit})" if unit else "mean cost"
    figure = {
        "id": "plane",
        "views": [{"label": "", "data": data}],
        "axes": {"x": html.escape(cost), "y": "accuracy", "logx": _ticks(spread)},
        "height": 480,
    }
    return figure, [r["policy"] for r in front]


def _ticks(spread: float) -> int | str:
    """Return the ticks of a logarithmic cost axis: each decade, or 1, 2 and 5 of each; 0 for a linear one."""
    return 1 if spread > 200 else "D2" if spread > 20 else 0


def _points(rows: Sequence[Row], name: str, marker: Figure) -> Figure:
    """Return the points of some rows in the plane; hovering shows name, accuracy and cost."""
    return {
        "x": _tidy([r["cost_mean"] for r in rows]),
        "y": _tidy([r["accuracy"] for r in rows]),
        "text": [html.escape(r["policy"]) for r in rows],
        "name": html.escape(name),
        "marker": marker,
        "hovertemplate": "%{text}<br>accuracy %{y:.4f}<br>mean cost %{x:.4g}<extra></extra>",
    }


def _dots(rows: Sequence[Row]) -> Figure:
    """Return a dot plot of accuracies, lowest first, with 95 % intervals where there are any."""
    lines = styles(rows)
    data = []
    for row in sorted(rows, key=lambda r: r["accuracy"]):
        colour = lines.get(row["policy"], {"color": GREY})["color"]
        error = [row["accuracy_hi"] - row["accuracy"]], [row["accuracy"] - row["accuracy_lo"]]
        spread = {"type": "data", "symmetric": False, "array": _tidy(error[0]), "arrayminus": _tidy(error[1])}
        data.append(
            {
                "x": _tidy([row["accuracy"]]),
                "y": [html.escape(row["policy"])],
                "name": html.escape(row["policy"]),
                "mode": "markers",
                "marker": {"color": colour, "size": 11, "symbol": _SYMBOLS.get(row["policy"], "circle")},
                "error_x": spread,
                "showlegend": False,
                "hovertemplate": "%{y}: %{x:.4f}<extra></extra>",
            }
        )
    axes = {"x": "accuracy", "y": ""}
    return {
        "id": "plane",
        "views": [{"label": "", "data": data}],
        "axes": axes,
        "height": 90 + 26 * len(rows),
    }


def shares(
    rows: Sequence[Row], curves: pd.DataFrame
) -> tuple[list[Figure], dict[str, str], list[dict[str, float]]]:
    """Return a stacked area chart for each policy, the colour of each model, and each policy's last shares.

    The models called most, over all policies, have a colour of their own; the others are drawn together.
    """
    parts = curves[curves["quantity"].str.startswith("share:")]
    models = parts["quantity"].str.removeprefix("share:")
    total = parts.groupby(models, sort=False)["mean"].sum().sort_values(ascending=False, kind="stable")
    named = list(total.index[: len(AREAS) if len(total) > len(AREAS) else len(total)])
    colours = dict(zip(named, AREAS, strict=False))
    figures, last = [], []
    for i, name in enumerate(r["policy"] for r in rows if r["kind"] == "policy"):
        wide = parts[parts["policy"] == name].pivot(index="round", columns="quantity", values="mean")
        wide.columns = [c.removeprefix("share:") for c in wide.columns]
        last.append({str(model): float(share) for model, share in wide.iloc[-1].items()})
        areas = {model: wide[model] for model in named}
        if len(wide.columns) > len(named):
            areas["other models"] = wide.drop(columns=named).sum(axis=1)
        data = [_area(model, wide.index, share, colours.get(model, GREY)) for model, share in areas.items()]
        axes = {"x": "round", "y": "share of calls", "unit": True}
        figures.append(
            {"id": f"shares-{i}", "views": [{"label": "", "data": data}], "axes": axes, "height": 240}
        )
    if len(total) > len(named):
        colours["other models"] = GREY
    return figures, colours, last


def _area(model: str, rounds: Any, share: Any, colour: str) -> Figure:
    shown = html.escape(model)
    return {
        "x": rounds.tolist(),
        "y": _tidy(share),
        "name": shown,
        "mode": "lines",
        "stackgroup": "calls",
        "fillcolor": colour,
        "line": {"width": 0.5, "color": colour},
        "showlegend": False,
        "hovertemplate": f"{shown}: %{{y:.0%}} at round %{{x:,}}<extra></extra>",
    }


def _tidy(values: Any) -> list[float | None]:
    """Return five digits of each number: what a chart can show, at half the size; None for NaN."""
    return [None if math.isnan(v) else float(f"{v:.5g}") for v in np.asarray(values, float)]

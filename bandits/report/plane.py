"""The cost-accuracy plane as a plain dictionary: single models, references, policies, sweeps and the frontier."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bandits.metrics.frontier import pareto
from bandits.report.styles import GREY, MARKERS, SYMBOLS, Figure, Row, family, styles, tidy


def plane(
    rows: Sequence[Row], unit: str, called: Mapping[str, float] = MappingProxyType({})
) -> tuple[Figure, list[str]]:
    """Return the chart of accuracy against mean cost, and the names on its frontier, cheapest first.

    A single model's circle has an area that grows with its share of the policies' calls, where `called` has it.
    Without costs it is a dot plot of accuracies, and there is no frontier. References are drawn but cannot
    be on the frontier: hindsight cannot be deployed.
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
    data = [line, _models([r for r in rows if r["kind"] == "model"], called), *_players(rows)]
    cost = f"mean cost ({unit})" if unit else "mean cost"
    figure = {
        "id": "plane",
        "views": [{"label": "", "data": data}],
        "axes": {"x": html.escape(cost), "y": "accuracy", "logx": _ticks(spread)},
        "height": 480,
    }
    return figure, [r["policy"] for r in front]


def _models(models: Sequence[Row], called: Mapping[str, float]) -> Figure:
    """Return the single models, each with its name and its share of the policies' calls."""
    names = [r["policy"] for r in models]
    sizes = [_size(called.get(name, 0.0)) for name in names]
    points = _points(models, "single models", {"color": GREY, "size": sizes, "symbol": "circle-open"})
    told = [f"<br>{called[name]:.0%} of the policies' calls" if name in called else "" for name in names]
    hover = points["hovertemplate"].replace("<extra>", "%{customdata}<extra>")
    return {**points, "mode": "markers+text", "labels": True, "customdata": told, "hovertemplate": hover}


def _size(share: float) -> float:
    """Return a diameter in pixels, so that the area is in proportion to the share above a least one."""
    return round(math.sqrt(8.0**2 + share * 34.0**2), 1)


def _players(rows: Sequence[Row]) -> list[Figure]:
    """Return the points of each policy and reference; runs under several settings are one, a policy's with a line."""
    looks, groups = styles(rows), dict[tuple[str, str], list[Row]]()
    for row in rows:
        if row["kind"] != "model":
            groups.setdefault((row["kind"], family(row)), []).append(row)
    traces = []
    for (kind, name), members in sorted(groups.items(), key=lambda item: item[0][0]):
        style, own, several = looks[members[0]["policy"]], kind == "policy", len(members) > 1
        symbol = MARKERS[style["dash"]] if own else SYMBOLS.get(name, "diamond")
        marker = {"color": style["color"], "size": 12 if own else 10, "symbol": symbol}
        ordered = sorted(members, key=lambda r: r["cost_mean"])
        points = _points(ordered, f"{name}, all runs" if several else members[0]["policy"], marker)
        line = {"color": style["color"], "width": 2}
        traces.append({**points, "mode": "lines+markers", "line": line} if several and own else points)
    return traces


def _ticks(spread: float) -> int | str:
    """Return the ticks of a logarithmic cost axis: each decade, or 1, 2 and 5 of each; 0 for a linear one."""
    return 1 if spread > 200 else "D2" if spread > 20 else 0


def _points(rows: Sequence[Row], name: str, marker: Figure) -> Figure:
    """Return the points of some rows in the plane; hovering shows name, accuracy and cost."""
    return {
        "x": tidy([r["cost_mean"] for r in rows]),
        "y": tidy([r["accuracy"] for r in rows]),
        "text": [html.escape(r["policy"]) for r in rows],
        "name": html.escape(name),
        "mode": "markers",
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
        spread = {"type": "data", "symmetric": False, "array": tidy(error[0]), "arrayminus": tidy(error[1])}
        data.append(
            {
                "x": tidy([row["accuracy"]]),
                "y": [html.escape(row["policy"])],
                "name": html.escape(row["policy"]),
                "mode": "markers",
                "marker": {"color": colour, "size": 11, "symbol": SYMBOLS.get(family(row), "circle")},
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

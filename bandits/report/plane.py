"""The cost-accuracy plane as a plain dictionary: single models, references, policies, sweeps and the frontier."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bandits.metrics.frontier import pareto
from bandits.money import Money, money
from bandits.report.axes import PER, cost, sign
from bandits.report.styles import GREY, MARKERS, MATTER, SYMBOLS, Figure, Row, family, ranked, styles, tidy

_DOTS = 24  # players of a plot of accuracies alone


def plane(
    rows: Sequence[Row], unit: str, called: Mapping[str, float] = MappingProxyType({})
) -> tuple[Figure, list[str]]:
    """Return the chart of accuracy against the cost of 1,000 queries, and the names on its frontier, cheapest first.

    A single model's circle has an area that grows with its share of the policies' calls, where `called` has it.
    Without costs it is a dot plot of accuracies, and there is no frontier. References are drawn but cannot
    be on the frontier: hindsight cannot be deployed. Runs of one policy under several settings are a curve.
    """
    if all(math.isnan(r["cost_mean"]) for r in rows):
        return _dots(rows), []
    real, of = [r for r in rows if r["kind"] != "reference"], money(unit)
    kept = pareto([r["cost_mean"] for r in real], [r["accuracy"] for r in real])
    front = sorted((r for r, keep in zip(real, kept, strict=True) if keep), key=lambda r: r["cost_mean"])
    line = {
        **_points(front, "Pareto frontier", {}, of),
        "mode": "lines",
        "line": {"color": GREY, "width": 1.5, "shape": "hv"},
        "hoverinfo": "skip",
    }
    single = [r for r in rows if r["kind"] == "model"]
    own, references = _players(rows, of)
    # Names find their places in this order.
    data = [line, *own, _models(single, {r["policy"] for r in front}, called, of), *references]
    figure = {
        "id": "plane",
        "views": [{"label": "", "data": data}],
        "axes": {**cost(thousand(rows, of), of), "y": "accuracy", "suffix": " %"},
        "height": 440,
        "picked": ranked(rows)[:MATTER],
    }
    return figure, [r["policy"] for r in front]


def thousand(rows: Sequence[Row], of: Money) -> list[float]:
    """Return what `PER` queries cost each player, in the currency."""
    return [r["cost_mean"] * of.factor * PER for r in rows]


def _models(models: Sequence[Row], front: set[str], called: Mapping[str, float], of: Money) -> Figure:
    """Return the single models, each with its name and its share of the policies' calls; named first those in front."""
    models = sorted(models, key=lambda r: (r["policy"] not in front, -r["accuracy"]))
    names = [r["policy"] for r in models]
    sizes = [_size(called.get(name, 0.0)) for name in names]
    points = _points(models, "single models", {"color": GREY, "size": sizes, "symbol": "circle-open"}, of)
    told = [
        f"<br>{100 * called[name]:.0f} % of the policies' calls" if name in called else "" for name in names
    ]
    hover = points["hovertemplate"].replace("<extra>", "%{customdata}<extra>")
    return {**points, "labels": True, "customdata": told, "hovertemplate": hover}


def _size(share: float) -> float:
    """Return a diameter in pixels, so that the area is in proportion to the share above a least one."""
    return round(math.sqrt(8.0**2 + share * 26.0**2), 1)


def _players(rows: Sequence[Row], of: Money) -> tuple[list[Figure], list[Figure]]:
    """Return the points of policies, and of references; runs under several settings are one, a policy's with a line."""
    looks, groups = styles(rows), dict[tuple[str, str], list[Row]]()
    place = {name: i for i, name in enumerate(ranked(rows))}
    for row in sorted(rows, key=lambda r: place.get(r["policy"], len(place))):
        if row["kind"] != "model":
            groups.setdefault((row["kind"], family(row)), []).append(row)
    traces: dict[bool, list[Figure]] = {True: [], False: []}
    at = {(r["cost_mean"], r["accuracy"]) for r in rows if r["kind"] == "model"}
    for (kind, name), members in groups.items():
        style, own, several = looks[members[0]["policy"]], kind == "policy", len(members) > 1
        symbol = MARKERS[style["dash"]] if own else SYMBOLS.get(name, "diamond")
        marker = {"color": style["color"], "size": 12 if own else 10, "symbol": symbol}
        ordered = sorted(members, key=lambda r: r["cost_mean"])
        points = _points(ordered, f"{name}, all runs" if several else members[0]["policy"], marker, of)
        if several:
            line = {"color": style["color"], "width": 2}
            points |= {"mode": "lines+markers", "line": line} if own else {}
            points["tag"] = html.escape(name)
        elif own or (members[0]["cost_mean"], members[0]["accuracy"]) not in at:  # else the model is named
            points |= {"labels": True, **({"of": members[0]["policy"]} if own else {})}
        traces[own].append(points)
    return traces[True], traces[False]


def _points(rows: Sequence[Row], name: str, marker: Figure, of: Money) -> Figure:
    """Return the points of some rows in the plane; hovering shows name, accuracy and cost."""
    unit = of.per_1000.partition(" ")[2] if sign(of) else of.per_1000
    each = f"{sign(of)}%{{x:.4~g}} {html.escape(unit)}"
    return {
        "x": tidy(thousand(rows, of)),
        "y": tidy([100 * r["accuracy"] for r in rows]),
        "text": [html.escape(r["policy"]) for r in rows],
        "name": html.escape(name),
        "mode": "markers",
        "marker": marker,
        "hovertemplate": f"%{{text}}<br>accuracy %{{y:.1f}} %<br>{each}<extra></extra>",
    }


def _dots(rows: Sequence[Row]) -> Figure:
    """Return a dot plot of accuracies, lowest first, with 95 % intervals where there are any.

    Of many players it has the policies that matter, the references and the most accurate models.
    """
    lines, first = styles(rows), ranked(rows)[:MATTER]
    listed = [r for r in rows if r["kind"] == "reference" or r["policy"] in first]
    models = sorted((r for r in rows if r["kind"] == "model"), key=lambda r: -r["accuracy"])
    listed += models[: max(_DOTS - len(listed), 3)]
    data = []
    for row in sorted(listed, key=lambda r: r["accuracy"]):
        colour = lines.get(row["policy"], {"color": GREY})["color"]
        error = [row["accuracy_hi"] - row["accuracy"]], [row["accuracy"] - row["accuracy_lo"]]
        spread = {
            "type": "data",
            "symmetric": False,
            "array": _hundred(error[0]),
            "arrayminus": _hundred(error[1]),
        }
        shape = "circle-open" if row["kind"] == "model" else SYMBOLS.get(family(row), "circle")
        data.append(
            {
                "x": _hundred([row["accuracy"]]),
                "y": [html.escape(row["policy"])],
                "name": html.escape(row["policy"]),
                "mode": "markers",
                "marker": {"color": colour, "size": 11, "symbol": shape},
                "error_x": spread,
                "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
            }
        )
    return {
        "id": "plane",
        "views": [{"label": "", "data": data}],
        "axes": {"x": "accuracy", "y": "", "xsuffix": " %"},
        "height": 70 + 22 * len(data),
    }


def _hundred(values: Sequence[float]) -> list[float | None]:
    return tidy([100 * v for v in values])

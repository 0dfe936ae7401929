"""Online frontiers beside offline ones: a page that opens without a network, a drawing and tables."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bandits import rows as tables
from bandits.mmrbench.frontiers_svg import drawing
from bandits.money import Money, money
from bandits.report.axes import PER, cost, sign
from bandits.report.parts import drawn, embedded
from bandits.report.styles import COLOURS, GREY, Figure, tidy
from bandits.report.styles import colour as by_name
from bandits.report.words import first, heading, minus, number
from bandits.rows import counted

if TYPE_CHECKING:
    import pandas as pd

    from bandits.mmrbench.online import Meeting

FILES = ("frontiers.html", "frontiers.svg", "frontiers.csv", "scores.csv")
_MOST = 160  # points of a curve that a chart can show
_HEADINGS = ("", "outcomes learned from", "peak, %", "area, of 1", "cost to match", "hypervolume")


class Line(NamedTuple):
    """One player's frontier, or the single models.

    Attributes:
        name, kind: router, reference, policy or model.
        points: rows of `Meeting.points`, by ascending cost.
        colour, dash: dash is "solid", "dash" or "dot".
    """

    name: str
    kind: str
    points: pd.DataFrame
    colour: str
    dash: str


def publish(folder: str | Path, meeting: Meeting) -> Path:
    """Write `FILES` to a folder, each whole or not at all, and return the page's path."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    texts = (
        render(meeting),
        drawing(lines(meeting), **titles(meeting)),
        tables.render(meeting.points, "csv"),
        tables.render(meeting.table, "csv"),
    )
    for name, text in zip(FILES, texts, strict=True):
        tables.write(str(place / name), text.rstrip("\n"))
    return place / FILES[0]


def lines(meeting: Meeting) -> list[Line]:
    """Return what is drawn: references, routers, policies, single models; a warm policy is its cold one, dashed."""
    points, colours = meeting.points, dict[str, str]()
    policies = points.loc[points["kind"] == "policy", "name"]
    taken = {by_name(name.partition(", warm")[0]) for name in policies}
    found = []
    for kind in ("reference", "router", "policy", "model"):
        part = points[points["kind"] == kind]
        for name in dict.fromkeys(part["name"]) if kind != "model" else ("single models",):
            own = part if kind == "model" else part[part["name"] == name]
            kept = np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST)).round().astype(int))
            if kind in ("model", "reference"):
                colour = GREY
            elif kind == "policy":
                colour = by_name(name.partition(", warm")[0])
            else:
                free = [c for c in COLOURS if c not in taken] or list(COLOURS)
                colour = colours.setdefault(name, free[len(colours) % len(free)])
            dash = "dash" if name.endswith(", warm") else "dot" if kind == "reference" else "solid"
            found.append(Line(name, kind, own.iloc[kept], colour, dash))
    return found


def titles(meeting: Meeting) -> dict[str, str]:
    """Return the title, the axes and the small print of a drawing."""
    about = meeting.about
    unit = f" ({about['cost_unit']})" if about["cost_unit"] else ""
    where = "all datasets" if about["dataset"] == "all" else about["dataset"]
    return {
        "title": f"Online policies beside offline routers on {where}",
        "x": f"mean cost{unit}",
        "y": "accuracy",
        "note": f"{about['n_test']:,} test queries; {about['label']}",
    }


def render(meeting: Meeting) -> str:
    """Return the page: one HTML text that needs no network."""
    found, of = lines(meeting), money(str(meeting.about["cost_unit"] or ""))
    costs = np.concatenate([line.points["cost"] for line in found]) * of.factor * PER
    figure = {
        "id": "frontiers",
        "views": [{"label": "", "data": [_trace(line, of) for line in _ordered(found)]}],
        "axes": {**cost(costs.tolist(), of), "y": "accuracy", "suffix": " %"},
        "height": 520,
    }
    parts = {
        "title": html.escape(titles(meeting)["title"]),
        "name": heading(titles(meeting)["title"]),
        "headline": html.escape(minus(result(meeting))),
        "how": html.escape(_how(meeting)),
        "heading": heading(_largest(meeting)),
        "caption": html.escape(_caption(meeting)),
        "table": _table(meeting),
        "figures": embedded([figure]),
    }
    return drawn("frontiers.html", parts, "plain.js")


def _ordered(found: list[Line]) -> list[Line]:
    """Return the lines in the order in which their names find places: policies, routers, single models, references."""
    return sorted(found, key=lambda line: ("policy", "router", "model", "reference").index(line.kind))


def result(meeting: Meeting) -> str:
    """Return what the comparison shows, as plain text: the highest peak, which intervals it overlaps, the best model.

    References know the answers, and are left out.
    """
    ranked = sorted((r for r in meeting.table if r["kind"] != "reference"), key=lambda row: -row["Ps"])
    top, others = ranked[0], ranked[1:]
    apart = [row for row in others if row["Ps_hi"] < top["Ps_lo"]]
    models = meeting.points[meeting.points["kind"] == "model"]
    best = models.sort_values("utility").iloc[-1]
    near = len(others) - len(apart)
    overlap = (
        f" Its 95 % interval overlaps those of {near} of the {counted(len(others), 'other')}: it is not shown to be"
        " above."
        if near
        else ""
    )
    return (
        f"{top['name']} reaches the highest accuracy, {_peak(top)}.{overlap}"
        f" The most accurate single model, {best['name']}, has {100 * best['utility']:.1f} %."
    )


def _peak(row: dict[str, Any]) -> str:
    return f"{100 * row['Ps']:.1f} % ({100 * row['Ps_lo']:.1f} to {100 * row['Ps_hi']:.1f})"


def _largest(meeting: Meeting) -> str:
    top = max((r for r in meeting.table if r["kind"] != "reference"), key=lambda row: row["nAUC_fair"])
    return f"The largest area lies below {top['name']}: {number(top['nAUC_fair'], 4)} of 1"


def _how(meeting: Meeting) -> str:
    about = meeting.about
    return (
        f"Routers learned from all models' answers to {about['n_train']:,} training queries and are asked about"
        f" {about['n_test']:,} others. Policies meet those {about['n_test']:,} one by one, in {about['seeds']} orders,"
        " and hear one answer each; warm ones begin with the training queries as their prior."
        f" Numbers are from: {about['label']}."
    )


def _caption(meeting: Meeting) -> str:
    best = "; ".join(
        f"{row['name']} peaks at {100 * row['Ps']:.1f} %, area {number(row['nAUC_fair'], 4)}"
        for row in meeting.table
    )
    of = money(str(meeting.about["cost_unit"] or ""))
    models = meeting.points[meeting.points["kind"] == "model"].sort_values("utility", ascending=False)
    single = first(
        [
            f"{name} {100 * right:.1f} % at {of.shown(spent * of.factor * PER)}"
            for name, right, spent in zip(models["name"], models["utility"], models["cost"], strict=True)
        ],
        "in frontiers.csv",
    )
    alone = f" Single models: {single}." if single else ""
    return minus(f"Accuracy against {of.per_1000}. {best}.{alone}")


def _trace(line: Line, of: Money) -> Figure:
    """Return a line, or points where there is no frontier, as Plotly's dictionary."""
    name, points = html.escape(line.name), line.points
    told = f"accuracy %{{y:.1f}} %<br>{sign(of)}%{{x:.4~g}} per 1,000 queries<extra></extra>"
    trace: Figure = {
        "x": tidy(points["cost"] * of.factor * PER),
        "y": tidy(100 * points["utility"]),
        "name": name,
        "mode": {"model": "markers", "policy": "lines+markers"}.get(line.kind, "lines"),
        "line": {"color": line.colour, "width": 2.5 if line.kind == "policy" else 1.5, "dash": line.dash},
        "marker": {
            "color": line.colour,
            "size": 8,
            "symbol": "circle" if line.kind == "policy" else "circle-open",
        },
        "hovertemplate": f"{name}<br>{told}",
    }
    if line.kind == "model":
        names = {"text": [html.escape(str(model)) for model in points["name"]], "labels": True}
        return {**trace, **names, "hovertemplate": f"%{{text}}<br>{told}"}
    trace["tag"] = name
    if line.kind == "policy" and not points["utility_lo"].isna().any():
        above, below = points["utility_hi"] - points["utility"], points["utility"] - points["utility_lo"]
        ends = {"array": tidy(100 * above), "arrayminus": tidy(100 * below)}
        trace["error_y"] = {"type": "data", "symmetric": False, **ends}
    return trace


def _table(meeting: Meeting) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in _HEADINGS)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row["name"])}</th>'
        + "".join(f"<td>{cell}</td>" for cell in _cells(row))
        + "</tr>"
        for row in meeting.table
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: dict[str, Any]) -> list[str]:
    spanned = [
        f"{number(scale * row[score], digits)}<small>{number(scale * row[f'{score}_lo'], digits)} to"
        f" {number(scale * row[f'{score}_hi'], digits)}, {row['interval']}</small>"
        for score, scale, digits in (("Ps", 100, 1), ("nAUC_fair", 1, 4))
    ]
    matched = f"{100 * row['QNC']:.1f} %" if np.isfinite(row["QNC"]) else "never"
    return [number(row["outcomes"], 0), *spanned, matched, number(row["hypervolume"], 4)]

"""Online frontiers beside offline ones: a page that opens without a network, a drawing and tables."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bandits import rows as tables
from bandits.mmrbench.frontiers_svg import drawing
from bandits.report.parts import embedded, own, script
from bandits.report.styles import COLOURS, GREY, Figure, tidy
from bandits.report.styles import colour as by_name
from bandits.report.words import number

if TYPE_CHECKING:
    import pandas as pd

    from bandits.mmrbench.online import Meeting

FILES = ("frontiers.html", "frontiers.svg", "frontiers.csv", "scores.csv")
_MOST = 160  # points of a curve that a chart can show
_HEADINGS = ("", "outcomes learned from", "peak", "area", "cost to match", "hypervolume")


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
    said, drawn = titles(meeting), lines(meeting)
    parts = {
        "title": html.escape(said["title"]),
        "headline": _headline(meeting),
        "caption": html.escape(_caption(meeting)),
        "table": _table(meeting),
        "figure": embedded(
            {
                "data": [_trace(line) for line in drawn],
                "x": said["x"],
                "y": said["y"],
                "log": _positive(drawn),
            }
        ),
        "plotly": script(),
        "style": own("page.css"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], own("frontiers.html"))


def _headline(meeting: Meeting) -> str:
    about = meeting.about
    return html.escape(
        f"Routers learned from all models' answers to {about['n_train']:,} training queries and are asked about"
        f" {about['n_test']:,} others. Policies meet those {about['n_test']:,} one by one, in {about['seeds']} orders,"
        " and hear one answer each; warm ones begin with the training queries as their prior."
        f" Numbers are from: {about['label']}."
    )


def _caption(meeting: Meeting) -> str:
    best = "; ".join(
        f"{row['name']} peaks at {number(row['Ps'], 4)}, area {number(row['nAUC_fair'], 4)}"
        for row in meeting.table
    )
    return f"Accuracy against mean cost. {best}."


def _trace(line: Line) -> Figure:
    """Return a line, or points where there is no frontier, as Plotly's dictionary."""
    name, points = html.escape(line.name), line.points
    trace: Figure = {
        "x": tidy(points["cost"]),
        "y": tidy(points["utility"]),
        "name": name,
        "mode": {"model": "markers", "policy": "lines+markers"}.get(line.kind, "lines"),
        "line": {"color": line.colour, "width": 2.5 if line.kind == "policy" else 1.5, "dash": line.dash},
        "marker": {
            "color": line.colour,
            "size": 8,
            "symbol": "circle" if line.kind == "policy" else "circle-open",
        },
        "hovertemplate": f"{name}<br>accuracy %{{y:.4f}}<br>mean cost %{{x:.4g}}<extra></extra>",
    }
    if line.kind == "model":
        trace["text"] = [html.escape(str(model)) for model in points["name"]]
        trace["hovertemplate"] = "%{text}<br>accuracy %{y:.4f}<br>mean cost %{x:.4g}<extra></extra>"
    if line.kind == "policy" and not points["utility_lo"].isna().any():
        above, below = points["utility_hi"] - points["utility"], points["utility"] - points["utility_lo"]
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": tidy(above),
            "arrayminus": tidy(below),
        }
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
        f"{number(row[score], 4)}<small>{number(row[f'{score}_lo'], 4)} to {number(row[f'{score}_hi'], 4)},"
        f" {row['interval']}</small>"
        for score in ("Ps", "nAUC_fair")
    ]
    matched = number(row["QNC"], 3) if np.isfinite(row["QNC"]) else "never"
    return [number(row["outcomes"], 0), *spanned, matched, number(row["hypervolume"], 4)]


def _positive(drawn: list[Line]) -> bool:
    """Return whether the cost axis can be logarithmic."""
    return all(bool((line.points["cost"] > 0).all()) for line in drawn)

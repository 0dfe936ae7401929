"""The page above the runs of one ask: reward against budget and accuracy against cost, a curve for each policy."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bandits.report.parts import embedded, own, plotly, records
from bandits.report.styles import COLOURS, GREY, MARKERS, Figure, tidy
from bandits.report.words import code, number

if TYPE_CHECKING:
    import pandas as pd

_HINDSIGHT = {
    "within": ("best within the budget, in hindsight", "dot"),
    "mixture": ("best fixed mixture of models", "dash"),
}
_DASHES = tuple(MARKERS)
_HEADINGS = ("policy", "preference", "budget", "spent of it", "reward a query", "accuracy", "mean cost")


def render(frame: pd.DataFrame, known: Mapping[str, Any]) -> str:
    """Return the page, self-contained.

    Args:
        frame: of `overview.publish`.
        known: `title`, `label`, `notes`, `command`, `cost_unit`.
    """
    figures = charts(frame, str(known.get("cost_unit") or ""))
    places = [
        f'<h2>{figure["title"]}</h2><figure><div class="chart" id="{figure["id"]}" role="img" aria-label='
        f'"{figure["caption"]}"></div><figcaption>{figure["caption"]}</figcaption></figure>'
        for figure in figures
    ]
    parts = {
        "title": html.escape(str(known.get("title", ""))),
        "headline": _headline(frame) + f" Data: {html.escape(str(known.get('label', '')))}.",
        "notes": "".join(f"<li>{html.escape(str(note))}</li>" for note in known.get("notes", ())),
        "charts": "".join(places),
        "table": _table(frame[frame["kind"] == "policy"]),
        "command": html.escape(str(known.get("command", ""))),
        "figures": embedded(figures),
        "plotly": plotly(),
        "style": own("page.css"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], own("budgets.html"))


def charts(frame: pd.DataFrame, unit: str) -> list[Figure]:
    """Return reward against budget for each preference where several budgets were asked for, and accuracy against cost
    for each budget where several preferences were."""
    policies = frame[frame["kind"] == "policy"]
    found: list[Figure] = []
    for preference, part in frame.groupby("preference", sort=False):
        runs = policies[policies["preference"] == preference]
        if runs["asked"].nunique() > 1 and runs["resource"].nunique() == 1:
            found.append(_by_budget(part, str(preference), unit, len(found)))
    for asked, runs in policies.groupby("asked", sort=False):
        if runs["preference"].nunique() > 1:
            found.append(_by_cost(runs, frame[frame["kind"] == "model"], str(asked), unit, len(found)))
    return found


def _by_budget(part: pd.DataFrame, preference: str, unit: str, i: int) -> Figure:
    """Return the chart of one preference: a curve for each policy, models, the mixture and hindsight's best."""
    resource = str(part["resource"].iloc[0])
    data = []
    for kind, (name, dash) in _HINDSIGHT.items():
        drawn = {"mode": "lines", "line": {"color": GREY, "width": 1.5, "dash": dash}}
        data.append({**_series(part[part["kind"] == kind], name, "budget", "reward"), **drawn})
    data += _curves(part[part["kind"] == "policy"], "budget", "reward")
    data.append(_alone(part[part["kind"] == "model"], "budget", "reward"))
    shown = part[part["kind"].isin(("policy", "model"))]
    each = f"{resource} a query" + (f" ({unit})" if resource == "cost" and unit else "")
    told = "; ".join(
        f"{name} {number(rows['reward'].iloc[0], 4)} at {number(rows['budget'].iloc[0])} to"
        f" {number(rows['reward'].iloc[-1], 4)} at {number(rows['budget'].iloc[-1])}"
        for name, rows in part[part["kind"] == "policy"].sort_values("budget").groupby("name", sort=False)
    )
    caption = f"Reward a query against the budget a query, preference {preference}: {told}."
    title, axis = f"Reward by budget at preference {preference}", f"budget: {each}"
    return _figure(f"budgets-{i}", title, caption, axis, "reward a query", data, shown["budget"])


def _by_cost(runs: pd.DataFrame, models: pd.DataFrame, asked: str, unit: str, i: int) -> Figure:
    """Return the chart of one budget: each policy's accuracy against its cost, a point for each preference."""
    data = [*_curves(runs, "cost", "accuracy"), _alone(models, "cost", "accuracy")]
    told = "; ".join(
        f"{name} {number(rows['accuracy'].min(), 4)} to {number(rows['accuracy'].max(), 4)}"
        for name, rows in runs.groupby("name", sort=False)
    )
    under = f" under a budget of {asked}" if asked else ""
    caption = f"Accuracy against mean cost{under}, a point for each preference: {told}."
    axis = f"mean cost ({unit})" if unit else "mean cost"
    costs = [*runs["cost"], *models["cost"]]
    return _figure(f"budgets-{i}", f"Accuracy by cost{under}", caption, axis, "accuracy", data, costs)


def _figure(name: str, title: str, caption: str, x: str, y: str, data: list[Figure], at: Any) -> Figure:
    low, high = min(at), max(at)
    spread = high / low if low > 0 else 1.0
    log = 1 if spread > 200 else "D2" if spread > 20 else 0
    words = {"title": html.escape(title), "caption": html.escape(caption), "x": html.escape(x), "y": y}
    return {"id": name, **words, "log": log, "data": data}


def _curves(rows: pd.DataFrame, x: str, y: str) -> list[Figure]:
    """Return a line with a band for each policy, its points in the order of `x`."""
    lines = []
    for i, (name, part) in enumerate(rows.groupby("name", sort=False)):
        part = part.sort_values(x)
        colour, dash = COLOURS[i % len(COLOURS)], _DASHES[i // len(COLOURS) % len(_DASHES)]
        line = {
            **_series(part, str(name), x, y),
            "mode": "lines+markers",
            "line": {"color": colour, "width": 2.5, "dash": dash},
            "marker": {"color": colour, "size": 8, "symbol": MARKERS[dash]},
        }
        if not part[f"{y}_lo"].isna().any():
            line |= {"lo": tidy(part[f"{y}_lo"]), "hi": tidy(part[f"{y}_hi"])}
        lines.append(line)
    return lines


def _alone(models: pd.DataFrame, x: str, y: str) -> Figure:
    """Return the single models as points that name themselves."""
    models = models.drop_duplicates("name")
    text = [html.escape(str(name)) for name in models["name"]]
    drawn = {"mode": "markers", "marker": {"color": GREY, "size": 9, "symbol": "circle-open"}, "text": text}
    hover = {"hovertemplate": f"%{{text}}<br>{y} %{{y:.4f}} at %{{x:.4g}}<extra></extra>"}
    return {**_series(models, "single models", x, y), **drawn, **hover}


def _series(rows: pd.DataFrame, name: str, x: str, y: str) -> Figure:
    shown = html.escape(name)
    hover = f"{shown}<br>{y} %{{y:.4f}} at %{{x:.4g}}<extra></extra>"
    return {"x": tidy(rows[x]), "y": tidy(rows[y]), "name": shown, "hovertemplate": hover}


def _headline(frame: pd.DataFrame) -> str:
    """Return the policy that earns most in each run, as HTML."""
    best = (
        frame[frame["kind"] == "policy"]
        .sort_values("reward", ascending=False)
        .groupby("run", sort=False)
        .head(1)
    )
    told = [
        f"{code(row['name'])} earns most at {html.escape(str(row['run']))} ({number(row['reward'], 4)} a query)"
        for row in records(best.sort_index())
    ]
    return "; ".join(told) + "."


def _table(runs: pd.DataFrame) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in _HEADINGS)
    body = "".join(_line(row) for row in records(runs))
    return f'<table id="runs-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _line(row: Mapping[str, Any]) -> str:
    spent = row["spent"] / row["budget"]
    cells = [
        html.escape(str(row["preference"])),
        html.escape(str(row["asked"])) or "none",
        "n/a" if spent != spent else f"{spent:.1%}",
        _spanned(row, "reward"),
        _spanned(row, "accuracy"),
        number(row["cost"]),
    ]
    link = f'<a href="{quote(str(row["run"]))}/report.html">{html.escape(str(row["name"]))}</a>'
    return f'<tr><th scope="row">{link}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _spanned(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    span = "" if low != low else f"<small>{number(low, 4)} to {number(high, 4)}</small>"
    return number(row[name], 4) + span

"""The page above the runs of one ask: reward against budget and accuracy against cost, a curve for each policy."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bandits.money import Money, money, plain
from bandits.report.axes import PER, cost
from bandits.report.parts import drawn, embedded, records
from bandits.report.styles import COLOURS, GREY, MARKERS, Figure, tidy
from bandits.report.words import code, heading, minus, number

if TYPE_CHECKING:
    import pandas as pd

_HINDSIGHT = {
    "within": ("best within the budget, in hindsight", "dot"),
    "mixture": ("best fixed mixture of models", "dash"),
}
_DASHES = tuple(MARKERS)
_PAID = "cost"  # the resource that is money
_EACH = {"latency": "seconds a query", "tokens": "tokens a query"}


def render(frame: pd.DataFrame, known: Mapping[str, Any]) -> str:
    """Return the page, self-contained.

    Args:
        frame: of `overview.publish`.
        known: `title`, `label`, `notes`, `command`, `cost_unit`.
    """
    of = money(str(known.get("cost_unit") or ""))
    figures = charts(frame, str(known.get("cost_unit") or ""))
    places = [
        f'<h2>{heading(figure["title"])}</h2><figure><div class="chart" id="{figure["id"]}" role="img" aria-label='
        f'"{figure["caption"]}"></div><figcaption>{figure["caption"]}</figcaption></figure>'
        for figure in figures
    ]
    parts = {
        "title": html.escape(str(known.get("title", ""))),
        "name": heading(str(known.get("title", ""))),
        "headline": minus(_headline(frame)) + f" Data: {html.escape(str(known.get('label', '')))}.",
        "notes": "".join(f"<li>{html.escape(str(note))}</li>" for note in known.get("notes", ())),
        "charts": "".join(places),
        "table": _table(frame[frame["kind"] == "policy"], of),
        "command": html.escape(str(known.get("command", ""))),
        "figures": embedded(figures),
    }
    return drawn("budgets.html", parts, "plain.js")


def charts(frame: pd.DataFrame, unit: str) -> list[Figure]:
    """Return reward against budget for each preference where several budgets were asked for, and accuracy against cost
    for each budget where several preferences were; costs are of 1,000 queries, in money."""
    policies, of = frame[frame["kind"] == "policy"], money(unit)
    found: list[Figure] = []
    for preference, part in frame.groupby("preference", sort=False):
        runs = policies[policies["preference"] == preference]
        if runs["asked"].nunique() > 1 and runs["resource"].nunique() == 1:
            found.append(_by_budget(part, str(preference), of, len(found)))
    for asked, runs in policies.groupby("asked", sort=False):
        if runs["preference"].nunique() > 1:
            found.append(_by_cost(runs, frame[frame["kind"] == "model"], str(asked), of, len(found)))
    return found


def _by_budget(part: pd.DataFrame, preference: str, of: Money, i: int) -> Figure:
    """Return the chart of one preference: a curve for each policy, models, the mixture and hindsight's best."""
    resource = str(part["resource"].iloc[0])
    part = part.assign(budget=part["budget"] * (of.factor * PER if resource == _PAID else 1.0))
    data, policies = [], part[part["kind"] == "policy"]
    data += _curves(policies, "budget", "reward")
    data.append(_alone(part[part["kind"] == "model"], "budget", "reward"))
    for kind, (name, dash) in _HINDSIGHT.items():
        look = {"mode": "lines", "line": {"color": GREY, "width": 1.5, "dash": dash}, "tag": name}
        data.append({**_series(part[part["kind"] == kind], name, "budget", "reward"), **look})
    shown = part[part["kind"].isin(("policy", "model"))]
    axis = cost(list(shown["budget"]), of) if resource == _PAID else {"x": _EACH[resource]}
    axis["x"] = f"budget: {axis['x'].removeprefix('cost, ')}"
    told = "; ".join(
        f"{name} {number(rows['reward'].iloc[0], 4)} at {_amount(rows['budget'].iloc[0], resource, of)} to"
        f" {number(rows['reward'].iloc[-1], 4)} at {_amount(rows['budget'].iloc[-1], resource, of)}"
        for name, rows in policies.sort_values("budget").groupby("name", sort=False)
    )
    what = axis["x"].removeprefix("budget: ")
    caption = f"Reward a query against the budget, {what}; preference {preference}: {told}."
    most = policies.sort_values(["budget", "reward"]).iloc[-1]
    title = (
        f"At preference {preference} and {_amount(most['budget'], resource, of)}, the largest budget, {most['name']}"
        f" earns {number(most['reward'], 4)} reward a query{_rank(policies)}"
    )
    return _figure(i, title, caption, {**axis, "y": "reward a query"}, data)


def _amount(value: float, resource: str, of: Money) -> str:
    if resource == _PAID:
        return f"{of.shown(value)} per 1,000 queries"
    return f"{number(value)} {_EACH[resource]}"


def _rank(policies: pd.DataFrame) -> str:
    of = policies["name"].nunique()
    return f", the most of {of} policies" if of > 1 else ""


def _by_cost(runs: pd.DataFrame, models: pd.DataFrame, asked: str, of: Money, i: int) -> Figure:
    """Return the chart of one budget: each policy's accuracy against its cost, a point for each preference."""
    runs, models = (_told(part, of) for part in (runs, models))
    data = [*_curves(runs, "cost", "accuracy"), _alone(models, "cost", "accuracy")]
    spans = {
        str(
            name
        ): f"{rows['accuracy'].min():.1f} to {rows['accuracy'].max():.1f} % at {of.shown(rows['cost'].min())} to"
        f" {of.shown(rows['cost'].max())}"
        for name, rows in runs.groupby("name", sort=False)
    }
    under = f" under a budget of {asked}" if asked else ""
    told = "; ".join(f"{name} {span}" for name, span in spans.items())
    caption = f"Accuracy against cost{under}, {of.per_1000}, a point for each preference: {told}."
    name = str(runs.sort_values("accuracy").iloc[-1]["name"])
    highest = ", the highest accuracy" if len(spans) > 1 else ""
    title = f"{name}{under} gives {spans[name]} per 1,000 queries by preference{highest}"
    axes = {**cost([*runs["cost"], *models["cost"]], of), "y": "accuracy", "suffix": " %"}
    return _figure(i, title, caption, axes, data)


def _told(part: pd.DataFrame, of: Money) -> pd.DataFrame:
    """Return the points with costs of 1,000 queries and accuracies in per cent."""
    accuracy = {c: 100 * part[c] for c in ("accuracy", "accuracy_lo", "accuracy_hi")}
    return part.assign(cost=part["cost"] * of.factor * PER, **accuracy)


def _figure(i: int, title: str, caption: str, axes: Figure, data: list[Figure]) -> Figure:
    words = {"title": minus(title), "caption": html.escape(minus(caption))}
    return {
        "id": f"budgets-{i}",
        **words,
        "views": [{"label": "", "data": data}],
        "axes": axes,
        "height": 460,
    }


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
            "tag": html.escape(str(name)),
        }
        if not part[f"{y}_lo"].isna().any():
            line |= {"lo": tidy(part[f"{y}_lo"]), "hi": tidy(part[f"{y}_hi"])}
        lines.append(line)
    return lines


def _alone(models: pd.DataFrame, x: str, y: str) -> Figure:
    """Return the single models as points that name themselves."""
    models = models.drop_duplicates("name")
    text = [html.escape(str(name)) for name in models["name"]]
    look = {"mode": "markers", "marker": {"color": GREY, "size": 9, "symbol": "circle-open"}, "text": text}
    hover = {"hovertemplate": f"%{{text}}<br>{y} %{{y:.4g}} at %{{x:.4g}}<extra></extra>", "labels": True}
    return {**_series(models, "single models", x, y), **look, **hover}


def _series(rows: pd.DataFrame, name: str, x: str, y: str) -> Figure:
    shown = html.escape(name)
    hover = f"{shown}<br>{y} %{{y:.4g}} at %{{x:.4g}}<extra></extra>"
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
        f"{code(row['name'])} earns most at {html.escape(str(row['run']))} ({number(row['reward'], 4)} reward a query)"
        for row in records(best.sort_index())
    ]
    return "; ".join(told) + "."


def _table(runs: pd.DataFrame, of: Money) -> str:
    headings = (
        "policy", "preference", "budget", "spent of it", "reward a query", "accuracy, %", f"cost, {of.per_1000}",
    )  # fmt: skip
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in headings)
    body = "".join(_line(row, of) for row in records(runs))
    return f'<table id="runs-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _line(row: Mapping[str, Any], of: Money) -> str:
    spent = row["spent"] / row["budget"]
    cells = [
        html.escape(str(row["preference"])),
        html.escape(str(row["asked"])) or "none",
        "n/a" if spent != spent else f"{100 * spent:.1f} %",
        _spanned(row, "reward", 4),
        _spanned(row, "accuracy", 1, 100),
        plain(row["cost"] * of.factor * PER),
    ]
    link = f'<a href="{quote(str(row["run"]))}/report.html">{html.escape(str(row["name"]))}</a>'
    return f'<tr><th scope="row">{link}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _spanned(row: Mapping[str, Any], name: str, decimals: int, scale: float = 1.0) -> str:
    mean, low, high = (number(scale * row[c], decimals) for c in (name, f"{name}_lo", f"{name}_hi"))
    return minus(mean + ("" if low == "n/a" else f"<small>{low} to {high}</small>"))

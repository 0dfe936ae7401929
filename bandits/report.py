"""The report of a run: one HTML file that opens offline, made from the run's tables and manifest alone."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from bandits import report_figures as figures
from bandits import report_words as words

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
_HEADINGS = (
    "policy", "reward a query", "behind the best policy", "accuracy", "mean cost", "total cost", "regret, oracle",
    "regret, best fixed", "regret, best per dataset", "growth", "gap closed",
)  # fmt: skip


def render(summary: pd.DataFrame, curves: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """Return the report as one self-contained HTML page.

    Args:
        summary, curves: of `summary.Summary`, or read back from a run's `summary.csv` and `curves.csv`.
        manifest: of the run; shown of it are `title`, `label`, `notes`, `command`, `cost_unit`, `data`,
            `stream`, `policies`, `reward`, `preference`, `seeds`, `seed`, `rounds`, `versions`, `seconds` and
            `time`.

    Raises:
        ValueError: a table lacks a column.
    """
    for name, frame, needed in (
        ("summary", summary, ("policy", "kind", "reward_mean", "accuracy", "cost_mean", "lag")),
        ("curves", curves, ("policy", "round", "quantity", "mean", "lo", "hi")),
    ):
        if missing := [column for column in needed if column not in frame.columns]:
            raise ValueError(f"report needs {name} with column {missing[0]}, got {', '.join(frame.columns)}")
    rows = summary.to_dict("records")
    unit = str(manifest.get("cost_unit") or "")
    plane, frontier = figures.plane(rows, unit)
    areas, colours, last = figures.shares(rows, curves)
    names = [r["policy"] for r in rows if r["kind"] == "policy"]
    parts = {
        "title": html.escape(str(manifest.get("title", "Routing policies"))),
        "headline": words.headline(rows, str(manifest.get("label", ""))),
        "notes": "".join(f"<li>{html.escape(str(note))}</li>" for note in manifest.get("notes", ())),
        "regret": _chart("regret", words.regret_caption(rows)),
        "plane_heading": "Cost and accuracy" if frontier else "Accuracy",
        "plane": _chart("plane", words.plane_caption(rows, frontier, unit)),
        "legend": "".join(_key(model, colour) for model, colour in colours.items()),
        "shares": "".join(
            f"<div><h3>{words.code(name)}</h3>{_chart(area['id'], words.shares_caption(name, shares))}</div>"
            for name, area, shares in zip(names, areas, last, strict=True)
        ),
        "table": _table(rows),
        "run": _what_was_run(manifest),
        "figures": json.dumps([figures.regret(rows, curves), plane, *areas]).replace("<", "\\u003c"),
        "plotly": _plotly(),
    }
    page = (resources.files("bandits") / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _chart(name: str, caption: str) -> str:
    """Return the place of a chart, with its text alternative for readers and for screen readers."""
    text = html.escape(caption)
    return (
        f'<figure><div class="controls" id="{name}-controls"></div>'
        f'<div class="chart" id="{name}" role="img" aria-label="{text}"></div>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _key(model: str, colour: str) -> str:
    return f'<li><span class="swatch" style="background:{colour}"></span>{html.escape(model)}</li>'


def _table(rows: Sequence[Row]) -> str:
    """Return the summary as an HTML table: policies, then references, then single models."""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in _HEADINGS)
    body = []
    for kind, title in (("policy", "Policies"), ("reference", "References"), ("model", "Single models")):
        chosen = [row for row in rows if row["kind"] == kind]
        if chosen:
            body.append(
                f'<tr><th class="group" scope="colgroup" colspan="{len(_HEADINGS)}">{title}</th></tr>'
            )
            body += [_line(row) for row in chosen]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _line(row: Row) -> str:
    """Return one row of the table; intervals stand in small print under their means."""
    number = words.number
    cells = [
        _cell(number(row["reward_mean"], 4), row, "reward", 4),
        _cell(number(row["lag"], 4), row, "lag", 4),
        _cell(number(row["accuracy"], 4), row, "accuracy", 4),
        _cell(number(row["cost_mean"]), row, "cost", None),
        number(row["cost_total"]),
        _cell(number(row["regret_oracle"], 1), row, "regret", 1),
        number(row["regret_best_fixed"], 1),
        number(row["regret_best_per_dataset"], 1),
        number(row["exponent"], 2),
        "n/a" if row["gap_closed"] != row["gap_closed"] else f"{row['gap_closed']:.0%}",
    ]
    silent = f"<small>no call in {row['unanswered']:.0%} of rounds</small>" if row["unanswered"] > 0 else ""
    name = f'<th scope="row">{html.escape(row["policy"])}{silent}</th>'
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _cell(mean: str, row: Row, name: str, decimals: int | None) -> str:
    low, high = (words.number(row[f"{name}_{end}"], decimals) for end in ("lo", "hi"))
    return mean if low == high else f"{mean}<small>{low} to {high}</small>"


def _what_was_run(manifest: Mapping[str, Any]) -> str:
    """Return the manifest as a list of terms: everything needed to run it again."""
    data = manifest.get("data") or {}
    shown = {
        "command": manifest.get("command"),
        "data": data.get("name"),
        "sha256": data.get("sha256"),
        "source": data.get("source"),
        "licence": data.get("licence"),
        "these numbers are": manifest.get("label"),
        "stream": manifest.get("stream"),
        "policies": ", ".join(str(p) for p in manifest.get("policies", ())),
        "reward": manifest.get("reward"),
        "preference": manifest.get("preference"),
        "seeds": manifest.get("seeds"),
        "seed": manifest.get("seed"),
        "rounds": manifest.get("rounds"),
        "versions": ", ".join(f"{k} {v}" for k, v in (manifest.get("versions") or {}).items()),
        "seconds": manifest.get("seconds"),
        "time": manifest.get("time"),
    }
    return "".join(
        f"<dt>{html.escape(term)}</dt><dd>{html.escape(str(value))}</dd>"
        for term, value in shown.items()
        if value not in (None, "")
    )

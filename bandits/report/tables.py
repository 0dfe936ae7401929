"""The other tables of a report as HTML: every number of the summary, and what was run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.report import words
from bandits.report.styles import Row

_HEADINGS = (
    "policy", "reward a query", "behind the best policy", "accuracy", "mean cost", "total cost", "regret, oracle",
    "regret, best fixed", "regret, best per dataset", "growth", "gap closed",
)  # fmt: skip

# What can be asked for, in the order of the command line; what was not asked for is not listed.
_ASKED = (
    "reward", "preference", "budget", "pacing", "hard", "cap", "warm_start", "n_eff", "fit", "scenario", "change",
    "delay", "batch", "feedback", "seeds", "seed", "order", "rounds",
)  # fmt: skip


def summary(rows: Sequence[Row]) -> str:
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
    return f'<table id="summary-table"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


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
    if row.get("fell_back", 0) > 0:
        silent += (
            f"<small>cannot be called in {row['fell_back']:.0%} of rounds: the fall-back answers</small>"
        )
    name = f'<th scope="row">{html.escape(row["policy"])}{silent}</th>'
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _cell(mean: str, row: Row, name: str, decimals: int | None) -> str:
    low, high = (words.number(row[f"{name}_{end}"], decimals) for end in ("lo", "hi"))
    return mean if low in (high, "n/a") else f"{mean}<small>{low} to {high}</small>"


def what_was_run(manifest: Mapping[str, Any]) -> str:
    """Return the manifest as a list of terms: everything needed to run it again."""
    data, context = manifest.get("data") or {}, manifest.get("context") or {}
    paced = bool(manifest.get("budget"))
    shown = {
        "command": manifest.get("command"),
        "data": data.get("name"),
        "sha256": data.get("sha256"),
        "source": data.get("source"),
        "licence": data.get("licence"),
        "these numbers are": manifest.get("label"),
        "stream": manifest.get("stream"),
        "queries see": ", ".join(f"{name} {value}" for name, value in context.items()),
        "policies": _joined(manifest.get("policies")),
        **{
            name.replace("_", " "): _joined(manifest.get(name))
            for name in _ASKED
            if name != "pacing" or paced
        },
        "versions": ", ".join(f"{k} {v}" for k, v in (manifest.get("versions") or {}).items()),
        "seconds": manifest.get("seconds"),
        "time": manifest.get("time"),
    }
    return "".join(
        f"<dt>{html.escape(term)}</dt><dd>{html.escape(str(value))}</dd>"
        for term, value in shown.items()
        if value is not False and value not in (None, "")
    )


def _joined(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value

"""The page of a decision: one file without a script, which loads nothing from anywhere and prints as it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bandits.decision import cascades
from bandits.decision.figures import per_cent, points, span
from bandits.decision.words import Words
from bandits.money import plain
from bandits.report.decision_plane import plane
from bandits.report.parts import own, policy, template

_EXPORTED = "The policy for a serving stack, as bandits.load reads it:"


def render(record: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        record: from `bandits.decision.record`.
        known: `title`, `command`, `versions`, and of the export `export` (the command, or "") and `why` (it is not
            possible, or "").
    """
    from jinja2 import Environment

    words = Words(record)
    style = own("page.css") + own("decision.css")
    page = Environment(autoescape=True, trim_blocks=False).from_string(template("decision.html"))
    text = {
        "title": known["title"],
        "policy": policy(style),
        "verdict": words.verdict(),
        "quality": "answers right" if record["right"] else "mean score",
        "cost": words.money.per_1000,
        "by_worth": [_worth(words, piece) for piece in record["by_worth"]] if words.by_worth() else [],
        "plane": plane(record, words.money) if words.priced else None,
        "carried": words.carried(),
        "gate": words.gate(),
        "legend": " ".join(
            [
                words.legend()[0].replace("*: recommended", "Bold: recommended"),
                *cascades.legend(record.get("cascades")),
            ]
        ),
        **_table(words),
        "export": _export(known),
        "run": _run(record, known),
    }
    from markupsafe import Markup

    return page.render(style=Markup(style), **text)


def _worth(words: Words, piece: Mapping[str, Any]) -> dict[str, str]:
    row = words.rows[piece["choice"]]
    return {
        "worth": words.between(piece),
        "choice": row["name"],
        "accuracy": per_cent(row["accuracy"]),
        "span": span(row),
        "cost": plain(row["cost_per_1000"]),
    }


def _table(words: Words) -> dict[str, Any]:
    """Return headings and rows of every choice, the most accurate first."""
    record = words.record
    choices = [*record["choices"], *words.cascades]
    timed = any(not math.isnan(row["latency"]) for row in choices)
    monthly = words.priced and record["queries_per_month"] is not None
    headings = ["choice", "accuracy"]
    headings += [words.money.per_1000] * words.priced + [f"{words.money.currency} a month"] * monthly
    headings += ["seconds"] * timed + ["difference, points", "calls most, at the end"]
    rows = []
    for row in sorted(choices, key=lambda row: -row["accuracy"]):
        cells = [(per_cent(row["accuracy"]), span(row))]
        if words.priced:
            cells.append((plain(row["cost_per_1000"]), _ends(row, "cost_per_1000")))
        if monthly:
            cells.append((plain(row["cost_per_month"]), ""))
        if timed:
            cells.append((plain(row["latency"]), _ends(row, "latency")))
        cells += [_difference(words, row), (_called(row), "")]
        what = row["kind"] if row["affordable"] else f"{row['kind']}, does not keep the limits"
        shown = [
            {"text": text, "small": small, "wrap": place >= len(cells) - 2}
            for place, (text, small) in enumerate(cells)
        ]
        chosen = any(piece["choice"] == row["name"] for piece in record["by_worth"])
        rows.append({"name": row["name"], "what": what, "cells": shown, "chosen": chosen})
    return {"headings": headings, "rows": rows}


def _ends(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    return "" if math.isnan(low) or low == high else f"{plain(low)} to {plain(high)}"


def _difference(words: Words, row: Mapping[str, Any]) -> tuple[str, str]:
    if row["against"] is None:
        return "-", ""
    at = f" at {words.money.shown(row['worth'])}" if words.priced and math.isfinite(row["worth"]) else ""
    return (
        points(row["difference"], signed=True).removesuffix(" points"),
        f"{'shown' if row['shown'] else 'not shown'}, against {row['against']}{at}",
    )


def _called(row: Mapping[str, Any]) -> str:
    if row["kind"] == "model":
        return "-"
    most = sorted(row["calls"].items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in most if share > 0)


def _export(known: Mapping[str, Any]) -> dict[str, str] | None:
    if not known["export"] and not known["why"]:
        return None
    text = [known["why"], _EXPORTED if known["export"] else ""]
    return {"text": " ".join(filter(None, text)), "command": known["export"]}


def _run(record: Mapping[str, Any], known: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("command", known["command"]),
        (
            "table",
            f"{record['stream']}: {record['queries']:,} queries, {record['clusters']:,} without near copies",
        ),
        ("these numbers are", record["label"]),
        ("policies", "; ".join(record["policies"])),
        ("seeds", f"{record['seeds']}, from seed {record['seed']}, {record['rounds']:,} queries each"),
        ("versions", ", ".join(f"{name} {value}" for name, value in known["versions"].items())),
        *(("note", note) for note in record["notes"]),
    ]

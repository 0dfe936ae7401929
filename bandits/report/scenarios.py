"""The page of policies in every changing world: which differences are shown, a drawing of all, and the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.money import Money, money, plain
from bandits.report import forest
from bandits.report.axes import PER
from bandits.report.forest import Line, Table
from bandits.report.words import minus, number
from bandits.rows import counted

Row = Mapping[str, Any]
SIDES = ("less regret", "more regret", "not shown")  # as `bandits.sweeps.scenarios` judges

HEARD = (
    "Regret over a whole run, on the truth, less that of the same policy where it hears the truth: right of 0 it loses."
    " A line is the 95 % interval, over seeds or over queries, whichever is wider; a filled point is shown by both."
)


def render(rows: Sequence[Row], known: Mapping[str, Any]) -> str:
    """Return the page, self-contained and without a script.

    Args:
        rows: of `bandits.sweeps.scenarios.compare`.
        known: `title`, `verdict` (of `bandits.sweeps.scenarios.verdict`, or ""), `label`, `notes`, `command`,
            `cost_unit`.
    """
    of, said = money(str(known["cost_unit"] or "")), minus(str(known["verdict"]))
    first = said[:1].upper() + said[1:] or "One policy: nothing is compared."
    heard = any("survives" in row for row in rows)
    table = Table(
        "Every scenario in numbers",
        "Small print: 95 % interval over seeds; of a difference too. The table scenarios.csv has all figures.",
        ["scenario", "policy", *_cells(rows[0], of, heard)] if rows else [],
        [_told(row, of, heard) for row in rows],
    )
    drawn = {
        "heading": "What false or missing feedback costs" if heard else title(rows),
        "axis": f"regret less {'its own on the truth' if heard else 'that of ' + _first(rows)}, reward over a run",
        "caption": HEARD if heard else caption(rows),
    }
    name = "own" if heard else "difference"
    lines = [_line(row, name) for row in rows if (name in row if heard else _compared(row))]
    return forest.render({**known, "verdict": first}, lines, [table], **drawn)


def _compared(row: Row) -> bool:
    return isinstance(row.get("verdict"), str)


def title(rows: Sequence[Row]) -> str:
    """Return in how many comparisons regret is shown to be less, and in how many more, as plain text."""
    told = [row for row in rows if _compared(row)]
    if not told:
        return "No policy is compared with another"
    less, more = (sum(row["verdict"] == side for row in told) for side in SIDES[:2])
    return f"Less regret than {_first(rows)} is shown in {less} of {counted(len(told), 'comparison')}, more in {more}"


def caption(rows: Sequence[Row]) -> str:
    """Return how the drawing is read, as plain text."""
    return (
        f"Regret over a whole run less that of {_first(rows)}, in reward: below 0 is less regret. A line is the 95 %"
        " interval, over seeds or over queries, whichever is wider; a filled point is a difference that is shown."
    )


def _first(rows: Sequence[Row]) -> str:
    return next((str(row["policy"]) for row in rows if row["policy"] != "-"), "")


def _ends(row: Row, name: str) -> tuple[float, float]:
    """Return the wider interval of a difference."""
    queries = "queries" if name == "difference" else f"{name}_queries"
    over = [(row[f"{one}_lo"], row[f"{one}_hi"]) for one in (name, queries)]
    known = [(lo, hi) for lo, hi in over if not math.isnan(lo)]
    return max(known, key=lambda ends: ends[1] - ends[0], default=(row[name], row[name]))


def _line(row: Row, name: str) -> Line:
    """Return a comparison as it is drawn, with the first policy (`difference`) or with the policy itself (`own`)."""
    lo, hi = _ends(row, name)
    said = row["verdict" if name == "difference" else "own_verdict"]
    told = (
        f"{row['scenario']}, {row['policy']}: {number(row[name], 1)} reward"
        f" ({number(lo, 1)} to {number(hi, 1)}), {said}"
    )
    return Line(row["scenario"], row["policy"], row[name], lo, hi, said != SIDES[2], minus(told))


def _cells(row: Row, of: Money, heard: bool) -> dict[str, tuple[str, str]]:
    """Return what each column tells of a row by its heading, with small print."""

    def told(name: str, digits: int) -> str:
        value = row.get(name, math.nan)
        return minus(number(value, digits))

    def span(name: str, digits: int) -> str:
        ends = [row.get(f"{name}_{end}", math.nan) for end in ("lo", "hi")]
        return "" if math.isnan(ends[0]) else minus(f"{number(ends[0], digits)} to {number(ends[1], digits)}")

    judged = row["verdict"] if _compared(row) else "-"
    own = {}
    if heard:
        said = row.get("own_verdict", "")
        alive = "-" if "survives" not in row else "yes" if row["survives"] else "not shown"
        own = {
            "cost of what is heard": (told("own", 1), f"{span('own', 1)} {said}".strip()),
            "survives": (alive, ""),
        }
    return {
        "regret, reward": (told("regret", 1), span("regret", 1)),
        "difference, reward": (told("difference", 1) if _compared(row) else "-", span("difference", 1)),
        "verdict": (judged, ""),
        **own,
        "regret, best of phase": (told("regret_best_of_phase", 1), ""),
        "rounds to recover": (_rounds(row), ""),
        "reward a round": (told("reward", 4), ""),
        f"cost, {of.per_1000}": (plain(row.get("cost", math.nan) * of.factor * PER), ""),
    }


def _rounds(row: Row) -> str:
    if row.get("unrecovered", 0) > 0:
        return "never"
    value = row.get("recovery", math.nan)
    return "-" if math.isnan(value) else f"{value:,.0f}"


def _told(row: Row, of: Money, heard: bool) -> dict[str, Any]:
    note = row.get("note")
    noted = isinstance(note, str)
    cells = [] if noted else list(_cells(row, of, heard).values())
    return {"name": row["scenario"], "cells": [(row["policy"], ""), *cells], "note": note if noted else ""}

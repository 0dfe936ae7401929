"""What was found on task graphs, in sentences and in tables that fit a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.graphs.play import FIXED, FLAT, STEPS
from bandits.graphs.robust import BASE

Rows = Sequence[Mapping[str, Any]]


def verdict(online_: Rows, curves_: Rows) -> list[str]:
    """Return sentences: does one bandit a kind of step lead, on which programs and why; does M3, and until when."""
    found = []
    for row in online_:
        if row["way"] == STEPS and row["programs"] in ("all", "no LOC"):
            found.append(_step(row, _flat_of(online_, row)))
    m3 = [row for row in curves_ if row["method"] == "m3"]
    if m3:
        led = [row for row in m3 if row["shown"] and row["over_base"] > 0]
        where = ", ".join(f"{row['missing']:g}" for row in led)
        found.append(
            f"m3 leads the {BASE} baseline at {len(led)} of {len(m3)} missing ratios"
            + (f": {where}." if led else ".")
        )
        rivals = [(row, other) for row in m3 for other in curves_ if other["method"] == "ridge"
                  and other["missing"] == row["missing"]]  # fmt: skip
        above = sum(row["ser"] > other["ser"] for row, other in rivals)
        found.append(
            f"Its mean SER is above that of a ridge on the same features at {above} of {len(rivals)}."
        )
    return found


def _flat_of(rows: Rows, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the flat row of the same policy and programs."""
    return next(
        r for r in rows
        if r["policy"] == row["policy"] and r["programs"] == row["programs"] and r["way"] != STEPS
    )  # fmt: skip


def _step(row: Mapping[str, Any], flat: Mapping[str, Any]) -> str:
    programs = "On all programs" if row["programs"] == "all" else f"On programs with {row['programs']}"
    how = "leads" if row["over_flat"] > 0 else "trails"
    sure = "shown" if row["shown"] else f"not shown: {row['why']}"
    return (
        f"{programs}, one {row['policy']} a kind of step {how} one for all assignments by"
        f" {100 * abs(row['over_flat']):.1f} points of SER ({_span(row)}; {sure}): before a call its estimate had heard"
        f" {row['heard_before']:.0f} outcomes, the other's {flat['heard_before']:.0f}."
    )


def online(rows: Rows) -> list[dict[str, str]]:
    """Return the rows of online play for a terminal."""
    return [
        {
            "policy": str(row["policy"]),
            "learns": {FLAT: "assignments", STEPS: "each step", FIXED: "nothing"}.get(
                str(row["way"]), "parts"
            ),
            "programs": str(row["programs"]),
            "SER": f"{100 * row['ser']:.1f}",
            "heard": "" if math.isnan(row["heard_before"]) else f"{row['heard_before']:.0f}",
            "over flat": ""
            if math.isnan(row["over_flat"])
            else f"{100 * row['over_flat']:+.1f} ({_span(row)})",
            "shown": "yes" if row["shown"] else "",
        }
        for row in rows
    ]


def curves(rows: Rows) -> list[dict[str, str]]:
    """Return the rows of the curves for a terminal."""
    return [
        {
            "missing": f"{row['missing']:g}",
            "method": str(row["method"]),
            "SER": f"{100 * row['ser']:.1f}",
            "over base": ""
            if math.isnan(row["over_base"])
            else f"{100 * row['over_base']:+.1f} ({_span(row)})",
            "shown": "yes" if row["shown"] else "",
        }
        for row in rows
    ]


def _span(row: Mapping[str, Any]) -> str:
    if math.isnan(row["lo"]):
        return "no interval"
    return f"{100 * row['lo']:+.1f} to {100 * row['hi']:+.1f}"

"""How figures of a decision are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def per_cent(share: float) -> str:
    """Return a share in per cent with one decimal."""
    return "n/a" if math.isnan(share) else f"{100 * share:.1f} %"


def points(share: float, *, signed: bool = False) -> str:
    """Return a difference of shares in points; two decimals where it is less than one point."""
    size = 100 * share
    return f"{size:{'+' if signed else ''}.{1 if abs(size) >= 1 else 2}f} points"


def quality(row: Mapping[str, Any], right: bool) -> str:
    """Return the accuracy of a choice with its interval."""
    share = per_cent(row["accuracy"])
    return f"{share} of answers right ({span(row)})" if right else f"a mean score of {share} ({span(row)})"


def span(row: Mapping[str, Any], to: str = " to ") -> str:
    """Return the interval of a choice's accuracy in per cent, or that there is none."""
    if math.isnan(row["accuracy_lo"]):
        return "no interval"
    return f"{100 * row['accuracy_lo']:.1f}{to}{100 * row['accuracy_hi']:.1f}"


def queries(record: Mapping[str, Any]) -> str:
    """Return on how many queries a decision stands: near copies are one, and seeds may each have drawn some only."""
    text = f"{record['clusters']:,} queries"
    if record["rounds"] < record["queries"]:
        return f"{text} ({record['rounds']:,} rounds in each seed)"
    if record["clusters"] < record["queries"]:
        return f"{text} ({record['queries']:,} with near copies)"
    return text

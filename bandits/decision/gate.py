"""What `--require` asked for, the bound that it is held against, and whether it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bandits.money import Money


def passed(record: Mapping[str, Any]) -> list[str]:
    """Return the recommended choices that keep all that was required."""
    named = dict.fromkeys(piece["choice"] for piece in record["by_worth"])
    return [name for name in named if all(one["kept"][name] for one in record["gate"])]


def sentences(record: Mapping[str, Any], money: Money) -> list[str]:
    """Return a sentence for each limit and recommended choice, and whether the gate is passed; none without limits."""
    told = []
    for one in record["gate"]:
        for name, bound in one["bound"].items():
            word = "kept" if one["kept"][name] else "missed"
            end = "lower" if ">=" in one["limit"] else "upper"
            told.append(
                f"Required {one['limit']}: {word}, {end} bound {_shown(one['limit'], bound, money)} ({name})."
            )
    if record["gate"]:
        kept = passed(record)
        told.append(f"Gate: {'passed by ' + ', '.join(kept) if kept else 'not passed'}.")
    return told


def _shown(limit: str, bound: float, money: Money) -> str:
    """Return a bound in its unit: costs are a query, latencies in seconds, accuracies shares."""
    if limit.startswith("cost"):
        return f"{money.shown(bound)} a query"
    return f"{bound:.4g} s" if limit.startswith("latency") else f"{bound:.4g}"

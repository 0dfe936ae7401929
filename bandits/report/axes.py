"""Axes in plain money: where the ticks of a cost axis stand, and what is written at them."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from bandits.money import Money, plain

WIDE = 12.0  # from this ratio of the dearest to the cheapest on, a cost axis is logarithmic
_FEW = 1e3  # ratio up to which 2 and 5 of each decade have a tick too
PER = 1000  # queries that a cost is told for


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten between two costs, or powers alone where those are many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low <= _FEW else (1,)
    found = [float(f"{m}e{d}") for d in decades for m in steps]
    return [tick for tick in found if low <= tick <= high]


def even_ticks(low: float, high: float) -> list[float]:
    """Return four to eight round numbers between two ends, at equal steps."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(step * k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= 6)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def cost(values: Sequence[float], money: Money) -> dict[str, Any]:
    """Return the x axis of costs of 1,000 queries: its title, its currency's sign, and ticks where it is logarithmic.

    Args:
        values: costs of `PER` queries, in the currency.
        money: of the table.
    """
    known = [v for v in values if not math.isnan(v)]
    axis: dict[str, Any] = {"x": html.escape(f"cost, {money.per_1000}"), "prefix": sign(money)}
    low, high = min(known), max(known)
    if low > 0 and high / low >= WIDE:
        ticks = log_ticks(low / 1.3, high * 1.3)
        # Where there is no room for all, those of powers of ten stay.
        axis["ticks"] = [[tick, sign(money) + short(tick), _whole(tick)] for tick in ticks]
    return axis


def sign(money: Money) -> str:
    """Return what stands before an amount: "$", or nothing."""
    return "$" if money.currency == "USD" else ""


def short(tick: float) -> str:
    """Return a round amount as money has it: 0.005, 0.10, 20."""
    text = plain(tick)
    if "." not in text or "e" in text:
        return text
    text = text.rstrip("0").rstrip(".")
    return f"{text}0" if len(text.partition(".")[2]) == 1 else text


def _whole(tick: float) -> bool:
    return abs(math.log10(tick) - round(math.log10(tick))) < 1e-9

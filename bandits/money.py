"""Money for people: what a table's unit of cost stands for, and an amount in few digits."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

UNNAMED = "units"  # what a cost is counted in where the table names nothing


class Money(NamedTuple):
    """A unit of cost taken apart.

    Attributes:
        currency: for example USD; `UNNAMED` where the table names none.
        factor: how much of the currency one unit of the table's cost is, 1e-3 for "1e-3 USD/query".
    """

    currency: str
    factor: float

    @property
    def per_1000(self) -> str:
        """What a cost of a thousand queries is called."""
        return f"{self.currency} per 1,000 queries"

    def shown(self, amount: float) -> str:
        """Return an amount of the currency (not of the table's unit) in about three digits: $0.0288, 1,230 EUR."""
        if math.isnan(amount):
            return "n/a"
        text = plain(abs(amount))
        sign = "-" if amount < 0 else ""
        return f"{sign}${text}" if self.currency == "USD" else f"{sign}{text} {self.currency}"


def plain(size: float) -> str:
    """Return an amount >= 0 in about three digits, without a currency: 0.0288, 4.80, 1,230; "n/a" for NaN."""
    if math.isnan(size):
        return "n/a"
    if size >= 100:
        return f"{size:,.0f}"
    if size >= 1:
        return f"{size:,.2f}"
    if size == 0:
        return "0"
    size = float(f"{size:.3g}")  # 0.9999999 is 1.00
    if size >= 1:
        return plain(size)
    digits = min(2 - math.floor(math.log10(size)), 300)
    return f"{size:.{digits}f}".rstrip("0") if digits <= 8 else f"{size:.2e}"


def money(unit: str) -> Money:
    """Return what a unit of cost such as "USD/query" or "1e-3 USD/query" stands for."""
    found = re.fullmatch(r"\s*(?:([0-9][0-9.eE+-]*)\s+)?(.*?)\s*(?:/\s*query)?\s*", unit)
    try:
        factor = float(found[1]) if found and found[1] else 1.0
    except ValueError:
        return Money(unit.strip() or UNNAMED, 1.0)
    return Money((found[2] if found else "") or UNNAMED, factor)

"""Money for people: what a table's unit of cost stands for, and an amount in few digits."""

from __future__ import annotations

import math
import re
from typing import NamedTuple


class Money(NamedTuple):
    """A unit of cost taken apart.

    Attributes:
        currency: for example USD; "units" where the table names none.
        factor: how much of the currency one unit of the table's cost is, 1e-3 for "1e-3 USD/query".
    """

    currency: str
    factor: float

    def shown(self, amount: float) -> str:
        """Return an amount of the currency (not of the table's unit), three significant digits: $0.0288, 1,230 EUR."""
        if amount is None or math.isnan(amount):
            return "n/a"
        sign, size = "-" if amount < 0 else "", abs(amount)
        if size >= 100:
            text = f"{size:,.0f}"
        elif size >= 1:
            text = f"{size:,.2f}"
        elif size == 0:
            text = "0"
        else:
            digits = min(2 - math.floor(math.log10(size)), 300)
            text = f"{size:.{digits}f}" if digits <= 8 else f"{size:.2e}"
        return f"{sign}${text}" if self.currency == "USD" else f"{sign}{text} {self.currency}"


def money(unit: str) -> Money:
    """Return what a unit of cost such as "USD/query" or "1e-3 USD/query" stands for."""
    found = re.fullmatch(r"\s*(?:([0-9][0-9.eE+-]*)\s+)?(.*?)\s*(?:/\s*query)?\s*", unit)
    try:
        factor = float(found[1]) if found and found[1] else 1.0
    except ValueError:
        return Money(unit.strip() or "units", 1.0)
    return Money((found[2] if found else "") or "units", factor)

"""How figures of a decision are written."""

from __future__ import annotations

import math


def per_cent(share: float) -> str:
    """Return a share in per cent with one decimal."""
    return "n/a" if math.isnan(share) else f"{100 * share:.1f} %"


def points(share: float, *, signed: bool = False) -> str:
    """Return a difference of shares in points; two decimals where it is less than one point."""
    size = 100 * share
    return f"{size:{'+' if signed else ''}.{1 if abs(size) >= 1 else 2}f} points"

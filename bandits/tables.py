"""Rows as text: an aligned table, CSV or JSON, the same for every command."""

from __future__ import annotations

import json
from typing import Any

FORMATS = ("table", "csv", "json")
# The columns of a summary that fit a terminal; the files hold them all.
SHORT = (
    "policy", "kind", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean",
    "regret_oracle", "regret_lo", "regret_hi", "regret_best_fixed", "exponent",
)  # fmt: skip


def render(rows: Any, form: str) -> str:
    """Return rows (a DataFrame or a list of dicts) in one of `FORMATS`, without a newline at the end."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    if form == "json":
        return json.dumps(plain(frame.to_dict("records")), indent=2)
    if form == "csv":
        return str(frame.to_csv(index=False)).rstrip("\n")
    return str(frame.to_string(index=False, float_format=number, na_rep="-"))


def plain(value: Any) -> Any:
    """Return JSON's own types: NumPy numbers unwrapped, numbers that JSON has no word for as null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def number(value: Any) -> str:
    """Return a float with five significant digits, anything else as it is."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)

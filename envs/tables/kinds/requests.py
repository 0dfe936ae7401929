"""A gateway's request log (LiteLLM, Langfuse, Helicone, OpenRouter): a model, its use and no table's outcome column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import aliases
from envs.tables.aliases import field_column
from envs.tables.how import How
from envs.tables.log import PROPENSITY, TIMESTAMP, Log, log_of
from envs.tables.sheet import Sheet

NAME, NEEDS = (
    "a request log",
    "model with propensity, or with cost, tokens or latency, and a time; a row a request",
)
_ACTION = ("action",)


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a row is a request: its model and use, or an action with its probability, no outcome by model."""
    chosen = aliases.pick(columns, PROPENSITY)
    if aliases.pick(columns, _ACTION) and chosen and not aliases.pick(columns, aliases.MODEL):
        return True
    if not aliases.pick(columns, aliases.MODEL) or aliases.pick(columns, aliases.LONG_UTILITY):
        return False
    used = any(field_column(columns, f) for f in ("cost", "latency", "tokens", "input_tokens"))
    return bool(chosen) or (used and bool(aliases.pick(columns, (*TIMESTAMP, *aliases.ID))))


def read(sheet: Sheet, how: How) -> Log:
    """Return the log."""
    return log_of(sheet, how)

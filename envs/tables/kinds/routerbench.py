"""RouterBench: a column `X` for each model, beside it `X|total_cost` (USD) and `X|model_response`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers, wide
from envs.tables.how import How
from envs.tables.sheet import Sheet

NAME, NEEDS = "RouterBench", "X and X|total_cost for each model X"
_MARKS = ("|total_cost", "|model_response")


def _models(columns: Sequence[str]) -> list[str]:
    present = set(columns)
    return [n for n in columns if any(n + mark in present for mark in _MARKS)]


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two or more columns have companions after a bar."""
    return len(_models(columns)) >= 2


def read(sheet: Sheet, how: How) -> Answers:
    """Return the scores of the columns that have companions, and their costs."""
    cells = {}
    for model in _models(sheet.names):
        cost = field_column(sheet.names, "cost", f"{model}|")
        cells[model] = {"utility": Column(model)}
        if cost:
            cells[model]["cost"] = cost._replace(unit=cost.unit or "USD/query")
    return wide(sheet, cells, how)

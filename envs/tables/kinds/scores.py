"""One object of scores by model, as RouterDC has it: `scores: {model: 0.5, ...}`; `costs` likewise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables.aliases import Column
from envs.tables.answers import Answers, wide
from envs.tables.how import How
from envs.tables.sheet import Sheet

NAME, NEEDS = "scores by model (RouterDC)", "scores: {model: score, ...}"
_STEM = "scores."


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two or more models have a number under `scores`."""
    numbers = [n for n in columns if n.startswith(_STEM)]
    return (
        len(numbers) >= 2
        and all(
            isinstance(value, (int, float, type(None))) for row in sample for value in _scores(row).values()
        )
        and "model" not in columns
    )


def _scores(row: Mapping[str, Any]) -> Mapping[str, Any]:
    held = row.get("scores")
    return held if isinstance(held, dict) else {}


def read(sheet: Sheet, how: How) -> Answers:
    """Return the scores, and the costs where there are such."""
    cells = {n.removeprefix(_STEM): {"utility": Column(n)} for n in sheet.names if n.startswith(_STEM)}
    for model, cell in cells.items():
        for name in (f"costs.{model}", f"cost.{model}"):
            if name in sheet.names:
                cell["cost"] = Column(name)
    return wide(sheet, cells, how)

"""ParetoBandit's JSON lines: `arms: {model: {reward, cost}}`, cost in USD a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import aliases
from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers, wide
from envs.tables.how import How
from envs.tables.sheet import Sheet

NAME, NEEDS = "JSON lines with arms", "arms: {model: {reward, cost}}"
STEM = "arms."


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether models nest under `arms`."""
    return any(name == "arms" or name.startswith(STEM) for name in columns)


def read(sheet: Sheet, how: How) -> Answers:
    """Return the rewards and costs of each arm."""
    for number, record in enumerate(sheet.records or (), 1):
        nested = record.get("arms", {})
        if not (
            isinstance(nested, dict) and nested and all(isinstance(cell, dict) for cell in nested.values())
        ):
            raise ValueError(
                f"{sheet.path}: line {number} needs 'arms' as {{model: {{reward, cost}}}}, found otherwise"
            )
    cells = nested_cells([n for n in sheet.names if n.startswith(STEM)], STEM, aliases.LONG_UTILITY)
    for cell in cells.values():
        if "cost" in cell and not cell["cost"].unit:
            cell["cost"] = cell["cost"]._replace(unit="USD/query")
    return wide(sheet, cells, how)


def nested_cells(names: Sequence[str], stem: str, utility: Sequence[str]) -> dict[str, dict[str, Column]]:
    """Return the columns of each model that is a structure, `<stem><model>.<field>`, where it has a utility."""
    inside: dict[str, list[str]] = {}
    for name in names:
        model, _, key = name.removeprefix(stem).rpartition(".")
        inside.setdefault(model, []).append(key)
    cells: dict[str, dict[str, Column]] = {}
    for model, keys in inside.items():
        scored = aliases.pick(keys, utility)
        if not (model and scored):
            continue
        joint = f"{stem}{model}."
        fields = {f: field_column([joint + k for k in keys], f, joint) for f in aliases.FIELDS}
        cells[model] = {"utility": Column(joint + scored)} | {f: c for f, c in fields.items() if c}
    return cells

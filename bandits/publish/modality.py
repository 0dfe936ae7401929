"""The folder of a diagnosis of modality bias: the page and both tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bandits import rows as tables
from bandits.report import modality

FILES = ("modality.html", "modality.csv", "blind.csv")


def publish(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    blind: Sequence[Mapping[str, Any]],
    known: Mapping[str, Any],
) -> Path:
    """Write the page and the tables that have rows, each file whole or not at all; return the page's path.

    Args:
        folder: made where it is lacking; other files stay.
        rows, blind, known: as `bandits.report.modality.render` takes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables.write(str(folder / FILES[0]), modality.render(rows, blind, known).rstrip("\n"))
    for name, told in zip(FILES[1:], (rows, blind), strict=True):
        if told:
            tables.write(str(folder / name), tables.render([dict(row) for row in told], "csv"))
    return folder / FILES[0]

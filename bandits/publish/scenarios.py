"""The folder of policies in changing worlds: the page and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bandits import rows as tables
from bandits.report import scenarios

FILES = ("scenarios.html", "scenarios.csv")


def publish(folder: Path, rows: Sequence[Mapping[str, Any]], known: Mapping[str, Any]) -> Path:
    """Write `FILES` into a folder, each whole or not at all, and return the page's path; other files stay.

    Args:
        folder: made where it is lacking.
        rows: of `bandits.sweeps.scenarios.compare`.
        known: as `bandits.report.scenarios.render` takes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = (scenarios.render(rows, known), tables.render([dict(row) for row in rows], "csv"))
    for name, text in zip(FILES, texts, strict=True):
        tables.write(str(folder / name), text.rstrip("\n"))
    return folder / FILES[0]

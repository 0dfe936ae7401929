"""Excel sheets through python-calamine: the first sheet that has rows, cells as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from envs.tables.sheet import SAMPLE, Sheet, one_line, unique


def sheet(path: Path) -> Sheet:
    """Return the sheet of an Excel file.

    Raises:
        ValueError: python-calamine is not installed, no readable Excel file, or none of its sheets has rows.
    """
    try:
        import python_calamine
    except ImportError:
        raise ValueError(f"{path}: Excel needs python-calamine: pip install 'routebandit[excel]'") from None
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        pages = [(name, book.get_sheet_by_name(name).to_python()) for name in book.sheet_names]
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except (
        BaseException
    ) as error:  # what is written in Rust panics with an exception of its own on damaged files
        raise ValueError(f"{path}: not a readable Excel file ({one_line(error)})") from None
    filled = [(name, rows) for name, rows in pages if len(rows) > 1]
    if not filled:
        raise ValueError(f"{path}: needs a sheet with a header and rows, found none")
    title, (header, *rows) = filled[0]
    names = [_text(cell) for cell in header]
    unique(path, names)
    texts = [[_text(cell) for cell in row] for row in rows]
    more = f"read the sheet {title!r}; {len(filled) - 1} more have rows"

    def columns(wanted: Sequence[str], numbers: Sequence[str]) -> Any:
        import pyarrow as pa

        place = {name: i for i, name in enumerate(names)}
        return pa.table({n: pa.array([row[place[n]] for row in texts], pa.string()) for n in wanted})

    first = tuple(dict(zip(names, row, strict=False)) for row in texts[:SAMPLE])
    return Sheet(path, tuple(names), first, columns, notes=(more,) if len(filled) > 1 else ())


def _text(cell: Any) -> str:
    """Return a cell as it would stand in a CSV: Excel keeps whole numbers as fractions."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15 else str(cell)

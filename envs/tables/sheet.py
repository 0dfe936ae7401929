"""One file's rows before anything is made of them: the names of its columns, its first rows, columns on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAMPLE = 64  # rows that recognition looks at
_LONGEST = 60  # characters of a name or a cell that a message repeats

# Columns by name, and those of them that hold numbers, to a `pyarrow.Table`.
Columns = Callable[[Sequence[str], Sequence[str]], Any]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A file that has been opened.

    Attributes:
        path: the file.
        names: its columns in file order; what is nested has its path as name, `usage.input_tokens`. What a JSON
            document says once for all of its records begins with `file.`.
        sample: the first `SAMPLE` rows by column name, cells as the file has them.
        columns: reads columns.
        records: of JSON, every record as it stands; of other files None.
        said: what our own Parquet files say beside their columns, "" elsewhere.
        notes: what was assumed while opening.
    """

    path: Path
    names: tuple[str, ...]
    sample: tuple[Mapping[str, Any], ...]
    columns: Columns
    records: Sequence[Mapping[str, Any]] | None = None
    said: str = ""
    notes: tuple[str, ...] = field(default=())

    def table(self, names: Sequence[str], numbers: Sequence[str] = ()) -> Any:
        """Return a `pyarrow.Table` of these columns, those among `numbers` as numbers where all cells are.

        Raises:
            ValueError: one line that names the file, and the line where there is one.
        """
        table = self.columns(list(dict.fromkeys(names)), numbers)
        if table.num_rows == 0:
            raise ValueError(f"{self.path}: needs at least one row of data, found none")
        return table


def unique(path: Path, names: Sequence[str]) -> None:
    """Refuse a header that names a column twice: which of the two is meant cannot be known."""
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise ValueError(f"{path}: column {cut(name)!r} appears twice; column names must be unique")
        seen.add(name)


def cut(text: str) -> str:
    """Return a name or a cell short enough for a message, on one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def shown(names: Sequence[str]) -> str:
    """Return the first column names of a file on one line, for a message."""
    return ", ".join(map(cut, names[:12])) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def one_line(error: BaseException) -> str:
    """Return what another library says of a fault, on one line of bounded length."""
    return " ".join(str(error).encode("utf-8", "replace").decode().split())[:300] or type(error).__name__

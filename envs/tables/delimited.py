"""CSV and TSV files as Arrow columns; numbers are parsed by Arrow itself, with the line of the first fault."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from envs.tables.columns import MISSING, TRUTH
from envs.tables.sheet import SAMPLE, Sheet, one_line, unique

_BLOCK = 1 << 24  # bytes Arrow parses at a time at most; one row must fit
_QUICK = 1 << 22  # at first: blocks that stay in a core's cache, and enough of them for all cores
_PLAIN = 1 << 20  # where no row has to be looked through for its end
_NULLS = sorted(
    {form for word in MISSING for form in (word, word.upper(), word.title(), word.capitalize())} | {"NaN"}
)
_WORDS = {
    value: sorted(
        {form for w, v in TRUTH.items() if v == value for form in (w, w.upper(), w.title(), v, f"{v}.0")}
    )
    for value in "01"
}


def sheet(path: Path, data: bytes | None, mark: str) -> Sheet:
    """Return the sheet of a delimited file: at `path`, or its unpacked `data`; `mark` stands between columns.

    Raises:
        ValueError: one line that names the file: empty, a blank or damaged header, other marks between columns.
    """
    first: list[dict[str, str]] = []
    with _text(path, data) as source:
        rows = csv.reader(source, delimiter=mark)
        try:
            names = next(rows, None)
        except csv.Error as error:
            raise ValueError(f"{path}: line 1 cannot be parsed ({error})") from error
        try:
            for row in itertools.islice(rows, SAMPLE if names else 0):
                if names and len(row) == len(names):
                    first.append(dict(zip(names, row, strict=True)))
        except csv.Error:
            pass  # Arrow finds the line
    if names is None:
        raise ValueError(f"{path}: needs a table, the file is empty")
    if not any(name.strip() for name in names):
        raise ValueError(f"{path}: line 1 needs the names of the columns, found a blank line")
    if any(map(_undecoded, names)):
        raise ValueError(f"{path}: line 1 is not UTF-8 text")
    called = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
    for other in called:
        if len(names) == 1 and other != mark and other in names[0]:
            raise ValueError(f"{path}: needs {called[mark]} between its columns, found {called[other]}")
    unique(path, names)

    def columns(wanted: Sequence[str], numbers: Sequence[str]) -> Any:
        return _table(path, data, mark, len(names), wanted, _types(first, wanted, numbers))

    return Sheet(path, tuple(names), tuple(first), columns)


def _types(first: Sequence[dict[str, str]], wanted: Sequence[str], numbers: Sequence[str]) -> dict[str, Any]:
    """Return the Arrow type that each column is parsed as; a column of `True` and `False` as its first rows tell."""
    import pyarrow as pa

    types = dict.fromkeys(wanted, pa.string())
    for name in set(numbers) & set(wanted):
        said = any(row[name].strip().lower() in TRUTH for row in first)
        types[name] = pa.bool_() if said else pa.float64()
    return types


def _table(path: Path, data: bytes | None, mark: str, width: int, wanted: Sequence[str], types: Any) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    plain = dict.fromkeys(wanted, pa.string())
    ways = [types, plain] if types != plain else [plain]
    first = _QUICK if _quoted(path, data) else _PLAIN
    for block, asked in [(first, ways[0]), *((_BLOCK, way) for way in ways)]:
        try:
            return arrow_csv.read_csv(
                str(path) if data is None else pa.BufferReader(data),
                arrow_csv.ReadOptions(block_size=block),
                arrow_csv.ParseOptions(newlines_in_values=block != _PLAIN, delimiter=mark),
                arrow_csv.ConvertOptions(
                    include_columns=list(wanted), column_types=asked, null_values=_NULLS,
                    true_values=_WORDS["1"], false_values=_WORDS["0"],
                ),
            )  # fmt: skip
        except (pa.ArrowException, KeyError, UnicodeError, OSError) as error:
            fault = error
            if block == first:
                continue  # a row may be longer, and messages are those of one way of reading
            if asked is types and types is not plain and "conversion error" in str(error):
                continue  # some cell is no plain number: as text, its row can be named
            break
    raise ValueError(f"{path}: {_fault(path, data, mark, width) or one_line(fault)}") from fault


def _quoted(path: Path, data: bytes | None) -> bool:
    """Return whether there is a quote, in which a line may end: if not, Arrow needs not look for one to cut blocks."""
    if data is not None:
        return b'"' in data
    with path.open("rb", buffering=0) as source:
        return any(b'"' in block for block in iter(partial(source.read, 1 << 20), b""))


def _text(path: Path, data: bytes | None) -> io.TextIOWrapper:
    """Return the file as text for Python's own reader, which counts lines; bytes not UTF-8 come as lone surrogates."""
    csv.field_size_limit(_BLOCK)  # VLMEvalKit keeps whole images in cells
    source: Any = io.BytesIO(data) if data is not None else path.open("rb")
    return io.TextIOWrapper(source, "utf-8-sig", errors="surrogateescape", newline="")


def _undecoded(field: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in field)


def _fault(path: Path, data: bytes | None, mark: str, width: int) -> str:
    """Return what is wrong with a file and on which line, or "" if Python's own reader finds nothing."""
    with _text(path, data) as source:
        rows = csv.reader(source, delimiter=mark)
        try:
            for row in rows:
                if row and len(row) != width:
                    return f"line {rows.line_num} needs {width} fields like the header, found {len(row)}"
                if any(map(_undecoded, row)):
                    return f"line {rows.line_num} is not UTF-8 text"
        except csv.Error as error:
            return f"line {rows.line_num} cannot be parsed ({error})"
    return ""

"""Table files as Arrow columns: CSV, JSON lines, Parquet, with one-line errors; nothing is ever unpickled."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet", ".gz")  # as `Path.suffix` gives them
ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")
_BLOCK = 1 << 24  # bytes Arrow parses at a time; one row must fit
_NESTED = "arms"  # the key whose value is {model: {reward, cost}}

Keep = Callable[[Sequence[str]], list[str]]


def ending(path: Path) -> str:
    """Return the recognised ending of a file's name, such as `.csv.gz`, in lower case.

    Raises:
        ValueError: the name ends otherwise.
    """
    found = [e for e in ENDINGS if path.name.lower().endswith(e)]
    if not found:
        raise ValueError(f"{path}: needs a name that ends in {', '.join(ENDINGS)}, got {path.name!r}")
    return found[-1]


def load(path: Path, keep: Keep) -> Any:
    """Return a `pyarrow.Table` of the columns that `keep` picks from the file's column names.

    Columns of a CSV or JSON-lines file are strings or lists of numbers; `envs.tables.columns` converts them.
    The `arms` of a nested JSON line become columns named `arms.<model>.<key>`.

    Raises:
        ValueError: one line that names the file, and the line where there is one.
    """
    kind = ending(path)
    if path.is_dir():
        raise ValueError(f"{path}: needs a file, got a directory")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if kind == ".parquet":
        table = _parquet(path, keep)
    else:
        data = _bytes(path, kind)
        table = _csv(path, data, keep) if kind.startswith(".csv") else _json_lines(path, data, keep)
    if table.num_rows == 0:
        raise ValueError(f"{path}: needs at least one row of data, found none")
    return table


def _bytes(path: Path, kind: str) -> bytes:
    """Return the file's bytes, decompressed."""
    try:
        data = path.read_bytes()
        if kind.endswith(".gz") and data:
            data = gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error})") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    if not data.strip():
        raise ValueError(f"{path}: needs a table, the file is empty")
    return data


def _unique(path: Path, names: Sequence[str]) -> None:
    """Refuse a header that names a column twice: which of the two is meant cannot be known."""
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise ValueError(f"{path}: column {name!r} appears twice; column names must be unique")
        seen.add(name)


def _csv(path: Path, data: bytes, keep: Keep) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        names = next(_rows(data))
    except csv.Error as error:
        raise ValueError(f"{path}: line 1 cannot be parsed ({error})") from error
    if any(map(_undecoded, names)):
        raise ValueError(f"{path}: line 1 is not UTF-8 text")
    _unique(path, names)
    kept = keep(names)
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(block_size=_BLOCK),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(include_columns=kept, column_types=dict.fromkeys(kept, pa.string())),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: {_csv_fault(data, len(names)) or _one_line(error)}") from error


def _rows(data: bytes) -> Any:
    """Return Python's own CSV reader, which counts lines; bytes that are not UTF-8 come as lone surrogates."""
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="surrogateescape", newline=""))


def _undecoded(field: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in field)


def _csv_fault(data: bytes, width: int) -> str:
    """Return what is wrong with a CSV file and on which line, or "" if Python's own reader finds nothing."""
    rows = _rows(data)
    try:
        for row in rows:
            if row and len(row) != width:
                return f"line {rows.line_num} needs {width} fields like the header, found {len(row)}"
            if any(map(_undecoded, row)):
                return f"line {rows.line_num} is not UTF-8 text"
    except csv.Error as error:
        return f"line {rows.line_num} cannot be parsed ({error})"
    return ""


def _parquet(path: Path, keep: Keep) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            _unique(path, names)
            return file.read(columns=keep(names))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({_one_line(error)})") from error


def _json_lines(path: Path, data: bytes, keep: Keep) -> Any:
    """Return the columns of a JSON-lines file, one row a line that is not blank."""
    import pyarrow as pa

    records = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            records.append(_record(path, number, line))
    names = list(dict.fromkeys(key for record in records for key in record))
    columns = {}
    for name in keep(names):
        values = [record.get(name) for record in records]
        try:
            if any(isinstance(v, list) for v in values):
                columns[name] = pa.array(values, pa.list_(pa.float64()))
            else:
                columns[name] = pa.array([None if v is None else str(v) for v in values], pa.string())
        except (pa.ArrowException, TypeError) as error:
            raise ValueError(
                f"{path}: {name!r} needs a list of numbers on every line ({_one_line(error)})"
            ) from error
    return pa.table(columns)


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Return one JSON line as a flat mapping; a key that comes twice is refused."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _unique(path, [key for key, _ in pairs])
        return dict(pairs)

    try:
        record = json.loads(line, object_pairs_hook=once)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: line {number} is not JSON ({_one_line(error)})") from error
    except ValueError as error:
        raise ValueError(f"{error}, line {number}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path}: line {number} needs a JSON object, found {type(record).__name__}")
    arms = record.pop(_NESTED, None)
    if arms is None:
        return record
    if not (isinstance(arms, dict) and all(isinstance(cell, dict) for cell in arms.values())):
        raise ValueError(
            f"{path}: line {number} needs {_NESTED!r} as {{model: {{reward, cost}}}}, found otherwise"
        )
    flat = {f"{_NESTED}.{model}.{key}": value for model, cell in arms.items() for key, value in cell.items()}
    return {**record, **flat}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())

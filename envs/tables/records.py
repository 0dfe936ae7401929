"""JSON lines, JSON arrays and documents with a list of records, as columns; nested keys are joined by dots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from envs.tables.sheet import SAMPLE, Sheet, one_line, unique

_LISTS = (
    "records",
    "results",
    "data",
    "instances",
    "rows",
    "observations",
    "requests",
)  # where documents keep records
_DEEPEST = 6  # levels that become columns
HEAD = "file."  # begins the names of what a document says once


def sheet(path: Path, data: bytes, *, lines: bool) -> Sheet:
    """Return the sheet of JSON: an object a line, or a document that is a list or holds one.

    Raises:
        ValueError: one line that names the file, and the line where there is one.
    """
    if lines:
        parsed = [
            (n, _parsed(path, line, f"line {n} "))
            for n, line in enumerate(data.split(b"\n"), 1)
            if line.strip()
        ]
        head: dict[str, Any] = {}
        found = [_object(path, f"line {n}", record) for n, record in parsed]
    else:
        whole = _parsed(path, data, "")
        head, held = _document(whole)
        if held is None:
            raise ValueError(f"{path}: needs a JSON list of objects, or one under {', '.join(_LISTS)}")
        found = [_object(path, f"record {n}", record) for n, record in enumerate(held, 1)]
    said = {f"{HEAD}{k}": v for k, v in head.items() if not isinstance(v, (dict, list))}
    flat = [dict(_flat(record)) | said for record in found]
    names = tuple(dict.fromkeys(name for row in flat for name in row))

    def columns(wanted: Sequence[str], numbers: Sequence[str]) -> Any:
        import pyarrow as pa

        return pa.table({n: _column(path, n, [row.get(n) for row in flat], n in numbers) for n in wanted})

    return Sheet(path, names, tuple(found[:SAMPLE]), columns, records=found)


def _parsed(path: Path, text: bytes, where: str) -> Any:
    """Return parsed JSON; a key that comes twice is refused."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        unique(path, [key for key, _ in pairs])
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: {where or 'it '}is not JSON ({one_line(error)})") from error
    except ValueError as error:
        said = str(error)
        told = said if said.startswith(str(path)) else f"{path}: it cannot be read ({one_line(error)})"
        raise ValueError(f"{told}{', ' + where.strip() if where else ''}") from error


def _document(whole: Any) -> tuple[dict[str, Any], list[Any] | None]:
    """Return what a document says once, and its records; None where it has none."""
    if isinstance(whole, list):
        return {}, whole
    head: dict[str, Any] = {}
    while isinstance(whole, dict):
        key = next((k for k in _LISTS if isinstance(whole.get(k), (list, dict))), None)
        head |= {k: v for k, v in whole.items() if k != key}
        whole = whole[key] if key else None
    return head, whole if isinstance(whole, list) else None


def _object(path: Path, where: str, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(f"{path}: {where} needs a JSON object, found {type(record).__name__}")
    return record


def _flat(record: Mapping[str, Any], stem: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from _flat(value, f"{stem}{key}.", depth + 1)
        else:
            yield f"{stem}{key}", value


def _column(path: Path, name: str, values: list[Any], number: bool) -> Any:
    """Return a column: lists where a cell is one, numbers where they are asked for and all are, else text."""
    import pyarrow as pa

    try:
        lists = [v for v in values if isinstance(v, list)]
        if lists:
            worded = any(isinstance(item, str) for v in lists for item in v)
            return pa.array(values, pa.list_(pa.string() if worded else pa.float64()))
        if number and all(v is None or isinstance(v, (int, float)) for v in values):
            return pa.array([None if v is None else float(v) for v in values], pa.float64())
        return pa.array(
            [None if v is None else v if isinstance(v, str) else str(v) for v in values], pa.string()
        )
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(
            f"{path}: {name!r} needs a list of numbers on every line ({one_line(error)})"
        ) from error
    except (UnicodeError, OverflowError) as error:
        raise ValueError(f"{path}: {name!r} cannot be read ({one_line(error)})") from error

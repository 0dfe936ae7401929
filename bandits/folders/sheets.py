"""The tables of a run's folder: as files, and read again, their columns and types checked.

All are CSV but `by_query`, three numbers for each query and player: as Parquet it keeps every digit in a third of the
room (40,000 queries and 58 players: 34 MB, 103 MB as CSV) and is written in a fiftieth of the time. It has no more rows
than the table has queries, whatever the seeds and rounds, and a streamed run bounds them (`results.cells`).
"""

from __future__ import annotations

import io
from csv import writer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

TURNS = ("calls", "abstain", "risk_coverage")  # about several calls a query
_TEXT = ("policy", "family", "kind", "dataset", "quantity", "stream", "preference", "budget", "name", "chain")
# What every reader needs: names of text columns and of numbers. More columns may be there.
_NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "summary": (
        ("policy", "kind"),
        ("seeds", "rounds", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean", "cost_total",
         "regret_oracle", "lag", "lag_lo", "lag_hi"),
    ),
    "curves": (("policy", "quantity"), ("round", "mean", "lo", "hi")),
    "by_dataset": (("policy", "dataset"), ("seed",)),
    "changes": (("policy",), ()),
    "calls": (("policy", "kind"), ("calls", "accuracy", "reward", "paid")),
    "abstain": (("policy",), ("threshold", "coverage", "risk", "selective_risk", "aurc", "aurc_best")),
    "risk_coverage": (("policy",), ("coverage", "risk", "score")),
    "by_query": (("dataset",), ("row", "cluster", "rounds")),
}  # fmt: skip
_FULL = {
    "summary": ("seeds", "rounds", "reward_mean"),
    "curves": ("round",),
    "by_dataset": ("seed",),
    "by_query": ("cluster", "rounds"),
}
_LARGEST = 1e15  # no quantity of a run comes near it; beyond, sums overflow and axes have no ticks
_ENDLESS = "recovery"  # rounds, inf where it never came
_LONGEST = 300  # characters of a name
_PACKED = ("by_query",)


def file(name: str) -> str:
    """Return the name of a table's file."""
    return f"{name}.parquet" if name in _PACKED else f"{name}.csv"


def written(name: str, frame: pd.DataFrame) -> bytes:
    """Return the file of a table."""
    if name not in _PACKED:
        return csv(frame).encode()
    import pyarrow as pa
    from pyarrow import parquet

    table, sink = pa.Table.from_pandas(frame, preserve_index=False), pa.BufferOutputStream()
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    parquet.write_table(
        table,
        sink,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=["dataset"],
        use_byte_stream_split=floats,
    )
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def csv(frame: pd.DataFrame) -> str:
    """Return what `frame.to_csv(index=False)` writes, in a fraction of its time where a table is long.

    A name is quoted once for all rows in which it stands, and numbers are not made objects of NumPy's.
    """
    head = ",".join(_quoted(str(name)) for name in frame.columns)
    cells = [_cells(frame[name]) for name in frame.columns]
    return "\n".join([head, *map(",".join, zip(*cells, strict=True)), ""])


def _cells(column: pd.Series[Any]) -> list[str]:
    """Return the cells of a column as text."""
    kind = column.dtype.kind
    if kind == "f":
        values = column.to_numpy()
        whole = values.tolist() if values.itemsize == 8 else list(values)  # the digits of its own precision
        return ["" if x != x else str(x) for x in whole]
    if kind in "iub":
        return list(map(str, column.tolist()))
    code, names = column.factorize(use_na_sentinel=True)
    known = [*(_quoted(str(name)) for name in names), ""]  # -1 is an empty cell
    return [known[i] for i in code.tolist()]


def _quoted(text: str) -> str:
    """Return a cell as the module csv writes it: in quotes where it has to be."""
    line = io.StringIO()
    writer(line, lineterminator="\n").writerow([text, ""])
    return line.getvalue()[:-2]


def read(place: Path, name: str) -> pd.DataFrame:
    """Return the table `name` of a run's folder.

    Raises:
        ValueError: it lacks a column, or holds something else under its name; one line.
    """
    path, shown = place / file(name), str(place)[:_LONGEST]
    try:
        frame = _parquet(path) if name in _PACKED else _csv(path)
    except FileNotFoundError as error:
        raise ValueError(
            f"{shown} needs to be the folder of a finished run; it has no {path.name}"
        ) from error
    except (ValueError, OSError, OverflowError, MemoryError) as error:
        why = " ".join(str(error).split())[:_LONGEST]
        raise ValueError(f"{shown} needs to be the folder of a finished run: {path.name}: {why}") from error
    if fault := _fault(frame, name):
        raise ValueError(f"{shown} needs to be the folder of a finished run: {path.name}: {fault}")
    return frame


def _csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "low_memory": False}
    return pd.read_csv(path, dtype=dict.fromkeys(_TEXT, str), **options)  # type: ignore[no-any-return]


def _parquet(path: Path) -> pd.DataFrame:
    """Return a Parquet file's table.

    Raises:
        ValueError: it is damaged; FileNotFoundError: there is none.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # A plain table: pandas' own metadata in a foreign file is not followed.
        read = parquet.read_table(path, page_checksum_verification=True).replace_schema_metadata(None)
        return read.to_pandas()  # type: ignore[no-any-return]
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _fault(frame: pd.DataFrame, name: str) -> str:
    """Return what is wrong with a table, or ""."""
    from pandas.api.types import is_numeric_dtype

    texts, numbers = _NEEDED[name]
    if lacking := [column for column in (*texts, *numbers) if column not in frame]:
        return f"has no column {lacking[0]!r}"
    if not len(frame):
        return "has no rows"
    for column in texts:
        if frame[column].isna().any() and column != "dataset":
            return f"column {column!r} has an empty cell in row {int(frame[column].isna().argmax()) + 1}"
        if (frame[column].str.len() > _LONGEST).any():
            return f"column {column!r} has a name of more than {_LONGEST} characters"
    for column in frame.columns:
        if column in texts or column in _TEXT:
            continue
        if not is_numeric_dtype(frame[column]):
            if name != "changes" and not frame[column].isna().all():
                return f"column {column!r} needs numbers, found {str(frame[column].dtype)!r}"
            continue
        values = frame[column].to_numpy(float)
        counted = ~np.isnan(values) & ~(np.isposinf(values) & column.startswith(_ENDLESS))
        if (np.abs(values[counted]) > _LARGEST).any():
            return f"column {column!r} needs numbers up to {_LARGEST:g}"
    for column in _FULL.get(name, ()):
        if frame[column].isna().any():
            return f"column {column!r} has an empty cell in row {int(frame[column].isna().argmax()) + 1}"
    return ""

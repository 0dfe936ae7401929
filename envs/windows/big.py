"""Tables too large to hold: a Parquet file read a window of rows at a time, as the loop needs them.

A `Piece` is such a window with the attributes of a `Stream` that rewards and the loop read. Nothing here grows with
the number of rows. The file format that `make-stream` writes stands in docs/streams.md; any other wide Parquet table
is read by `envs.windows.wide`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "routebandit"  # of the JSON in a Parquet schema that says what no column can
WINDOW = 1 << 16  # rows held at a time, and the span within which an order is shuffled
LIMIT = 1_000_000  # rows from which a Parquet table is streamed unasked
MOST_DATASETS = 256  # beyond, a column of data sets is taken for something else
_LISTS = ("utility", "cost", "context")
_BUFFER = 1 << 20


def slices(rows: int) -> list[slice]:
    """Return the windows of so many rows or rounds that are in memory: what a table on disk is read in."""
    return [slice(first, min(first + WINDOW, rows)) for first in range(0, rows, WINDOW)]


class Cells(NamedTuple):
    """What a layout reads of `n` rows: matrices `(n, K)`, NaN where missing, and the names of data sets and queries."""

    utility: Floats
    cost: Floats | None
    latency: Floats | None
    tokens: Floats | None
    dataset: Any  # a pyarrow array of strings
    # The two are None where the table has no such column, or contexts were not asked for.
    query_id: Any = None  # another one
    alike: NDArray[np.uint64] | None = None  # `(n,)`, shared by near copies, from `envs.windows.alike`


class Layout(Protocol):
    """How columns become arrays."""

    models: tuple[str, ...]

    def columns(self, context: bool) -> list[str]:
        """Return the columns to read, with or without those that contexts are made of."""

    def cells(self, table: pa.Table) -> Cells:
        """Return the outcomes of some rows."""

    def context(self, table: pa.Table) -> Floats:
        """Return the contexts `(n, d)` float32 of some rows, the last column the constant 1."""

    def survey(self, datasets: tuple[str, ...]) -> tuple[int, list[str]]:
        """Take note of all data sets; return by how much contexts are longer for them, and notes."""


@dataclass(frozen=True, eq=False)
class Piece:
    """`n` consecutive rows of a table, with the attributes of a `Stream`; `first` is the row that they begin at.

    `dataset` are the names of the rows' data sets as a pyarrow array, `code` `(n,)` their places in `Big.datasets`;
    `context` is None where it was not asked for.
    """

    first: int
    models: tuple[str, ...]
    utility: Floats
    cost: Floats
    latency: Floats | None
    tokens: Floats | None
    available: NDArray[np.bool_]
    dataset: Any
    code: NDArray[np.int64]
    context: Floats | None
    cost_scale: float
    named: Any = None
    keyed: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self.utility)

    @property
    def query_id(self) -> Any:
        """`(n,)` names of the queries, a pyarrow array of strings; where the table has none, its rows from 1."""
        import pyarrow as pa

        if self.named is not None:
            return self.named
        return pa.array(np.arange(self.first, self.first + len(self)) + 1).cast(pa.string())

    @property
    def alike(self) -> NDArray[np.uint64]:
        """`(n,)` a number for each row, shared by near copies; where the table does not tell, its row."""
        if self.keyed is not None:
            return self.keyed
        return np.arange(self.first, self.first + len(self), dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Big:
    """A table on disk, surveyed once; attributes as in `Stream` and `Outcomes`.

    Attributes:
        path, layout: where it is and how it is read.
        rows: `N`.
        dim: `d`, the constant included.
        datasets: names in alphabetical order; "" where the table names none.
        cost_scale: mean cost of the dearest model, 1 where nothing costs.
        priced: whether the table records costs.
        answered: `(K,)` rows in which each model has an outcome.
    """

    path: Path
    layout: Layout
    rows: int
    dim: int
    datasets: tuple[str, ...] = ("",)
    price: Floats = None  # type: ignore[assignment]
    cost_scale: float = 1.0
    priced: bool = False
    cost_unit: str = ""
    label: str = "recorded answers"
    source: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    answered: NDArray[np.int64] = None  # type: ignore[assignment]
    several: None = None

    def __len__(self) -> int:
        return self.rows

    @property
    def name(self) -> str:
        """The file's name, and that all of it is played: as `envs.stream.load` calls it."""
        return f"{self.path.name}:all"

    @property
    def models(self) -> tuple[str, ...]:
        """The `K` names."""
        return self.layout.models

    @property
    def n_arms(self) -> int:
        """`K`."""
        return len(self.models)

    def pieces(self, window: int = 0, *, context: bool = True) -> Iterator[Piece]:
        """Yield the table from this window on, `WINDOW` rows at a time (the last piece has what is left).

        Raises:
            ValueError: a cell is wrong; the line names the file, the row and the column.
        """
        for first, table in windows(self.path, self.layout.columns(context), window * WINDOW):
            try:
                yield self._piece(first, table, context)
            except ValueError as error:
                where = "" if first == 0 else f" (rows counted from row {first + 1} on)"
                raise ValueError(f"{error}{where}") from error

    def _piece(self, first: int, table: pa.Table, context: bool) -> Piece:
        import pyarrow as pa
        from pyarrow import compute

        cells = self.layout.cells(table)
        utility, cost = cells.utility, cells.cost
        if cost is None:
            cost = np.where(np.isnan(utility), np.nan, 0.0)
        elif np.isnan(cost).any():
            utility = np.where(np.isnan(cost), np.nan, utility)  # as a table in memory: no cost, no outcome
        available = ~np.isnan(utility)
        if not available.any(axis=1).all():
            row = int(np.argmin(available.any(axis=1)))
            raise ValueError(f"{self.path}: row {row + 1} needs an outcome of a model, found none")
        if self.datasets == ("",):
            code = np.zeros(len(utility), np.int64)
        else:
            found = compute.index_in(cells.dataset, value_set=pa.array(self.datasets))
            code = found.to_numpy(zero_copy_only=False).astype(np.int64)
        seen = self.layout.context(table) if context else None
        return Piece(
            first, self.models, utility, cost, cells.latency, cells.tokens, available, cells.dataset, code, seen,
            self.cost_scale, cells.query_id, cells.alike,
        )  # fmt: skip


def windows(path: Path, columns: list[str], first: int, size: int | None = None) -> Iterator[tuple[int, Any]]:
    """Yield the number of the first row and a `pyarrow.Table` of `size` rows (None: `WINDOW`) or what is left, from row
    `first` on."""
    import pyarrow as pa
    from pyarrow import parquet

    size = WINDOW if size is None else size
    try:
        # Pages come through a small buffer: a row group of any size is never held whole.
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            start = int(np.searchsorted(ends, first, side="right"))
            skip = first - (int(ends[start - 1]) if start else 0)
            held: list[Any] = []
            groups = list(range(start, len(sizes)))
            for batch in file.iter_batches(size, row_groups=groups, columns=columns, use_threads=False):
                held.append(batch.slice(min(skip, len(batch))))
                skip -= len(batch) - len(held[-1])
                while sum(map(len, held)) >= size:
                    table = pa.Table.from_batches(held)
                    yield first, table.slice(0, size).combine_chunks()
                    first, held = first + size, table.slice(size).to_batches()
            if sum(map(len, held)):
                yield first, pa.Table.from_batches(held).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({' '.join(str(error).split())})") from error


def header(path: Path) -> tuple[int, list[str], dict[str, Any]]:
    """Return the number of rows, the column names and what the schema says under `KEY` ({} where nothing).

    Raises:
        ValueError: no readable Parquet file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({' '.join(str(error).split())})") from error
    try:
        about = json.loads((schema.metadata or {}).get(KEY.encode(), b"{}"))
    except ValueError as error:
        raise ValueError(f"{path}: needs JSON under {KEY!r} in the Parquet schema") from error
    return rows, list(schema.names), about


def is_ready(names: list[str], about: dict[str, Any]) -> bool:
    """Whether a file with these columns and this header is one that `make-stream` writes: contexts stand in it."""
    return set(_LISTS) <= set(names) and "models" in about


def kind(path: str | Path) -> str:
    """Return what a path is: "ready" (from `make-stream`), "large" (`LIMIT` rows or more), "parquet" or ""."""
    path = Path(path)
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return ""
    rows, names, about = header(path)
    return "ready" if is_ready(names, about) else "large" if rows >= LIMIT else "parquet"


def sha256(path: Path) -> str:
    """Return the digest of the file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

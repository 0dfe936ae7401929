"""Parquet files as Arrow columns; a structure's fields are columns of their own, `model.score`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.tables.about import KEY
from envs.tables.sheet import SAMPLE, Sheet, cut, one_line, unique

if TYPE_CHECKING:
    import pyarrow as pa


def sheet(path: Path) -> Sheet:
    """Return the sheet of a Parquet file.

    Raises:
        ValueError: no readable Parquet file, a column twice.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = tuple(name for part in file.schema_arrow for name in _leaves(part.name, part.type))
            said = (file.schema_arrow.metadata or {}).get(KEY.encode(), b"").decode("utf-8", "replace")
            unique(path, names)
            plain = [n for n in names if _short(file.schema_arrow, n)]
            first = next(file.iter_batches(SAMPLE, columns=plain, use_threads=False), None)
            table = pa.Table.from_batches([first]) if first is not None else pa.table({})
            sample = _flat(table).to_pylist()
    except (pa.ArrowException, OSError, UnicodeError, RecursionError) as error:
        raise _damaged(path, error) from error

    def columns(wanted: Sequence[str], numbers: Sequence[str]) -> Any:
        try:
            with parquet.ParquetFile(path) as file:
                table = _flat(file.read(columns=list(wanted))).select(list(wanted))
        except (pa.ArrowException, OSError, KeyError) as error:
            raise _damaged(path, error) from error
        for part in table.schema:
            if "view" in str(part.type):  # Arrow has few functions for these
                raise ValueError(
                    f"{path}: column {cut(part.name)!r} needs text or numbers, found {part.type}"
                )
        return table

    return Sheet(path, names, tuple(sample), columns, said=said)


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path}: not a readable Parquet file ({one_line(error)})")


def _leaves(name: str, kind: pa.DataType) -> Iterator[str]:
    """Yield the dotted names of what a column holds."""
    from pyarrow import types

    if not types.is_struct(kind):
        yield name
        return
    for i in range(kind.num_fields):
        yield from _leaves(f"{name}.{kind.field(i).name}", kind.field(i).type)


def _short(schema: pa.Schema, name: str) -> bool:
    """Whether a column's first rows are cheap to look at: embeddings and images are not."""
    from pyarrow import types

    index = schema.get_field_index(name)
    return index < 0 or not (
        types.is_nested(schema.field(index).type) or types.is_binary(schema.field(index).type)
    )


def _flat(table: pa.Table) -> Any:
    from pyarrow import types

    while any(types.is_struct(part.type) for part in table.schema):
        table = table.flatten()
    return table

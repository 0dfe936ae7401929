"""Arrow columns to NumPy arrays: numbers with their range, texts, and embeddings, with one-line errors."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats, Texts

_MISSING = ("", "nan", "na", "n/a", "<na>", "none", "null", "-")
_TRUTH = {"true": "1", "yes": "1", "false": "0", "no": "0"}
MODALITIES = ("text", "image")
_NUMBERED = re.compile(r"(text|image)_(\d+)")


def numbers(
    path: Path, table: Any, name: str, *, top: float = math.inf, seen: NDArray[np.bool_] | None = None
) -> Floats:
    """Return a column as `(n,)` float64, NaN where the cell is empty or says so ("nan", "none", "-" ...).

    Args:
        path, table, name: where the column is; `true`, `yes`, `false` and `no` count as 1 and 0.
        top: the largest value allowed; the least is 0, and infinity is never allowed.
        seen: `(n,)` the rows that count; others may hold any number.

    Raises:
        ValueError: text in a numeric column, or a value out of range, with its 1-based data row.
    """
    values = _floats(path, table, name)
    bad = ~np.isnan(values) & ~((values >= 0) & (values <= top) & np.isfinite(values))
    if seen is not None:
        bad &= seen
    if bad.any():
        row = int(bad.argmax())
        needed = "a finite number >= 0" if math.isinf(top) else f"a number in [0, {top:g}]"
        rescale = top == 1 and np.nanmin(values) >= 0 and 1 < np.nanmax(values) <= 100
        hint = "; divide scores in 0..100 by 100 first" if rescale else ""
        raise ValueError(
            f"{path}: row {row + 1}, column {name!r} needs {needed}, found {values[row]:g}{hint}"
        )
    return values


def _floats(path: Path, table: Any, name: str) -> Floats:
    import pyarrow as pa
    from pyarrow import compute

    column = _plain(table.column(name))
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = compute.utf8_lower(compute.utf8_trim_whitespace(column))
            column = compute.if_else(compute.is_in(column, pa.array(_MISSING, column.type)), None, column)
            for word, digit in _TRUTH.items():
                column = compute.if_else(compute.equal(column, word), digit, column)
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        for row, cell in enumerate(column.to_pylist()):
            try:
                float(0 if cell is None else cell)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}: row {row + 1}, column {name!r} needs a number, found {cell!r}"
                ) from error
        values = np.array([np.nan if cell is None else float(cell) for cell in column.to_pylist()])
    return np.asarray(values, np.float64)


def texts(table: Any, name: str) -> Texts:
    """Return a column as `(n,)` str, "" where the cell is empty."""
    import pyarrow as pa

    column = _plain(table.column(name)).cast(pa.string())
    return np.asarray(column.fill_null("").to_numpy(zero_copy_only=False), dtype=object)


def _plain(column: Any) -> Any:
    """Return a column as one array without dictionary encoding (pandas writes categories so)."""
    import pyarrow as pa

    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = pa.concat_arrays(joined.chunks) if joined.num_chunks else pa.array([], joined.type)
    return joined.dictionary_decode() if pa.types.is_dictionary(joined.type) else joined


def is_embedding(name: str) -> bool:
    """Whether a column of this name may hold embeddings: `text`, `text_embedding`, `text_0` and the like."""
    return bool(_NUMBERED.fullmatch(name)) or name in [
        f"{m}{end}" for m in MODALITIES for end in ("", "_embedding")
    ]


def is_list(table: Any, name: str) -> bool:
    """Whether each cell of the column is a list."""
    from pyarrow import types

    kind = table.schema.field(name).type
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_text(table: Any, name: str) -> bool:
    """Whether the cells of the column can be written as text: not lists, structures (images in Parquet) or bytes."""
    from pyarrow import types

    kind = table.schema.field(name).type
    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind))


def embeddings(path: Path, table: Any) -> dict[str, Floats]:
    """Return the `(n, d)` float32 embeddings that columns hold, by modality: lists, or `text_0`, `text_1` ...

    Raises:
        ValueError: lists of different lengths, a number missing, or a gap in the numbering.
    """
    found: dict[str, Floats] = {}
    for modality in MODALITIES:
        present = {modality, f"{modality}_embedding"}.intersection(table.column_names)
        lists = sorted(name for name in present if is_list(table, name))
        if lists:
            found[modality] = _from_lists(path, table, lists[0])
            continue
        hits = [_NUMBERED.fullmatch(name) for name in table.column_names]
        ranks = sorted(int(hit[2]) for hit in hits if hit and hit[1] == modality)
        if ranks and ranks != list(range(len(ranks))):
            gap = next(i for i, rank in enumerate(ranks) if i != rank)
            raise ValueError(
                f"{path}: embeddings need columns {modality}_0, {modality}_1 ...; {modality}_{gap} is missing"
            )
        if ranks:
            numbered = [f"{modality}_{i}" for i in ranks]
            features = [_finite(path, name, _floats(path, table, name)) for name in numbered]
            found[modality] = np.stack(features, axis=1).astype(np.float32)
    return found


def _from_lists(path: Path, table: Any, name: str) -> Floats:
    from pyarrow import compute

    column = _plain(table.column(name))
    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    odd = np.flatnonzero((lengths != lengths[0]) | (lengths == 0))
    if len(odd):
        raise ValueError(
            f"{path}: row {odd[0] + 1}, column {name!r} needs {lengths[0] or 'some'} numbers like row 1,"
            f" found {lengths[odd[0]]}"
        )
    values = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32)
    matrix = values.reshape(len(lengths), int(lengths[0]))
    _finite(path, name, matrix.sum(axis=1))
    return matrix


def _finite(path: Path, name: str, values: Floats) -> Floats:
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{path}: row {row + 1}, column {name!r} needs finite numbers, found {values[row]}")
    return values

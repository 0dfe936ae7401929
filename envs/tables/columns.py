"""Arrow columns to NumPy arrays: numbers with their range, texts, and embeddings, with one-line errors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import LARGEST, Floats, Texts
from envs.tables.sheet import cut, one_line

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "nan", "na", "n/a", "<na>", "none", "null", "-")
TRUTH = {"true": "1", "yes": "1", "false": "0", "no": "0"}
MODALITIES = ("text", "image")
_PROBE = 4096  # rows that tell whether a column repeats few texts
_NUMBERED = re.compile(r"(text|image)_(\d+)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.ASCII | re.IGNORECASE)


def numbers(
    path: Path, table: pa.Table, name: str, *, top: float = math.inf, seen: NDArray[np.bool_] | None = None
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
    _refuse(path, name, values, 0.0, top, seen)
    return values


def signed(path: Path, table: pa.Table, name: str) -> Floats:
    """Return a column of any numbers as `(n,)` float64, NaN where the cell is empty; text is refused."""
    return _floats(path, table, name)


def utilities(
    path: Path, table: pa.Table, name: str, *, scale: tuple[float, float] | None = None, clip: bool = False
) -> Floats:
    """Return a column of scores as `(n,)` float64 in [0, 1], NaN where the cell is empty.

    Args:
        path, table, name: where the column is.
        scale: the least and the largest score that there can be; they become 0 and 1.
        clip: scores outside become the nearest that is inside, instead of being refused.

    Raises:
        ValueError: text, or a score out of range, with its 1-based data row and the two ways out.
    """
    values = _floats(path, table, name)
    low, high = scale or (0.0, 1.0)
    if clip:
        values = np.clip(values, low, high)
    _refuse(path, name, values, low, high, None, ways=scale is None)
    return values if scale is None else (values - low) / (high - low)


def _refuse(
    path: Path, name: str, values: Floats, low: float, top: float, seen: Any, *, ways: bool = False
) -> None:
    """Raise for the first number out of range, with the two ways out where these are scores."""
    bad = ~np.isnan(values) & ~((values >= low) & (values <= min(top, LARGEST)))
    if seen is not None:
        bad &= seen
    if not bad.any():
        return
    row = int(bad.argmax())
    needed = f"a number in [{low:g}, {top:g}]"
    if math.isinf(top):
        beyond = LARGEST < values[row] < math.inf
        needed = "a finite number >= 0" + (f" and at most {LARGEST:g}" if beyond else "")
    hint = ""
    if ways:
        percent = np.nanmin(values) >= 0 and 1 < np.nanmax(values) <= 100
        hint = (
            "; divide scores in 0..100 by 100 first: --scale 0,100"
            if percent
            else "; --scale LOW,HIGH maps a range"
        )
        hint += ", --clip cuts off what lies outside"
    raise ValueError(
        f"{path}: row {row + 1}, column {cut(name)!r} needs {needed}, found {values[row]:g}{hint}"
    )


def _floats(path: Path, table: pa.Table, name: str) -> Floats:
    import pyarrow as pa
    from pyarrow import compute

    column = _plain(table.column(name))
    if (
        pa.types.is_floating(column.type)
        or pa.types.is_integer(column.type)
        or pa.types.is_boolean(column.type)
    ):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = compute.utf8_lower(compute.utf8_trim_whitespace(column))
            column = compute.if_else(compute.is_in(column, pa.array(MISSING, column.type)), None, column)
            for word, digit in TRUTH.items():
                column = compute.if_else(compute.equal(column, word), digit, column)
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowException, UnicodeError) as error:
        for row, cell in enumerate(column.to_pylist()):
            if cell is not None and not (isinstance(cell, str) and _NUMBER.fullmatch(cell)):
                raise ValueError(
                    f"{path}: row {row + 1}, column {cut(name)!r} needs a number, found {cut(str(cell))!r}"
                ) from error
        values = np.array([np.nan if cell is None else float(cell) for cell in column.to_pylist()])
    return np.asarray(values, np.float64)


def texts(path: Path, table: pa.Table, name: str) -> Texts:
    """Return a column as `(n,)` str, "" where the cell is empty.

    Raises:
        ValueError: the cells are lists, structures or bytes, or no UTF-8.
    """
    import pyarrow as pa

    if not is_text(table, name):
        kind = table.schema.field(name).type
        raise ValueError(f"{path}: column {cut(name)!r} needs text or numbers, found {kind}")
    try:
        column = _plain(table.column(name)).cast(pa.large_string()).fill_null("")
        probe = column.slice(0, _PROBE)
        if len(column) > _PROBE and len(probe.unique()) * 4 < len(probe):
            coded = column.dictionary_encode()  # few texts, many rows: one object for each text
            words = np.asarray(coded.dictionary.to_numpy(zero_copy_only=False), dtype=object)
            return np.asarray(words[coded.indices.to_numpy(zero_copy_only=False)])
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)
    except (pa.ArrowException, UnicodeError) as error:
        raise ValueError(f"{path}: column {cut(name)!r} is not UTF-8 text ({one_line(error)})") from error


def codes(path: Path, table: pa.Table, name: str) -> tuple[list[str], Any]:
    """Return a column's distinct texts in order of first appearance, and the `(n,)` place of each cell among them."""
    import pyarrow as pa

    if not is_text(table, name):
        texts(path, table, name)
    try:
        column = _plain(table.column(name)).cast(pa.large_string()).fill_null("")
        coded = column.dictionary_encode()
        return coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False)
    except (pa.ArrowException, UnicodeError) as error:
        raise ValueError(f"{path}: column {cut(name)!r} is not UTF-8 text ({one_line(error)})") from error


def _plain(column: pa.ChunkedArray) -> Any:
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


def numbered(names: Iterable[str]) -> list[str]:
    """Return the columns that hold one number of an embedding: `text_0` and the like."""
    return [name for name in names if _NUMBERED.fullmatch(name)]


def is_list(table: pa.Table, name: str) -> bool:
    """Whether each cell of the column is a list."""
    from pyarrow import types

    kind = table.schema.field(name).type
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_nested(table: pa.Table, name: str) -> bool:
    """Whether the cells of the column are lists, structures or bytes (images in Parquet)."""
    from pyarrow import types

    kind = table.schema.field(name).type
    return bool(types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind))


def is_text(table: pa.Table, name: str) -> bool:
    """Whether the cells of the column can be written as text: not lists, structures (images in Parquet) or bytes."""
    from pyarrow import types

    kind = table.schema.field(name).type
    if types.is_dictionary(kind):
        kind = kind.value_type
    known = (
        types.is_string,
        types.is_large_string,
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_null,
    )
    dated = (types.is_temporal, types.is_decimal)
    return any(check(kind) for check in (*known, *dated))


def embeddings(path: Path, table: pa.Table) -> dict[str, Floats]:
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
        odd = next((hit[0] for hit in hits if hit and hit[1] == modality and hit[2] != str(int(hit[2]))), "")
        if odd:
            raise ValueError(f"{path}: embeddings need columns {modality}_0, {modality}_1 ..., found {odd}")
        if ranks and ranks != list(range(len(ranks))):
            gap = next(i for i, rank in enumerate(ranks) if i != rank)
            raise ValueError(
                f"{path}: embeddings need columns {modality}_0, {modality}_1 ...; {modality}_{gap} is missing"
            )
        if ranks:
            numbered = [f"{modality}_{i}" for i in ranks]
            features = [_finite(path, name, _floats(path, table, name)) for name in numbered]
            with np.errstate(over="ignore"):
                found[modality] = np.stack(features, axis=1).astype(np.float32)
            _finite(path, numbered[0], found[modality].sum(axis=1))
    return found


def _from_lists(path: Path, table: pa.Table, name: str) -> Floats:
    from pyarrow import compute

    column = _plain(table.column(name))
    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    odd = np.flatnonzero((lengths != lengths[0]) | (lengths == 0))
    if len(odd):
        raise ValueError(
            f"{path}: row {odd[0] + 1}, column {name!r} needs {lengths[0] or 'some'} numbers like row 1,"
            f" found {lengths[odd[0]]}"
        )
    if not _numeric(column.type.value_type):
        raise ValueError(f"{path}: column {name!r} needs lists of numbers, found {column.type}")
    with np.errstate(over="ignore"):
        values = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32)
    matrix = values.reshape(len(lengths), int(lengths[0]))
    _finite(path, name, matrix.sum(axis=1))
    return matrix


def _numeric(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind))


def _finite(path: Path, name: str, values: Floats) -> Floats:
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{path}: row {row + 1}, column {name!r} needs finite numbers, found {values[row]}")
    return values

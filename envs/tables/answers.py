"""What the models of a file gave, before it is an outcome table: wide cells or long rows put into `(T, K)` arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs.outcomes import Floats
from envs.tables import aliases, columns
from envs.tables.aliases import Column, field_column
from envs.tables.how import How
from envs.tables.metadata import metadata, wanted
from envs.tables.sheet import Sheet, cut, shown

if TYPE_CHECKING:
    import pyarrow as pa

_CHARS_A_TOKEN = 4.0
Cells = Mapping[str, Mapping[str, Column]]  # model -> field -> column


class Answers(NamedTuple):
    """What the models gave, as a file says it.

    Attributes:
        models: `K` names, in the file's order.
        fields: `utility` and, where there are columns, `cost`, `latency`, `tokens`, `input_tokens`,
            `cached_tokens`, each `(T, K)` with NaN where a cell is empty.
        meta: ids, names, texts and embeddings, `(T,)` or `(T, d)` each, by the name of the field of `Outcomes`.
        rows: `(T,)` the 1-based data row of each query, for messages.
        used: columns that were read.
        unit: the cost unit that the columns tell, or "".
        notes: what was assumed.
        scope: what the ids are unique in, of a file that holds one data set: several files are told apart by it.
    """

    models: tuple[str, ...]
    fields: dict[str, Floats]
    meta: dict[str, Any]
    rows: Any
    used: frozenset[str] = frozenset()
    unit: str = ""
    notes: tuple[str, ...] = ()
    scope: str = ""


def wide(sheet: Sheet, cells: Cells, how: How, *, renamed: Mapping[str, str] | None = None) -> Answers:
    """Return what a table with one row a query gave.

    Args:
        sheet: the file.
        cells: the columns of each model; a model without utility has none.
        how: what its columns cannot tell.
        renamed: columns of metadata that go by other names here, by the field that they are.

    Raises:
        ValueError: a cell that is no number or out of range.
    """
    if not cells:
        raise ValueError(f"{sheet.path}: needs a score of two or more models, found {shown(sheet.names)}")
    used = [column.name for cell in cells.values() for column in cell.values()]
    about = wanted(sheet, renamed)
    table = sheet.table([*used, *about.values()], numbers=[*used, *columns.numbered(about.values())])
    found = cells_of(sheet, table, cells, how)
    meta = metadata(sheet, table, about, np.arange(table.num_rows))
    read = frozenset([*used, *about.values()])
    return found._replace(meta=meta, rows=np.arange(1, table.num_rows + 1), used=read)


def cells_of(sheet: Sheet, table: pa.Table, cells: Cells, how: How) -> Answers:
    """Return the outcomes of some rows of a wide table, without metadata."""
    shape = (table.num_rows, len(cells))
    names = dict.fromkeys(f for cell in cells.values() for f in cell)
    fields = {f: np.empty(shape) for f in ("utility", *aliases.FIELDS) if f in names}
    for k, cell in enumerate(cells.values()):
        utility = columns.utilities(sheet.path, table, cell["utility"].name, scale=how.span, clip=how.clip)
        fields["utility"][:, k] = utility
        seen = ~np.isnan(utility) if how.missing == "unavailable" else None
        for field, column in cell.items():
            if field != "utility":
                fields[field][:, k] = columns.numbers(sheet.path, table, column.name, seen=seen)
                if column.scale != 1:
                    fields[field][:, k] *= column.scale
        for field in fields.keys() - cell.keys():
            fields[field][:, k] = np.nan
    unit = one_unit(sheet, [cell["cost"].unit for cell in cells.values() if "cost" in cell])
    return estimated(Answers(tuple(cells), fields, {}, np.arange(0), unit=unit))


def one_unit(sheet: Sheet, units: Sequence[str]) -> str:
    """Return the unit that cost columns tell, "" where they tell none.

    Raises:
        ValueError: they tell several.
    """
    told = list(dict.fromkeys(unit for unit in units if unit))
    if len(told) > 1:
        raise ValueError(f"{sheet.path}: needs costs in one unit, found {', '.join(told)}")
    return told[0] if told else ""


def long_columns(names: Sequence[str]) -> dict[str, Column]:
    """Return the columns of a long table by field, or nothing when these are not the columns of one."""
    model, utility = aliases.pick(names, aliases.MODEL), aliases.pick(names, aliases.LONG_UTILITY)
    key = aliases.pick(names, (*aliases.ID, "query", "question", "prompt"))
    if not (model and utility and key):
        return {}
    fields = {field: field_column(names, field) for field in aliases.FIELDS}
    named = {"key": Column(key), "model": Column(model), "utility": Column(utility)}
    return named | {f: c for f, c in fields.items() if c}


def long(
    sheet: Sheet,
    named: Mapping[str, Column],
    how: How,
    *,
    renamed: Mapping[str, str] | None = None,
    model: str = "",
) -> Answers | None:
    """Return what a table with one row a call gave; None where it is a log, unless logs are wanted.

    It is one where most queries have one model's row.

    Args:
        sheet: the file.
        named: the columns of `key`, `model`, `utility` and of those of `aliases.FIELDS` that there are.
        how: what its columns cannot tell.
        renamed: columns of metadata that go by other names here, by the field that they are.
        model: of a file that holds one model's answers, its name; then there is no column of it.

    Raises:
        ValueError: a cell that is no number or out of range, an empty name, an outcome that comes twice.
    """
    about = wanted(sheet, renamed)
    used = [column.name for column in named.values()]
    measured = {f: c for f, c in named.items() if f in ("utility", *aliases.FIELDS)}
    numeric = [c.name for c in measured.values()]
    table = sheet.table([*used, *about.values()], numbers=[*numeric, *columns.numbered(about.values())])
    (keys, row_of), (models, model_of) = _placed(sheet, table, named, model)
    if len(models) > 1 and not how.logs and 2 * (np.bincount(row_of) > 1).sum() < len(keys):
        return None
    place = row_of.astype(np.int64) * len(models) + model_of
    order = np.zeros(len(keys) * len(models), np.int64)
    np.add.at(order, place, 1)
    if (order > 1).any():
        _refuse_twice(sheet, place, keys, models)
    fields = {
        "utility": columns.utilities(
            sheet.path, table, measured["utility"].name, scale=how.span, clip=how.clip
        )
    }
    seen = ~np.isnan(fields["utility"]) if how.missing == "unavailable" else None
    for field, column in measured.items():
        if field != "utility":
            fields[field] = columns.numbers(sheet.path, table, column.name, seen=seen) * column.scale
    laid = {f: np.full((len(keys), len(models)), np.nan) for f in fields}
    for field, values in fields.items():
        laid[field].ravel()[place] = values
    first = np.full(len(keys), len(place), np.int64)
    np.minimum.at(first, row_of, np.arange(len(place)))
    meta = metadata(sheet, table, about | {"query_id": named["key"].name}, first)
    unit = measured["cost"].unit if "cost" in measured else ""
    read = frozenset([*used, *about.values()])
    return estimated(Answers(tuple(models), laid, meta, first + 1, read, unit))


def _placed(sheet: Sheet, table: pa.Table, named: Mapping[str, Column], model: str) -> Any:
    """Return names in order of first appearance and the `(n,)` place of each row among them: queries, models."""
    found = []
    for part in ("key", "model"):
        if part == "model" and model:
            found.append(([model], np.zeros(table.num_rows, np.int64)))
            continue
        names, place = columns.codes(sheet.path, table, named[part].name)
        if "" in names:
            row = int(np.flatnonzero(place == names.index(""))[0])
            raise ValueError(
                f"{sheet.path}: row {row + 1}, column {named[part].name!r} needs a name, found an empty cell"
            )
        found.append((names, place))
    return found


def _refuse_twice(sheet: Sheet, place: Any, keys: Sequence[str], models: Sequence[str]) -> None:
    _, first = np.unique(place, return_index=True)
    again = int(np.setdiff1d(np.arange(len(place)), first)[0])
    query, model = (cut(x) for x in (keys[place[again] // len(models)], models[place[again] % len(models)]))
    raise ValueError(f"{sheet.path}: row {again + 1} gives query {query!r}, model {model!r} a second time")


def estimated(found: Answers) -> Answers:
    """Return the answers with tokens estimated from characters where only those are recorded, and say so."""
    chars = found.fields.pop("outchars", None)
    if chars is None or "tokens" in found.fields:
        return found
    note = f"output tokens are estimated as characters of the answer / {_CHARS_A_TOKEN:g}: none are recorded"
    fields = {**found.fields, "tokens": chars / _CHARS_A_TOKEN}
    return found._replace(fields=fields, notes=(*found.notes, note))

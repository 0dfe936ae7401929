"""Which kind of table a file holds, told by its column names, and the outcomes that its columns give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.outcomes import Floats, Texts
from envs.tables import columns

ABOUT = "_about"  # our own files say here what no column can: units, label, notes, posted prices
QUERY_ID = ("query_id", "dataset_idx", "qid", "id", "question_id", "sample_id")
QUESTION = ("question", "prompt", "query", "text")
META = {
    "dataset": ("dataset", "benchmark", "source", "task"),
    "scenario": ("scenario",),
    "group_id": ("group_id", "group"),
    "image_path": ("image_path", "img_path", "image"),
}
_MODEL = ("model", "model_name", "model_id", "arm", "llm")
_UTILITY = ("utility", "correct", "score")  # endings of wide tables; the first that a table has is read
_LONG_UTILITY = (*_UTILITY, "is_correct", "reward")
_FIELDS = {
    "cost": ("cost", "cost_usd"),
    "latency": ("latency_s", "latency"),
    "tokens": ("output_tokens", "tokens", "token", "completion_tokens"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "outchars": ("outchars", "output_chars"),
}
_CHARS_A_TOKEN = 4.0

Cells = dict[str, dict[str, str]]  # model -> field -> column name


class Answers(NamedTuple):
    """What the models gave, as the file says it.

    Attributes:
        models: `K` names, in the file's order.
        first: `(T,)` the data row that holds each query's metadata.
        key: the name of the column that holds the query id, "" where there is none.
        fields: `utility` and, where there are columns, `cost`, `latency`, `tokens`, `input_tokens`, each `(T,
            K)`
            with NaN where a cell is empty.
        unit: the cost unit that the columns tell, or "".
        notes: what was assumed.
    """

    models: tuple[str, ...]
    first: Any
    key: str
    fields: dict[str, Floats]
    unit: str
    notes: tuple[str, ...]


def pick(names: Iterable[str], aliases: Sequence[str]) -> str:
    """Return the first alias among the column names, or ""."""
    present = set(names)
    return next((alias for alias in aliases if alias in present), "")


def shown(names: Sequence[str]) -> str:
    """Return the first column names of a file on one line, for a message."""
    first = ", ".join(" ".join(name.split())[:60] for name in names[:12])
    return first + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def wanted(path: Path, names: Sequence[str]) -> list[str]:
    """Return the columns worth reading, in file order.

    Raises:
        ValueError: the columns fit no kind of table; the line lists what each kind needs and what was found.
    """
    for mark, called in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            raise ValueError(f"{path}: needs commas between its columns, found {called}")
    long = _long_columns(names)
    if {"utility", "cost", "context"} <= set(names):
        raise ValueError(
            f"{path}: a file from make-stream is not read whole; give it to --policy as --stream"
        )
    if not long and not _cells(names):
        plain = [name.strip().lower().replace(" ", "_") for name in names]
        spelt = (
            "; endings are in lower case, after an underscore"
            if _cells(plain) or _long_columns(plain)
            else ""
        )
        raise ValueError(
            f"{path}: no kind of table has the columns {shown(names)}{spelt}; a wide table needs <model>_correct,"
            " <model>_score or <model>_utility; a long table query_id, model and utility (or correct, score);"
            " JSON lines may nest arms: {model: {reward, cost}}"
        )
    cells = {} if long else _cells(names)
    used = {*long.values(), *(column for cell in cells.values() for column in cell.values())}
    meta = {ABOUT, *QUERY_ID, *QUESTION, *(alias for aliases in META.values() for alias in aliases)}
    return [n for n in names if n in used or n in meta or columns.is_embedding(n) or _other_ending(n, cells)]


def answers(path: Path, table: Any) -> Answers:
    """Return what the models of a table gave.

    Raises:
        ValueError: a cell that is no number or out of range, an outcome that comes twice.
    """
    long = _long_columns(table.column_names)
    return _estimated(_long(path, table, long) if long else _wide(path, table))


def _long_columns(names: Sequence[str]) -> dict[str, str]:
    """Return the columns of a long table by field, or nothing when these are not the columns of one."""
    model, utility = pick(names, _MODEL), pick(names, _LONG_UTILITY)
    key = pick(names, (*QUERY_ID, "query", "question", "prompt"))
    if not (model and utility and key):
        return {}
    fields = {field: pick(names, aliases) for field, aliases in _FIELDS.items()}
    return {"key": key, "model": model, "utility": utility} | {f: c for f, c in fields.items() if c}


def _cells(names: Sequence[str]) -> Cells:
    """Return the columns of each model of a wide or nested table, models in order of first appearance."""
    nested = [n.removeprefix("arms.").rpartition(".") for n in names if n.startswith("arms.")]
    if nested:
        models = dict.fromkeys(model for model, _, _ in nested)
        keys = {(model, key) for model, _, key in nested}
        found = {m: pick([k for model, k in keys if model == m], _LONG_UTILITY) for m in models}
        stem, joint = "arms.", "."
    else:
        ending = pick((n.rpartition("_")[2] for n in names if n.rpartition("_")[0]), _UTILITY)
        models = dict.fromkeys(n.rpartition("_")[0] for n in names if ending and n.endswith(f"_{ending}"))
        found, stem, joint = dict.fromkeys(models, ending), "", "_"
    present = set(names)
    cells: Cells = {}
    for model in models:
        columns_of = {"utility": (found[model],), **_FIELDS}
        hits = {
            f: pick(present, [f"{stem}{model}{joint}{a}" for a in aliases])
            for f, aliases in columns_of.items()
        }
        if hits["utility"] and model:
            cells[model] = {f: c for f, c in hits.items() if c}
    return cells


def _other_ending(name: str, cells: Cells) -> bool:
    """Whether a column looks like a model's utility and is none: `b_score` in a table of `a_correct`."""
    model, _, ending = name.rpartition("_")
    nested = any(cell["utility"].startswith("arms.") for cell in cells.values())
    return bool(cells) and not nested and bool(model) and ending in _UTILITY and model not in cells


def _wide(path: Path, table: Any) -> Answers:
    cells = _cells(table.column_names)
    models = tuple(cells)
    shape = (table.num_rows, len(models))
    fields = {f: np.full(shape, np.nan) for f in ("utility", *_FIELDS) if any(f in c for c in cells.values())}
    for k, cell in enumerate(cells.values()):
        utility = columns.numbers(path, table, cell["utility"], top=1)
        fields["utility"][:, k] = utility
        for field, column in cell.items():
            if field != "utility":
                fields[field][:, k] = columns.numbers(path, table, column, seen=~np.isnan(utility))
    costs = [cell.get("cost", "") for cell in cells.values()]
    unit = "USD/query" if any(c.startswith("arms.") or c.endswith("usd") for c in costs) else ""
    other = [n for n in table.column_names if _other_ending(n, cells)]
    notes = (f"not read as models: {', '.join(other)}, another ending than the models'",) if other else ()
    key = pick(table.column_names, QUERY_ID)
    return Answers(models, np.arange(table.num_rows), key, fields, unit, notes)


def _long(path: Path, table: Any, names: dict[str, str]) -> Answers:
    keys, called = columns.texts(table, names["key"]), columns.texts(table, names["model"])
    for part, values in (("key", keys), ("model", called)):
        if (values == "").any():
            row = int(np.flatnonzero(values == "")[0])
            raise ValueError(
                f"{path}: row {row + 1}, column {names[part]!r} needs a name, found an empty cell"
            )
    rows, row_of = _codes(keys)
    models, model_of = _codes(called)
    place = row_of * len(models) + model_of
    _, first, counts = np.unique(place, return_index=True, return_counts=True)
    if (counts > 1).any():
        again = int(np.setdiff1d(np.arange(len(place)), first)[0])
        raise ValueError(
            f"{path}: row {again + 1} gives query {keys[again]!r}, model {called[again]!r} a second time"
        )
    utility = columns.numbers(path, table, names["utility"], top=1)
    seen = ~np.isnan(utility)
    given = {f: columns.numbers(path, table, names[f], seen=seen) for f in _FIELDS if f in names}
    fields = {}
    for field, recorded in {"utility": utility, **given}.items():
        fields[field] = np.full((len(rows), len(models)), np.nan)
        fields[field].ravel()[place] = recorded
    _, first = np.unique(row_of, return_index=True)
    unit = "USD/query" if names.get("cost", "").endswith("usd") else ""
    return Answers(tuple(models), first, names["key"], fields, unit, ())


def _codes(values: Texts) -> tuple[list[str], Any]:
    """Return the distinct values in order of first appearance, and the `(n,)` position of each among them."""
    distinct = list(dict.fromkeys(values.tolist()))
    position = {value: i for i, value in enumerate(distinct)}
    return distinct, np.array([position[value] for value in values.tolist()])


def _estimated(found: Answers) -> Answers:
    """Return the answers with tokens estimated from characters where only those are recorded, and say so."""
    chars = found.fields.pop("outchars", None)
    if chars is None or "tokens" in found.fields:
        return found
    note = f"output tokens are estimated as characters of the answer / {_CHARS_A_TOKEN:g}: none are recorded"
    fields = {**found.fields, "tokens": chars / _CHARS_A_TOKEN}
    return found._replace(fields=fields, notes=(*found.notes, note))

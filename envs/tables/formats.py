"""Outcome tables in files: one or several of any kind that `kinds` knows, read into `Outcomes`; see docs/data.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs import heap
from envs.nearest import near
from envs.outcomes import Outcomes
from envs.tables import about, columns, files, joined, recognition
from envs.tables.answers import Answers
from envs.tables.files import SUFFIXES
from envs.tables.how import How, checked
from envs.tables.log import Log
from envs.tables.prices import apply_prices
from envs.tables.sheet import Sheet, cut
from envs.tables.writing import write

__all__ = ["SUFFIXES", "apply_prices", "read", "write"]


def read(path: str | Path | Sequence[str | Path], **how: Any) -> Outcomes:
    """Return the outcomes that a file, a folder or several files hold.

    Columns and first rows tell the kind, see `kinds.KINDS`. Embeddings come from columns, or from the arrays
    `text` and `image` of `<name>.embeddings.npz` beside the file, one row a query.

    Args:
        path: the file or folder, or a sequence of them; they are joined by query.
        **how: what columns cannot tell, see `How`: `models`, `prices`, `unit`, `scale`, `clip`, `missing` ...

    Raises:
        ValueError: one line that names the file and the row or column, what is needed and what was found.
    """
    given = [path] if isinstance(path, (str, Path)) else list(path)
    paths = joined.paths(given)
    wanted = checked(How(**how))
    parts, layouts = [], dict[str, None]()
    for file in paths:
        sheet = files.opened(file)
        kind = recognition.recognised(sheet, wanted)
        found = kind.read(sheet, wanted)
        layouts[kind.name] = None
        if isinstance(found, Log):
            if not wanted.logs or np.isnan(found.utility).all():
                raise ValueError(found.refusal())
            found = found.answers()
        notes = (*sheet.notes, *found.notes, *recognition.unread(sheet, found))
        parts.append((file, found._replace(notes=notes)))
    heap.give_back()
    said = about.parsed(paths[0], _said(sheet)) if len(paths) == 1 else about.About()
    answers = parts[0][1] if len(parts) == 1 else joined.joined(parts)
    return _outcomes(Path(given[0]), answers, said, wanted, ", ".join(layouts))


def _said(sheet: Sheet) -> str:
    """Return what `write` said of a table beside its columns; nothing for other people's tables."""
    if sheet.said or about.COLUMN not in sheet.names:
        return sheet.said
    held = columns.texts(sheet.path, sheet.table([about.COLUMN]), about.COLUMN)
    return next((str(text) for text in held if text), "")


def _outcomes(path: Path, answers: Answers, said: about.About, how: How, layout: str) -> Outcomes:
    """Return a validated table of what the models gave."""
    if len(answers.models) == 1:
        raise ValueError(
            f"{path}: needs at least 2 models, found {cut(answers.models[0])!r} alone; give the files of the others"
            " too: --data FOLDER, or --data once for each"
        )
    answers = chosen(path, answers, how.models)
    if how.prices is not None:
        answers.fields.pop("cost", None)
    answers = failed(answers) if how.missing == "wrong" else answers
    answers = _complete(path, answers)
    kept, notes = _answered(path, answers, how)
    if how.span is not None:
        notes += (f"scores from {how.span[0]:g} to {how.span[1]:g} are mapped to 0 to 1 (--scale)",)
    if how.clip:
        notes += ("scores outside the range are cut off (--clip)",)
    fields: dict[str, Any] = {f: v if len(kept) == len(v) else v[kept] for f, v in answers.fields.items()}
    tokens = {f: fields.pop(f, None) for f in ("input_tokens", "cached_tokens")}
    cost = fields.pop("cost", np.full(fields["utility"].shape, np.nan))
    unit = f"{how.unit}/query" if how.unit else said.cost_unit or answers.unit or "units/query"
    if said.cost_unit is not None and not how.unit:
        unit = said.cost_unit
    elif np.isnan(cost).all():
        unit = ""
    given: dict[str, Any] = {f: v if len(kept) == len(v) else v[kept] for f, v in answers.meta.items()}
    posted = said.price
    try:
        outcomes = Outcomes(
            models=answers.models,
            cost=cost,
            price=np.array(
                [np.nan if posted.get(m) is None else posted[m] for m in answers.models], np.float64
            ),
            **fields,
            **given,
            cost_unit=unit,
            label=said.label,
            source=said.source,
            licence=said.licence,
            layout=layout,
            notes=(*said.notes, *answers.notes, *notes),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if how.prices is None:
        return outcomes
    return apply_prices(outcomes, how.prices, per=how.per, unit=how.unit, **tokens)


def chosen(path: Path, answers: Answers, models: Sequence[str] | None) -> Answers:
    """Return the answers of these models only."""
    if models is None:
        return answers
    for name in models:
        if name not in answers.models:
            raise ValueError(f"{path}: no model {cut(name)!r}; {near(name, answers.models)}")
    places = [answers.models.index(name) for name in models]
    return answers._replace(models=tuple(models), fields={f: v[:, places] for f, v in answers.fields.items()})


def failed(answers: Answers) -> Answers:
    """Return the answers with empty cells as calls that failed: utility 0, at their cost, 0 where none is recorded."""
    utility, cost = answers.fields["utility"], answers.fields.get("cost")
    empty = np.isnan(utility)
    if not empty.any():
        return answers
    fields = {**answers.fields, "utility": np.where(empty, 0.0, utility)}
    note = f"{int(empty.sum()):,} empty outcomes count as failed calls: utility 0"
    if cost is not None and not np.isnan(cost).all():
        fields["cost"] = np.where(empty & np.isnan(cost), 0.0, cost)
        note += f", at their cost ({int((empty & np.isnan(cost)).sum()):,} have none recorded: 0)"
    return answers._replace(fields=fields, notes=(*answers.notes, note))


def _complete(path: Path, answers: Answers) -> Answers:
    """Return the answers with outcomes that lack a cost as missing, where the table records costs at all.

    Raises:
        ValueError: a model has no cost anywhere, while others have.
    """
    utility, cost = answers.fields["utility"], answers.fields.get("cost")
    unpriced = np.zeros((), bool) if cost is None else np.isnan(cost)
    if not unpriced.any() or unpriced.all():
        return answers
    free = (unpriced & ~np.isnan(utility)).sum(axis=0)
    for name, lacking, seen in zip(answers.models, free, (~np.isnan(utility)).sum(axis=0), strict=True):
        if lacking and lacking == seen:
            raise ValueError(
                f"{path}: model {cut(name)!r} has no cost, while other models have; leave it out with --models or"
                " give --prices"
            )
    if not free.any():
        return answers
    note = f"left out {free.sum()} outcomes that have a utility and no cost"
    fields = {**answers.fields, "utility": np.where(unpriced, np.nan, utility)}
    return answers._replace(fields=fields, notes=(*answers.notes, note))


def _answered(path: Path, answers: Answers, how: How) -> tuple[Any, tuple[str, ...]]:
    """Return the rows that some model answered, and a note where others are left out."""
    seen = ~np.isnan(answers.fields["utility"]).all(axis=1)
    if seen.all():
        return np.flatnonzero(seen), ()
    lost = int((~seen).sum())
    if seen.any() and how.drop_empty:
        return np.flatnonzero(seen), (f"left out {lost:,} queries without any outcome (--drop-empty)",)
    if seen.any() and how.models is not None:
        return np.flatnonzero(seen), (f"left out {lost} queries that no selected model answered",)
    row, query = int(answers.rows[~seen][0]), answers.meta["query_id"][~seen][0]
    more = f"; {lost:,} such rows are left out with --drop-empty" if seen.any() else ""
    raise ValueError(f"{path}: row {row}, query {cut(query)!r} needs an outcome of a model, found none{more}")

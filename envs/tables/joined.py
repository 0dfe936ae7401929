"""Several files as one table: queries joined by their ids, models side by side, what does not join counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.tables import files
from envs.tables.answers import Answers
from envs.tables.sheet import cut

_TEXTS = ("dataset", "scenario", "group_id", "question", "image_path")


def paths(given: Sequence[str | Path]) -> list[Path]:
    """Return the files that paths name, those of a folder in the order of their names.

    Raises:
        ValueError: a folder without a table, a file twice.
    """
    found: list[Path] = []
    for path in map(Path, given):
        if not path.is_dir():
            found.append(path)
            continue
        inside = [
            p for p in sorted(path.rglob("*")) if p.is_file() and p.name.lower().endswith(files.ENDINGS)
        ]
        inside = [p for p in inside if not p.name.startswith(".")]
        if not inside:
            raise ValueError(
                f"{path}: needs a file that ends in {', '.join(files.ENDINGS)}, found none in this folder"
            )
        found += inside
    if repeated := [p for i, p in enumerate(found) if p in found[:i]]:
        raise ValueError(f"{repeated[0]}: given twice; name each file once")
    return found


def joined(parts: Sequence[tuple[Path, Answers]]) -> Answers:
    """Return the answers of all files.

    Two files may give the same outcome of a query and a model; where they differ that is refused.

    Raises:
        ValueError: no query is in two files whose models differ, or two files contradict each other.
    """
    scopes = {part.scope for _, part in parts}
    ids = [_ids(part, len(scopes) > 1) for _, part in parts]
    queries = {name: i for i, name in enumerate(dict.fromkeys(name for each in ids for name in each))}
    models = {name: i for i, name in enumerate(dict.fromkeys(m for _, part in parts for m in part.models))}
    names = dict.fromkeys(field for _, part in parts for field in part.fields)
    fields = {f: np.full((len(queries), len(models)), np.nan) for f in names}
    again = 0
    for (path, part), own in zip(parts, ids, strict=True):
        rows = np.array([queries[name] for name in own])
        for k, model in enumerate(part.models):
            again += _put(fields, part, rows, k, models[model], path, own)
    meta, notes = _meta(parts, ids, queries)
    notes += _said(parts, ids, len(queries), again)
    units = dict.fromkeys(part.unit for _, part in parts if "cost" in part.fields)
    if len(units) > 1:
        raise ValueError(
            f"{parts[0][0]} and others: need costs in one unit, found {', '.join(u or 'none said' for u in units)}"
        )
    used = frozenset(name for _, part in parts for name in part.used)
    told = tuple(dict.fromkeys(note for _, part in parts for note in part.notes))
    return Answers(
        tuple(models),
        fields,
        meta,
        np.arange(1, len(queries) + 1),
        used,
        next(iter(units), ""),
        (*told, *notes),
    )


def _ids(part: Answers, scoped: bool) -> list[str]:
    stem = f"{part.scope}/" if scoped and part.scope else ""
    return [f"{stem}{name}" for name in part.meta["query_id"].tolist()]


def _put(
    fields: dict[str, Any], part: Answers, rows: Any, k: int, column: int, path: Path, own: Sequence[str]
) -> int:
    """Put one model's answers where they belong; the number of outcomes that an earlier file gave too comes back."""
    there, new = fields["utility"][rows, column], part.fields["utility"][:, k]
    both = ~np.isnan(there) & ~np.isnan(new)
    if (there[both] != new[both]).any():
        row = int(np.flatnonzero(both)[np.flatnonzero(there[both] != new[both])[0]])
        raise ValueError(
            f"{path}: query {cut(own[row])!r}, model {cut(part.models[k])!r} has utility {new[row]:g},"
            f" and {there[row]:g} in another file"
        )
    for name, values in part.fields.items():
        fresh = ~np.isnan(values[:, k])
        fields[name][rows[fresh], column] = values[fresh, k]
    return int(both.sum())


def _meta(
    parts: Sequence[tuple[Path, Answers]], ids: Sequence[Sequence[str]], queries: dict[str, int]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what is said of each query by the first file that says it."""
    meta: dict[str, Any] = {"query_id": np.array(list(queries), object)}
    for field in _TEXTS:
        if any(field in part.meta for _, part in parts):
            said = np.full(len(queries), "", object)
            for (_, part), own in reversed(list(zip(parts, ids, strict=True))):
                if field in part.meta:
                    given = part.meta[field]
                    kept = np.flatnonzero(given != "")
                    said[[queries[own[i]] for i in kept]] = given[kept]
            meta[field] = said
    notes: tuple[str, ...] = ()
    for field in ("text", "image"):
        having = [(part, own) for (_, part), own in zip(parts, ids, strict=True) if field in part.meta]
        widths = {part.meta[field].shape[1] for part, _ in having}
        covered = {name for _, own in having for name in own}
        if having and (len(widths) > 1 or len(covered) < len(queries)):
            notes += (f"{field} embeddings are left out: the files have none of one width for every query",)
        elif having:
            matrix = np.zeros((len(queries), widths.pop()), np.float32)
            for part, own in having:
                matrix[[queries[name] for name in own]] = part.meta[field]
            meta[field] = matrix
    return meta, notes


def _said(
    parts: Sequence[tuple[Path, Answers]], ids: Sequence[Sequence[str]], total: int, again: int
) -> tuple[str, ...]:
    """Return what did not join, counted."""
    counts = np.unique([name for own in ids for name in set(own)], return_counts=True)[1]
    sets = {frozenset(part.models) for _, part in parts}
    alone = int((counts == 1).sum())
    if len(parts) > 1 and alone == total and len(sets) == len(parts):
        a, b = parts[0][0], parts[1][0]
        raise ValueError(
            f"{a}: no query of it is in {b} or another file; files of different models need the same ids"
        )
    notes = [f"{len(parts)} files joined by query: {total:,} queries"]
    if alone and len(sets) > 1:
        notes[0] += f", {alone:,} of them in one file only"
    if again:
        notes.append(f"{again:,} outcomes stand in two files, alike")
    return tuple(notes)

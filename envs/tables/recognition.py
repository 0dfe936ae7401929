"""Which kind a file is, what to say when it is none, and what of it was not read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from envs.tables import aliases
from envs.tables.about import COLUMN
from envs.tables.answers import Answers, long_columns
from envs.tables.how import How
from envs.tables.judged import ENDINGS, SPLIT
from envs.tables.kinds import KINDS, Kind, named, wide
from envs.tables.sheet import Sheet, cut, shown

_NAMED = 12  # columns that a note lists one by one


def recognised(sheet: Sheet, how: How) -> Kind:
    """Return the kind of a file.

    Raises:
        ValueError: none fits (with the nearest, the column that is lacking and the rename that would do), or two do.
    """
    if {"utility", "cost", "context"} <= set(sheet.names):
        raise ValueError(
            f"{sheet.path}: a file from make-stream is not read whole; give it to --policy as --stream"
        )
    fits = [kind for kind in KINDS if kind.looks(sheet.names, sheet.sample)]
    if how.models is not None and set(how.models) <= set(sheet.names):
        fits = [
            kind
            for kind in KINDS
            if kind.name in (named.NAME, "RouterBench") and (kind.name == named.NAME or kind in fits)
        ][:1]
    if len(fits) > 1:
        both = " and ".join(f"{kind.name} ({kind.needs})" for kind in fits[:2])
        raise ValueError(
            f"{sheet.path}: fits two kinds of table, {both}; take the columns of one of them out"
        )
    if not fits:
        raise ValueError(
            f"{sheet.path}: no kind of table has the columns {shown(sheet.names)}{_nearest(sheet)}"
        )
    return fits[0]


def _nearest(sheet: Sheet) -> str:
    """Return what would make a file one that is read: a rename, a column, or the models by name."""
    found = named.candidates(sheet.names, sheet.sample)
    generic = (
        "; a wide table needs <model>_correct, <model>_score or <model>_utility; a long table query_id, model and"
        " utility (or correct, score); JSON lines may nest arms: {model: {reward, cost}}"
    )
    plain = [aliases.snake(name) for name in sheet.names]
    if len(set(plain)) == len(plain) and (wide.cells(plain) or long_columns(plain)):
        return "; endings are in lower case, after an underscore" + generic
    if 2 <= len(found) <= 2 * _NAMED:
        return f"{generic}; columns that hold 0 to 1: if they are models, --models {','.join(found)}"
    return _lacking(sheet.names) + generic


def _lacking(names: Sequence[str]) -> str:
    """Return, for a table that is nearly long, the column that it lacks and the rename that would do."""
    parts = {
        "query_id": (*aliases.ID, *aliases.QUESTION),
        "model": aliases.MODEL,
        "utility": aliases.LONG_UTILITY,
    }
    lacking = [part for part, known in parts.items() if not aliases.pick(names, known)]
    if len(lacking) != 1:
        return ""
    part = lacking[0]
    near = [n for n in names if close(n, parts[part])]
    rename = f"; rename {cut(near[0])!r} to {part!r} if that is what it is" if near else ""
    return f"; the nearest kind is a long table, which lacks a column {part}{rename}"


def close(name: str, known: Sequence[str]) -> str:
    """Return the nearest of known names, "" where none is near."""
    found = difflib.get_close_matches(aliases.snake(name), known, 1, 0.8)
    return found[0] if found else ""


def unread(sheet: Sheet, found: Answers) -> tuple[str, ...]:
    """Return one note that names each column that was not read, with the nearest thing that it could have been."""
    judged = {
        f"{m}_{e}" for m in found.models for e in ENDINGS
    }  # `judged.read` reads them where they are asked for, and the column split with them
    judged |= {SPLIT} if judged.intersection(sheet.names) else set()
    rest = [n for n in sheet.names if n not in found.used and n not in judged and n != COLUMN and n]
    if not rest:
        return ()
    known = aliases.all_names() | {
        f"{m}_{e}": "" for m in found.models[:64] for e in ("cost", "tokens", "latency_s")
    }
    said = [f"{cut(n)}{_could(n, known)}" for n in rest[:_NAMED]]
    more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
    return (f"{sheet.path.name}: not read: {', '.join(said)}{more}",)


def _could(name: str, known: Mapping[str, str]) -> str:
    if own := known.get(aliases.snake(name)):
        return f" (a {own} too; another column is read as that)"
    near = close(name, list(known))
    return f" (nearest: {near})" if near else ""

"""Pairwise battles, as Arena records them: `model_a`, `model_b` and which won; duels, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.tables import aliases, columns
from envs.tables.answers import Answers
from envs.tables.how import How
from envs.tables.metadata import metadata, wanted
from envs.tables.sheet import Sheet, cut

if TYPE_CHECKING:
    import pyarrow as pa

NAME, NEEDS = "battles (Arena)", "model_a, model_b and winner"
_THREE = ("winner_model_a", "winner_model_b", "winner_tie")
_WORTH = {"model_a": 1.0, "a": 1.0, "model_b": 0.0, "b": 0.0}


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows name two models and a winner."""
    return {"model_a", "model_b"} <= set(columns) and ("winner" in columns or _THREE[0] in columns)


def read(sheet: Sheet, how: How) -> Answers:
    """Return each battle as the outcomes of its two models: 1 for the winner, 0 for the other, 0.5 each for a tie.

    Raises:
        ValueError: battles are not what is wanted, a winner of another name, a model against itself.
    """
    if not how.duels:
        raise ValueError(
            f"{sheet.path}: battles of two models tell a preference and no outcome; they are for --feedback dueling"
        )
    about = wanted(sheet, {"image_path": "", "question": aliases.pick(sheet.names, ("prompt", "question"))})
    told = [n for n in ("winner", *_THREE) if n in sheet.names]
    table = sheet.table([*about.values(), "model_a", "model_b", *told])
    a, b = (columns.texts(sheet.path, table, n) for n in ("model_a", "model_b"))
    won = _won(sheet, table)
    models = list(dict.fromkeys([*a.tolist(), *b.tolist()]))
    place = {model: k for k, model in enumerate(models)}
    utility = np.full((len(a), len(models)), np.nan)
    for row, (one, other, worth) in enumerate(zip(a, b, won, strict=True)):
        if one == other or not one or not other:
            raise ValueError(
                f"{sheet.path}: row {row + 1} needs two models, found {cut(one)!r} and {cut(other)!r}"
            )
        utility[row, place[one]], utility[row, place[other]] = worth, 1 - worth
    if question := about.pop("query_id", ""):  # one question has many battles: they are of one group
        about.setdefault("group_id", question)
    meta = metadata(sheet, table, about, np.arange(len(a)))
    used = frozenset([*about.values(), "model_a", "model_b", *told])
    return Answers(tuple(models), {"utility": utility}, meta, np.arange(1, len(a) + 1), used)


def _won(sheet: Sheet, table: pa.Table) -> list[float]:
    """Return what each battle was worth to its first model."""
    if "winner" not in sheet.names:
        first, second = (columns.numbers(sheet.path, table, n, top=1) for n in _THREE[:2])
        return [float((1 + x - y) / 2) for x, y in zip(first, second, strict=True)]
    won = []
    for row, said in enumerate(columns.texts(sheet.path, table, "winner"), 1):
        word = str(said).strip().lower()
        if word not in _WORTH and "tie" not in word:
            raise ValueError(
                f"{sheet.path}: row {row}, column 'winner' needs model_a, model_b or tie, found {cut(said)!r}"
            )
        won.append(_WORTH.get(word, 0.5))
    return won

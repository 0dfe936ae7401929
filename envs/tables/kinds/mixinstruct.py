"""MixInstruct: JSON lines with `candidates: [{model, text, scores: {bertscore, ...}}]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.tables import aliases, columns
from envs.tables.answers import Answers
from envs.tables.how import How
from envs.tables.kinds.lm_eval import metric
from envs.tables.metadata import metadata, wanted
from envs.tables.sheet import Sheet

NAME, NEEDS = "MixInstruct", "candidates: [{model, scores: {metric: number}}]"


def _candidates(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    held = record.get("candidates")
    return [c for c in held if isinstance(c, dict) and "model" in c] if isinstance(held, list) else []


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows list candidates that are models with scores."""
    return "candidates" in columns and any("scores" in c for row in sample for c in _candidates(row))


def read(sheet: Sheet, how: How) -> Answers:
    """Return the scores of each candidate under one metric; several need `--metric`."""
    import pyarrow as pa

    listed = [_candidates(record) for record in sheet.records or ()]
    models = tuple(dict.fromkeys(str(c["model"]) for row in listed for c in row))
    scores = [c.get("scores") for row in listed for c in row]
    known = list(dict.fromkeys(name for held in scores if isinstance(held, dict) for name in held))
    chosen = metric(sheet, known, how)
    values: dict[str, list[Any]] = {model: [None] * len(listed) for model in models}
    for i, row in enumerate(listed):
        for candidate in row:
            held = candidate.get("scores")
            values[str(candidate["model"])][i] = held.get(chosen) if isinstance(held, dict) else None
    try:
        table = pa.table({m: pa.array(v, pa.float64()) for m, v in values.items()})
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(f"{sheet.path}: metric {chosen!r} needs a number in every candidate") from error
    utility = [columns.utilities(sheet.path, table, m, scale=how.span, clip=how.clip) for m in models]
    question = aliases.pick(sheet.names, ("instruction", "question", "prompt"))
    given = "input" in sheet.names
    about = wanted(sheet, {"question": question, "image_path": ""})
    rows = sheet.table([*about.values(), *["input"] * given] or ["candidates"])
    meta = metadata(sheet, rows, about, np.arange(len(listed)))
    if given and "question" in meta:
        more = columns.texts(sheet.path, rows, "input")
        meta["question"] = np.array(
            [f"{q}\n{x}" if x else q for q, x in zip(meta["question"], more, strict=True)], object
        )
    read_ = frozenset([*about.values(), "candidates", "input"])
    return Answers(models, {"utility": np.stack(utility, axis=1)}, meta, np.arange(1, len(listed) + 1), read_)

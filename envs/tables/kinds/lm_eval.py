"""lm-evaluation-harness: `samples_<task>_<time>.jsonl`, in a folder a model; the outcome under the metric's name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.tables import aliases, datasets
from envs.tables.aliases import Column
from envs.tables.answers import Answers, long
from envs.tables.how import How
from envs.tables.sheet import Sheet

NAME, NEEDS = "lm-evaluation-harness", "doc_id, target and a metric, in <model>/samples_<task>_<time>.jsonl"
_MARKS = {"doc_id", "target"}
_FIRST = ("doc.question", "doc.query", "doc.problem", "doc.prompt", "doc.input", "arguments.gen_args_0.arg_0")
_TASK = re.compile(r"samples_(.+?)(_\d{4}-\d\d-\d\dT[\d\-.:]+)?$")


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these are the harness's samples."""
    return set(columns) >= _MARKS and any(
        n in columns for n in ("resps", "filtered_resps", "doc_hash", "arguments")
    )


def metric(sheet: Sheet, known: Sequence[str], how: How) -> str:
    """Return the metric to read: the one that was asked for, or the only one.

    Raises:
        ValueError: it is not there, or there are several.
    """
    if how.metric is not None:
        if how.metric in known:
            return how.metric
        raise ValueError(f"{sheet.path}: no metric {how.metric!r}; there are {', '.join(known) or 'none'}")
    if len(known) != 1:
        raise ValueError(
            f"{sheet.path}: needs --metric with one of {', '.join(known) or 'the metrics (found none)'}"
        )
    return known[0]


def read(sheet: Sheet, how: How) -> Answers:
    """Return the outcomes of the model that the file's folder is called after."""
    named = [m for row in sheet.sample for m in row.get("metrics") or () if isinstance(m, str)]
    numeric = named or [n for n in sheet.names if _measured(sheet, n)]
    utility = metric(sheet, [m for m in dict.fromkeys(numeric) if m in sheet.names], how)
    question = aliases.pick(sheet.names, _FIRST)
    found = long(
        sheet,
        {"key": Column("doc_id"), "utility": Column(utility)},
        how,
        model=sheet.path.absolute().parent.name,
        renamed={"question": question, "dataset": "", "image_path": "", "group_id": ""},
    )
    assert found is not None  # one model
    hit = _TASK.match(sheet.path.name.partition(".jsonl")[0])
    task = hit[1] if hit else ""
    if task:
        said = np.full(len(found.rows), task, object)
        scenario = np.full(len(found.rows), datasets.scenario_of(task), object)
        found = found._replace(meta={**found.meta, "dataset": said, "scenario": scenario})
    return found._replace(scope=task)


def _measured(sheet: Sheet, name: str) -> bool:
    if name == "doc_id" or "." in name:
        return False
    cells = [row.get(name) for row in sheet.sample]
    return bool(cells) and all(isinstance(cell, (int, float)) for cell in cells)

"""VLMEvalKit: a file a model and data set, `<model>_<dataset>*.xlsx|tsv|csv`, a row a question, `hit` its outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.tables import aliases, datasets
from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers, long
from envs.tables.how import How
from envs.tables.records import HEAD
from envs.tables.sheet import Sheet, shown

NAME, NEEDS = "VLMEvalKit", "index and hit (or correct, score), in a file called <model>_<dataset>"
_UTILITY = ("hit", "correct", "score")
_JUDGED = re.compile(r"(_[^_]*(judge|result|openai|exact_matching|gpt)[^_]*)+(_\w+)?$", re.IGNORECASE)


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows are numbered questions with an outcome, and no column names the model."""
    headed = any(n.startswith(HEAD) for n in columns)
    plain = {aliases.snake(name) for name in columns}
    return (
        "index" in plain
        and any(u in plain for u in _UTILITY)
        and not headed
        and not plain & set(aliases.MODEL)
    )


def read(sheet: Sheet, how: How) -> Answers:
    """Return the outcomes of the model and data set that the file is called after."""
    model, dataset = named_after(sheet.path)
    utility = how.metric or aliases.pick(sheet.names, _UTILITY)
    if utility not in sheet.names:
        raise ValueError(f"{sheet.path}: no column {utility!r} for --metric; found {shown(sheet.names)}")
    fields = {f: field_column(sheet.names, f) for f in aliases.FIELDS}
    columns = {"key": Column(aliases.pick(sheet.names, ("index",))), "utility": Column(utility)}
    found = long(sheet, columns | {f: c for f, c in fields.items() if c}, how, model=model)
    assert found is not None  # one model
    if dataset:
        said = np.full(len(found.rows), dataset, object)
        scenario = np.full(len(found.rows), datasets.scenario_of(dataset), object)
        found = found._replace(meta={**found.meta, "dataset": said, "scenario": scenario})
    return found._replace(scope=dataset)


def named_after(path: Path) -> tuple[str, str]:
    """Return the model and the data set of a file's name, as VLMEvalKit makes it; the data set "" where it is unknown.

    Models have underscores too, so the longest ending that is a known data set is one; else what follows the last
    underscore.
    """
    stem = path.name.partition(".")[0] if path.name.count(".") == 1 else _stem(path)
    stem = _JUDGED.sub("", stem)
    parts = stem.split("_")
    for i in range(1, len(parts)):
        if datasets.scenario_of("_".join(parts[i:])):
            return "_".join(parts[:i]), "_".join(parts[i:])
    model, _, dataset = stem.rpartition("_")
    return (model, dataset) if model else (stem, "")


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name[: name.rindex(".")]

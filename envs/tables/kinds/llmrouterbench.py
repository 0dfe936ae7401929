"""LLMRouterBench: a JSON document a model and data set, with `model_name`, `dataset_name` and `records`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.tables import aliases, datasets
from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers, long
from envs.tables.how import How
from envs.tables.records import HEAD
from envs.tables.sheet import Sheet

NAME, NEEDS = "LLMRouterBench", "model_name, dataset_name and records: [{index, score, ...}]"
_MODEL, _DATASET = f"{HEAD}model_name", f"{HEAD}dataset_name"


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a document says its model once and has records with a score."""
    return _MODEL in columns and bool(aliases.pick(columns, aliases.LONG_UTILITY)) and "index" in columns


def read(sheet: Sheet, how: How) -> Answers:
    """Return the outcomes of the document's model; questions are called `<dataset>/<index>`."""
    table = sheet.table([n for n in (_MODEL, _DATASET) if n in sheet.names])
    model, dataset = (str(table.column(n)[0].as_py()) if n in sheet.names else "" for n in (_MODEL, _DATASET))
    fields = {f: field_column(sheet.names, f) for f in aliases.FIELDS}
    utility = Column(how.metric or aliases.pick(sheet.names, aliases.LONG_UTILITY))
    named = {"key": Column("index"), "utility": utility} | {f: c for f, c in fields.items() if c}
    question = aliases.pick(sheet.names, ("origin_query", "prompt", "question"))
    found = long(sheet, named, how, model=model, renamed={"question": question, "dataset": ""})
    assert found is not None  # one model
    size = len(found.rows)
    meta = found.meta | {
        "query_id": np.array(
            [f"{dataset}/{i}" if dataset else str(i) for i in found.meta["query_id"]], object
        ),
        "dataset": np.full(size, dataset, object),
        "scenario": np.full(size, datasets.scenario_of(dataset), object),
    }
    return found._replace(meta=meta, used=found.used | {_MODEL, _DATASET})

"""HELM's `per_instance_stats.json`: a list of instances with their statistics; the model in the run's folder name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.outcomes import Floats
from envs.tables import datasets
from envs.tables.answers import Answers
from envs.tables.how import How
from envs.tables.kinds.lm_eval import metric
from envs.tables.sheet import Sheet, cut

NAME, NEEDS = (
    "HELM per_instance_stats",
    "instance_id and stats: [{name: {name}, mean}], in a folder ...,model=NAME",
)
_SCORES = (
    "exact_match", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match",
    "quasi_leave_articles_exact_match",
    "f1_score", "rouge_l", "bleu_4", "final_num_exact_match", "math_equiv", "math_equiv_chain_of_thought",
    "classification_micro_f1", "code_eval_acc", "test_avg", "ifeval_strict_accuracy", "chain_of_thought_correctness",
    "wildbench_score_rescaled", "omni_math_accuracy",
)  # fmt: skip
_MEASURED = {
    "latency": "inference_runtime",
    "tokens": "num_output_tokens",
    "input_tokens": "num_prompt_tokens",
}
_MODEL = re.compile(r"model=([^,/]+)")


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows are instances with a list of statistics."""
    return {"instance_id", "stats"} <= set(columns) and any(
        isinstance(row.get("stats"), list) for row in sample
    )


def read(sheet: Sheet, how: How) -> Answers:
    """Return the outcomes of the run's model on unperturbed instances, means over trials."""
    folder = sheet.path.absolute().parent.name
    hit = _MODEL.search(folder)
    model = hit[1] if hit else folder
    dataset = re.split(r"[:,]", folder)[0] if hit else ""
    values = _values(sheet)
    found = list(dict.fromkeys(name for stats in values.values() for name in stats))
    scores = [n for n in found if n in _SCORES] if how.metric is None else found
    utility = metric(sheet, scores or [n for n in found if n not in _MEASURED.values()], how)
    wanted = {"utility": utility} | {f: n for f, n in _MEASURED.items() if n in found}
    fields = {f: np.array([[stats.get(n, np.nan)] for stats in values.values()]) for f, n in wanted.items()}
    size = len(values)
    meta = {
        "query_id": np.array(list(values), object),
        "dataset": np.full(size, dataset, object),
        "scenario": np.full(size, datasets.scenario_of(dataset), object),
    }
    return Answers(
        (model,),
        _ranged(sheet, fields, how),
        meta,
        np.arange(1, size + 1),
        frozenset(sheet.names),
        scope=folder_scope(folder),
    )


def folder_scope(folder: str) -> str:
    """Return what a run is about: its folder's name without the model."""
    return ",".join(part for part in re.split(r",", _MODEL.sub("", folder)) if part)


def _values(sheet: Sheet) -> dict[str, dict[str, float]]:
    """Return each instance's statistics, means over its trials."""
    sums: dict[str, dict[str, list[float]]] = {}
    for number, record in enumerate(sheet.records or (), 1):
        if record.get("perturbation"):
            continue
        stats = record.get("stats")
        if not isinstance(stats, list):
            raise ValueError(
                f"{sheet.path}: record {number} needs stats as a list, found {type(stats).__name__}"
            )
        into = sums.setdefault(str(record.get("instance_id")), {})
        for stat in stats:
            name, value = _stat(stat)
            if name:
                into.setdefault(name, []).append(value)
    if not sums:
        raise ValueError(f"{sheet.path}: needs at least one unperturbed instance, found none")
    return {key: {n: float(np.mean(v)) for n, v in stats.items()} for key, stats in sums.items()}


def _stat(stat: Any) -> tuple[str, float]:
    """Return the name and the mean of a statistic; no name where it is none."""
    named = stat.get("name") if isinstance(stat, dict) else None
    name = named.get("name") if isinstance(named, dict) else named
    if not isinstance(name, str) or not isinstance(stat, dict):
        return "", np.nan
    value = stat.get("mean")
    if (
        value is None
        and isinstance(stat.get("sum"), (int, float))
        and isinstance(stat.get("count"), (int, float))
    ):
        value = stat["sum"] / stat["count"] if stat["count"] else None
    return (name, float(value)) if isinstance(value, (int, float)) else ("", np.nan)


def _ranged(sheet: Sheet, fields: dict[str, Floats], how: How) -> dict[str, Floats]:
    """Return the fields with utilities in [0, 1]."""
    import pyarrow as pa

    from envs.tables import columns

    table = pa.table({f: pa.array(v[:, 0], from_pandas=True) for f, v in fields.items()})
    utility = columns.utilities(sheet.path, table, "utility", scale=how.span, clip=how.clip)
    rest = {f: columns.numbers(sheet.path, table, cut(f))[:, None] for f in fields if f != "utility"}
    return {"utility": utility[:, None], **rest}

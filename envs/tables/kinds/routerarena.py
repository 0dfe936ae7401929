"""RouterArena: a router's predictions (a log), or `cached_results`, one model's answers with `evaluation_result`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import aliases
from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers, long
from envs.tables.how import How
from envs.tables.log import Log, log_of
from envs.tables.sheet import Sheet

NAME, NEEDS = "RouterArena", "global_index with prediction and accuracy, or with evaluation_result"
_SCORE, _COST = "evaluation_result.score", "evaluation_result.inference_cost"


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows have RouterArena's index and its results."""
    plain = {aliases.snake(n) for n in columns}
    return "global_index" in plain and ("prediction" in plain or _SCORE in plain)


def read(sheet: Sheet, how: How) -> Answers | Log:
    """Return predictions as a log, cached results as one model's outcomes."""
    key = aliases.pick(sheet.names, ("global_index",))
    if _SCORE not in sheet.names:
        tokens = {
            "tokens": "generated_result.token_usage.output_tokens",
            "input_tokens": "generated_result.token_usage.input_tokens",
        }
        there = {f: n for f, n in tokens.items() if n in sheet.names}
        return log_of(sheet, how, renamed={"query_id": key, "model": "prediction"} | there)
    model = aliases.pick(sheet.names, ("llm_selected", "model", "model_name"))
    named = {"key": Column(key), "utility": Column(_SCORE)} | ({"model": Column(model)} if model else {})
    if _COST in sheet.names:
        named["cost"] = Column(_COST, unit="USD/query")
    for field in ("tokens", "input_tokens"):
        column = field_column(sheet.names, field, "token_usage.")
        named |= {field: column} if column else {}
    found = long(sheet, named, how, model="" if model else sheet.path.name.partition(".json")[0])
    return found if found is not None else log_of(sheet, how, renamed={"model": model, "utility": _SCORE})

"""The many names of one thing: which column is the query's id, the model, its utility, its cost and in which unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

ID = (
    "query_id", "dataset_idx", "qid", "id", "question_id", "sample_id", "prompt_id", "global_index", "request_id",
    "instance_id", "embedding_id", "doc_id", "trace_id", "generation_id", "key",
)  # fmt: skip
QUESTION = (
    "question",
    "prompt",
    "query",
    "text",
    "origin_query",
    "instruction",
    "messages",
    "input",
    "request_prompt",
)
META = {
    "dataset": (
        "dataset", "benchmark", "source", "task", "eval_name", "task_name", "dataset_name", "task_id", "category"
    ),
    "scenario": ("scenario",),
    "group_id": ("group_id", "group"),
    "image_path": ("image_path", "img_path", "image"),
}  # fmt: skip
MODEL = ("model", "model_name", "model_id", "arm", "llm", "model_permaslug", "request_model", "llm_selected")
# Endings of wide tables; the first that a table has is read. The rest of a long table's names are no model's in a
# wide one: `true_label` and `answer_quality` are about the question.
UTILITY = ("utility", "correct", "score")
ENDINGS = (
    *UTILITY,
    "accuracy",
    "acc",
    "f1",
    "em",
    "hit",
    "is_correct",
    "performance",
    "quality",
    "reward",
    "effect",
    "label",
)
LONG_UTILITY = (
    *UTILITY, "is_correct", "reward", "accuracy", "acc", "hit", "label", "quality", "effect", "performance", "success"
)  # fmt: skip
FIELDS = {
    "cost": ("cost", "total_cost", "cost_total", "spend", "inference_cost", "price_usd"),
    "latency": ("latency", "response_time", "duration", "delay", "generation_time", "time_taken", "total_latency"),
    "tokens": (
        "output_tokens", "tokens", "token", "completion_tokens", "num_output_tokens", "tokens_completion",
        "generated_tokens",
    ),
    "input_tokens": ("input_tokens", "prompt_tokens", "num_input_tokens", "tokens_prompt"),
    "cached_tokens": ("cached_tokens", "cached_input_tokens", "cache_read_tokens", "cache_read_input_tokens"),
    "outchars": ("outchars", "output_chars"),
}  # fmt: skip
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "millis": 1e-3, "us": 1e-6, "min": 60.0}
_CURRENCIES = ("usd", "eur", "gbp", "cny", "jpy", "inr", "chf", "cad", "aud", "credits")
_HUNDREDTHS = {"cents": "USD", "usd_cents": "USD", "eur_cents": "EUR"}


class Column(NamedTuple):
    """A column that holds a field: its name, what its numbers are multiplied by, the unit that its name tells."""

    name: str
    scale: float = 1.0
    unit: str = ""


@lru_cache(4096)  # each column is looked at for each field
def snake(name: str) -> str:
    """Return a name in lower case with underscores: `totalCost`, `Total cost` and `total-cost` are one."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s\-]+", "_", parted).lower()


def pick(names: Iterable[str], aliases: Sequence[str]) -> str:
    """Return the first alias among the column names as they stand, else in any spelling, else ""."""
    present = list(names)
    exact = next((alias for alias in aliases if alias in present), "")
    if exact:
        return exact
    spelt = {snake(name): name for name in reversed(present)}
    return next((spelt[alias] for alias in aliases if alias in spelt), "")


def field_column(names: Iterable[str], field: str, stem: str = "") -> Column | None:
    """Return the column of a field of `FIELDS` whose name begins with `stem`, its unit told by the name."""
    told = {snake(n.removeprefix(stem)): n for n in reversed(list(names)) if n.startswith(stem)}
    for alias in FIELDS[field]:
        if alias in told:
            return Column(told[alias])
        for ending, column in _units(field).items():
            if f"{alias}_{ending}" in told:
                return column._replace(name=told[f"{alias}_{ending}"])
    return None


def _units(field: str) -> dict[str, Column]:
    if field == "cost":
        told = {
            c: Column("", 1.0, f"{'credits' if c == 'credits' else c.upper()}/query") for c in _CURRENCIES
        }
        return told | {e: Column("", 0.01, f"{c}/query") for e, c in _HUNDREDTHS.items()}
    return {e: Column("", s) for e, s in _SECONDS.items()} if field == "latency" else {}


def all_names() -> dict[str, str]:
    """Return every name that is understood on its own, and what it is."""
    lists = {"query_id": ID, "question": QUESTION, "model": MODEL, "utility": LONG_UTILITY, **META, **FIELDS}
    return {name: field for field, names in reversed(lists.items()) for name in names}

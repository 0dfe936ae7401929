"""Columns named after models, holding True and False or numbers: RouteLLM's and home-made tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import aliases
from envs.tables.about import COLUMN
from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers, wide
from envs.tables.columns import MISSING, TRUTH, is_embedding
from envs.tables.how import How
from envs.tables.sheet import Sheet

NAME, NEEDS = "columns named after models", "--models A,B, or columns called like models that hold 0 to 1"
_CALLED = re.compile(
    r"[\w.\-]+/[\w.\-:]+|.*(gpt|claude|gemini|gemma|llama|mistral|mixtral|qwen|yi-|phi-|deepseek|falcon|vicuna|command"
    r"|nova|grok|internvl|llava|palm|wizard|zephyr|o1|o3|o4|haiku|sonnet|opus|kimi|glm|minicpm|cogvlm|molmo|pixtral).*",
    re.IGNORECASE,
)
_ASIDE = ("id", "index", "split", "answer", "target", "gold", "ground_truth", "reference", "label", "subject")


def candidates(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that hold nothing but truth values or numbers in [0, 1], and are nothing else by name."""
    return [n for n in _unknown(columns) if sample and _in_range([row.get(n) for row in sample])]


def _unknown(columns: Sequence[str]) -> list[str]:
    """Return the columns whose names tell nothing."""
    lists = (aliases.ID, aliases.QUESTION, _ASIDE, *aliases.META.values(), aliases.LONG_UTILITY)
    known = {name for names in lists for name in names} | {COLUMN}
    fields = [name for names in aliases.FIELDS.values() for name in names]
    ends = tuple(f"{mark}{e}" for e in (*aliases.ENDINGS, *fields, "response") for mark in "_.")
    free = [n for n in columns if n and aliases.snake(n) not in known and not is_embedding(n)]
    # Of a wide table, what else is told of an answer, a judge's score of it for one, is no model.
    told = tuple(f"{mark}{e}" for e in aliases.ENDINGS for mark in "_.")
    owners = tuple(n.removesuffix(e) + mark for n in columns for e in told if n.endswith(e) for mark in "_.")
    free = [n for n in free if not n.startswith(owners)]
    return [n for n in free if not n.endswith(ends) and not any(mark in n for mark in ("|", "file."))]


def _in_range(cells: Sequence[Any]) -> bool:
    seen = [str(c).strip().lower() for c in cells if c is not None and str(c).strip().lower() not in MISSING]
    try:
        return bool(seen) and all(0 <= float(TRUTH.get(c, c)) <= 1 for c in seen)
    except ValueError:
        return False


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two or more columns hold outcomes, all are called like models, and nothing else could be one."""
    found = candidates(columns, sample) if not any("|" in n for n in columns) else []
    return len(found) > 1 and found == _unknown(columns) and all(_CALLED.fullmatch(n) for n in found)


def read(sheet: Sheet, how: How) -> Answers:
    """Return the outcomes under the models' names."""
    models = list(how.models or candidates(sheet.names, sheet.sample))
    cells: dict[str, dict[str, Column]] = {}
    for model in models:
        fields = {f: field_column(sheet.names, f, f"{model}_") for f in aliases.FIELDS}
        cells[model] = {"utility": Column(model)} | {f: c for f, c in fields.items() if c}
    return wide(sheet, cells, how)

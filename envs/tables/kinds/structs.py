"""A structure a model, as SPROUT has it: `model: {score, num_input_tokens, num_output_tokens, response}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import aliases
from envs.tables.answers import Answers, wide
from envs.tables.how import How
from envs.tables.kinds.arms import STEM, nested_cells
from envs.tables.records import HEAD
from envs.tables.sheet import Sheet

NAME, NEEDS = "a structure a model (SPROUT)", "model: {score, num_output_tokens, ...} of two models"
_OTHERS = (
    "arms",
    "scores",
    "file",
    "generated_result",
    "evaluation_result",
    "doc",
    "metrics",
    "usage",
    "metadata",
)


def _nested(columns: Sequence[str]) -> list[str]:
    apart = (STEM, HEAD)
    return [n for n in columns if "." in n and not n.startswith(apart) and n.partition(".")[0] not in _OTHERS]


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two or more structures hold a score each, and no column names a model."""
    if aliases.pick(columns, aliases.MODEL) or any(n.startswith(STEM) for n in columns):
        return False
    return len(nested_cells(_nested(columns), "", aliases.LONG_UTILITY)) >= 2


def read(sheet: Sheet, how: How) -> Answers:
    """Return the scores and tokens of each structure."""
    key = {"query_id": "key"} if "key" in sheet.names else {}  # SPROUT's dataset_idx counts within a data set
    return wide(sheet, nested_cells(_nested(sheet.names), "", aliases.LONG_UTILITY), how, renamed=key)

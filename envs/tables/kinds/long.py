"""A long table, one row a call: query, model, utility; EmbedLLM, VL-RouterBench, LLMRouter, GraphRouter are such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import answers
from envs.tables.answers import Answers
from envs.tables.how import How
from envs.tables.kinds import routerarena
from envs.tables.log import Log, log_of
from envs.tables.records import HEAD
from envs.tables.sheet import Sheet

NAME, NEEDS = "a long table", "query_id, model and utility (or correct, score)"


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether columns name the query, the model and the outcome of a call."""
    plain = [n for n in columns if not n.startswith(HEAD)]
    return bool(answers.long_columns(plain)) and not routerarena.looks(columns, sample)


def read(sheet: Sheet, how: How) -> Answers | Log:
    """Return the outcomes by query and model; a log, where most queries have one model's."""
    found = answers.long(sheet, answers.long_columns(sheet.names), how)
    return found if found is not None else log_of(sheet, how)

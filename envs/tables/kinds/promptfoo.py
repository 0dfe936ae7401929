"""promptfoo's results: one entry a test and provider, `success` or `score`, `latencyMs` and `cost` in USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import aliases
from envs.tables.aliases import Column
from envs.tables.answers import Answers, long
from envs.tables.how import How
from envs.tables.log import Log, log_of
from envs.tables.sheet import Sheet

NAME, NEEDS = "promptfoo", "results with provider, testIdx (or vars) and score or success"
_MODELS = ("provider.label", "provider.id", "provider")
_TOKENS = {
    "tokens": "response.tokenUsage.completion",
    "input_tokens": "response.tokenUsage.prompt",
    "cached_tokens": "response.tokenUsage.cached",
}


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether entries have a provider, an outcome and a test."""
    tested = any(
        n in ("testIdx", "vars", "testCase") or n.startswith(("vars.", "testCase.")) for n in columns
    )
    return any(n in columns for n in _MODELS) and any(n in columns for n in ("score", "success")) and tested


def read(sheet: Sheet, how: How) -> Answers | Log:
    """Return the outcomes of each provider on each test."""
    model = next(n for n in _MODELS if n in sheet.names and any(_held(row, n) for row in sheet.sample))
    key = aliases.pick(sheet.names, ("testIdx", *[n for n in sheet.names if n.startswith("vars.")]))
    if not key:
        raise ValueError(f"{sheet.path}: a promptfoo result needs testIdx or vars to tell the tests apart")
    utility = how.metric or ("score" if "score" in sheet.names else "success")
    named = {"key": Column(key), "model": Column(model), "utility": Column(utility)}
    measured = {"cost": Column("cost", unit="USD/query"), "latency": Column("latencyMs", 1e-3)}
    measured |= {field: Column(name) for field, name in _TOKENS.items()}
    named |= {f: c for f, c in measured.items() if c.name in sheet.names}
    question = aliases.pick(
        sheet.names, ("prompt.raw", "vars.question", "vars.prompt", "vars.query", "vars.input")
    )
    found = long(sheet, named, how, renamed={"question": question, "query_id": key})
    return found if found is not None else log_of(sheet, how, renamed={"model": model, "utility": utility})


def _held(row: Mapping[str, Any], name: str) -> bool:
    held: Any = row
    for part in name.split("."):
        held = held.get(part) if isinstance(held, dict) else None
    return isinstance(held, str) and held != ""

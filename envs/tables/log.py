"""A log of requests: one model a row, what it gave, and with which probability it was chosen where that is recorded.

A log is no table of outcomes: what the other models would have answered is not in it. It serves a warm start and
off-policy evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats, Texts
from envs.tables import about, aliases, columns, files
from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers
from envs.tables.how import How
from envs.tables.sheet import Sheet, cut, shown

if TYPE_CHECKING:
    import pyarrow as pa

PROPENSITY = ("propensity", "pscore", "act_prob", "action_prob", "probability", "p_log")
CANDIDATES = ("candidates", "candidate_models", "available", "available_models", "eligible")
MODEL = (*aliases.MODEL, "action", "prediction", "model_group")
UTILITY = (*aliases.LONG_UTILITY, "click", "user_feedback", "feedback", "rating", "thumbs")
TIMESTAMP = (
    "timestamp", "tstamp", "start_time", "created_at", "request_created_at", "time", "date", "created", "seconds"
)  # fmt: skip


class Log(NamedTuple):
    """`N` logged requests; arrays are `(N,)` and None where nothing is recorded.

    Attributes:
        path: the file.
        models: `K` names, in order of first appearance.
        model: the place of each request's model among them.
        query_id: as recorded, else the 1-based row.
        utility: in [0, 1], NaN where the request has none.
        cost: in `cost_unit` a call.
        latency: seconds.
        tokens, input_tokens: of the answer, of the question.
        propensity: probability in (0, 1] with which the model was chosen.
        candidates: the models that could have been chosen, as places among `models`, one tuple a request.
        every: `(N, K)` probabilities of all models, where candidates come with theirs, `a:0.7|b:0.3`.
        question: text.
        timestamp: as recorded.
        context: every other column as text, by its name.
        cost_unit: "" where there is no cost.
        notes: what was assumed.
    """

    path: Path
    models: tuple[str, ...]
    model: NDArray[np.int64]
    query_id: Texts
    utility: Floats
    cost: Floats | None = None
    latency: Floats | None = None
    tokens: Floats | None = None
    input_tokens: Floats | None = None
    propensity: Floats | None = None
    candidates: tuple[tuple[int, ...], ...] | None = None
    question: Texts | None = None
    timestamp: Texts | None = None
    context: Mapping[str, Texts] = {}
    cost_unit: str = ""
    notes: tuple[str, ...] = ()
    every: Floats | None = None

    def refusal(self) -> str:
        """Why this is no table of outcomes, and what it is good for, on one line."""
        scored = np.isfinite(self.utility).sum()
        known = f"{scored:,} with a score" if scored else "no score recorded"
        logged = "with propensities" if self.propensity is not None else "without propensities"
        return (
            f"{self.path}: a log of {len(self.model):,} requests, one model a query"
            f" ({len(self.models)} models, {known}, {logged}): what the other models would have answered is not in it;"
            " it is good for a --warm-start and for off-policy evaluation, not as a table of outcomes"
        )

    def answers(self) -> Answers:
        """Return the requests that have a score as rows of an outcome table in which the other models are missing."""
        kept = np.flatnonzero(~np.isnan(self.utility))
        own = len(set(self.query_id.tolist())) == len(self.query_id)
        ids = self.query_id if own else np.array([str(i + 1) for i in range(len(self.model))], object)
        meta = {"query_id": ids[kept]} | ({} if self.question is None else {"question": self.question[kept]})
        fields = {}
        for name in ("utility", "cost", "latency", "tokens", "input_tokens"):
            if (values := getattr(self, name)) is not None:
                fields[name] = np.full((len(kept), len(self.models)), np.nan)
                fields[name][np.arange(len(kept)), self.model[kept]] = values[kept]
        left = len(self.model) - len(kept)
        notes = (*self.notes, *[f"left out {left:,} requests without a score"] * bool(left))
        return Answers(self.models, fields, meta, kept + 1, frozenset(), self.cost_unit, notes)


def read_log(path: str | Path, *, how: How | None = None) -> Log:
    """Return the log that a file holds, one request a row.

    Args:
        path: a file as `files.opened` takes it, with a column of models (`model`, `arm`, `action`, ...). Recognised
            beside it: `propensity`, `pscore`, `act_prob`, `action_prob`, `probability`, `p_log`; scores, costs,
            latency and tokens by their many names; candidates; every other column is context.
        how: the range and the unit that columns cannot tell.

    Raises:
        ValueError: one line: no column of models, or a cell that is no number or out of range.
    """
    return log_of(files.opened(Path(path)), how or How())


def log_of(sheet: Sheet, how: How, *, renamed: Mapping[str, str] | None = None) -> Log:
    """Return the log of an opened file; `renamed` are columns by field, where it has names of its own for them."""
    named = _named(sheet.names) | {f: Column(n) for f, n in (renamed or {}).items()}
    if "model" not in named:
        raise ValueError(
            f"{sheet.path}: a log needs a column model (or arm, action), found {shown(sheet.names)}"
        )
    measured = [
        f for f in ("utility", "cost", "latency", "tokens", "input_tokens", "propensity") if f in named
    ]
    table = sheet.table(sheet.names, numbers=[named[f].name for f in measured])
    models, place = columns.codes(sheet.path, table, named["model"].name)
    if "" in models:
        row = int(np.flatnonzero(place == models.index(""))[0])
        raise ValueError(
            f"{sheet.path}: row {row + 1}, column {named['model'].name!r} needs a name, found an empty cell"
        )
    kept: dict[str, Any] = {
        f: columns.numbers(sheet.path, table, named[f].name) * named[f].scale
        for f in measured
        if f != "utility"
    }
    _probabilities(sheet, named, kept.get("propensity"))
    utility = np.full(table.num_rows, np.nan)
    if "utility" in named:
        utility = columns.utilities(sheet.path, table, named["utility"].name, scale=how.span, clip=how.clip)
    words: dict[str, Any] = {f: columns.texts(sheet.path, table, named[f].name) for f in _WORDS if f in named}
    rest = [n for n in sheet.names if n not in {c.name for c in named.values()} and columns.is_text(table, n)]
    candidates, every = _candidates(sheet, table, named, models)  # may add models that were never chosen
    if every is not None:
        kept["propensity"] = _agreeing(sheet, every, place, kept.get("propensity"))
    said, unit = about.parsed(sheet.path, sheet.said), ""
    if "cost" in named:
        unit = f"{how.unit}/query" if how.unit else said.cost_unit or named["cost"].unit or "units/query"
    return Log(
        sheet.path,
        models=tuple(models),
        model=place.astype(np.int64),
        query_id=words.pop("query_id", np.array([str(i + 1) for i in range(table.num_rows)], object)),
        utility=utility,
        candidates=candidates,
        every=every,
        context={n: columns.texts(sheet.path, table, n) for n in rest},
        cost_unit=unit,
        notes=(*sheet.notes, *[f"the log's numbers are from: {said.label}"] * bool(sheet.said)),
        **kept,
        **words,
    )


_WORDS = ("query_id", "question", "timestamp")


def _named(names: tuple[str, ...]) -> dict[str, Column]:
    """Return the columns of a log by field."""
    lists = {
        "model": MODEL, "utility": UTILITY, "propensity": PROPENSITY, "candidates": CANDIDATES,
        "query_id": aliases.ID, "question": aliases.QUESTION, "timestamp": TIMESTAMP,
    }  # fmt: skip
    named = {field: Column(name) for field, known in lists.items() if (name := aliases.pick(names, known))}
    fields = {field: field_column(names, field) for field in ("cost", "latency", "tokens", "input_tokens")}
    return named | {field: column for field, column in fields.items() if column}


def _probabilities(sheet: Sheet, named: Mapping[str, Column], values: Floats | None) -> None:
    if values is not None and not ((values > 0) & (values <= 1)).all():
        row = int(np.flatnonzero(~((values > 0) & (values <= 1)))[0])
        raise ValueError(
            f"{sheet.path}: row {row + 1}, column {named['propensity'].name!r} needs a probability in (0, 1],"
            f" found {values[row]:g}"
        )


def _candidates(
    sheet: Sheet, table: pa.Table, named: Mapping[str, Column], models: list[str]
) -> tuple[tuple[tuple[int, ...], ...] | None, Floats | None]:
    """Return the candidates of each request, and the probabilities `(N, K)` of all models where every cell has them.

    A cell is a list, JSON, or names parted by `|`, `;` or `,`; with probabilities a JSON object, or `name:p` for each.
    """
    if "candidates" not in named:
        return None, None
    name, place = named["candidates"].name, {model: k for k, model in enumerate(models)}
    known: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {}
    found, told = [], []
    for row, cell in enumerate(table.column(name).to_pylist(), 1):
        key = json.dumps(cell) if isinstance(cell, list) else str(cell or "")
        if key not in known:
            listed, chances = (cell, []) if isinstance(cell, list) else _listed(key, place)
            if wrong := [m for m in listed if not isinstance(m, str)]:
                raise ValueError(
                    f"{sheet.path}: row {row}, column {name!r} needs names of models, found {cut(wrong[0])!r}"
                )
            if chances and not (min(chances) >= 0 and abs(sum(chances) - 1) < 1e-3):
                raise ValueError(
                    f"{sheet.path}: row {row}, column {name!r} needs probabilities that add up to 1, found {cut(key)!r}"
                )
            for model in listed:  # one that was never chosen is new
                if model not in place:
                    place[model] = len(place)
                    models.append(model)
            known[key] = tuple(place[model] for model in listed), tuple(chances)
        found.append(known[key][0])
        told.append(known[key][1])
    if not all(told):
        return tuple(found), None
    every = np.zeros((len(found), len(models)))
    rows = np.repeat(np.arange(len(found)), [len(each) for each in found])
    every[rows, [k for each in found for k in each]] = [p for each in told for p in each]
    return tuple(found), every / every.sum(axis=1, keepdims=True)


def _agreeing(sheet: Sheet, every: Floats, place: NDArray[Any], given: Floats | None) -> Floats:
    """Return the probability of each chosen model, the same in the column of propensities where there is one.

    Raises:
        ValueError: the two differ, or a model was chosen that had no probability.
    """
    own = every[np.arange(len(place)), place]
    if not (own > 0).all():
        row = int((own <= 0).argmax())
        raise ValueError(
            f"{sheet.path}: row {row + 1} needs a probability above 0 for the model called among its candidates"
        )
    if given is not None and (far := np.abs(given - own) > 1e-3).any():
        row = int(far.argmax())
        raise ValueError(
            f"{sheet.path}: row {row + 1} needs one probability of the model called, found {given[row]:g} as its"
            f" propensity and {own[row]:g} among its candidates"
        )
    return np.asarray(own)


def _listed(text: str, models: Mapping[str, int]) -> tuple[list[Any], list[float]]:
    """Return the models of a cell, and their probabilities where it has them; `llama:7` may be a model's name."""
    if text.startswith(("[", "{")):
        try:
            read = json.loads(text)
        except ValueError:
            return [], []
        if isinstance(read, dict):
            return list(read), [float(p) if isinstance(p, (int, float)) else -1.0 for p in read.values()]
        return (list(read) if isinstance(read, list) else []), []
    mark = next((m for m in "|;," if m in text), ",")
    listed = [part.strip() for part in text.split(mark) if part.strip()]
    pairs = [part.rpartition(":") for part in listed]
    try:
        chances = [float(p) for _, _, p in pairs]
    except ValueError:
        return listed, []
    if not all(name for name, _, _ in pairs) or any(name in models for name in listed):
        return listed, []
    return [name.strip() for name, _, _ in pairs], chances

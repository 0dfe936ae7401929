"""The precomputed matrix of outcomes: what every model would have answered, and at what cost."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e30  # of a cost, a latency or a number of tokens: sums and squares of what is larger overflow

Floats = NDArray[np.floating[Any]]
Texts = NDArray[np.object_]

# Fields with one row a query, and fields with one column a model: `take` and `select` follow these lists.
_BY_QUERY = (
    "utility", "cost", "latency", "tokens", "query_id", "dataset", "scenario", "group_id",
    "question", "image_path", "text", "image", "origin",
)  # fmt: skip
_BY_MODEL = ("utility", "cost", "latency", "tokens")
_TEXT_FIELDS = ("dataset", "scenario", "group_id", "question", "image_path")


@dataclass(frozen=True, eq=False)
class Outcomes:
    """A frozen table of outcomes, validated once, on construction.

    Shapes: `T` queries, `K` models. A NaN in `utility` means that this model has no recorded outcome
    for this query: it is unavailable there. Where `utility` is NaN, every other field is ignored.

    Attributes:
        models: `K` names, unique.
        utility: `(T, K)` float64 in [0, 1], NaN where missing.
        cost: `(T, K)` float64 >= 0 in `cost_unit` a call; NaN in every cell when the table records no cost.
        query_id: `(T,)` str, unique.
        dataset, scenario, group_id, question, image_path: `(T,)` str, "" where unknown. Scenario is one of
            `ocr`, `vqa`, `math`, `text` or "". Rows of one `group_id` are near copies: split by group.
        latency: `(T, K)` seconds, or None.
        tokens: `(T, K)` output tokens, or None.
        text, image: `(T, dt)` and `(T, di)` float32 embeddings, or None.
        price: `(K,)` posted cost of a call in `cost_unit`, NaN where none is posted.
        cost_unit: for example "USD/query"; "" when there is no cost.
        label: what every output must say of these numbers, for example "recorded answers" or
            "calibrated twin, not recorded answers".
        source, licence: where it comes from, "" where unknown.
        layout: the kind of file that it was read from, such as "RouterBench"; "" where it was made here.
        notes: one line each, shown to the user: what was assumed, derived or left out while reading.
        origin: `(T,)` int64 row of the table as it was read from its file, from 0; a subset keeps it.

    Raises:
        ValueError: naming the field, the row or model, what is needed and what was found.
    """

    models: tuple[str, ...]
    utility: Floats
    cost: Floats
    query_id: Texts
    dataset: Texts = None  # type: ignore[assignment]  # filled with "" on construction
    scenario: Texts = None  # type: ignore[assignment]
    group_id: Texts = None  # type: ignore[assignment]
    question: Texts = None  # type: ignore[assignment]
    image_path: Texts = None  # type: ignore[assignment]
    latency: Floats | None = None
    tokens: Floats | None = None
    text: Floats | None = None
    image: Floats | None = None
    price: Floats = None  # type: ignore[assignment]
    cost_unit: str = ""
    label: str = "recorded answers"
    source: str = ""
    licence: str = ""
    layout: str = ""
    notes: tuple[str, ...] = field(default=())
    origin: NDArray[np.int64] = None  # type: ignore[assignment]  # filled with 0, 1, ... on construction

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("models", tuple(str(m) for m in self.models))
        for name in ("utility", "cost"):
            put(name, _frozen(np.asarray(getattr(self, name), dtype=np.float64)))
        n = self.utility.shape[0] if self.utility.ndim == 2 else 0
        put("query_id", _frozen(np.asarray(self.query_id, dtype=object)))
        for name in _TEXT_FIELDS:
            given = getattr(self, name)
            put(name, _frozen(np.full(n, "", object) if given is None else np.asarray(given, dtype=object)))
        for name, kind in (
            ("latency", np.float64),
            ("tokens", np.float64),
            ("text", np.float32),
            ("image", np.float32),
        ):
            if getattr(self, name) is not None:
                put(name, _frozen(np.asarray(getattr(self, name), dtype=kind)))
        origin = np.arange(n) if self.origin is None else self.origin
        put("origin", _frozen(np.asarray(origin, dtype=np.int64)))
        posted = np.full(len(self.models), np.nan) if self.price is None else self.price
        put("price", _frozen(np.asarray(posted, dtype=np.float64)))
        _validate(self)

    @property
    def available(self) -> NDArray[np.bool_]:
        """`(T, K)` True where the model has a recorded outcome for the query."""
        return ~np.isnan(self.utility)

    @property
    def priced(self) -> bool:
        """Whether the table records a cost at all."""
        return not bool(np.isnan(self.cost).all())

    def __len__(self) -> int:
        return int(self.utility.shape[0])

    def __repr__(self) -> str:
        sets = len(set(self.dataset.tolist()))
        cost = self.cost_unit or "no cost"
        return (
            f"Outcomes({len(self):,} queries x {len(self.models)} models, {sets} dataset{'s' * (sets != 1)}, {cost};"
            f" {self.label})"
        )

    def by_model(self) -> list[dict[str, Any]]:
        """Return for each model its name, the queries it answered, and its mean utility and cost there."""
        answered = self.available.sum(axis=0)
        sums = {
            name: np.where(self.available, np.nan_to_num(getattr(self, name)), 0.0).sum(axis=0)
            for name in ("utility", "cost")
        }
        return [
            {
                "model": model,
                "queries": int(answered[k]),
                "mean utility": round(float(sums["utility"][k] / max(answered[k], 1)), 4),
                **(
                    {f"mean {self.cost_unit}": float(sums["cost"][k] / max(answered[k], 1))}
                    if self.priced
                    else {}
                ),
            }
            for k, model in enumerate(self.models)
        ]

    def _repr_html_(self) -> str:
        """Return the one line, escaped, and a table of the models."""
        import pandas as pd

        table = pd.DataFrame(self.by_model()).to_html(index=False, border=0, float_format="{:.5g}".format)
        return f"<p>{html.escape(repr(self))}</p>{table}"

    def take(self, rows: NDArray[Any]) -> Outcomes:
        """Return the table of these rows (integer indices or a boolean mask), in the order given."""
        changed: dict[str, Any] = {
            f: None if getattr(self, f) is None else getattr(self, f)[rows] for f in _BY_QUERY
        }
        return replace(self, **changed)

    def select(self, models: Sequence[str]) -> Outcomes:
        """Return the table with these models only; queries that none of them answered are left out, with a note.

        Raises:
            ValueError: a name is unknown, or fewer than two are left.
        """
        unknown = [m for m in models if m not in self.models]
        if unknown:
            raise ValueError(f"no model {unknown[0]!r}; the table has {', '.join(self.models)}")
        columns = [self.models.index(m) for m in models]
        kept = np.flatnonzero(self.available[:, columns].any(axis=1))
        rows = self if len(kept) == len(self) else self.take(kept)
        changed: dict[str, Any] = {
            f: None if getattr(rows, f) is None else getattr(rows, f)[:, columns] for f in _BY_MODEL
        }
        if len(kept) < len(self):
            changed["notes"] = (
                *self.notes,
                f"left out {len(self) - len(kept)} queries that no selected model answered",
            )
        return replace(rows, models=tuple(models), price=self.price[columns], **changed)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that one table can be shared by many streams."""
    view = array.view()
    view.flags.writeable = False
    return view


def _validate(o: Outcomes) -> None:
    n_models = len(o.models)
    if o.utility.ndim != 2 or o.utility.shape[0] == 0:
        raise ValueError(
            f"utility needs shape (queries, models) with at least one query, got {o.utility.shape}"
        )
    if o.utility.shape[1] != n_models or n_models < 2:
        raise ValueError(
            f"needs at least 2 models, one utility column each; got {n_models} names, {o.utility.shape[1]} columns"
        )
    repeated = [m for i, m in enumerate(o.models) if m in o.models[:i]]
    if repeated:
        raise ValueError(f"model {repeated[0]!r} appears twice; model columns must be unique")
    _validate_shapes(o)
    _validate_values(o)


def _validate_shapes(o: Outcomes) -> None:
    for f in fields(o):
        value = getattr(o, f.name)
        if value is None or f.name not in (*_BY_QUERY, "price"):
            continue
        if f.name in _BY_MODEL and value.shape != o.utility.shape:
            raise ValueError(f"{f.name} needs shape {o.utility.shape} like utility, got {value.shape}")
        if f.name == "price" and value.shape != (len(o.models),):
            raise ValueError(f"price needs shape ({len(o.models)},), got {value.shape}")
        if f.name in _BY_QUERY and value.shape[0] != len(o):
            raise ValueError(f"{f.name} needs one row a query ({len(o)}), got {value.shape[0]}")
        if f.name in ("text", "image") and (value.ndim != 2 or not np.isfinite(value).all()):
            raise ValueError(
                f"{f.name} embeddings need finite numbers in 2 dimensions, got shape {value.shape}"
            )


def _validate_values(o: Outcomes) -> None:
    if len(set(map(str, o.query_id.tolist()))) < len(o):
        ids, counts = np.unique(o.query_id.astype(str), return_counts=True)
        raise ValueError(
            f"query id {str(ids[counts > 1][0])!r} appears {counts.max()} times; ids must be unique"
        )
    seen = o.available
    _refuse(o, "utility", seen & ~((o.utility >= 0) & (o.utility <= 1)), "a number in [0, 1]")
    if not seen.any(axis=1).all():
        row = int(np.flatnonzero(~seen.any(axis=1))[0])
        raise ValueError(f"query {str(o.query_id[row])!r} (row {row}) has no outcome of any model")
    silent = np.flatnonzero(~seen.any(axis=0))
    if len(silent):
        raise ValueError(f"model {o.models[silent[0]]!r} has no outcome for any query; leave it out")
    if o.priced:
        _refuse(o, "cost", seen & ~((o.cost >= 0) & (o.cost <= LARGEST)))
    for name in ("latency", "tokens"):
        value = getattr(o, name)
        if value is not None:
            _refuse(
                o,
                name,
                seen & ~np.isnan(value) & ~((value >= 0) & (value <= LARGEST)),
            )
    if not np.all(np.isnan(o.price) | (np.isfinite(o.price) & (o.price >= 0))):
        raise ValueError(f"price needs finite numbers >= 0 or NaN, got {o.price.tolist()}")


def _amount(value: Floats, seen: NDArray[np.bool_]) -> str:
    """Return what a cost needs to be; the largest that there can be is named where one is beyond it."""
    beyond = (seen & (value > LARGEST) & np.isfinite(value)).any()
    return "a finite number >= 0" + (f" and at most {LARGEST:g}" if beyond else "")


def _refuse(o: Outcomes, name: str, bad: NDArray[np.bool_], needed: str = "") -> None:
    """Raise for the first offending cell, with its row, query and model; what an amount needs to be is said here."""
    if bad.any():
        needed = needed or _amount(getattr(o, name), o.available)
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} of model {o.models[column]!r}, query {str(o.query_id[row])!r} (row {row}) needs {needed},"
            f" got {getattr(o, name)[row, column]}"
        )

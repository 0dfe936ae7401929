"""Outcome tables in files: read any of four kinds, told by their columns; write wide Parquet or CSV."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs import parts
from envs.nearest import near
from envs.outcomes import Floats, Outcomes, Texts
from envs.tables import columns, datasets, files, recognise
from envs.tables.files import SUFFIXES
from envs.tables.prices import apply_prices
from envs.tables.recognise import Answers

__all__ = ["SUFFIXES", "apply_prices", "read", "write"]

_TEXTS = ("dataset", "scenario", "group_id", "question", "image_path")
_SAID = ("cost_unit", "label", "source", "licence", "notes")
_KEY = "routebandit"


def read(
    path: str | Path, *, models: Sequence[str] | None = None, prices: str | Path | None = None
) -> Outcomes:
    """Return the outcomes that a CSV, JSON-lines or Parquet file (`.gz` for the first two) holds.

    The columns tell the kind: a wide table (`<model>_correct`, `_score` or `_utility` and optional `_cost`,
    `_tokens`, `_latency_s`, `_outchars`); the released MMR-Bench CSV, a wide table whose `dataset_idx` names
    data set and image (see `datasets.image_paths`); a long table (query, model, utility); or JSON lines that
    nest `arms: {model: {reward, cost}}`, where cost is USD a request, as ParetoBandit records it. Embeddings
    come from columns, or from the arrays `text` and `image` of `<name>.embeddings.npz` beside the file, one
    row a query.

    Args:
        path: the file.
        models: keep these only; the others may then lack what is asked of a model, for example a cost.
        prices: a price file that gives the costs, see `apply_prices`; the table's own are then left aside.

    Raises:
        ValueError: one line that names the file and the row or column, what is needed and what was found.
    """
    path = Path(path)
    table = files.load(path, lambda names: recognise.wanted(path, names))
    answers = _chosen(path, recognise.answers(path, table), models)
    about = _about(path, table)
    if prices is not None:
        answers.fields.pop("cost", None)
    answers = _complete(path, answers)
    meta = _metadata(path, table, answers)
    kept, notes = _answered(path, answers, meta["query_id"], models is not None)
    fields = {f: v[kept] for f, v in answers.fields.items()}
    input_tokens = fields.pop("input_tokens", None)
    cost = fields.pop("cost", np.full(fields["utility"].shape, np.nan))
    unit = (answers.unit or "units/query") if not np.isnan(cost).all() else ""
    posted = about.pop("price", {})
    try:
        outcomes = Outcomes(
            models=answers.models,
            cost=cost,
            price=np.array([np.nan if posted.get(m) is None else posted[m] for m in answers.models]),
            **fields,
            **{f: v[kept] for f, v in meta.items()},
            **{"cost_unit": unit, **about, "notes": (*about.get("notes", ()), *answers.notes, *notes)},
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return outcomes if prices is None else apply_prices(outcomes, prices, input_tokens=input_tokens)


def _about(path: Path, table: Any) -> dict[str, Any]:
    """Return what `write` said of a table beside its columns; nothing for other people's tables."""
    said = (table.schema.metadata or {}).get(_KEY.encode(), b"").decode()
    if not said and recognise.ABOUT in table.column_names:
        said = next((text for text in columns.texts(table, recognise.ABOUT) if text), "")
    try:
        about = json.loads(said or "{}")
        kept = {f: about[f] for f in (*_SAID, "price") if f in about}
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: column {recognise.ABOUT!r} needs a JSON object, found {said[:40]!r}"
        ) from error
    return kept


def _chosen(path: Path, answers: Answers, models: Sequence[str] | None) -> Answers:
    """Return the answers of these models only."""
    if models is None:
        return answers
    for name in models:
        if name not in answers.models:
            raise ValueError(f"{path}: no model {name!r}; {near(name, answers.models)}")
    places = [answers.models.index(name) for name in models]
    return answers._replace(models=tuple(models), fields={f: v[:, places] for f, v in answers.fields.items()})


def _complete(path: Path, answers: Answers) -> Answers:
    """Return the answers with outcomes that lack a cost as missing, where the table records costs at all.

    Raises:
        ValueError: a model has no cost anywhere, while others have.
    """
    utility, cost = answers.fields["utility"], answers.fields.get("cost")
    if cost is None or np.isnan(cost).all():
        return answers
    free = (np.isnan(cost) & ~np.isnan(utility)).sum(axis=0)
    for name, lacking, seen in zip(answers.models, free, (~np.isnan(utility)).sum(axis=0), strict=True):
        if lacking and lacking == seen:
            raise ValueError(
                f"{path}: model {name!r} has no cost, while other models have; leave it out with --models or"
                " give --prices"
            )
    if not free.any():
        return answers
    note = f"left out {free.sum()} outcomes that have a utility and no cost"
    fields = {**answers.fields, "utility": np.where(np.isnan(cost), np.nan, utility)}
    return answers._replace(fields=fields, notes=(*answers.notes, note))


def _answered(path: Path, answers: Answers, query_id: Texts, selected: bool) -> tuple[Any, tuple[str, ...]]:
    """Return the rows that some model answered, and a note where a selection of models leaves some out."""
    seen = ~np.isnan(answers.fields["utility"]).all(axis=1)
    if seen.all() or (selected and seen.any()):
        note = f"left out {(~seen).sum()} queries that no selected model answered"
        return np.flatnonzero(seen), () if seen.all() else (note,)
    row = int(answers.first[~seen][0])
    raise ValueError(
        f"{path}: row {row + 1}, query {query_id[~seen][0]!r} needs an outcome of a model, found none"
    )


def _metadata(path: Path, table: Any, answers: Answers) -> dict[str, Any]:
    """Return ids, names, texts and embeddings, one row a query, as keyword arguments of Outcomes."""
    rows = table.take(answers.first)
    strings = [n for n in rows.column_names if columns.is_text(rows, n)]
    meta = {
        f: columns.texts(rows, c)
        for f, aliases in recognise.META.items()
        if (c := recognise.pick(strings, aliases))
    }
    key = answers.key
    question = recognise.pick(strings, recognise.QUESTION)
    if question == "query" and not any(" " in q for q in columns.texts(rows, question)):
        key, question = key or question, ""  # ids, not questions
    meta["query_id"] = (
        columns.texts(rows, key) if key else np.array([str(i + 1) for i in range(len(rows))], object)
    )
    if question:
        meta["question"] = columns.texts(rows, question)
    if key == "dataset_idx" or ("dataset" not in meta and datasets.is_index(meta["query_id"])):
        dataset, index = datasets.split_index(meta["query_id"])
        meta.setdefault("dataset", dataset)
        meta.setdefault("image_path", datasets.image_paths(path.parent, dataset, index))
    _refuse_repeated(path, meta["query_id"], key)
    meta["scenario"] = _scenario(path, meta)
    return {**meta, **_embeddings(path, rows)}


def _refuse_repeated(path: Path, query_id: Texts, key: str) -> None:
    seen: dict[str, int] = {}
    for row, name in enumerate(query_id.tolist(), 1):
        if seen.setdefault(name, row) != row:
            raise ValueError(
                f"{path}: row {row}, column {key!r} needs a query id of its own, found {name!r} as in row"
                f" {seen[name]}"
            )


def _scenario(path: Path, meta: dict[str, Any]) -> Texts:
    """Return the scenario of each query: as the table says, else as its data set's name tells."""
    if "scenario" in meta:
        said = np.array([str(s).strip().lower() for s in meta["scenario"]], object)
        for row, name in enumerate(said, 1):
            if name not in ("", *datasets.SCENARIOS):
                raise ValueError(
                    f"{path}: row {row}, column 'scenario' needs {', '.join(datasets.SCENARIOS)} or nothing,"
                    f" found {name!r}"
                )
        return said
    names = meta.get("dataset", np.full(len(meta["query_id"]), "", object))
    known = {name: datasets.scenario_of(name) for name in set(names.tolist())}
    return np.array([known[name] for name in names], object)


def _embeddings(path: Path, rows: Any) -> dict[str, Floats]:
    """Return the embeddings by modality, from columns or from `<name>.embeddings.npz` beside the file.

    Raises:
        ValueError: another number of rows, or something else than plain arrays; nothing is ever unpickled.
    """
    found = columns.embeddings(path, rows)
    beside = path.with_name(path.name[: -len(files.ending(path))] + ".embeddings.npz")
    if found or not beside.is_file():
        return found
    try:
        with np.load(beside, allow_pickle=False) as stored:
            found = {m: stored[m] for m in columns.MODALITIES if m in stored.files}
            held = stored.files
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise ValueError(f"{beside}: needs plain numeric arrays in an .npz file ({error})") from error
    if not found:
        raise ValueError(f"{beside}: needs arrays named text or image, found {', '.join(held) or 'none'}")
    for name, matrix in found.items():
        if matrix.ndim != 2 or len(matrix) != len(rows):
            raise ValueError(
                f"{beside}: {name!r} needs {len(rows)} rows like {path.name}, found shape {matrix.shape}"
            )
    return found


def write(outcomes: Outcomes, path: str | Path) -> None:
    """Write a wide table, whole or not at all; `read` gives the same table back, bit for bit.

    Columns: `query_id`, `dataset`, `scenario`, `group_id`, `question`, `image_path`; for each model
    `<model>_utility` and, where recorded, `_cost`, `_latency_s`, `_tokens`, empty where NaN; embeddings as
    lists `text`, `image` (Parquet) or as `text_0`, `text_1` ... (CSV). What is no column (cost unit, label,
    notes, source, licence, posted price) stands as JSON in the Parquet schema under `routebandit`, and in the
    first row of the CSV's last column, `_about`.

    Raises:
        ValueError: the name does not end in .parquet, .csv or .csv.gz, or the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    path = Path(path)
    kind = files.ending(path) if path.name.lower().endswith((".parquet", ".csv", ".csv.gz")) else ""
    if not kind:
        raise ValueError(
            f"{path}: needs a name that ends in .parquet, .csv or .csv.gz to write, got {path.name!r}"
        )
    table = _arrow(outcomes, lists=kind == ".parquet")
    part = parts.of(path)
    try:
        if kind == ".parquet":
            parquet.write_table(table, part)
        else:
            with pa.output_stream(part, compression="gzip" if kind == ".csv.gz" else None) as stream:
                csv.write_csv(table, stream)
        os.replace(part, path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)


def _arrow(o: Outcomes, *, lists: bool) -> Any:
    """Return the table as Arrow columns, embeddings as lists or as one column a feature."""
    import pyarrow as pa

    rows: dict[str, Any] = {f: pa.array(getattr(o, f), pa.string()) for f in ("query_id", *_TEXTS)}
    cells = {
        "utility": o.utility,
        "cost": o.cost if o.priced else None,
        "latency_s": o.latency,
        "tokens": o.tokens,
    }
    for k, model in enumerate(o.models):
        rows |= {
            f"{model}_{ending}": pa.array(v[:, k], from_pandas=True)
            for ending, v in cells.items()
            if v is not None
        }
    for modality in columns.MODALITIES:
        matrix = getattr(o, modality)
        if matrix is not None and lists:
            rows[modality] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
        elif matrix is not None:
            rows |= {f"{modality}_{i}": pa.array(matrix[:, i]) for i in range(matrix.shape[1])}
    price = {m: float(p) for m, p in zip(o.models, o.price, strict=True) if not np.isnan(p)}
    about = json.dumps({f: getattr(o, f) for f in _SAID} | {"price": price})
    if lists:
        return pa.table(rows).replace_schema_metadata({_KEY: about})
    return pa.table({**rows, recognise.ABOUT: pa.array([about] + [None] * (len(o) - 1), pa.string())})

"""Outcome tables written as wide Parquet or CSV, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from envs.outcomes import Outcomes
from envs.tables import columns, files
from envs.tables.about import COLUMN, KEY

_TEXTS = ("dataset", "scenario", "group_id", "question", "image_path")
_SAID = ("cost_unit", "label", "source", "licence", "notes")


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
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
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
        return pa.table(rows).replace_schema_metadata({KEY: about})
    return pa.table({**rows, COLUMN: pa.array([about] + [None] * (len(o) - 1), pa.string())})

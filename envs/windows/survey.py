"""The pass over a large table's outcomes before a run: what only all of its rows tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.contexts import features
from envs.outcomes import Floats
from envs.tables.how import How
from envs.windows.big import MOST_DATASETS, Big, header, is_ready


def opened(
    path: str | Path, how: How | None = None, *, modality: str, fusion: str, dim: int, whiten: bool,
    context: str = features.EMBEDDINGS,
) -> Big:  # fmt: skip
    """Return the table of a Parquet file, surveyed: one pass over its outcomes.

    Args:
        path: from `make-stream`, whose contexts are taken as they stand, or any other wide table.
        how: what the columns of a wide table cannot tell.
        modality, fusion, dim, whiten, context: see `features.context`; of a wide table.

    Raises:
        ValueError: with one line that names the file or option, what it needs and what it got.
    """
    from envs.windows import ready, wide

    path = Path(path)
    rows, names, about = header(path)
    if rows == 0:
        raise ValueError(f"{path}: needs at least one row of data, found none")
    if is_ready(names, about):
        return surveyed(ready.table(path, rows, about))
    how = how or How()
    return surveyed(
        wide.table(path, rows, how, modality=modality, fusion=fusion, dim=dim, whiten=whiten, context=context)
    )


def surveyed(table: Big) -> Big:
    """Return the table with what only all of its rows tell: data sets, cost scale, models that never answer.

    Raises:
        ValueError: one model alone, or one without any outcome, or as `Big.pieces`.
    """
    from pyarrow import compute

    if len(table.models) < 2:
        raise ValueError(f"{table.path}: needs at least 2 models, got {', '.join(table.models)} alone")
    calls, names = np.zeros(table.n_arms, np.int64), set[str]()

    def told() -> Iterable[tuple[Floats, NDArray[np.bool_]]]:
        for piece in table.pieces(context=False):
            if len(names) <= MOST_DATASETS:
                names.update(compute.unique(piece.dataset).to_pylist())
            calls[:] += piece.available.sum(axis=0)
            yield piece.cost, piece.available

    scale = dearest(told())
    if not calls.all():
        silent = table.models[int(np.argmin(calls))]
        raise ValueError(f"{table.path}: model {silent!r} has no outcome for any query; leave it out")
    many = len(names) > MOST_DATASETS
    datasets = ("",) if many else tuple(sorted(names))
    longer, notes = table.layout.survey(datasets)
    if many:
        notes.append(f"more than {MOST_DATASETS} data sets: they are counted as one")
    return replace(
        table,
        dim=table.dim + longer,
        datasets=datasets,
        cost_scale=scale,
        answered=calls,
        notes=(*table.notes, *notes),
    )


def dearest(windows: Iterable[tuple[Floats, NDArray[np.bool_]]]) -> float:
    """Return the mean cost of the dearest model, 1 where nothing costs.

    Args:
        windows: of the rows of a table: cost and whether a model can be called, `(n, K)`.
    """
    total, calls = np.zeros((2, 1)), np.zeros(1)
    for cost, available in windows:
        spent = np.where(available, cost, 0.0).sum(axis=0)
        total = np.zeros((2, len(spent))) + total
        add(total, spent)
        calls = calls + available.sum(axis=0)
    return float((total.sum(axis=0) / np.maximum(calls, 1)).max()) or 1.0


def add(total: Floats, value: Floats) -> None:
    """Add to `total (2, ...)`, a sum and what rounding has kept out of it (Neumaier 1974), in place."""
    new = total[0] + value
    total[1] += np.where(
        np.abs(total[0]) >= np.abs(value), (total[0] - new) + value, (value - new) + total[0]
    )
    total[0] = new

"""The tables of a run's folder read again, their columns and types checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_TEXT = ("policy", "family", "kind", "dataset", "quantity", "stream", "preference", "budget", "name")
# What every reader needs: names of text columns and of numbers. More columns may be there.
_NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "summary": (
        ("policy", "kind"),
        ("seeds", "rounds", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean", "cost_total",
         "regret_oracle", "lag", "lag_lo", "lag_hi"),
    ),
    "curves": (("policy", "quantity"), ("round", "mean", "lo", "hi")),
    "by_dataset": (("policy", "dataset"), ("seed",)),
    "changes": (("policy",), ()),
    "by_query": (("dataset",), ("row", "cluster", "rounds")),
}  # fmt: skip
_FULL = {
    "summary": ("seeds", "rounds", "reward_mean"),
    "curves": ("round",),
    "by_dataset": ("seed",),
    "by_query": ("cluster", "rounds"),
}
_LARGEST = 1e15  # no quantity of a run comes near it; beyond, sums overflow and axes have no ticks
_LONGEST = 300  # characters of a name


def read(place: Path, name: str) -> pd.DataFrame:
    """Return the table `name` of a run's folder.

    Raises:
        ValueError: it lacks a column, or holds something else under its name; one line.
    """
    import pandas as pd

    file, shown = place / f"{name}.csv", str(place)[:_LONGEST]
    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "low_memory": False}
    try:
        frame = pd.read_csv(file, dtype=dict.fromkeys(_TEXT, str), **options)
    except FileNotFoundError as error:
        raise ValueError(
            f"{shown} needs to be the folder of a finished run; it has no {file.name}"
        ) from error
    except (ValueError, OSError, OverflowError, MemoryError) as error:
        why = " ".join(str(error).split())[:_LONGEST]
        raise ValueError(f"{shown} needs to be the folder of a finished run: {file.name}: {why}") from error
    if fault := _fault(frame, name):
        raise ValueError(f"{shown} needs to be the folder of a finished run: {file.name}: {fault}")
    return frame  # type: ignore[no-any-return]


def _fault(frame: pd.DataFrame, name: str) -> str:
    """Return what is wrong with a table, or ""."""
    from pandas.api.types import is_numeric_dtype

    texts, numbers = _NEEDED[name]
    if lacking := [column for column in (*texts, *numbers) if column not in frame]:
        return f"has no column {lacking[0]!r}"
    if not len(frame):
        return "has no rows"
    for column in texts:
        if frame[column].isna().any() and column != "dataset":
            return f"column {column!r} has an empty cell in row {int(frame[column].isna().argmax()) + 1}"
        if (frame[column].str.len() > _LONGEST).any():
            return f"column {column!r} has a name of more than {_LONGEST} characters"
    for column in frame.columns:
        if column in texts or column in _TEXT:
            continue
        if not is_numeric_dtype(frame[column]):
            if name != "changes" and not frame[column].isna().all():
                return f"column {column!r} needs numbers, found {str(frame[column].dtype)!r}"
            continue
        values = frame[column].to_numpy(float)
        if (np.abs(values[~np.isnan(values)]) > _LARGEST).any():
            return f"column {column!r} needs numbers up to {_LARGEST:g}"
    for column in _FULL.get(name, ()):
        if frame[column].isna().any():
            return f"column {column!r} has an empty cell in row {int(frame[column].isna().argmax()) + 1}"
    return ""

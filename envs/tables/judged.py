"""What a judge said of every answer of a wide table, once it was there: `<model>_conf`, its cost, and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.nearest import near
from envs.outcomes import Floats, Outcomes, Texts
from envs.tables import columns, files
from envs.tables.metadata import metadata, wanted
from envs.tables.sheet import Sheet, cut

if TYPE_CHECKING:
    import pyarrow as pa

SCORES = ("conf", "confidence", "score_by_judge", "judge_score")
COST, PREDICTION, SPLIT = "judge_cost", "prediction", "split"
ENDINGS = (*SCORES, COST, PREDICTION)
_NONE = -99.0  # how a log-probability of -inf is written


class Judged(NamedTuple):
    """What is known of the answers of `T` queries and `K` models beside their outcomes.

    Attributes:
        score: `(T, K)` probability in [0, 1] that an answer is right, NaN where the model has none; None: no judge.
        logs: whether the file has natural logarithms of it.
        cost: `(T, K)` of judging an answer, in the table's unit; None where no column says.
        votes: `(T, K)` code of each answer, equal for equal answers of a query, -1 where there is none; None: none.
        split: `(T,)` as the file says, "" where it does not; None: no such column.
    """

    score: Floats | None = None
    logs: bool = False
    cost: Floats | None = None
    votes: NDArray[np.int64] | None = None
    split: Texts | None = None


def read(path: str | Path | Sequence[str | Path], outcomes: Outcomes, *, column: str | None = None) -> Judged:
    """Return what one wide file says of its answers, in the rows and models of the table that was read from it.

    Args:
        path: the file; of several nothing is read but the first refusal.
        outcomes: the table, of the same file.
        column: ending of the judge's columns after `<model>_`; None: the first of `SCORES` that there is.

    Raises:
        ValueError: no such column, a model without one, an empty cell, a number out of its range; several files.
    """
    given = [path] if isinstance(path, (str, Path)) else list(path)
    if len(given) != 1 or Path(given[0]).is_dir():
        raise ValueError(f"what a judge said is read from one wide file, got {len(given)} files or a folder")
    sheet = files.opened(Path(given[0]))
    ending = _ending(sheet, outcomes.models, column)
    priced, voted = (_whole(sheet, outcomes.models, e) for e in (COST, PREDICTION))
    numeric = [f"{m}_{e}" for e in ([ending] if ending else []) + [COST] * priced for m in outcomes.models]
    words = [f"{m}_{PREDICTION}" for m in outcomes.models] * voted + [SPLIT] * (SPLIT in sheet.names)
    table, rows = _laid(sheet, outcomes, numeric, words)
    score, logs = (None, False) if not ending else _scores(sheet, table, outcomes, rows, ending)
    cost = (
        np.column_stack([columns.numbers(sheet.path, table, f"{m}_{COST}") for m in outcomes.models])[rows]
        if priced
        else None
    )
    votes = _votes(sheet, table, outcomes.models)[rows] if voted else None
    split = columns.texts(sheet.path, table, SPLIT)[rows] if SPLIT in words else None
    return Judged(score, logs, cost, votes, split)


def extra(path: str | Path | Sequence[str | Path], outcomes: Outcomes, column: str) -> Floats:
    """Return a column of numbers of one wide file, `(T,)` in the rows of the table that was read from it.

    Raises:
        ValueError: several files, no such column, or a cell that is no number.
    """
    given = [path] if isinstance(path, (str, Path)) else list(path)
    if len(given) != 1 or Path(given[0]).is_dir():
        raise ValueError(
            f"column {cut(column)!r} is read from one wide file, got {len(given)} files or a folder"
        )
    sheet = files.opened(Path(given[0]))
    if column not in sheet.names:
        raise ValueError(f"{sheet.path}: no column {cut(column)!r}; {near(column, list(sheet.names))}")
    table, rows = _laid(sheet, outcomes, [column], [])
    return np.asarray(columns.signed(sheet.path, table, column)[rows])


def _laid(
    sheet: Sheet, outcomes: Outcomes, numeric: Sequence[str], words: Sequence[str]
) -> tuple[Any, NDArray[np.int64]]:
    """Return columns of a file and its row of each query of a table."""
    about = wanted(sheet)
    table = sheet.table([*numeric, *words, *about.values()], numbers=list(numeric))
    ids = metadata(sheet, table, about, np.arange(table.num_rows))["query_id"]
    row_of = {str(name): row for row, name in enumerate(ids)}
    return table, np.array([row_of[str(name)] for name in outcomes.query_id])


def heard(path: str | Path | Sequence[str | Path] | None, outcomes: Outcomes) -> Judged | None:
    """Return what `read` finds; None where the table is not one wide file with scores of a model's answers.

    Raises:
        ValueError: there are such columns, but not as `read` needs them.
    """
    given = [path] if isinstance(path, (str, Path)) else list(path or [])
    if len(given) != 1 or not Path(given[0]).is_file():
        return None
    try:
        names = files.opened(Path(given[0])).names
    except ValueError:  # of a form that has no columns; it was read by other means
        return None
    scored = any(f"{model}_{ending}" in names for model in outcomes.models for ending in SCORES)
    return read(given[0], outcomes) if scored else None


def _ending(sheet: Sheet, models: Sequence[str], column: str | None) -> str:
    """Return what follows the models' names in the judge's columns, "" where there are none."""
    wanted_ = SCORES if column is None else (column,)
    ending = next((e for e in wanted_ if any(f"{m}_{e}" in sheet.names for m in models)), "")
    if column is not None and not ending:
        known = [n.removeprefix(f"{models[0]}_") for n in sheet.names if n.startswith(f"{models[0]}_")]
        raise ValueError(f"{sheet.path}: no column {cut(f'{models[0]}_{column}')!r}; {near(column, known)}")
    if ending:
        _whole(sheet, models, ending)
    return ending


def _whole(sheet: Sheet, models: Sequence[str], ending: str) -> bool:
    """Return whether each model has a column with this ending, False where none has.

    Raises:
        ValueError: some have one and others do not.
    """
    lacking = [m for m in models if f"{m}_{ending}" not in sheet.names]
    if lacking and len(lacking) < len(models):
        of = "what models answered" if ending == PREDICTION else "a judge"
        raise ValueError(f"{sheet.path}: {of} needs a column {lacking[0]}_{ending} too, found none")
    return not lacking


def _scores(
    sheet: Sheet, table: pa.Table, outcomes: Outcomes, rows: NDArray[np.int64], ending: str
) -> tuple[Floats, bool]:
    """Return the `(T, K)` probabilities of a judge, and whether they are written as logarithms."""
    names = [f"{m}_{ending}" for m in outcomes.models]
    raw = np.column_stack([columns.signed(sheet.path, table, name) for name in names])[rows]
    seen = outcomes.available
    logs = bool((raw[seen] < 0).any())
    for k, name in enumerate(names):
        bad = seen[:, k] & ~(raw[:, k] <= 0 if logs else (raw[:, k] >= 0) & (raw[:, k] <= 1))
        if bad.any():
            at = int(bad.argmax())
            needs = "log-probabilities <= 0, as others in it are" if logs else "a probability in [0, 1]"
            found = "an empty cell" if np.isnan(raw[at, k]) else f"{raw[at, k]:g}"
            raise ValueError(
                f"{sheet.path}: row {rows[at] + 1}, column {cut(name)!r} needs {needs}, found {found}"
            )
    if logs:
        raw = np.where(raw <= _NONE, 0.0, np.exp(np.minimum(raw, 0.0)))
    return np.where(seen, raw, np.nan), logs


def _votes(sheet: Sheet, table: pa.Table, models: Sequence[str]) -> NDArray[np.int64]:
    """Return `(n, K)` codes of answers as text: case and surrounding space aside, equal ones are equal; "" has none."""
    given = [columns.texts(sheet.path, table, f"{m}_{PREDICTION}") for m in models]
    cells = np.char.lower(np.char.strip(np.column_stack(given).astype(str)))
    _, codes = np.unique(cells, return_inverse=True)
    return np.where(cells == "", -1, codes.reshape(cells.shape)).astype(np.int64)

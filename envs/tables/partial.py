"""A log with one call a query as a table of outcomes in which every other model is missing, for a warm start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats, Outcomes
from envs.tables import about, aliases, files, recognition
from envs.tables.how import How, checked
from envs.tables.log import MODEL, PROPENSITY, Log, log_of


class Partial(NamedTuple):
    """A log of `n` scored calls.

    Attributes:
        outcomes: `n` rows, each with the outcome of its one model.
        chance: `(n,)` probability with which that model was called; None: not recorded.
        asked: `(n,)` id of the query as the log has it, or "" where it has none; several calls may share one.
    """

    outcomes: Outcomes
    chance: Floats | None
    asked: NDArray[Any]


def read(path: str | Path, *, models: Sequence[str] | None = None, **how: Any) -> Partial | None:
    """Return the log that a file holds; None where it is a table, or no single file.

    Args:
        path: the file.
        models: keep the calls of these only.
        **how: what columns cannot tell, as `formats.read` takes it.

    Raises:
        ValueError: one line: a cell out of range, no call with a score, a call without a cost among others with one.
    """
    if not Path(path).is_file():
        return None
    sheet, wanted = files.opened(Path(path)), checked(How(**how))
    if aliases.pick(sheet.names, MODEL) and aliases.pick(sheet.names, PROPENSITY):
        log: Any = log_of(sheet, wanted)
    else:
        log = recognition.recognised(sheet, wanted).read(sheet, wanted)
    if not isinstance(log, Log):
        return None
    named = aliases.pick(sheet.names, aliases.ID) is not None
    found = _laid_out(log, models, about.parsed(log.path, sheet.said))
    return found if named else found._replace(asked=np.full(len(found.asked), "", object))


def _laid_out(log: Log, models: Sequence[str] | None, said: about.About) -> Partial:
    kept = ~np.isnan(log.utility)
    if not kept.any():
        raise ValueError(log.refusal())
    if models is not None:
        kept &= np.isin(np.array(log.models, object)[log.model], list(models))
    rows = np.flatnonzero(kept)
    called = np.unique(log.model[rows])  # a candidate that was never called has nothing to tell
    if len(called) < 2:
        raise ValueError(f"{log.path}: needs calls of at least 2 models, found {len(called)}")
    at = np.arange(len(rows)), np.searchsorted(called, log.model[rows])

    def laid(values: Floats | None) -> Floats | None:
        if values is None:
            return None
        sheet = np.full((len(rows), len(called)), np.nan)
        sheet[at] = values[rows]
        return sheet

    if log.cost is not None and np.isnan(log.cost[rows]).any():
        row = int(rows[int(np.isnan(log.cost[rows]).argmax())])
        raise ValueError(f"{log.path}: row {row + 1} needs a cost, as other rows have one")
    utility, own = laid(log.utility), len(set(log.query_id.tolist())) == len(log.query_id)
    assert utility is not None
    names = log.query_id[rows] if own else np.array([f"call {row + 1}" for row in rows], object)
    told: dict[str, Any] = {"dataset": log.context["dataset"][rows]} if "dataset" in log.context else {}
    if log.question is not None:
        told["question"] = log.question[rows]
    left = len(log.model) - len(rows)
    outcomes = Outcomes(
        models=tuple(log.models[k] for k in called),
        query_id=names,
        utility=utility,
        cost=np.full(utility.shape, np.nan) if log.cost is None else laid(log.cost),  # type: ignore[arg-type]
        latency=laid(log.latency),
        tokens=laid(log.tokens),
        cost_unit=log.cost_unit,
        label=said.label,
        notes=(*log.notes, *[f"left out {left:,} calls without a score or of other models"] * bool(left)),
        **told,
    )
    return Partial(outcomes, None if log.propensity is None else log.propensity[rows], log.query_id[rows])

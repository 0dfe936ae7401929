"""Which rows of a table a stream's name selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.nearest import near
from envs.outcomes import Outcomes
from envs.tables import formats
from envs.tables.datasets import SCENARIOS

_ALIASES = {
    "seed": "seedbench2plus",
    "seedv2": "seedbench2plus",
    "seedbenchv2plus": "seedbench2plus",
    "rwqa": "realworldqa",
}


def names(outcomes: Outcomes) -> list[str]:
    """Return the stream names that this table offers: `all`, then scenarios, then datasets."""
    scenarios = [s for s in SCENARIOS if (outcomes.scenario == s).any()]
    return ["all", *scenarios, *sorted({str(d) for d in outcomes.dataset if d})]


def narrowed(outcomes: Outcomes, name: str, where: str, models: Sequence[str] | None) -> Outcomes:
    """Return the rows that a stream name selects, with these models or those that answered any of the rows."""
    kept = select(outcomes, name, where)
    heard = outcomes.available[kept].any(axis=0)
    if models is not None:
        outcomes = outcomes.select(models)
    elif not heard.all():
        answering = [m for m, any_row in zip(outcomes.models, heard, strict=True) if any_row]
        silent = [m for m in outcomes.models if m not in answering]
        notes = (*outcomes.notes, f"left out {', '.join(silent)}: no outcome in {name}")
        outcomes = replace(outcomes.select(answering), notes=notes)
    if len(outcomes) < len(kept):  # no selected model answered some queries: they are gone
        kept = select(outcomes, name, where)
    return outcomes if kept.all() else outcomes.take(kept)


def select(outcomes: Outcomes, name: str, where: str) -> NDArray[Any]:
    """Return the `(T,)` mask of the rows that a stream name selects."""
    wanted = _plain(name)
    wanted = _ALIASES.get(wanted, wanted)
    if wanted == "all":
        return np.ones(len(outcomes), bool)
    if wanted in SCENARIOS and (outcomes.scenario == wanted).any():
        return np.asarray(outcomes.scenario == wanted)
    plain = {d: _plain(d) for d in {str(x) for x in outcomes.dataset}}
    mask = np.array([plain[str(d)] == wanted for d in outcomes.dataset])
    if mask.any():
        return mask
    raise ValueError(f"no stream {name!r} in {where}; {near(name, names(outcomes))}")


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def is_path(name: str) -> bool:
    """Return whether this is the path of a table and not the name of a stream."""
    if Path(name).suffix.lower() in formats.SUFFIXES or "/" in name or Path(name).is_file():
        return True
    return Path(name).is_dir() and name not in ("all", *SCENARIOS)

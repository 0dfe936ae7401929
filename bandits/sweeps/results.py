"""The folder of results: a file for each finished job, whole or not there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bandits import rows as tables
from bandits.folders.place import check_names
from bandits.sweeps.job import Job

_Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]  # beyond, sums overflow; no run comes near
_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class Measured(msgspec.Struct):
    """What a ranking needs of a run: lists with a number for each seed, a round (the first three) or a run."""

    preference: _Text
    budget: _Text
    rounds: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    reward: list[_Number]
    accuracy: list[_Number]
    cost: list[_Number]
    regret_best_fixed: list[_Number]
    regret_oracle: list[_Number]
    unanswered: list[_Number]
    over_fixed: dict[str, _Number | None] = {}  # over queries: lo, hi, p and how many; empty: not known


class _Result(msgspec.Struct):
    runs: Annotated[list[Measured], msgspec.Meta(min_length=1)]


def path(folder: Path | str, digest: str) -> Path:
    """Return where the result of a job is, or would be."""
    return Path(folder) / f"{digest}.json"


def prepare(folder: Path | str, digests: Iterable[str] = ()) -> None:
    """Make the folder, in which results of these names are to stand; whatever else it holds stays.

    Raises:
        ValueError: it cannot be written, or a name is taken by something else than a file.
    """
    check_names(folder, (path(folder, digest).name for digest in digests)).mkdir(parents=True, exist_ok=True)


def keep(folder: Path | str, digest: str, text: str) -> None:
    """Write a result; another process that writes the same at the same time does no harm."""
    tables.write(str(path(folder, digest)), text)


def read(folder: Path | str, jobs: Iterable[Job]) -> list[tuple[Job, list[dict[str, Any]]]]:
    """Return the jobs that are finished, each with its runs: of what `job.measured` has, the fields of `Measured`.

    Raises:
        ValueError: a file is not a result.
    """
    found = []
    for job in jobs:
        place = path(folder, job.digest)
        if place.is_file():
            try:
                runs = msgspec.json.decode(place.read_bytes(), type=_Result).runs
                found.append((job, [_checked(run, int(job.ask["seeds"])) for run in runs]))
            except (ValueError, RecursionError, OSError) as error:
                why = " ".join(str(error).split())[:300]
                raise ValueError(
                    f"{place} needs to be a sweep's result: {why}; delete it to compute it anew"
                ) from error
    return found


def _checked(run: Measured, seeds: int) -> dict[str, Any]:
    """Return a run as a plain dictionary; each of its lists needs a number for each seed."""
    plain: dict[str, Any] = msgspec.to_builtins(run)
    for name, values in plain.items():
        if isinstance(values, list) and len(values) != seeds:
            raise ValueError(f"{name} needs a number for each of {seeds} seeds, got {len(values)}")
    return plain

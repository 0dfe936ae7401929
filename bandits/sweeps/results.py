"""The folder of results: a file for each finished job, whole or not there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bandits import rows as tables
from bandits.sweeps.job import Job


class _Measured(msgspec.Struct):
    """What a ranking reads of a run."""

    preference: str
    budget: str
    rounds: int
    reward: list[float]
    accuracy: list[float]
    cost: list[float]
    regret_best_fixed: list[float]
    regret_oracle: list[float]
    unanswered: list[int]


class _Result(msgspec.Struct):
    """What a ranking reads of a file."""

    runs: list[_Measured]


def path(folder: Path | str, digest: str) -> Path:
    """Return where the result of a job is, or would be."""
    return Path(folder) / f"{digest}.json"


def prepare(folder: Path | str) -> None:
    """Make the folder.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"--out {folder} cannot be written: {error.strerror or error}") from error


def keep(folder: Path | str, digest: str, text: str) -> None:
    """Write a result; another process that writes the same at the same time does no harm."""
    tables.write(str(path(folder, digest)), text)


def read(folder: Path | str, jobs: Iterable[Job]) -> list[tuple[Job, list[dict[str, Any]]]]:
    """Return the jobs that are finished, each with its runs as `job.measured` has them.

    Raises:
        ValueError: a file is not a result.
    """
    found = []
    for job in jobs:
        place = path(folder, job.digest)
        if place.is_file():
            try:
                runs = msgspec.json.decode(place.read_bytes(), type=_Result).runs
                if not runs:
                    raise ValueError("it has no runs")
                found.append((job, [_whole(run, job.ask["seeds"]) for run in runs]))
            except ValueError as error:
                raise ValueError(
                    f"{place} needs to be a sweep's result: {error}; delete it to compute it anew"
                ) from error
    return found


def _whole(run: _Measured, seeds: int) -> dict[str, Any]:
    """Return a run as `job.measured` has it, or raise where a list has not a number for each seed."""
    found = msgspec.structs.asdict(run)
    for key, value in found.items():
        if isinstance(value, list) and len(value) != seeds:
            raise ValueError(f"{key} needs {seeds} numbers, one for each seed, got {len(value)}")
    return found

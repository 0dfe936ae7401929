"""The folder of results: a file for each finished job, whole or not there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bandits import rows as tables
from bandits.folders.place import check_names
from bandits.sweeps.job import Job


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
    """Return the jobs that are finished, each with its runs as `job.measured` has them.

    Raises:
        ValueError: a file is not a result.
    """
    found = []
    for job in jobs:
        place = path(folder, job.digest)
        if place.is_file():
            try:
                found.append((job, json.loads(place.read_text(encoding="utf-8"))["runs"]))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{place} needs to be a sweep's result: {error}; delete it to compute it anew"
                ) from error
    return found

"""Where a run may be written: our own mark, and what is refused before anything runs; nothing of others is touched."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

FORMAT = "routebandit run 1"  # the mark, under "format" in a manifest.json of ours
ABOVE = ("overview.html", "reward_by_budget.csv", "report.html")  # what several runs have above their folders
FILES = (
    "summary.csv", "curves.csv", "by_dataset.csv", "trace.parquet", "manifest.json", "report.html", "budget.csv",
    "changes.csv", "by_query.csv", "split.csv", "probed.npz",
)  # fmt: skip


def marked(folder: Path) -> bool:
    """Return whether a folder holds a run of ours: its manifest says so itself."""
    try:
        found = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT


def resolved(folder: Path | str, option: str = "--out") -> Path:
    """Return a folder's true path: `~` expanded, symbolic links followed.

    Raises:
        ValueError: links go round in a circle, or `~` has no home.
    """
    try:
        return Path(os.path.realpath(Path(folder).expanduser(), strict=False))
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{option} {str(folder)[:200]!r} is no usable path: {error}") from error


def check_folder(folder: Path | str) -> Path:
    """Return the true path if a run, or several below it, may be written there: absent, empty, or of earlier runs.

    Raises:
        ValueError: it cannot be written, or holds something else.
    """
    place = resolved(folder)
    try:
        if place.exists() and not place.is_dir():
            raise ValueError(f"--out needs a folder, {folder} is a file")
        if place.is_dir() and not _ours(place):
            raise ValueError(
                f"--out {folder} holds other files and no earlier run; name an empty or a new folder"
            )
        taken = [name for name in FILES if (place / name).is_dir()]
        standing = next(p for p in (place, *place.parents) if p.exists())
        with tempfile.TemporaryDirectory(dir=standing):
            pass
    except OSError as error:
        raise ValueError(f"--out {str(folder)[:200]} cannot be written: {error.strerror or error}") from error
    if taken:
        raise ValueError(f"--out {folder} needs the name {taken[0]} for a file; it is a folder there")
    return place


def _ours(place: Path) -> bool:
    """Return whether what stands in a folder is an earlier run, several of them, or nothing at all."""
    entries = list(place.iterdir())
    if not entries or marked(place):
        return True
    below = any(entry.is_dir() and marked(entry) for entry in entries)
    names = {entry.name for entry in entries} & {*FILES, *ABOVE}
    # Runs below, and above them only what several runs leave: a page of the user's own is never taken for ours.
    return below and (not names or set(ABOVE[:2]) <= names <= set(ABOVE))


def replace(folder: Path, files: Mapping[str, bytes], *, stay: tuple[str, ...] = ()) -> None:
    """Write files into a folder, each whole or not at all, the manifest after all others; what else is there stays.

    Files of `FILES` that an earlier run left and this one has not are removed, where the folder bears our mark;
    those of `stay` are not.
    """
    folder = resolved(folder)
    earlier = marked(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == "manifest.json"):
        handle, part = tempfile.mkstemp(dir=folder, prefix=f".{name}-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(files[name])
            os.chmod(part, 0o644)  # temporary files are for their owner alone
            os.replace(part, folder / name)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    if earlier:
        clear(folder, keep=(*files, *stay))


def clear(folder: Path, *, keep: tuple[str, ...] = ()) -> None:
    """Remove the files of a run of ours, all but some; every other file stays."""
    for name in FILES:
        if name not in keep:
            (folder / name).unlink(missing_ok=True)

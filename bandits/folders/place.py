"""Where a run may be written: our own mark, and what is refused before anything runs; nothing of others is touched."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from envs import parts

FORMAT = "routebandit run 1"  # the mark, under "format" in a manifest.json of ours
ABOVE = ("overview.html", "reward_by_budget.csv", "report.html")  # what several runs have above their folders
FILES = (  # by_query.csv: of earlier versions
    "summary.csv", "curves.csv", "by_dataset.csv", "trace.parquet", "manifest.json", "report.html", "budget.csv",
    "changes.csv", "by_query.parquet", "by_query.csv", "split.csv", "probed.npz", "decision.html", "decision.json",
    "calls.csv", "abstain.csv", "risk_coverage.csv",
)  # fmt: skip

_PAGE = b'<script type="application/json" id="palette">'  # in every report, of any version
CALLS = ("policy", "seed", "round", "row", "arm", "query_id", "file_row")  # columns of trace.parquet


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
    place = check_names(folder, {*FILES, *ABOVE})
    try:
        ours = not place.is_dir() or _ours(place)
    except OSError as error:
        raise ValueError(f"--out {str(folder)[:200]} cannot be read: {error.strerror or error}") from error
    if not ours:
        raise ValueError(
            f"--out {folder} holds other files and no earlier run; name an empty or a new folder"
        )
    return place


def check_names(folder: Path | str, names: Iterable[str], option: str = "--out") -> Path:
    """Return a folder's true path if files of these names may be written into it, whatever else it holds.

    Raises:
        ValueError: it is a file, cannot be written, or one of the names is taken by something else than a file.
    """
    place, shown = resolved(folder, option), str(folder)[:200]
    try:
        if place.exists() and not place.is_dir():
            raise ValueError(f"{option} needs a folder, {shown} is a file")
        taken = [n for n in names if os.path.lexists(place / n) and not (place / n).is_file()]
        standing = next(p for p in (place, *place.parents) if p.exists())
        with tempfile.TemporaryDirectory(dir=standing):
            pass
    except OSError as error:
        raise ValueError(f"{option} {shown} cannot be written: {error.strerror or error}") from error
    if taken:
        kind = "a folder" if (place / taken[0]).is_dir() else "no ordinary file"
        raise ValueError(f"{option} {shown} needs the name {taken[0]} for a file; it is {kind} there")
    return place


def check_file(path: Path | str, option: str = "--out") -> Path:
    """Return a file's true path if it may be written: absent, or an ordinary file, which is replaced whole.

    Raises:
        ValueError: it is a folder or a device, or the folder that it would be in does not take it.
    """
    place, shown = resolved(path, option), str(path)[:200]
    try:
        if place.exists() and not place.is_file():
            kind = "a folder" if place.is_dir() else "no ordinary file"
            raise ValueError(f"{option} {shown} cannot be written: it is {kind}")
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        raise ValueError(f"{option} {shown} cannot be written: {error.strerror or error}") from error
    return place


def is_page(path: Path) -> bool:
    """Return whether a file is a report of ours: its last scripts bear the names that every report has."""
    try:
        return _PAGE in path.read_bytes()
    except OSError:
        return False


def _ours(place: Path) -> bool:
    """Return whether what stands in a folder is an earlier run, several of them, or nothing at all."""
    entries = [
        entry for entry in place.iterdir() if not parts.is_part(entry.name)
    ]  # a killed process left those
    if not entries or marked(place) or _begun(place, {entry.name for entry in entries}):
        return True
    below = any(entry.is_dir() and marked(entry) for entry in entries)
    names = {entry.name for entry in entries} & {*FILES, *ABOVE}
    # Runs below, and above them only what several runs leave: a page of the user's own is never taken for ours.
    return below and (not names or set(ABOVE[:2]) <= names <= set(ABOVE))


def _begun(place: Path, names: set[str]) -> bool:
    """Return whether a process was killed while it wrote a run of these files, before the manifest was there."""
    if (place.with_name(f".{place.name}.unfinished") / "trace").is_dir():  # `staged` has both
        return names <= set(FILES)
    if "trace.parquet" not in names or not names <= {"trace.parquet", "split.csv", "probed.npz"}:
        return False
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(place / "trace.parquet").names) == CALLS
    except (OSError, ValueError):
        return False


def replace(folder: Path, files: Mapping[str, bytes], *, stay: tuple[str, ...] = ()) -> None:
    """Write files into a folder, each whole or not at all, the manifest after all others; what else is there stays.

    Files of `FILES` that an earlier run left and this one has not are removed, where the folder bears our mark;
    those of `stay` are not.
    """
    folder = resolved(folder)
    earlier = marked(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == "manifest.json"):
        part = parts.of(folder / name)
        try:
            part.write_bytes(files[name])
            os.replace(part, folder / name)
        finally:
            part.unlink(missing_ok=True)
    if earlier:
        clear(folder, keep=(*files, *stay))


def clear(folder: Path, *, keep: tuple[str, ...] = ()) -> None:
    """Remove the files of a run of ours, all but some; every other file stays."""
    for name in FILES:
        if name not in keep:
            (folder / name).unlink(missing_ok=True)

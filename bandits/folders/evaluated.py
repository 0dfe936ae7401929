"""The folder of an off-policy evaluation: a page, its tables, and a manifest that marks it as ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bandits.folders import place

FORMAT = "routebandit ope 1"  # the mark, under "format" in the manifest
FILES = ("ope.html", "estimates.csv", "diagnostics.csv", "manifest.json")


def check(folder: Path | str) -> Path:
    """Return the true path of a folder in which an evaluation may be written: absent, empty, or of an earlier one.

    Raises:
        ValueError: it cannot be written, or holds something else.
    """
    found = place.check_names(folder, FILES)
    if found.is_dir() and any(found.iterdir()) and not _marked(found):
        raise ValueError(
            f"--out {folder} holds other files and no earlier evaluation; name an empty or a new folder"
        )
    return found


def _marked(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def write(folder: Path | str, page: str, tables: Mapping[str, str], about: Mapping[str, object]) -> Path:
    """Write an evaluation, each file whole or not at all, the mark first; what else is there stays. Return the page.

    Args:
        folder: one that `check` takes.
        page: HTML.
        tables: CSV by the names of `FILES`; those that are not given, an earlier evaluation's, are removed.
        about: what the manifest says.
    """
    found = check(folder)
    manifest = json.dumps({"format": FORMAT, **about}, indent=1) + "\n"
    place.replace(found, {"manifest.json": manifest.encode()})
    place.replace(found, {"ope.html": page.encode(), **{n: text.encode() for n, text in tables.items()}})
    for name in FILES:
        if name not in (*tables, "ope.html", "manifest.json"):
            (found / name).unlink(missing_ok=True)
    return found / "ope.html"

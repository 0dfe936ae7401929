"""Arrays kept between runs, by name and by a digest of everything that determines them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def folder() -> Path:
    """Return the cache folder: `$ROUTEBANDIT_CACHE`, else `routebandit` in the user's cache folder."""
    named = os.environ.get("ROUTEBANDIT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "routebandit"


def cached(name: str, digest: str, make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of `<name>-<digest>.npz`, made and stored on the first call.

    The file appears whole or not at all, and pickled arrays are neither written nor read. A cache that cannot be
    read or written costs time, never the run.
    """
    path = folder() / f"{name}-{digest[:16]}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {k: stored[k] for k in stored.files}
    except (OSError, ValueError, EOFError, KeyError):
        pass
    arrays = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
            np.savez(part, allow_pickle=False, **arrays)
        os.replace(part.name, path)
    except OSError:
        pass
    return arrays

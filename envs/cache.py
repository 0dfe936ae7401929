"""Arrays kept between runs, by name and by a digest of everything that determines them.

A file is an `.npz` with 32 bytes behind it: the SHA-256 of its name, of that digest and of every byte before. What is
cut off, changed in a bit, put there by something else or renamed is not what was asked for, so it is made again. (What
other libraries keep is theirs to check: JAX's programs carry a checksum, `huggingface_hub` names files by their digest,
and numba's are machine code beside the sources, trusted as Python's own `.pyc` files are.)
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def folder() -> Path:
    """Return the cache folder: `$ROUTEBANDIT_CACHE`, else `routebandit` in the user's cache folder."""
    named = os.environ.get("ROUTEBANDIT_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("routebandit", appauthor=False)


def cached(name: str, digest: str, make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of `<name>-<digest>.npz`, made and stored on the first call.

    What is read is what was stored, bit for bit, or it is made again. The file appears whole or not at all, also where
    another process writes it at the same time, and pickled arrays are neither written nor read. A cache that cannot be
    read or written costs time, never the run.
    """
    path = folder() / f"{name}-{digest[:16]}.npz"
    key = f"{name}\0{digest}\0".encode()
    stored = _read(path, key)
    if stored is not None:
        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            return {k: arrays[k] for k in arrays.files}
    made = make()
    whole = io.BytesIO()
    np.savez(whole, allow_pickle=False, **made)
    _write(path, whole.getvalue(), key)
    return made


def _read(path: Path, key: bytes) -> bytes | None:
    """Return what was stored under this key, None where nothing was or where it is no longer that."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    body, seal = stored[:-32], stored[-32:]
    return body if seal == _seal(key, body) else None


def _write(path: Path, body: bytes, key: bytes) -> None:
    """Store this under the key, where the folder lets us."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
            try:
                part.write(body + _seal(key, body))
                part.close()  # or Windows will not rename it
                os.replace(part.name, path)
            except BaseException:
                part.close()
                os.unlink(part.name)
                raise
    except OSError:
        pass


def _seal(key: bytes, body: bytes) -> bytes:
    return hashlib.sha256(key + hashlib.sha256(body).digest()).digest()

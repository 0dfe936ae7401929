"""A run's state in one file, whole or not at all: arrays by name, and a line of JSON that says whose they are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.late import jax

Arrays = dict[str, NDArray[Any]]
_ABOUT, _SEAL = "about", "sha256"


def save(path: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    """Write the file; an earlier one stays until the new one is whole."""
    part, text = path.with_name(path.name + ".part"), json.dumps(about)
    told = {_ABOUT: np.array(text), _SEAL: np.array(_seal(arrays, text))}
    with open(part, "wb") as file:
        np.savez(file, **arrays, **told)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def load(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and what they are about; nothing is ever unpickled.

    Raises:
        ValueError: not a whole checkpoint.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        text, seal = str(arrays.pop(_ABOUT)), str(arrays.pop(_SEAL))
        if seal != _seal(arrays, text):
            raise ValueError("its content is not what was written")
        return arrays, json.loads(text)
    except Exception as error:  # zipfile and NumPy's header fail in a dozen ways on damaged bytes
        why = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path}: not a whole checkpoint ({why}); remove {path.parent} to begin anew"
        ) from error


def _seal(arrays: Mapping[str, NDArray[Any]], text: str) -> str:
    """Return the sha256 of a checkpoint's content."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def packed(tree: Any, name: str) -> Arrays:
    """Return the leaves of a pytree as bytes by name, whatever their dtype; PRNG keys as their data."""
    leaves = enumerate(jax.tree.leaves(tree))
    return {f"{name}.{i}": np.frombuffer(np.asarray(_plain(leaf)).tobytes(), np.uint8) for i, leaf in leaves}


def unpacked(arrays: Mapping[str, NDArray[Any]], name: str, like: Any) -> Any:
    """Return the pytree that `packed` took apart.

    Args:
        arrays: that hold it.
        name: as given to `packed`.
        like: a tree of the same structure, shapes and dtypes.

    Raises:
        ValueError: the arrays are those of another tree.
    """
    leaves, structure = jax.tree.flatten(like)
    found = []
    for i, leaf in enumerate(leaves):
        plain, stored = _plain(leaf), arrays.get(f"{name}.{i}", np.zeros(0, np.uint8))
        if stored.nbytes != plain.nbytes:
            raise ValueError(
                f"checkpoint of {name}: array {i} needs {plain.nbytes} bytes, found {stored.nbytes}"
            )
        array = jax.numpy.asarray(stored.view(plain.dtype).reshape(plain.shape))
        found.append(
            jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf)) if _is_key(leaf) else array
        )
    return jax.tree.unflatten(structure, found)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return bool(jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key))

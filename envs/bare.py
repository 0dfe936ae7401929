"""Two compiled modules of SciPy without the packages around them, which take a third of a second to import.

`scipy.linalg` and `scipy.special` load much that a run never asks for. What it asks for is in one extension module
each; the package itself may be imported at any time before or after and finds these in place.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from threading import Lock
from types import ModuleType
from typing import Any

_ONE = Lock()


@cache
def special() -> Any:
    """Return the functions of `scipy.special` that are NumPy ufuncs: `ndtr`, `ndtri`, `stdtr`, `stdtrit` and more."""
    return module("scipy.special", "_ufuncs")


@cache
def blas() -> Any:
    """Load the BLAS whose addresses numba looks up in `scipy.linalg.cython_blas`, and return that module."""
    return module("scipy.linalg", "cython_blas")


def module(package: str, name: str) -> ModuleType:
    """Return `package.name`, imported without the package; with it where this SciPy does not let us."""
    with _ONE:
        if package in sys.modules or f"{package}.{name}" in sys.modules:
            return importlib.import_module(f"{package}.{name}")
        spec = importlib.util.find_spec(package)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(f"no module named {package!r}")
        stand_in = ModuleType(package)
        stand_in.__path__ = list(spec.submodule_search_locations)
        sys.modules[package] = stand_in
        try:
            return importlib.import_module(f"{package}.{name}")
        except ImportError:
            del sys.modules[package]
            return importlib.import_module(f"{package}.{name}")
        finally:
            if sys.modules.get(package) is stand_in:
                del sys.modules[package]

"""The BLAS that numba's `np.dot` calls, loaded without the rest of SciPy's linear algebra.

Numba takes its addresses from the module `scipy.linalg.cython_blas`, which it imports by that name. The package around
it takes a quarter of a second to import, and nothing of it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path

NAMES = ("cython_blas", "cython_lapack")


def load() -> None:
    """Put the modules where numba looks for them; what is not found in this SciPy is left to the usual import."""
    import scipy

    folder = str(Path(scipy.__file__).parent / "linalg")
    for short in NAMES:
        name = f"scipy.linalg.{short}"
        if name in sys.modules:
            continue
        spec = importlib.machinery.PathFinder.find_spec(name, [folder])
        if spec is None or spec.loader is None:
            importlib.import_module(name)
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)

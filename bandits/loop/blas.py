"""The BLAS and LAPACK of the replay, held to one thread: lanes are shared out over the cores, not products."""

from __future__ import annotations

from functools import cache

from threadpoolctl import ThreadpoolController

from envs import bare


@cache
def blas() -> ThreadpoolController:
    """Return the control of SciPy's BLAS and LAPACK, whose routines numba's kernels and jaxlib's programs call."""
    bare.blas()  # loaded before it is looked for
    return ThreadpoolController().select(user_api="blas")

"""Memory that is free inside the process, given back to the system between the stages of a run.

The C library keeps what is freed below 32 MiB for later (glibc's `mallopt`: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD), Arrow
all of it. A stage that works with other sizes cannot use that room, and takes its own: 100 MB of a run's peak.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def give_back() -> None:
    """Give back what is free; nothing where the C library has no way to."""
    # It may be there by half, while another thread imports it.
    pool = getattr(sys.modules.get("pyarrow"), "default_memory_pool", None)
    if pool is not None:
        pool().release_unused()
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Any:
    """Return glibc's `malloc_trim`, None where there is none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None

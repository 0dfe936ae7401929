"""How many cores there are to use."""

from __future__ import annotations

import os


def cores() -> int:
    """Return how many cores may be used: those of this process, fewer where OMP_NUM_THREADS says so."""
    # Not every system can say which cores a process is held to.
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(own, int(os.environ.get("OMP_NUM_THREADS") or own))

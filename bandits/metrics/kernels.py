"""Loops over (seed, round) that NumPy would need several passes for; compiled once, cached on disk.

Callers pass C-contiguous writable float64 and int32 arrays (`regret.plain` makes them so), so that each
kernel is compiled for one signature only, and indices that are already checked: nothing here checks bounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import exact

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@exact
def gather(table: Floats, order: Ints, arms: Ints, out: Floats) -> None:
    """Fill `out (S, T)` with the entries `table[order, arms]`, 0 where the arm is -1."""
    for s in range(order.shape[0]):
        for t in range(order.shape[1]):
            out[s, t] = table[order[s, t], arms[s, t]] if arms[s, t] >= 0 else 0.0


@exact
def cumulative_gap(reference: Floats, table: Floats, order: Ints, arms: Ints, out: Floats) -> None:
    """Fill `out (S, T)` with running sums of `reference[order] - table[order, arms]`, the latter 0 for arm -1."""
    for s in range(order.shape[0]):
        total = 0.0
        for t in range(order.shape[1]):
            total += reference[order[s, t]]
            if arms[s, t] >= 0:
                total -= table[order[s, t], arms[s, t]]
            out[s, t] = total

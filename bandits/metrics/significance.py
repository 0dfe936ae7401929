"""Holm's step-down correction of p-values that are looked at together (Holm 1979)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def holm(p: ArrayLike) -> Floats:
    """Return p-values adjusted for all of them being looked at; what is below 0.05 holds at 5 % for the whole family.

    The i-th smallest of `m` is multiplied by `m - i + 1` and is at least the one before (Holm 1979, step-down).
    NaN stays NaN and does not count.

    Args:
        p: any shape, one family.

    Raises:
        ValueError: a number outside [0, 1].
    """
    values = np.asarray(p, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    flat = values.ravel()
    if ((flat[known] < 0) | (flat[known] > 1)).any():
        raise ValueError("holm needs p-values in [0, 1]")
    order = known[np.argsort(flat[known], kind="stable")]
    adjusted = np.full(flat.shape, np.nan)
    steps = flat[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.reshape(values.shape)

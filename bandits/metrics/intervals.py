"""Percentile-bootstrap intervals of a mean over seeds, alone and paired (Efron, Tibshirani 1993, ch. 13)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def bootstrap(
    values: ArrayLike, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Return both ends of the interval of the mean over seeds, each of shape `values.shape[1:]`.

    Seeds are drawn with replacement, the same draw for every column, so that a curve's band is made of whole
    curves. With a single seed both ends are NaN: one run says nothing of the spread.

    Args:
        values: `(S, ...)`, one row a seed.
        resamples: draws, at least 1.
        seed: of the draws.
        level: share of the resampled means inside, in (0, 1).

    Raises:
        ValueError: no seeds, or a number out of its range.
    """
    rows = np.asarray(values, np.float64)
    if rows.ndim == 0 or len(rows) == 0:
        raise ValueError(f"bootstrap needs values of shape (seeds, ...), got {rows.shape}")
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"bootstrap needs resamples >= 1 and 0 < level < 1, got {resamples} and {level}")
    if len(rows) == 1:
        unknown = np.full(rows.shape[1:], np.nan)
        return unknown, unknown.copy()
    means = rows.reshape(len(rows), -1).T @ _weights(len(rows), resamples, seed)
    tail = (1 - level) / 2
    low, high = np.quantile(means, (tail, 1 - tail), axis=1)
    return low.reshape(rows.shape[1:]), high.reshape(rows.shape[1:])


def paired(a: ArrayLike, b: ArrayLike, **options: Any) -> tuple[Floats, Floats, Floats]:
    """Return the mean of `a - b` over shared seeds and the two ends of its interval.

    Row `s` of both needs to come from the same seed, hence the same order of queries: what is shared cancels.

    Args:
        a, b: `(S, ...)`.
        options: as for `bootstrap`.

    Raises:
        ValueError: shapes that differ, or as `bootstrap`.
    """
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.shape != right.shape:
        raise ValueError(f"paired needs two arrays of one shape, got {left.shape} and {right.shape}")
    low, high = bootstrap(left - right, **options)
    return np.asarray((left - right).mean(axis=0)), low, high


def _weights(n: int, resamples: int, seed: int) -> Floats:
    """Return `(n, resamples)`: how much each seed weighs in each resampled mean."""
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    flat = (drawn + n * np.arange(resamples)[:, None]).ravel()
    return np.ascontiguousarray(np.bincount(flat, minlength=n * resamples).reshape(resamples, n).T) / n

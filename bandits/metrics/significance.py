"""Paired tests over seeds: the sign-flip permutation test and Holm's step-down correction (Holm 1979)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_EXACT = 13  # seeds up to which all 2^S sign patterns are looked at; beyond, a sample of them
_BLOCK = 256  # columns at a time, which keeps memory below 20 MB at any number of comparisons


def sign_flip(differences: ArrayLike, *, flips: int = 9999, seed: int = 0) -> Floats:
    """Return the two-sided p-value of each column's mean difference (Fisher 1935, paired randomisation test).

    If two players were alike, each seed's difference could as well have had the other sign. The p-value is the share
    of sign patterns whose mean is at least as far from 0 as the observed one; with many seeds a random sample of
    patterns plus the observed one stands for all, so that p is never 0. Equal players have p = 1, and `S` seeds
    cannot give less than `2 / 2^S`.

    Args:
        differences: `(S, ...)`, one row a seed.
        flips: patterns sampled where all would be too many, at least 1.
        seed: of the sample.

    Raises:
        ValueError: no seeds, or a number out of its range.
    """
    rows = np.asarray(differences, np.float64)
    if rows.ndim == 0 or len(rows) == 0:
        raise ValueError(f"sign_flip needs differences of shape (seeds, ...), got {rows.shape}")
    if flips < 1:
        raise ValueError(f"sign_flip needs flips >= 1, got {flips}")
    signs, flat = _patterns(len(rows), flips, seed), rows.reshape(len(rows), -1)
    found = np.empty(flat.shape[1])
    for start in range(0, flat.shape[1], _BLOCK):
        part = flat[:, start : start + _BLOCK]
        # Patterns that tie with the observed one must count in spite of rounding.
        slack = 1e-9 * np.abs(part).sum(axis=0)
        found[start : start + _BLOCK] = (np.abs(signs @ part) >= np.abs(part.sum(axis=0)) - slack).mean(
            axis=0
        )
    return np.where(np.isnan(flat).any(axis=0), np.nan, found).reshape(rows.shape[1:])


def _patterns(n: int, flips: int, seed: int) -> Floats:
    """Return sign patterns `(patterns, n)` of -1 and 1, the observed one (all 1) first."""
    if n <= _EXACT:
        return np.asarray(1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1))
    drawn = np.random.default_rng(seed).integers(0, 2, (flips, n))
    return np.concatenate([np.ones((1, n)), 1.0 - 2.0 * drawn])


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

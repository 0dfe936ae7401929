"""Student's t intervals and paired tests of a mean: over seeds, and over queries in clusters (Student 1908)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.bare import special

Floats = NDArray[np.float64]
Span = tuple[ArrayLike, ArrayLike]
LEVEL = 0.95
# What a mean is known to lie in beforehand, to which `within` cuts its interval: shares and accuracies, differences
# of two of them, and costs, seconds or rounds. A reward is any function of the user's and has no such range.
SHARE, SHARES_APART, AMOUNT = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf)
ANYTHING = (-np.inf, np.inf)
# Seeds that differ by less than this share of their size differ by rounding only: they are one draw.
_ROUNDING = 1e-10


class Estimate(NamedTuple):
    """A mean, both ends of its 95 % interval, and the two-sided p-value of its being 0; NaN where it has none."""

    mean: Floats
    lo: Floats
    hi: Floats
    p: Floats

    def within(self, span: Span) -> Estimate:
        """Return the estimate with both ends cut to what its mean is known to lie in."""
        return self._replace(lo=np.clip(self.lo, *span), hi=np.clip(self.hi, *span))


def band(values: ArrayLike, *, level: float = LEVEL, within: Span = ANYTHING) -> tuple[Floats, Floats]:
    """Return both ends of the t interval of the mean over seeds, each of shape `values.shape[1:]`.

    For the band of a curve, which may have width 0 where all seeds are alike. With a single seed both ends are NaN:
    one run says nothing of the spread.

    Args:
        values: `(S, ...)`, one row a seed.
        level: of the interval, in (0, 1).
        within: the least and the largest that the mean can be, to which both ends are cut; see `SHARE`.

    Raises:
        ValueError: no seeds, or a level out of its range.
    """
    rows = np.asarray(values, np.float64)
    if rows.ndim == 0 or len(rows) == 0:
        raise ValueError(f"an interval needs values of shape (seeds, ...), got {rows.shape}")
    if not 0 < level < 1:
        raise ValueError(f"an interval needs 0 < level < 1, got {level}")
    if len(rows) == 1:
        unknown = np.full(rows.shape[1:], np.nan)
        return unknown, unknown.copy()
    half = _quantile(len(rows) - 1, level) * rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
    mean = rows.mean(axis=0)
    return np.clip(mean - half, *within), np.clip(mean + half, *within)


def student(values: ArrayLike, *, level: float = LEVEL, within: Span = ANYTHING) -> tuple[Floats, Floats]:
    """Return the ends of `band`, NaN where all seeds are the same draw: an interval of width 0 would be none.

    A fixed model that is asked every query once has the same mean with every seed, and so has a policy that was
    trained once for all of them; that says nothing of how certain the mean is.

    Args:
        values, level, within: see `band`.
    """
    rows = np.asarray(values, np.float64)
    low, high = band(rows, level=level, within=within)
    alike = one_draw(rows, np.abs(rows).max(axis=0))
    return np.where(alike, np.nan, low), np.where(alike, np.nan, high)


def paired(a: ArrayLike, b: ArrayLike) -> Estimate:
    """Return the mean of `a - b` over shared seeds, its 95 % interval and the p-value of the paired t-test.

    Row `s` of both needs to come from the same seed, hence the same order of queries: what is shared cancels. Where
    all differences are alike there is neither interval nor p-value.

    Args:
        a, b: `(S, ...)`.

    Raises:
        ValueError: shapes that differ, or as `band`.
    """
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.shape != right.shape:
        raise ValueError(f"paired needs two arrays of one shape, got {left.shape} and {right.shape}")
    gap = left - right
    low, high = band(gap)
    mean, error = gap.mean(axis=0), (high - low) / 2
    alike = one_draw(gap, np.maximum(np.abs(left).max(axis=0), np.abs(right).max(axis=0)))
    if len(gap) == 1:
        return Estimate(mean, low, high, low.copy())
    error = np.where(alike, np.nan, error / _quantile(len(gap) - 1, LEVEL))
    return _estimate(mean, error, len(gap) - 1)


def clustered(difference: ArrayLike, rounds: ArrayLike) -> Estimate:
    """Return the mean difference a round over all queries with its interval and test over clusters of queries.

    The mean is a ratio of sums over clusters, and its variance that of the ratio (Cochran 1977, section 2.11), with
    `G - 1` degrees of freedom. One cluster has no spread, and clusters that are all alike have none either.

    Args:
        difference: `(G, ...)` differences summed over the rounds of each cluster.
        rounds: `(G,)` rounds of each cluster; clusters without any are left out, and all are NaN where none has.
    """
    sums, weight = np.asarray(difference, np.float64), np.asarray(rounds, np.float64)
    asked = weight > 0
    if not asked.all():
        sums, weight = sums[asked], weight[asked]
    groups, total = len(weight), weight.sum()
    mean = sums.sum(axis=0) / total if groups else np.full(sums.shape[1:], np.nan)
    if groups < 2:
        unknown = np.full(mean.shape, np.nan)
        return Estimate(np.asarray(mean), unknown, unknown.copy(), unknown.copy())
    weight = weight.reshape(-1, *[1] * (sums.ndim - 1))
    left = sums - mean * weight
    error = np.sqrt(groups / (groups - 1) * (left**2).sum(axis=0)) / total
    alike = np.abs(left).max(axis=0) <= _ROUNDING * np.abs(sums).max(axis=0)
    return _estimate(np.asarray(mean), np.where(alike, np.nan, error), groups - 1)


def one_draw(values: Floats, size: ArrayLike) -> NDArray[np.bool_]:
    """Return where `values (S, ...)` differ over several seeds by no more than the rounding of numbers of this size."""
    if len(values) == 1:
        return np.zeros(values.shape[1:], bool)
    return np.asarray(np.ptp(values, axis=0) <= _ROUNDING * np.asarray(size))


def _estimate(mean: Floats, error: Floats, freedom: int) -> Estimate:
    stdtr = special().stdtr
    half = _quantile(freedom, LEVEL) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * stdtr(freedom, -np.abs(mean / error))
    return Estimate(mean, mean - half, mean + half, np.asarray(p))


def _quantile(freedom: int, level: float) -> float:
    stdtrit = special().stdtrit
    return float(stdtrit(freedom, (1 + level) / 2))

"""Bootstrap intervals and p-values of a statistic that may be a maximum: percentile and BCa together.

BCa (Efron 1987, JASA 82; DiCiccio and Efron 1996): with `z0 = Phi^-1(share of draws below the estimate)` and the
acceleration `a` of the jackknife, the ends at level `1 - 2 alpha` are the draws' quantiles at
`Phi(z0 + (z0 + z) / (1 - a (z0 + z)))` for `z = Phi^-1(alpha)` and its negative. A statistic that is larger on
resamples than on the sample, as a peak is, has z0 < 0 and so lower quantiles. The percentile interval has z0 = a = 0.

Where a maximum is nearly reached at many points, no form of the bootstrap is right in the limit (Fang and Santos 2019,
Review of Economic Studies 86): the percentile interval then lies too high and BCa corrects too much or misses a change
of spread. `interval` holds both, and covers no less than the better of them; docs/metrics.md has the shares.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import LEVEL
from envs.bare import special

Floats = NDArray[np.floating[Any]]
_TAIL = 10  # with fewer draws beyond a value, their number says little of its probability


def bca(estimate: float, draws: Floats, left_out: Floats, *, level: float = LEVEL) -> tuple[float, float]:
    """Return both ends of the BCa interval; NaN without an estimate or draws. An end may be infinite where draws are.

    Args:
        estimate: the statistic of the sample.
        draws: `(B,)` the statistic of resamples; NaN ones are passed over.
        left_out: `(G,)` the statistic without each observation, or each of `G` groups of one size: the acceleration
            of groups is that of single observations in the mean, and noisier by a factor of sqrt(n / G).
        level: of the interval, in (0, 1).
    """
    known = draws[~np.isnan(draws)]
    if math.isnan(estimate) or not len(known):
        return math.nan, math.nan
    return _ends(known, _bias(estimate, known), acceleration(left_out), level)


def interval(
    estimate: float, draws: Floats, left_out: Floats, *, level: float = LEVEL
) -> tuple[float, float]:
    """Return the ends of the smallest interval that holds the percentile interval and BCa; arguments as of `bca`."""
    low, high = bca(estimate, draws, left_out, level=level)
    if math.isnan(low):
        return low, high
    plain = _ends(draws[~np.isnan(draws)], 0.0, 0.0, level)
    return min(low, plain[0]), max(high, plain[1])


def p_value(value: float, estimate: float, draws: Floats, left_out: Floats) -> float:
    """Return the two-sided p-value of `value`: one less the level of the `interval` that ends there.

    Where fewer than 10 draws lie beyond the value, the tail is that of a normal of their mean and deviation, if that
    is smaller: 2,000 draws alone cannot tell p-values below 1e-3, which Holm's correction of a large table needs.

    Args:
        value: finite.
        estimate, draws, left_out: see `bca`.
    """
    known = draws[~np.isnan(draws)]
    if math.isnan(estimate) or math.isnan(value) or not len(known):
        return math.nan
    corrected = _bias(estimate, known), acceleration(left_out)
    return max(_p(value, known, *corrected), _p(value, known, 0.0, 0.0))


def _ends(known: Floats, bias: float, rate: float, level: float) -> tuple[float, float]:
    ndtr = special().ndtr
    ndtri = special().ndtri
    z = bias + ndtri(np.array([1 - level, 1 + level]) / 2)
    share = ndtr(bias + z / np.maximum(1 - rate * z, 1e-9))
    method: Any = "linear" if np.isfinite(known).all() else "inverted_cdf"
    low, high = np.quantile(known, share, method=method)
    return float(low), float(high)


def _p(value: float, known: Floats, bias: float, rate: float) -> float:
    ndtr = special().ndtr
    ndtri = special().ndtri
    below = (np.count_nonzero(known < value) + np.count_nonzero(known <= value)) / 2
    side = 1 if below > len(known) / 2 else -1
    beyond = len(known) - below if side > 0 else below
    tail = float(beyond + 0.5) / (len(known) + 1)
    if beyond < _TAIL and np.isfinite(known).all() and known.std() > 0:
        beside = float(ndtr(-abs(value - known.mean()) / known.std()))
        tail = min(float(tail), beside)
    y = -side * ndtri(max(tail, 1e-300)) - bias
    z = y / max(1 + rate * y, 1e-9) - bias
    return float(2 * ndtr(-abs(z)))


def acceleration(left_out: Floats) -> float:
    """Return the jackknife's acceleration; 0 where the statistic does not vary or is not finite.

    `a = sum d^3 / (6 (sum d^2)^1.5)` for `d`, the mean of `left_out` less each of it (Efron 1987, equation 7.3).
    """
    if not np.isfinite(left_out).all() or not len(left_out):
        return 0.0
    gap = left_out.mean() - left_out
    size = float((gap**2).sum())
    return float((gap**3).sum() / (6 * size**1.5)) if size > 1e-300 else 0.0


def _bias(estimate: float, known: Floats) -> float:
    """Return z0; ties count one half, and no share is taken for 0 or 1, which a finite number of draws cannot show."""
    ndtri = special().ndtri
    below = (np.count_nonzero(known < estimate) + np.count_nonzero(known <= estimate)) / 2
    edge = 0.5 / len(known)
    return float(ndtri(min(max(below / len(known), edge), 1 - edge)))

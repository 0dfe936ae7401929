"""Intervals of a target policy's value at level `1 - alpha`, each `(low, high)`.

`student` and `bootstrap` take round values; `bernstein` holds at every size for values in a known range;
`clopper_pearson` and `cressie_read` take weights and rewards of a known range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from bandits.metrics.off_policy.estimators import Floats, columns

Span = tuple[float, float]


def student(rounds: ArrayLike, *, alpha: float = 0.05) -> Span:
    """Return Student's t interval of the mean of round values (NaN for a single round)."""
    from scipy.special import stdtrit

    (values,) = columns(rounds)
    if len(values) < 2:
        return math.nan, math.nan
    half = float(stdtrit(len(values) - 1, 1 - alpha / 2)) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def gaussian(rounds: ArrayLike, *, alpha: float = 0.05) -> Span:
    """Return the normal interval of the mean of round values (NaN for a single round)."""
    from scipy.special import ndtri

    (values,) = columns(rounds)
    if len(values) < 2:
        return math.nan, math.nan
    half = float(ndtri(1 - alpha / 2)) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def bootstrap(
    estimate: Callable[..., Floats],
    *given: ArrayLike,
    resamples: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> Span:
    """Return the percentile bootstrap of an estimator, made anew on each resample with its own denominator.

    Args:
        estimate: `(*columns) -> (n,)` round values, `snips` for example.
        given: its `(n,)` columns; rounds are drawn with replacement, all columns together.
        resamples: >= 1.
        alpha: 1 - the level.
        seed: of the draws.

    Raises:
        ValueError: as the estimator.
    """
    arrays = columns(*given)
    rng, n = np.random.default_rng(seed), len(arrays[0])
    means = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(0, n, n)
        means[i] = estimate(*(array[drawn] for array in arrays)).mean()
    low, high = np.quantile(means, (alpha / 2, 1 - alpha / 2))
    return float(low), float(high)


def bernstein(rounds: ArrayLike, *, largest: float | None = None, alpha: float = 0.05) -> Span:
    """Return the empirical Bernstein interval (Maurer, Pontil 2009; Thomas et al. 2015), two-sided.

    Args:
        rounds: `(n,)` values in [0, `largest`].
        largest: the largest value possible; None: the largest seen, which makes the interval only approximate.
        alpha: 1 - the level, half of it on each side.
    """
    (values,) = columns(rounds)
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    most = float(np.abs(values).max()) if largest is None else largest
    log = math.log(4 / alpha)  # ln(2 / delta) with delta = alpha / 2 on each side
    half = 7 * most * log / (3 * (n - 1)) + math.sqrt(2 * log * values.var() / (n - 1))
    return float(values.mean() - half), float(values.mean() + half)


def clopper_pearson(
    weight: ArrayLike, reward: ArrayLike, *, least: float = 0.0, most: float = 1.0, alpha: float = 0.05
) -> Span:
    """Return the Clopper-Pearson interval of `sum(w r) / max(w)` successes in `n / max(w)` trials, as VW has it.

    Args:
        weight, reward: `(n,)`.
        least, most: the range of rewards.
        alpha: 1 - the level.

    Raises:
        ValueError: a reward outside the range, or as `columns`.
    """
    from scipy.special import betaincinv

    w, r = columns(weight, reward)
    _ranged(r, least, most)
    largest = float(w.max())
    if largest == 0:
        return math.nan, math.nan
    successes, trials = math.fsum(w * (r - least) / (most - least)) / largest, len(w) / largest
    low = betaincinv(successes, trials - successes + 1, alpha / 2) if 0 < successes < trials + 1 else 0.0
    high = betaincinv(successes + 1, trials - successes, 1 - alpha / 2) if successes < trials else 1.0
    return float(least + low * (most - least)), float(least + high * (most - least))


def cressie_read(
    weight: ArrayLike, reward: ArrayLike, *, least: float = 0.0, most: float = 1.0, lightest: float = 0.0,
    heaviest: float = np.inf, alpha: float = 0.05,
) -> Span:  # fmt: skip
    """Return the interval of the Cressie-Read likelihood of power -2 (1906.03323, section 4; VW's estimators).

    Args:
        weight, reward: `(n,)`.
        least, most: the range of rewards.
        lightest, heaviest: the range that weights can have, `lightest < 1 < heaviest`; widened to what was seen.
        alpha: 1 - the level.

    Raises:
        ValueError: a reward or a bound outside its range, or as `columns`.
    """
    w, r = columns(weight, reward)
    _ranged(r, least, most)
    if not lightest < 1 < heaviest:
        raise ValueError(f"weights need bounds lightest < 1 < heaviest, got {lightest} and {heaviest}")
    n = len(w)
    ends = (min(lightest, float(w.min())), max(heaviest, float(w.max())))
    slack = _slack(w, ends, alpha)
    bounds = []
    for worst, sign in ((least, 1.0), (most, -1.0)):
        found = [g for fake in ends if (g := _bound(w, r, fake, worst, sign, slack, n)) is not None]
        best = min(found, default=least)
        bounds.append(min(most, max(least, sign * best)))
    return bounds[0], bounds[1]


def _ranged(reward: Floats, least: float, most: float) -> None:
    if not least < most or reward.min() < least or reward.max() > most:
        raise ValueError(
            f"an interval needs rewards in [{least}, {most}], got {reward.min():g} to {reward.max():g}"
        )


def _slack(w: Floats, ends: tuple[float, float], alpha: float) -> float:
    """Return how far below its maximum the likelihood may lie: an F quantile (1, n) at `alpha`."""
    from scipy.special import fdtri

    n, total, squares = len(w), math.fsum(w), math.fsum(w**2)
    fake = ends[1] if total < n else ends[0]
    if math.isinf(fake):
        best = 1 + 1 / n
    else:
        a, b = (fake + total) / (1 + n), (fake**2 + squares) / (1 + n)
        best = (1 + n) * (a - 1) ** 2 / (b - a * a)
    return (-best - float(fdtri(1, n, 1 - alpha))) / (2 * (1 + n))


def _bound(
    w: Floats, r: Floats, fake: float, worst: float, sign: float, slack: float, n: int
) -> float | None:
    """Return `sign` times the bound where unseen rewards are `worst` and the made-up weight is `fake`, or None."""
    sums = [math.fsum(values) for values in (w, w**2, w * r, w**2 * r, w**2 * r**2)]
    sw, sww, swr, swwr, swwrr = sums
    if math.isinf(fake):
        x = sign * (worst + (swr - sw * worst) / n)
        y = (worst * sw - swr) ** 2 / (n * (1 + n)) - (worst**2 * sww - 2 * worst * swwr + swwrr) / (1 + n)
        z = slack + 1 / (2 * n)
    else:
        a, b = (fake + sw) / (1 + n), (fake**2 + sww) / (1 + n)
        c, d = sign * (fake * worst + swr) / (1 + n), sign * (fake**2 * worst + swwr) / (1 + n)
        e = (fake**2 * worst**2 + swwrr) / (1 + n)
        if not b > a**2:
            return None
        x = c + (1 - a) * (d - a * c) / (b - a**2)
        y = (d - a * c) ** 2 / (b - a**2) - (e - c**2)
        z = slack + 0.5 * (1 - a) ** 2 / (b - a**2)
    if abs(y * z) <= 1e-18:
        return x - math.sqrt(2) * 1e-9
    return x - math.sqrt(2 * y * z) if z <= 0 <= y * z else None

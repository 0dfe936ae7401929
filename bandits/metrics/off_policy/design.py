"""The interval of a doubly robust estimate from how the log was drawn, not from the weights that happened to come up.

With few explored rounds the large weights of a log are rare: where none of them came up, the spread of the round values
is too small, and so is Student's interval. But the log's probabilities are known, so the variance of the correction is
too, but for the second moment of the residual.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bandits.metrics.off_policy.estimators import Floats

Span = tuple[float, float]
MADE_UP = 3.0  # rounds of the worst noise: fewer make intervals of two or three calls too short, more make all wider


class Design(NamedTuple):
    """What a log of `n` rounds and `K` arms tells of one quantity's noise.

    Attributes:
        log: `(n, K)` the log's probabilities.
        noise: `(K,)` second moment of the residual `r - q` of each arm, see `noise_of`.
        least, most: the range of the quantity.
    """

    log: Floats
    noise: Floats
    least: float
    most: float


def noise_of(
    residual: ArrayLike, arms: ArrayLike, propensity: ArrayLike, n_arms: int, span: ArrayLike
) -> Floats:
    """Return `(K,)` the mean of `(r - q)^2` over all rounds, had each arm been called in each.

    Weighted by `1 / p` and self-normalised, since an arm is called where the log's policy thought well of it; and with
    `MADE_UP` rounds of the worst, `span^2 / 4` (Popoviciu's bound of a variance), beside the effective number
    `(sum 1/p)^2 / sum 1/p^2` of real ones: an arm that was hardly called is not taken for one without noise.

    Args:
        residual, arms, propensity: `(n,)`.
        n_arms: `K`.
        span: largest less least value of the quantity: a number, or `(K,)` one for each arm.
    """
    e, a, inverse = (np.asarray(x, t) for x, t in ((residual, float), (arms, np.int64), (propensity, float)))
    inverse = 1 / inverse
    total, squares = (np.bincount(a, inverse**k, n_arms) for k in (1, 2))
    mean = np.bincount(a, inverse * e**2, n_arms) / np.where(total > 0, total, 1.0)
    count = total**2 / np.where(squares > 0, squares, 1.0)
    return np.asarray((count * mean + MADE_UP * np.square(span) / 4) / (count + MADE_UP))


def designed(mean: float, value: Floats, apart: Floats, design: Design, *, alpha: float = 0.05) -> Span:
    """Return the interval `mean -+ t sqrt((var V + mean_i sum_a d(a | x_i)^2 / p(a | x_i) m_a) / n)`.

    The two terms are those of DR's variance (Dudik, Langford, Li 2011, 1103.4601, Theorem 2) with `m` from `noise_of`.
    Calls of the target that the log never makes cannot be known; the interval is wider on each side by their share
    times the range (worst case: Manski 1990).

    Args:
        mean: the estimate.
        value: `(n,)` `sum_a d(a | x) q(x, a)`.
        apart: `(n, K)` `d`, probabilities of a target, or of one target less those of another.
        design: of the log.
        alpha: 1 - the level.
    """
    from scipy.special import stdtrit

    n = len(value)
    if n < 2:
        return math.nan, math.nan
    reached = design.log > 0
    share = np.divide(apart**2, design.log, out=np.zeros_like(apart), where=reached).mean(axis=0)
    unknown = float(np.where(reached, 0.0, np.abs(apart)).sum(axis=1).mean()) * (design.most - design.least)
    half = float(stdtrit(n - 1, 1 - alpha / 2)) * math.sqrt((value.var(ddof=1) + share @ design.noise) / n)
    return float(mean - half - unknown), float(mean + half + unknown)

"""Estimators from weights and rewards alone that use what weights are known to do: their mean is 1.

Both maximise a likelihood of the log subject to `E[w] = 1` (Karampatziakis, Langford, Mineiro 2019, 1906.03323): a
Cressie-Read divergence of power -2, which has a closed form, and the empirical likelihood. What they leave of the
probability mass gets the mean reward of the log.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from bandits.metrics.off_policy.estimators import Floats, columns


def _bounded(
    weight: ArrayLike, reward: ArrayLike, least: float, most: float
) -> tuple[Floats, Floats, float, float]:
    w, r = columns(weight, reward)
    if not (0 <= least < 1 < most):
        raise ValueError(f"weights need bounds 0 <= least < 1 < most, got {least} and {most}")
    if (w < 0).any():
        raise ValueError(f"an estimator needs weights >= 0, got {w.min():g}")
    return w, r, min(least, float(w.min())), max(most, float(w.max()))


def cressie_read(weight: ArrayLike, reward: ArrayLike, *, least: float = 0.0, most: float = np.inf) -> float:
    """Return the value under the Cressie-Read likelihood of power -2 (1906.03323, section 3).

    Args:
        weight, reward: `(n,)`.
        least, most: the range that weights can have, not only do have; widened to what was seen.

    Raises:
        ValueError: bounds that do not enclose 1, a negative weight, or as `columns`.
    """
    w, r, low, high = _bounded(weight, reward, least, most)
    return float((_shares(w, low, high) * r).mean())


def dr_likelihood(weight: ArrayLike, reward: ArrayLike, logged: ArrayLike, value: ArrayLike) -> Floats:
    """Return `V + s (r - q)`: doubly robust, its correction weighed by the Cressie-Read likelihood (DR-CR).

    `s` are the shares of `cressie_read`, `w` corrected for their mean, which is known to be 1: where a log's weights
    came out heavy or light by chance, the correction does not follow. As the log grows, `s` tends to `w` and DR-CR to
    DR (1906.03323, section 3, on the residual; doubly robust: 1103.4601).

    Args:
        weight, reward, logged, value: `(n,)`, as for `dr`.

    Raises:
        ValueError: a negative weight, or as `columns`.
    """
    w, r, low, high = _bounded(weight, reward, 0.0, np.inf)
    q, v, _ = columns(logged, value, w)
    return np.asarray(v + _shares(w, low, high) * (r - q))


def _shares(w: Floats, low: float, high: float) -> Floats:
    """Return `(n,)` what each round's reward counts: `n` times its likelihood weight, and its part of the rest."""
    n, total, squares = len(w), math.fsum(w), math.fsum(w**2)
    # One made-up round with the weight that pulls the mean of all towards 1.
    fake = high if total < n else low
    if math.isinf(fake):
        gamma, beta = -(1 + n) / n, 0.0
    else:
        a, b = (fake + total) / (1 + n), (fake**2 + squares) / (1 + n)
        if not a * a < b:  # every weight is the same: nothing to correct
            return np.ones(n)
        gamma, beta = (b - a) / (a * a - b), (1 - a) / (a * a - b)
    missing = max(0.0, 1 - (-gamma * total - beta * squares) / (1 + n))
    return np.asarray(n / (1 + n) * (-gamma * w - beta * w**2) + missing)


def mle(weight: ArrayLike, reward: ArrayLike, *, least: float = 0.0, most: float = np.inf) -> float:
    """Return the value under the empirical likelihood with `E[w] = 1` (1906.03323, section 2).

    Args:
        weight, reward: `(n,)`.
        least, most: as for `cressie_read`.

    Raises:
        ValueError: as `cressie_read`.
    """
    from scipy.optimize import brentq

    w, r, low, high = _bounded(weight, reward, least, most)
    n = len(w)
    below, above = w[w < 1], w[w > 1]
    top = min(n / (1 - low), ((n - 1) / (1 - below)).min() if below.size else np.inf)
    bottom = max(
        0.0 if math.isinf(high) else n / (1 - high),
        ((n - 1) / (1 - above)).max() if above.size else -np.inf,
    )

    def gradient(dual: float) -> float:
        return math.fsum((w - 1) / ((w - 1) * dual + n))

    at_bottom, at_top = gradient(bottom), gradient(top)
    end = bottom if at_bottom < 0 else top
    dual = brentq(gradient, bottom, top) if at_bottom * at_top < 0 else end
    mass = w / ((w - 1) * dual + n)
    return float(math.fsum(mass * r) + max(0.0, 1.0 - math.fsum(mass)) * r.mean())

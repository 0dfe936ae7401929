"""Utility as a sum of effects, kept as one normal posterior: `bandits.policies.tabular.hierarchical`, same letters.

The algebra is written once, over arrays of either library: `xp` is `numpy` or `jax.numpy`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandits.forms.exploring import NotNegative, Positive
from bandits.forms.form import FLOAT, WHOLE, Arrays, Changes, Floats, Form, Heard, Layout, Seen

SHARED = 3  # effects beside those of the models: level, slope and the query's difficulty, in this order


class Effects(NamedTuple):
    """Standard deviations of effects before the first call, and what utility is believed to be.

    Attributes:
        noise: of a utility around the sum of its effects.
        spread: of a model's own effect.
        level: of what all models share.
        slope: of the effect of a model's price, for a price one standard deviation above the mean of logarithms.
        difficulty: of a query, the same for all models.
        prior: mean of the level.
    """

    noise: float
    spread: float
    level: float
    slope: float
    difficulty: float
    prior: float

    def begun(self, k: int) -> tuple[Floats, Floats]:
        """Return mean `(K + 3,)` and covariance `(K + 3, K + 3)` of the effects before the first call."""
        deviation = np.array([self.spread] * k + [self.level, self.slope, self.difficulty])
        mean = np.zeros(k + SHARED)
        mean[k] = self.prior
        return mean, np.diag(deviation**2)


def loadings(xp: Any, price: Any) -> Any:
    """Return `(K, K + 3)`, how much of each effect a call of each model has; `price` `(K,)`, NaN or 0 where unknown."""
    known = price > 0  # a NaN is not
    count = xp.maximum(known.sum(), 1)
    height = xp.where(known, xp.log(xp.where(known, price, 1.0)), 0.0)
    height = xp.where(known, height - height.sum() / count, 0.0)
    deviation = xp.sqrt((height**2).sum() / count)
    height = xp.where(deviation > 1e-6, height / xp.maximum(deviation, 1e-6), 0.0)
    one = xp.ones_like(height)[:, None]
    return xp.concatenate([xp.eye(len(height)), one, height[:, None], one], axis=1)


def renewed(xp: Any, mean: Any, covariance: Any, difficulty: float) -> tuple[Any, Any]:
    """Return the posterior at another query, whose difficulty is not known yet."""
    last = xp.arange(len(mean)) == len(mean) - 1
    rest = xp.where(last, 0.0, 1.0)
    fresh = xp.where(last[:, None] & last, difficulty**2, 0.0)
    return mean * rest, covariance * rest[:, None] * rest + fresh


def heard(mean: Any, covariance: Any, loading: Any, utility: Any, noise: float) -> tuple[Any, Any]:
    """Return the posterior after a utility was heard (Kalman 1960): the conditional of a joint normal distribution."""
    along = covariance @ loading
    total = loading @ along + noise**2
    u = along / total**0.5  # u u' is symmetric to the bit
    return mean + along * ((utility - loading @ mean) / total), covariance - u[:, None] * u


def foreseen(xp: Any, mean: Any, covariance: Any, loading: Any) -> tuple[Any, Any]:
    """Return mean and standard deviation `(K,)` of each model's mean utility, the query's difficulty left out."""
    k = len(mean) - 1
    own = loading[:, :k]
    variance = ((own @ covariance[:k, :k]) * own).sum(axis=1)
    return own @ mean[:k], xp.sqrt(xp.maximum(variance, 0.0))


class Mixed(Form, frozen=True):
    """As the arguments of `hierarchical`; in service every call is of another query."""

    alpha: NotNegative
    noise: Positive
    spread: Positive
    level: NotNegative
    slope: NotNegative
    difficulty: NotNegative
    prior: float

    @property
    def featured(self) -> bool:
        """See `Form`."""
        return False

    def layout(self, k: int, d: int) -> Layout:
        """See `Form`."""
        del d
        n = k + SHARED
        calls: Layout = {"calls": (WHOLE, (k,)), "spent": (FLOAT, (k,))}
        return {"mean": (FLOAT, (n,)), "covariance": (FLOAT, (n, n)), **calls}

    def check(self, has: Arrays) -> None:
        """See `Form`."""
        covariance = has["covariance"]
        if not np.array_equal(covariance, covariance.T) or np.linalg.eigvalsh(covariance).min() < -1e-4:
            raise ValueError("its covariance needs to be symmetric and to have no negative eigenvalue")

    def index(self, has: Arrays, seen: Seen) -> Floats:
        """See `Form`."""
        mean, deviation = foreseen(np, has["mean"], has["covariance"], loadings(np, seen.price))
        calls = has["calls"]
        paid = np.where(calls > 0, has["spent"] / np.maximum(calls, 1), 1.0) * seen.cost_scale
        cost = np.where(np.isnan(seen.price), paid, seen.price)
        return np.asarray(seen.worth(mean, cost) + self.alpha * deviation)

    def changes(self, has: Arrays, seen: Seen, arm: int, heard_: Heard) -> Changes:
        """See `Form`."""
        before = renewed(np, has["mean"], has["covariance"], self.difficulty)
        mean, covariance = heard(*before, loadings(np, seen.price)[arm], heard_.utility, self.noise)
        return {
            "mean": (..., mean),
            "covariance": (..., covariance),
            "calls": (arm, has["calls"][arm] + 1),
            "spent": (arm, has["spent"][arm] + heard_.cost / seen.cost_scale),
        }

"""What a log can bear: effective sample size, weights, support, and whether its propensities can be right."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bandits.metrics.off_policy.estimators import columns


class Diagnostics(NamedTuple):
    """What is to be read before any estimate of a target from a log of `n` rounds.

    Attributes:
        rounds: `n`.
        effective: `(sum w)^2 / sum w^2`, the rounds that the weights leave.
        mean_weight: 1 where propensities are right and the log calls whatever the target may call.
        mean_error: standard error of `mean_weight`.
        largest: the largest weight.
        rare: share of rounds with a propensity below .01.
        unsupported: share of the target's choices on arms that the log never called; NaN where not known.
        certain: whether every propensity is 1: only the logged policy itself can be valued.
    """

    rounds: int
    effective: float
    mean_weight: float
    mean_error: float
    largest: float
    rare: float
    unsupported: float
    certain: bool

    @property
    def doubtful(self) -> bool:
        """Whether the mean weight is further than two standard errors from 1: propensities or support are wrong."""
        return abs(self.mean_weight - 1) > 2 * self.mean_error + 1e-4  # recorded digits


def diagnose(
    weight: ArrayLike, propensity: ArrayLike, arms: ArrayLike | None = None, chances: ArrayLike | None = None
) -> Diagnostics:
    """Return the diagnostics of a target on a log.

    Args:
        weight, propensity: `(n,)`.
        arms: `(n,)` logged arms, and
        chances: `(n, K)` the target's probabilities; both None: support is not known.

    Raises:
        ValueError: a propensity outside (0, 1], or as `columns`.
    """
    w, p = columns(weight, propensity)
    if not ((p > 0) & (p <= 1)).all():
        wrong = int(np.flatnonzero(~((p > 0) & (p <= 1)))[0])
        raise ValueError(f"a log needs propensities in (0, 1], got {p[wrong]:g} in round {wrong + 1}")
    n, unsupported = len(w), math.nan
    if arms is not None and chances is not None:
        pi = np.asarray(chances, np.float64)
        called = np.bincount(np.asarray(arms, np.int64), minlength=pi.shape[1]) > 0
        unsupported = float(pi[:, ~called].sum(axis=1).mean())
    error = float(w.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    squares = float((w**2).sum())
    effective = float(w.sum() ** 2 / squares) if squares > 0 else 0.0
    return Diagnostics(
        n, effective, float(w.mean()), error, float(w.max()), float((p < 0.01).mean()), unsupported,
        bool((p == 1).all()),
    )  # fmt: skip

"""Choosing an estimator's threshold or shrinkage from the log itself: by the MSE score and by SLOPE."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bandits.metrics.off_policy.estimators import columns


def mse_score(
    rounds: ArrayLike, weight: ArrayLike, used: ArrayLike, reward: ArrayLike, logged: ArrayLike | None = None,
    *, delta: float = 0.05,
) -> float:  # fmt: skip
    """Return an upper bound of an estimator's squared error: variance plus squared bias (Su et al. 2020, page 17).

    The bias is `|mean((w - w') (r - q))|` with Bernstein's bound on top,
    `sqrt(2 mean(w^2) ln(2/delta) / n) + 2 max(w) ln(2/delta) / (3 n)`. The setting of the least score is chosen.

    Args:
        rounds: `(n,)` round values of the estimator.
        weight, used: `(n,)` `w` and `w'`, the weights as the estimator has changed them.
        reward, logged: `(n,)` `r` and the model `q` at the logged arms; None: no model.
        delta: of the bound, in (0, 1).

    Raises:
        ValueError: as `columns`.
    """
    values, w, changed, r = columns(rounds, weight, used, reward)
    q = np.zeros_like(r) if logged is None else columns(logged)[0]
    n, log = len(r), math.log(2 / delta)
    bias = abs(((w - changed) * (r - q)).mean())
    bias += math.sqrt(2 * (w**2).mean() * log / n) + 2 * w.max() * log / (3 * n)
    return float(values.var() / n + bias**2)


def slope(estimates: Sequence[float], widths: Sequence[float]) -> int:
    """Return the place of the estimate that SLOPE chooses (Su, Srinath, Krishnamurthy 2020; Tucker, Lee 2021).

    From the widest interval to the narrowest, an estimate is kept as long as it lies within
    `width_j + C width_i`, `C = sqrt(6) - 1`, of each kept before; the last kept is returned.

    Args:
        estimates: one a setting.
        widths: half the width of each one's interval.

    Raises:
        ValueError: no estimates, or another number of widths.
    """
    values, half = columns(estimates, widths)
    order = np.argsort(-half, kind="stable")
    kept: list[int] = []
    for i in order:
        apart = [abs(values[j] - values[i]) <= half[i] + (math.sqrt(6) - 1) * half[j] for j in kept]
        if not all(apart):
            break
        kept.append(int(i))
    return kept[-1]

"""Risk against coverage: how wrong answers are where those with the lowest scores are withheld (Geifman 2017)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """Answers delivered in order of their score: `(N,)` share of all, and mean loss among them."""

    coverage: Floats
    risk: Floats


def curve(score: Floats, utility: Floats) -> Curve:
    """Return the selective risk at every coverage, in expectation over the order of equal scores.

    Args:
        score: `(N,)`, the highest is delivered first.
        utility: `(N,)` in [0, 1]; the loss is 1 less it.
    """
    order = np.argsort(-score, kind="stable")
    _, group = np.unique(-score[order], return_inverse=True)
    size = np.bincount(group)
    loss = (np.bincount(group, weights=1 - utility[order]) / size)[group]
    count = np.arange(1, len(score) + 1)
    return Curve(count / len(score), np.cumsum(loss) / count)


def aurc(score: Floats, utility: Floats) -> float:
    """Return the area under the risk-coverage curve: mean selective risk over all coverages; lower is better."""
    return float(curve(score, utility).risk.mean())


def risk_at(score: Floats, utility: Floats, coverage: float) -> float:
    """Return the selective risk where this share of the answers, rounded up, is delivered."""
    found = curve(score, utility)
    return float(found.risk[min(int(np.searchsorted(found.coverage, coverage - 1e-12)), len(found.risk) - 1)])

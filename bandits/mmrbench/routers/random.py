"""Uniform assignments, one point each (arXiv 2601.17814, Random); its peak is the luckiest of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.metrics.curve import Path, sequence
from bandits.mmrbench.routers.base import Floats, Reference


def random(*, trials: int = 50, seed: int = 42) -> Reference:
    """Return the reference that sends each query to any of its recorded models with the same chance.

    Args:
        trials: independent assignments, >= 1.
        seed: of the draws.

    Raises:
        ValueError: trials < 1 or seed < 0.
    """
    require.whole("random", 1, trials=trials)
    require.whole("random", 0, seed=seed)

    def reference(utility: Floats, cost: Floats, dataset: NDArray[Any]) -> Path:
        del cost, dataset
        seen, rng = ~np.isnan(utility), np.random.default_rng(seed)
        n, n_models = utility.shape
        choices = rng.integers(0, n_models, (trials, n))
        partly = np.flatnonzero(~seen.all(axis=1))
        recorded_first = np.argsort(~seen[partly], axis=1, kind="stable")
        drawn = rng.integers(0, seen[partly].sum(axis=1), (trials, len(partly)))
        choices[:, partly] = recorded_first[np.arange(len(partly)), drawn]
        return sequence(choices)

    return reference

"""Uniform assignments, one point each (arXiv 2601.17814, Random); its peak is the luckiest of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.metrics.curve import Path, sequence
from bandits.routers.base import Floats, Reference


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
        seen = ~np.isnan(utility)
        recorded_first = np.argsort(~seen, axis=1, kind="stable")
        drawn = np.random.default_rng(seed).integers(0, utility.shape[1], (trials, len(utility)))
        return sequence(recorded_first[np.arange(len(utility)), drawn % seen.sum(axis=1)])

    return reference

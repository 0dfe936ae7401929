"""The best model of each query at each budget, from the true outcomes (arXiv 2601.17814, Oracle)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.metrics.curve import Path, path
from bandits.mmrbench.routers.base import Floats, Reference


def oracle(*, ties: str = "lowest") -> Reference:
    """Return the reference that knows every outcome.

    Args:
        ties: among equally good models that a budget allows, the `lowest` index (published: the first in
            alphabetical order, however dear) or the `cheapest`: the same utility for less, with the cheapest model
            where a budget allows none.

    Raises:
        ValueError: ties is unknown.
    """
    require.one_of("oracle", ("lowest", "cheapest"), ties=ties)

    def reference(utility: Floats, cost: Floats, dataset: NDArray[Any]) -> Path:
        del dataset
        seen = ~np.isnan(utility)
        start = seen.argmax(axis=1) if ties == "lowest" else np.where(seen, cost, np.inf).argmin(axis=1)
        return path(utility, cost, start=start, ties=ties)

    return reference

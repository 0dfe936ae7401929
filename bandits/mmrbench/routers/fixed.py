"""The best single model and the best model of each dataset, in hindsight: references between random and oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.curve import Path, sequence
from bandits.mmrbench.routers.base import Floats, Reference, mean_where_seen


def best_single() -> Reference:
    """Return the reference that sends every query to the model of the highest mean utility on the test queries."""

    def reference(utility: Floats, cost: Floats, dataset: NDArray[Any]) -> Path:
        del cost, dataset
        return sequence(_best(utility)[None])

    return reference


def best_per_dataset() -> Reference:
    """Return the reference that sends every query to the best model of its dataset on the test queries."""

    def reference(utility: Floats, cost: Floats, dataset: NDArray[Any]) -> Path:
        del cost
        choice = np.zeros(len(utility), np.int32)
        for name in set(dataset):
            rows = dataset == name
            choice[rows] = _best(utility[rows])
        return sequence(choice[None])

    return reference


def _best(utility: Floats) -> NDArray[np.int32]:
    """Return `(n,)` the best model by mean utility; a query that lacks it goes to the next best that it has."""
    mean = mean_where_seen(utility, axis=0)
    ranked = np.where(np.isnan(utility), -np.inf, mean)
    return np.asarray(ranked.argmax(axis=1), np.int32)

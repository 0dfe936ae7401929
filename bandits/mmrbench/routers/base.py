"""The contract of an offline router and of a reference, and the mean that respects missing outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.curve import Path

Floats = NDArray[np.floating[Any]]

# `predict(context (m, d)) -> (utility (m, K), cost (m, K))`: what it believes; not finite where it knows nothing.
Predict = Callable[[Floats], tuple[Floats, Floats]]

# `fit(context (n, d), utility (n, K), cost (n, K)) -> predict`: NaN where no outcome was recorded.
Fit = Callable[[Floats, Floats, Floats], Predict]

# `reference(utility (m, K), cost (m, K), dataset (m,)) -> path`: made from the true outcomes of the test queries.
Reference = Callable[[Floats, Floats, NDArray[Any]], Path]


def mean_where_seen(values: Floats, axis: int) -> Floats:
    """Return the mean along an axis over entries that are not NaN; NaN where there are none."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=axis)
    total = np.where(seen, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))

"""Ordinary least squares, one regression a model and target (arXiv 2601.17814, Linear)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bandits.mmrbench.routers.base import Fit, Floats, Predict


def linear() -> Fit:
    """Return a router that predicts utility and cost by ordinary least squares with an intercept."""

    def fit(context: Floats, utility: Floats, cost: Floats) -> Predict:
        from sklearn.linear_model import LinearRegression

        of_utility = regressions(LinearRegression, context, utility)
        of_cost = regressions(LinearRegression, context, cost)
        return lambda context: (of_utility(context), of_cost(context))

    return fit


def regressions(make: Callable[[], Any], context: Floats, target: Floats) -> Callable[[Floats], Floats]:
    """Return `context (m, d) -> (m, K)`, one regression a column of `target`, each on the rows that it has.

    Args:
        make: returns an unfitted scikit-learn regressor.
        context: `(n, d)`.
        target: `(n, K)`, NaN where missing; a column with nothing but NaN is predicted as NaN.
    """
    fitted = []
    for column in target.T:
        seen = ~np.isnan(column)
        fitted.append(make().fit(context[seen], column[seen]) if seen.any() else None)

    def predict(context: Floats) -> Floats:
        unknown = np.full(len(context), np.nan)
        return np.stack([unknown if m is None else m.predict(context) for m in fitted], axis=1)

    return predict

"""k nearest neighbours: the mean utility and cost of the most similar training queries (arXiv 2601.17814, KNN)."""

from __future__ import annotations

import numpy as np

from bandits import require
from bandits.mmrbench.routers.base import Fit, Floats, Predict, mean_where_seen


def knn(*, k: int = 50, metric: str = "cosine") -> Fit:
    """Return a router that averages the outcomes of the `k` nearest training queries.

    Args:
        k: neighbours, >= 1; all training queries when there are fewer.
        metric: a distance of scikit-learn's `NearestNeighbors`.

    Raises:
        ValueError: k < 1, or an unknown metric (when fitted).
    """
    require.whole("knn", 1, k=k)

    def fit(context: Floats, utility: Floats, cost: Floats) -> Predict:
        from sklearn.neighbors import NearestNeighbors

        index = NearestNeighbors(n_neighbors=min(k, len(context)), metric=metric).fit(context)

        def predict(context: Floats) -> tuple[Floats, Floats]:
            # In one order, whatever the distances: equal neighbourhoods get equal means, to the last bit.
            near = np.sort(index.kneighbors(context, return_distance=False), axis=1)
            return mean_where_seen(utility[near], axis=1), mean_where_seen(cost[near], axis=1)

        return predict

    return fit

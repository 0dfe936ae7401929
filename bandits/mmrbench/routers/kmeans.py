"""k-means: the mean utility and cost of the training queries in a query's cluster (arXiv 2601.17814, KMeans)."""

from __future__ import annotations

import numpy as np

from bandits import require
from bandits.mmrbench.routers.base import Fit, Floats, Predict, mean_where_seen


def kmeans(*, clusters: int = 20, seed: int = 42) -> Fit:
    """Return a router that averages the outcomes of a query's cluster.

    Args:
        clusters: >= 1; one for each training query when there are fewer queries.
        seed: of the initial centres.

    Raises:
        ValueError: clusters < 1.
    """
    require.whole("kmeans", 1, clusters=clusters)
    require.whole("kmeans", 0, seed=seed)

    def fit(context: Floats, utility: Floats, cost: Floats) -> Predict:
        from sklearn.cluster import KMeans

        size = min(clusters, len(context))
        model = KMeans(n_clusters=size, random_state=seed, n_init="auto")
        label = model.fit_predict(context)
        utility_of = np.stack([mean_where_seen(utility[label == c], axis=0) for c in range(size)])
        cost_of = np.stack([mean_where_seen(cost[label == c], axis=0) for c in range(size)])

        def predict(context: Floats) -> tuple[Floats, Floats]:
            cluster = model.predict(context)
            return utility_of[cluster], cost_of[cluster]

        return predict

    return fit

"""k-means on adaptively fused text and image (arXiv 2601.17814, appendix D.2): the protocol fuses, this clusters."""

from __future__ import annotations

from bandits import require
from bandits.mmrbench.routers.base import Fit
from bandits.mmrbench.routers.kmeans import kmeans


def kmeansnew(*, clusters: int = 20, seed: int = 42) -> Fit:
    """Return a k-means router for contexts of adaptive fusion, which `mmrbench` builds for it (see `modes`).

    Args:
        clusters: >= 1; one for each training query when there are fewer queries.
        seed: of the initial centres.

    Raises:
        ValueError: clusters < 1.
    """
    require.whole("kmeansnew", 1, clusters=clusters)
    require.whole("kmeansnew", 0, seed=seed)
    return kmeans(clusters=clusters, seed=seed)

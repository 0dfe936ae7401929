"""k nearest neighbours: the mean utility and cost of the most similar training queries (arXiv 2601.17814, KNN)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.loop.blocks import shared_out
from bandits.mmrbench.routers.base import Fit, Floats, Predict
from bandits.mmrbench.routers.kernels_near import means, nearest

_AT_ONCE = 4096  # queries whose neighbours are held
_TOGETHER = 256  # queries that a core takes up
# Training queries whose similarities are held: whole tiles of OpenBLAS's Haswell kernels, whose sums are then those of
# one product with all of them.
_BLOCK = 960


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
        most = min(k, len(context))
        find = _by_cosine(context, most) if metric == "cosine" else _by_metric(context, most, metric)

        def predict(context: Floats) -> tuple[Floats, Floats]:
            made = np.empty((2, len(context), utility.shape[1]))
            tables = [np.ascontiguousarray(values, np.float64) for values in (utility, cost)]
            for i in range(0, len(context), _AT_ONCE):
                near = find(context[i : i + _AT_ONCE])
                for own, values in zip(made, tables, strict=True):
                    means(values, near, own[i : i + _AT_ONCE])
            return made[0], made[1]

        return predict

    return fit


def _by_metric(context: Floats, k: int, metric: str) -> Callable[[Floats], NDArray[np.int64]]:
    """Return the function from contexts `(m, d)` to the places `(m, k)` of their neighbours, ascending.

    In one order, whatever the distances: equal neighbourhoods get equal means, to the last bit.
    """
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k, metric=metric).fit(context)
    return lambda asked: np.sort(index.kneighbors(asked, return_distance=False), axis=1)


def _by_cosine(context: Floats, k: int) -> Callable[[Floats], NDArray[np.int64]]:
    """Return what `_by_metric` returns for cosines: scikit-learn's distances, without sorting all of them."""
    from sklearn.preprocessing import normalize

    known = normalize(context).T

    def find(asked: Floats) -> NDArray[np.int64]:
        units = normalize(asked)
        held, near = np.empty((len(units), k), units.dtype), np.empty((len(units), k), np.int64)

        def some(i: int) -> None:
            rows = slice(i, i + _TOGETHER)
            for start in range(0, known.shape[1], _BLOCK):
                nearest(units[rows] @ known[:, start : start + _BLOCK], start, held[rows], near[rows])

        shared_out(some, range(0, len(asked), _TOGETHER))
        return np.sort(near, axis=1)

    return find

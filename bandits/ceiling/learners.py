"""Full-information learners of utility: from the outcomes of all models on past queries to those of coming ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PRIOR = 10.0  # queries that a model's mean over all data sets counts for in that of one
NEIGHBOURS = 50
PENALTIES = tuple(10.0**i for i in range(-1, 5))  # of the ridge; leave-one-out chooses
TREES, LEAVES, LEAST, BINS = 50, 8, 20, 32  # of the boosting: shallow, as the signal is weak and rows are few


class Seen(NamedTuple):
    """What is known of `n` queries: `features` `(n, d)` without the constant, `dataset` `(n,)` numbers of data sets."""

    features: Floats
    dataset: NDArray[np.int64]

    def at(self, rows: NDArray[Any]) -> Seen:
        """Return those of some rows, a mask or numbers."""
        return Seen(self.features[rows], self.dataset[rows])


# (past, outcomes (n, K) with NaN where a model has none, coming) -> (m, K) predictions for the coming ones
Learner = Callable[[Seen, Floats, Seen], Floats]


def means(past: Seen, outcomes: Floats, coming: Seen) -> Floats:
    """Predict a model's mean in the query's data set, drawn to its mean over all by `PRIOR` queries' worth."""
    known = ~np.isnan(outcomes)
    overall = np.nansum(outcomes, axis=0) / np.maximum(known.sum(axis=0), 1)
    found = np.tile(overall, (len(coming.dataset), 1))
    for one in np.unique(past.dataset):
        own = past.dataset == one
        total, count = np.nansum(outcomes[own], axis=0), known[own].sum(axis=0)
        found[coming.dataset == one] = (total + PRIOR * overall) / (count + PRIOR)
    return found


def each_model(make: Callable[[int], Any], *, joint: bool = True) -> Learner:
    """Return the learner that fits an estimator of scikit-learn to each model; `make(n)` gives one for `n` queries.

    With `joint` one estimator takes all models at once, where every outcome is known.
    """

    def learner(past: Seen, outcomes: Floats, coming: Seen) -> Floats:
        known = ~np.isnan(outcomes)
        x, new = _joined(past, coming)
        if not x.shape[1]:
            return means(past, outcomes, coming)
        if joint and known.all():
            return np.asarray(make(len(x)).fit(x, outcomes).predict(new))
        found = np.empty((len(new), outcomes.shape[1]))
        for k, rows in enumerate(known.T):
            y = outcomes[rows, k]
            # A constant needs no estimator, and one query no leave-one-out.
            flat = len(y) < 2 or np.ptp(y) == 0
            found[:, k] = (y.mean() if len(y) else 0.0) if flat else make(len(y)).fit(x[rows], y).predict(new)
        return found

    return learner


def _joined(past: Seen, coming: Seen) -> tuple[Floats, Floats]:
    """Return features of both with an indicator of each data set of the past, where there are several."""
    names = np.unique(past.dataset)
    if len(names) < 2:
        return past.features, coming.features
    shown = [np.hstack([one.features, one.dataset[:, None] == names]) for one in (past, coming)]
    return shown[0], shown[1]


def ridge(past: Seen, outcomes: Floats, coming: Seen) -> Floats:
    """Predict by a ridge regression of each model, its penalty chosen by leaving one out."""
    from sklearn.linear_model import RidgeCV

    return each_model(lambda n: RidgeCV(PENALTIES))(past, outcomes, coming)


def knn(past: Seen, outcomes: Floats, coming: Seen) -> Floats:
    """Predict the mean outcome of the nearest past queries."""
    from sklearn.neighbors import KNeighborsRegressor

    return each_model(lambda n: KNeighborsRegressor(min(NEIGHBOURS, n), algorithm="brute"))(
        past, outcomes, coming
    )


def boosting(past: Seen, outcomes: Floats, coming: Seen) -> Floats:
    """Predict by gradient-boosted trees of each model."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    def make(n: int) -> Any:
        del n
        return HistGradientBoostingRegressor(
            max_iter=TREES,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=LEAST,
            max_bins=BINS,
            early_stopping=False,
            random_state=0,
        )

    return each_model(make, joint=False)(past, outcomes, coming)


LEARNERS: dict[str, Learner] = {"data sets": means, "ridge": ridge, "knn": knn, "boosting": boosting}
QUICK = ("data sets", "ridge", "knn")  # seconds, where boosting takes minutes


@contextmanager
def single_thread(*, boosted: bool = False) -> Iterator[None]:
    """Keep scikit-learn to one thread: tables are small, and threads that wait for each other cost 40 times as much."""
    import sklearn.linear_model  # what these load is limited only once it is there
    import sklearn.neighbors

    if boosted:
        import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield

"""Reward models `q(x, a)` for the direct and the doubly robust estimators, and propensities where none were logged.

Both are cross-fitted: what is predicted for a round comes from a fit on other rounds (Chernozhukov et al. 2018), or the
model would have seen the very reward that it is to correct.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.off_policy.estimators import Floats

Fit = Callable[[Floats, Floats, Floats], Callable[[Floats], Floats]]  # (X, y, weights) -> (X) -> predictions


def folds(n: int, parts: int, seed: int) -> NDArray[np.int64]:
    """Return `(n,)` the fold of each round, of sizes that differ by one at most, in random order.

    Raises:
        ValueError: fewer than 2 parts, or more than rounds.
    """
    if not 2 <= parts <= n:
        raise ValueError(f"cross-fitting needs 2 to {n} folds (there are {n} rounds), got {parts}")
    return np.random.default_rng(seed).permutation(np.arange(n) % parts)


def ridge(
    context: Floats, target: Floats, weight: Floats, *, penalty: float = 1.0
) -> Callable[[Floats], Floats]:
    """Return a fitted ridge: `(X' W X + penalty I)^-1 X' W y` around the weighted mean, which is not shrunk.

    Args:
        context: `(n, d)`.
        target: `(n,)`, or `(n, m)` for `m` targets at once.
        weight: `(n,)`.
        penalty: > 0.
    """
    share = weight / weight.sum()
    centre, level = share @ context, share @ target
    x, y = context - centre, target - level
    heavy = x.T * weight
    beta = np.linalg.solve(heavy @ x + penalty * np.eye(x.shape[1]), heavy @ y)
    return lambda new: np.asarray((new - centre) @ beta + level)


def boosting(context: Floats, target: Floats, weight: Floats, *, seed: int = 0) -> Callable[[Floats], Floats]:
    """Return fitted gradient boosting (scikit-learn's histogram trees, 100 of them at its defaults)."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(random_state=seed).fit(context, target, sample_weight=weight)
    return lambda new: np.asarray(model.predict(new), np.float64)


def cross_fitted(
    context: ArrayLike, arms: ArrayLike, target: ArrayLike, n_arms: int, *, fit: Fit = ridge,
    weight: ArrayLike | None = None, parts: int = 3, seed: int = 0,
) -> Floats:  # fmt: skip
    """Return `(n, K)` predictions of the target for every arm, one model an arm, each from the other folds.

    Of several targets, `(n, m)`, where the fit takes them, it is `(n, K, m)`.

    An arm without a round in the other folds is predicted by their weighted mean over all arms.

    Args:
        context: `(n, d)`.
        arms: `(n,)` logged arms.
        target: `(n,)` what is learned: reward, utility or cost of the logged arms.
        n_arms: `K`.
        fit: `ridge`, `boosting`, or another `Fit`.
        weight: `(n,)` of the rounds in the fit; None: equal. `mrdr_weights` gives those of MRDR.
        parts: folds.
        seed: of the folds.

    Raises:
        ValueError: as `folds`, or an arm outside `K`.
    """
    x, called, y = np.asarray(context, np.float64), np.asarray(arms, np.int64), np.asarray(target, np.float64)
    if called.size and not (called.min() >= 0 and called.max() < n_arms):
        raise ValueError(f"a reward model needs arms from 0 to {n_arms - 1}, got {called.max()}")
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    part, model = folds(len(y), parts, seed), np.empty((len(y), n_arms, *y.shape[1:]))
    of_arm = [np.flatnonzero((called == arm) & (w > 0)) for arm in range(n_arms)]
    for one in range(parts):
        here, usable = np.flatnonzero(part == one), (part != one) & (w > 0)
        level = w[usable] @ y[usable] / w[usable].sum() if usable.any() else y[part != one].mean(axis=0)
        there = x[here]
        for arm, rows in enumerate(of_arm):
            own = rows[part[rows] != one]
            model[here, arm] = fit(x[own], y[own], w[own])(there) if own.size else level
    return model


def mrdr_weights(chance: ArrayLike, propensity: ArrayLike) -> Floats:
    """Return `pi(a) (1 - p) / p^2`, the weights of a model that minimises DR's variance (Farajtabar et al. 2018).

    Args:
        chance: `(n,)` the target's probability of the logged arm.
        propensity: `(n,)`.
    """
    pi, p = np.asarray(chance, np.float64), np.asarray(propensity, np.float64)
    return np.asarray(pi * (1 - p) / p**2)


def propensities(
    context: ArrayLike, arms: ArrayLike, n_arms: int, *, parts: int = 5, seed: int = 0, least: float = 1e-3
) -> Floats:
    """Return `(n, K)` estimated probabilities with which a log's policy called each arm: multinomial regression.

    Cross-fitted, then calibrated arm by arm by isotonic regression, not below `least`, rows adding up to 1. They are
    estimates: what the log's policy saw beside the context they cannot know.

    Args:
        context: `(n, d)`.
        arms: `(n,)`.
        n_arms: `K`.
        parts: folds.
        seed: of the folds.
        least: smallest probability, in (0, 1 / K).

    Raises:
        ValueError: as `folds`.
    """
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, called = StandardScaler().fit_transform(np.asarray(context, np.float64)), np.asarray(arms, np.int64)
    part, found = folds(len(called), parts, seed), np.zeros((len(called), n_arms))
    for one in range(parts):
        here, rest = part == one, part != one
        seen = np.unique(called[rest])
        if len(seen) == 1:
            found[here, seen[0]] = 1.0
            continue
        model: Any = LogisticRegression(max_iter=1000).fit(x[rest], called[rest])
        found[np.ix_(here, model.classes_)] = model.predict_proba(x[here])
    for arm in range(n_arms):
        straight = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        found[:, arm] = straight.fit_transform(found[:, arm], called == arm)
    found = np.maximum(found, least)
    return np.asarray(found / found.sum(axis=1, keepdims=True))

"""Estimators of a target policy's value from logged rounds: each returns `(n,)` round values whose mean it is.

Letters, as everywhere in this package: `n` logged rounds, `K` arms; round `i` has context `x_i`, arm `a_i`, reward
`r_i` and propensity `p_i`, the probability with which the log's policy called `a_i`; `weight` is
`w_i = pi(a_i | x_i) / p_i` for a target policy `pi`; `q(x, a)` is a model of the reward, `logged` its `(n,)` values
at the logged arms and `value` the `(n,)` values `V_i = sum_a pi(a | x_i) q(x_i, a)` (see `dm`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def columns(*given: ArrayLike) -> tuple[Floats, ...]:
    """Return float64 columns `(n,)` of one length, `n >= 1`, without NaN.

    Raises:
        ValueError: another shape, no rounds, or a NaN.
    """
    arrays = tuple(np.asarray(values, np.float64) for values in given)
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 1 or not arrays[0].size:
        found = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"an estimator needs columns of one length, at least one round, got shapes {found}")
    if any(np.isnan(array).any() for array in arrays):
        raise ValueError("an estimator needs weights, rewards and models without NaN")
    return arrays


def _at_least_zero(name: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{name} needs a number >= 0, got {value}")
    return value


def _weighted(weight: ArrayLike, *others: ArrayLike) -> tuple[Floats, ...]:
    """Return `columns`, the first of them not negative."""
    arrays = columns(weight, *others)
    if (arrays[0] < 0).any():
        raise ValueError(f"an estimator needs weights >= 0, got {arrays[0].min():g}")
    return arrays


def replay(match: ArrayLike, reward: ArrayLike) -> Floats:
    """Return `r 1[a = pi(x)] / mean(1[a = pi(x)])`: replay on a uniform log (Li et al. 2011, 1003.5956, Algorithm 2).

    Args:
        match: `(n,)` whether the target calls the logged arm.
        reward: `(n,)`.

    Raises:
        ValueError: no round matches, or as `columns`.
    """
    same, earned = columns(match, reward)
    if not same.any():
        raise ValueError("replay needs a round in which the target calls the logged arm, got none")
    return np.asarray(same * earned / same.mean())


def ips(weight: ArrayLike, reward: ArrayLike, *, clip: float = np.inf) -> Floats:
    """Return `min(w, clip) r`: inverse propensity scores (Horvitz, Thompson 1952; clipped: Strehl et al. 2010).

    Raises:
        ValueError: a negative weight or clip, or as `columns`.
    """
    w, r = _weighted(weight, reward)
    return np.asarray(np.minimum(w, _at_least_zero("clip", clip)) * r)


def snips(weight: ArrayLike, reward: ArrayLike) -> Floats:
    """Return `w r / mean(w)`: self-normalised IPS (Swaminathan, Joachims 2015). 0 where every weight is 0.

    Raises:
        ValueError: a negative weight, or as `columns`.
    """
    w, r = _weighted(weight, reward)
    return np.asarray(w * r / (w.mean() or 1.0))


def subgaussian(weight: ArrayLike, reward: ArrayLike, *, shrink: float = 0.1) -> Floats:
    """Return `w / (1 - l + l w) r` for `l = shrink` in [0, 1] (Metelli et al. 2021): IPS at 0, the plain mean at 1.

    Raises:
        ValueError: `shrink` outside [0, 1], a negative weight, or as `columns`.
    """
    if not 0 <= shrink <= 1:
        raise ValueError(f"shrink needs a number in [0, 1], got {shrink}")
    w, r = _weighted(weight, reward)
    divisor = 1 - shrink + shrink * w
    return np.asarray(np.where(divisor > 0, w / np.where(divisor > 0, divisor, 1.0), 0.0) * r)


def dm(chances: ArrayLike, model: ArrayLike) -> Floats:
    """Return `V = sum_a pi(a | x) q(x, a)`: the direct method, only as good as its model.

    Args:
        chances: `(n, K)` probabilities of the target; 0 for an arm that cannot be called.
        model: `(n, K)` `q`; may be NaN where the probability is 0.

    Raises:
        ValueError: shapes that differ, rows of `chances` that are no probabilities, or a NaN where one is needed.
    """
    pi, q = np.asarray(chances, np.float64), np.asarray(model, np.float64)
    if pi.ndim != 2 or pi.shape != q.shape or not pi.size:
        raise ValueError(f"dm needs chances and model of one shape (n, K), got {pi.shape} and {q.shape}")
    if not (pi >= 0).all() or np.abs(pi.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError("dm needs rows of probabilities that add up to 1")
    value = np.where(pi > 0, pi * np.where(pi > 0, q, 0.0), 0.0).sum(axis=1)
    return columns(value)[0]


def dr(
    weight: ArrayLike, reward: ArrayLike, logged: ArrayLike, value: ArrayLike, *, clip: float = np.inf
) -> Floats:
    """Return `V + min(w, clip) (r - q)`: doubly robust (Dudik, Langford, Li 2011, 1103.4601, Eq. 3).

    Clipped it is the pessimistic shrinkage of Su et al. 2020 (1907.09623).

    Raises:
        ValueError: a negative weight or clip, or as `columns`.
    """
    w, r, q, v = _weighted(weight, reward, logged, value)
    return np.asarray(v + np.minimum(w, _at_least_zero("clip", clip)) * (r - q))


def sndr(weight: ArrayLike, reward: ArrayLike, logged: ArrayLike, value: ArrayLike) -> Floats:
    """Return `V + w (r - q) / mean(w)`: self-normalised doubly robust (Thomas, Brunskill 2016).

    Raises:
        ValueError: a negative weight, or as `columns`.
    """
    w, r, q, v = _weighted(weight, reward, logged, value)
    return np.asarray(v + w * (r - q) / (w.mean() or 1.0))


def switch_dr(
    weight: ArrayLike, reward: ArrayLike, logged: ArrayLike, value: ArrayLike, *, threshold: float
) -> Floats:
    """Return `V + w 1[w <= threshold] (r - q)`: SWITCH as Open Bandit Pipeline has it, the model kept everywhere.

    Raises:
        ValueError: a negative weight or threshold, or as `columns`.
    """
    w, r, q, v = _weighted(weight, reward, logged, value)
    return np.asarray(v + w * (w <= _at_least_zero("threshold", threshold)) * (r - q))


def switch(
    weight: ArrayLike, reward: ArrayLike, weights: ArrayLike, chances: ArrayLike, model: ArrayLike, *,
    threshold: float,
) -> Floats:  # fmt: skip
    """Return SWITCH (Wang, Agarwal, Dudik 2017, 1612.01205, Eq. 7): IPS where weights are small, the model elsewhere.

    `w r 1[w <= threshold] + sum_a pi(a | x) q(x, a) 1[w(x, a) > threshold]`.

    Args:
        weight, reward: `(n,)`, of the logged arms.
        weights: `(n, K)` `pi(a | x) / p(a | x)` of every arm, so the log's whole distribution needs to be known.
        chances: `(n, K)` probabilities of the target.
        model: `(n, K)` `q`.
        threshold: weights above it are not trusted, >= 0.

    Raises:
        ValueError: a negative weight or threshold, shapes that differ, or as `columns`.
    """
    w, r = _weighted(weight, reward)
    every, pi, q = (np.asarray(a, np.float64) for a in (weights, chances, model))
    if not every.shape == pi.shape == q.shape or every.ndim != 2 or len(every) != len(w):
        raise ValueError(f"switch needs three arrays (n, K), got {every.shape}, {pi.shape} and {q.shape}")
    far = (every > _at_least_zero("threshold", threshold)) & (pi > 0)
    return np.asarray(w * r * (w <= threshold) + np.where(far, pi * q, 0.0).sum(axis=1))


def dros(
    weight: ArrayLike, reward: ArrayLike, logged: ArrayLike, value: ArrayLike, *, shrink: float
) -> Floats:
    """Return `V + l w / (w^2 + l) (r - q)` for `l = shrink`: DR with optimistic shrinkage (Su et al. 2020, 1907.09623).

    0 gives the direct method, inf doubly robust.

    Raises:
        ValueError: a negative weight or `shrink`, or as `columns`.
    """
    w, r, q, v = _weighted(weight, reward, logged, value)
    if np.isinf(_at_least_zero("shrink", shrink)):
        return np.asarray(v + w * (r - q))
    divisor = w**2 + shrink
    return np.asarray(
        v + np.where(divisor > 0, shrink * w / np.where(divisor > 0, divisor, 1.0), 0.0) * (r - q)
    )


def mips(
    chances: ArrayLike, propensities: ArrayLike, arms: ArrayLike, reward: ArrayLike, embedding: ArrayLike
) -> Floats:
    """Return `w(x, e) r`: marginalised IPS (Saito, Joachims 2022, 2202.06317, Eq. 6) with embeddings fixed an arm.

    `w(x, e)` is the target's probability of any arm of embedding `e` over the log's. It is biased wherever the reward
    depends on the arm beyond its embedding (provider, size, price tier).

    Args:
        chances, propensities: `(n, K)` probabilities of the target and of the log's policy.
        arms: `(n,)` logged arms.
        reward: `(n,)`.
        embedding: `(K,)` group of each arm, integers.

    Raises:
        ValueError: shapes that differ, or as `columns`.
    """
    target, log = np.asarray(chances, np.float64), np.asarray(propensities, np.float64)
    called, group = np.asarray(arms, np.int64), np.asarray(embedding, np.int64)
    if target.shape != log.shape or target.shape != (len(called), len(group)):
        raise ValueError(f"mips needs chances and propensities (n, K), got {target.shape} and {log.shape}")
    same = group == group[called][:, None]
    (r,) = columns(reward)
    return np.asarray((target * same).sum(axis=1) / (log * same).sum(axis=1) * r)

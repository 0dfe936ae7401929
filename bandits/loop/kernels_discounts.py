"""D-LinUCB's rounds, exact but for rounding (numba).

Between two pulls an arm's matrix is `V = g S + ridge I` with a falling `g`: in the eigenvectors of `S` it is diagonal
whatever `g` is, so fading costs a division a coordinate. Pulls since `S` was last taken apart, at most `_PENDING` of
them, are a low-rank addition (Woodbury 1950); then `S` is taken apart anew. So a round costs `O(K d^2)`, and a pull
`O(d^3 / _PENDING)`. The sums are kept in float64, so that what float32 rounds in an index is never carried on.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bandits.kernels import REORDERED
from bandits.loop.kernels_pulls import highest

_PENDING = 24  # more makes the low-rank part dear, less the eigenvectors


@numba.njit(cache=True, nogil=True)
def _taken_apart(
    evidence: Any, squared: Any, moment: Any, values: Any, turn: Any, inner: Any, turned: Any
) -> None:
    """Fill an arm's eigenvalues `(d,)`, its eigenvectors as rows `(d, d)`, and the other two in their coordinates."""
    roots, vectors = np.linalg.eigh(evidence.astype(np.float32))
    values[:] = np.maximum(roots, 0.0)
    turn[:] = vectors.T
    inner[:] = np.dot(np.dot(turn, squared.astype(np.float32)), turn.T)
    turned[:] = np.dot(turn, moment.astype(np.float32))


@numba.njit(cache=True, nogil=True)
def _taken_in(
    evidence: Any, squared: Any, moment: Any, before: Any, weight: Any, rows: Any, reward: Any
) -> None:
    """Fade an arm's sums by `before`, and add its pulls `rows (n, d)` with their weights `(n,)`."""
    x = rows.astype(np.float64)
    once, twice = np.ascontiguousarray(x.T) * weight, np.ascontiguousarray(x.T) * weight**2
    evidence[:] = before * evidence + np.dot(once, x)
    squared[:] = before**2 * squared + np.dot(twice, x)
    moment[:] = before * moment + np.dot(once, reward)


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def _shares(product: Any, root: Any, right: Any) -> None:
    """Replace `right (n,)` by the solution of `(I + diag(root) product diag(root)) s = right` (Cholesky, in place)."""
    n = len(right)
    for p in range(n):
        for q in range(p + 1):
            total = product[p, q] * root[p] * root[q]
            if p == q:
                total += np.float32(1.0)
            for r in range(q):
                total -= product[p, r] * product[q, r]
            # The diagonal holds reciprocals: a product is cheaper than a quotient.
            product[p, q] = np.float32(1.0) / np.sqrt(total) if p == q else total * product[q, q]
        for r in range(p):
            right[p] -= product[p, r] * right[r]
        right[p] *= product[p, p]
    for p in range(n - 1, -1, -1):
        right[p] *= product[p, p]
        for r in range(p):
            right[r] -= product[p, r] * right[p]


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def _optimistic(
    y: Any,
    kept: Any,
    ridge: Any,
    alpha: Any,
    values: Any,
    inner: Any,
    turned: Any,
    pulls: Any,
    root: Any,
    told: Any,
) -> Any:
    """Return an arm's index at `y (d,)`, all in its eigenvectors' coordinates.

    Args:
        y: the context.
        kept: share of the evidence taken apart that is left.
        ridge, alpha: as in `dlinucb`.
        values, inner, turned: from `_taken_apart`.
        pulls: `(n, d)`, pulls since.
        root: `(n,)`, square roots of their weights.
        told: `(n,)`, their rewards.
    """
    n, d = pulls.shape
    shrink = np.float32(1.0) / (kept * values + ridge)
    v = y.copy()
    share = np.empty(n, np.float32)
    if n > 0:
        scaled = pulls * shrink
        product = np.dot(scaled, pulls.T)
        share[:] = np.dot(scaled, y)
        for p in range(n):
            share[p] *= root[p]
        _shares(product, root, share)
        for p in range(n):
            step = share[p] * root[p]
            for q in range(d):
                v[q] -= step * pulls[p, q]
    mean = length = np.float32(0.0)
    for q in range(d):
        v[q] *= shrink[q]
        mean += v[q] * turned[q]
        length += v[q] * v[q]
    mean *= kept
    # share_p = root_p x_p' V^-1 x: what the low-rank part has solved for already.
    spread = ridge * length + kept * kept * np.dot(np.dot(inner, v), v)
    for p in range(n):
        mean += root[p] * told[p] * share[p]
        spread += (root[p] * share[p]) ** 2
    return mean + alpha * np.sqrt(max(spread, np.float32(0.0)))


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def replay_discounted(
    context: Any,
    available: Any,
    reward: Any,
    sums: Any,
    since: Any,
    begin: int,
    gamma: float,
    alpha: float,
    ridge: float,
    called: Any,
) -> None:
    """Play `C` rounds of one seed; `sums`, `since` and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        reward: `(C, K)` float32, what each arm would teach.
        sums: `evidence`, `squared` and `moment` of `Discounted`, float64.
        since: `(K,)` int32, the round that each arm's sums stand at.
        begin: rounds heard before the first one.
        gamma, alpha, ridge: as in `dlinucb`.
        called: `(C,)` int32, filled with the arms.
    """
    evidence, squared, moment = sums
    (rounds, d), arms = context.shape, len(since)
    values, turned = np.zeros((arms, d), np.float32), np.zeros((arms, d), np.float32)
    turn, inner = np.zeros((arms, d, d), np.float32), np.zeros((arms, d, d), np.float32)
    pulls, root = np.empty((arms, _PENDING, d), np.float32), np.empty(_PENDING, np.float32)
    told, at = np.empty((arms, _PENDING), np.float32), np.empty((arms, _PENDING), np.int64)
    count, index = np.zeros(arms, np.int64), np.empty(arms, np.float32)
    faded = (gamma ** (0.5 * np.arange(rounds))).astype(np.float32)
    for k in range(arms):
        _taken_apart(evidence[k], squared[k], moment[k], values[k], turn[k], inner[k], turned[k])
    for t in range(rounds + 1):
        now = begin + t
        for k in range(arms):  # a full arm, and at the end every arm, is taken in
            n = count[k]
            if n == _PENDING or (t == rounds and n > 0):
                weight = gamma ** (now - 1.0 - begin - at[k, :n])
                before, rows = gamma ** float(now - since[k]), context[at[k, :n]]
                _taken_in(
                    evidence[k], squared[k], moment[k], before, weight, rows, told[k, :n].astype(np.float64)
                )
                since[k], count[k] = now, 0
                if t < rounds:
                    _taken_apart(evidence[k], squared[k], moment[k], values[k], turn[k], inner[k], turned[k])
        if t == rounds:
            return
        y = np.dot(turn.reshape(arms * d, d), context[t]).reshape(arms, d)
        for k in range(arms):
            n = count[k]
            for p in range(n):
                root[p] = faded[t - 1 - at[k, p]]
            kept = np.float32(gamma ** float(now - since[k]))
            index[k] = _optimistic(
                y[k],
                kept,
                np.float32(ridge),
                np.float32(alpha),
                values[k],
                inner[k],
                turned[k],
                pulls[k, :n],
                root[:n],
                told[k, :n],
            )
        k = called[t] = highest(index, available[t])
        pulls[k, count[k]], told[k, count[k]], at[k, count[k]] = y[k], reward[t, k], t
        count[k] += 1

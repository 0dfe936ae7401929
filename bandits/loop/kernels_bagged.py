"""Bootstrapped ridges, a round at a time with pulls kept in hand: exact, but for rounding (numba).

An index needs no width, so that inverses are read for the arm that is called alone, and of its heads only for those
that hear the call. Up to `_PENDING` pulls of an arm are kept beside its inverses, then taken off as one product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import kernel
from bandits.loop.kernels_pulls import current, dot, highest, matvec, settle

_PENDING = 16


@kernel
def replay_bagged(
    context: Any, available: Any, reward: Any, head: Any, importance: Any, inverse: Any, weight: Any, pulls: Any,
    called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `bootstrap`; `inverse`, `weight`, `pulls` and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        reward: `(C, K)` float32, what each arm would teach.
        head: `(C,)` int32, which one decides.
        importance: `(C, M)` float32, how often each head hears the call.
        inverse, weight: `(M, K, d, d)` and `(M, K, d)` float32.
        pulls: `(M, K)` int32, updates of each arm.
        called: `(C,)` int32, filled with the arms.
    """
    (rounds, d), (heads, arms) = context.shape, pulls.shape
    one = np.float32(1.0)
    pulled = np.empty((heads, arms, _PENDING, d), np.float32)
    factor, count = np.empty((heads, arms, _PENDING), np.float32), np.zeros((heads, arms), np.int64)
    index, all_of = np.empty(arms, np.float32), np.arange(_PENDING)
    for t in range(rounds):
        x = context[t]
        for k in range(arms):
            index[k] = dot(weight[head[t], k], x)
        k = called[t] = highest(index, available[t])
        for m in range(heads):
            pulls[m, k] += 1
            c = importance[t, m]
            if c == 0:
                continue
            n = count[m, k]
            if n == _PENDING:
                settle(inverse[m, k], pulled[m, k], factor[m, k])
                n = count[m, k] = 0
            u, w = pulled[m, k, n], weight[m, k]
            matvec(inverse[m, k], x, u)
            scale = one / np.sqrt(one + c * current(u, x, pulled[m, k], factor[m, k], all_of, n))
            step = c * (reward[t, k] - dot(w, x)) * scale * scale
            for q in range(d):
                w[q] += step * u[q]
                u[q] *= scale
            factor[m, k, n] = c
            count[m, k] += 1
    for m in range(heads):
        for k in range(arms):
            if count[m, k] > 0:
                settle(inverse[m, k], pulled[m, k, : count[m, k]], factor[m, k, : count[m, k]])

"""Hybrid LinUCB's rounds in blocks: exact, but for rounding, where posted prices stay as they are (numba).

Then `z_k = (x, p_k x)`, and `B_k = (A_k - ridge I) (I, p_k I)` stands in what `A_k` knows: `r_k = z_k - B_k'A_k^-1 x`
is `ridge (y, p_k y)` with `y = A_k^-1 x`, and its variance under the shared weights `ridge^2 y'E_k y` with a matrix
`E_k = S_11 + p_k (S_12 + S_21) + p_k^2 S_22` of `(d, d)`, `S = A_0^-1`. So a block's variances are two products of an
arm's `(d, d)` with its contexts, each as large as LinUCB's one, and `A_k^-1 B_k` is never looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import kernel
from bandits.loop.kernels_pulls import dot, highest, matvec, reach, settle


@kernel
def _foretold(
    upright: Any, price: Any, ridge: Any, state: Any, product: Any, mean: Any, variance: Any
) -> None:
    """Fill `product (K d, B)` with the inverses times the contexts, and the `(K, B)` means and variances of a block."""
    shared, beta, inverse, weight = state
    (d, size), arms = upright.shape, len(inverse)
    square = ridge * ridge
    upper, lower = square * shared[:d, :d], square * shared[d:, d:]
    cross = square * (shared[:d, d:] + shared[d:, :d])
    both, along = np.empty((d, d), np.float32), np.empty((d, size), np.float32)
    mean[:] = np.dot(weight, upright)
    for k in range(arms):
        p, own = price[k], product[k * d : (k + 1) * d]
        np.dot(inverse[k], upright, own)
        for x in range(d):
            for y in range(d):
                both[x, y] = upper[x, y] + p * (cross[x, y] + p * lower[x, y])
        np.dot(both, own, along)
        variance[k] = np.float32(0.0)
        for q in range(0, d - 1, 2):
            s0, s1 = ridge * (beta[q] + p * beta[d + q]), ridge * (beta[q + 1] + p * beta[d + q + 1])
            y0, y1, x0, x1, a0, a1 = own[q], own[q + 1], upright[q], upright[q + 1], along[q], along[q + 1]
            for j in range(size):
                variance[k, j] += y0[j] * (x0[j] + a0[j]) + y1[j] * (x1[j] + a1[j])
                mean[k, j] += s0 * y0[j] + s1 * y1[j]
        if d % 2:
            step = ridge * (beta[d - 1] + p * beta[2 * d - 1])
            for j in range(size):
                variance[k, j] += own[d - 1, j] * (upright[d - 1, j] + along[d - 1, j])
                mean[k, j] += step * own[d - 1, j]


@kernel
def replay_hybrid(
    context: Any, available: Any, reward: Any, price: Any, alpha: Any, ridge: Any, state: Any, block: int,
    called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed; `state` and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        reward: `(C, K)` float32, what each arm would teach.
        price: `(K,)` float32 in units of the cost scale, 0 where none is posted.
        alpha, ridge: as in `hybrid`.
        state: `shared`, `beta`, `inverse` and `weight` of `Hybrid`.
        block: rounds a block, `B`.
        called: `(C,)` int32, filled with the arms.
    """
    shared, beta, inverse, weight = state
    (rounds, d), arms = context.shape, len(inverse)
    alpha, ridge, one = np.float32(alpha), np.float32(ridge), np.float32(1.0)
    taken, pulled = np.empty((block, 2 * d), np.float32), np.empty((block, d), np.float32)
    pulls_of, count = np.empty((arms, block), np.int64), np.zeros(arms, np.int64)
    index, ones = np.empty(arms, np.float32), np.ones(block, np.float32)
    y, rest, along = np.empty(d, np.float32), np.empty(2 * d, np.float32), np.empty(2 * d, np.float32)
    turned, told, own_told = np.empty(d, np.float32), np.empty(block, np.float32), np.empty(block, np.float32)
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        upright = np.ascontiguousarray(context[start : start + size].T)
        product = np.empty((arms * d, size), np.float32)
        mean, variance = np.empty((arms, size), np.float32), np.empty((arms, size), np.float32)
        _foretold(upright, price, ridge, state, product, mean, variance)
        count[:] = 0
        for i in range(size):
            t = start + i
            for k in range(arms):
                index[k] = mean[k, i] + alpha * np.sqrt(max(variance[k, i], np.float32(0.0)))
            k = called[t] = highest(index, available[t])
            x, mine = context[t], product[k * d : (k + 1) * d]
            for q in range(d):
                y[q] = mine[q, i]
                rest[q] = ridge * y[q]
                rest[d + q] = price[k] * rest[q]
            matvec(shared, rest, along)  # A_0^-1 r, as of now
            for p in range(i):
                step = dot(taken[p], rest)
                for q in range(2 * d):
                    along[q] -= step * taken[p, q]
            own = one + dot(x, y)
            joint = own + dot(rest, along)
            gain = (reward[t, k] - mean[k, i]) / joint
            reach(y, upright, i + 1, own_told)
            # What the call tells of every arm at the contexts to come: its covariance with them.
            for a in range(arms):
                for q in range(d):
                    turned[q] = ridge * (along[q] + price[a] * along[d + q])
                reach(turned, product[a * d : (a + 1) * d], i + 1, told)
                share = one if a == k else np.float32(0.0)
                for j in range(i + 1, size):
                    both = told[j] + share * own_told[j]
                    variance[a, j] -= both * both / joint
                    mean[a, j] += both * gain
            surprise = (reward[t, k] - dot(weight[k], x)) / own
            for q in range(d):
                step = y[q] / own
                for j in range(i + 1, size):
                    mine[q, j] -= step * own_told[j]
                weight[k, q] += surprise * y[q]
                pulled[i, q] = y[q] / np.sqrt(own)
            for q in range(2 * d):
                beta[q] += gain * along[q]
                taken[i, q] = along[q] / np.sqrt(joint)
            pulls_of[k, count[k]] = i
            count[k] += 1
        settle(shared, taken[:size], ones[:size])
        for k in range(arms):
            if count[k] > 0:
                settle(inverse[k], pulled[pulls_of[k, : count[k]]], ones[: count[k]])

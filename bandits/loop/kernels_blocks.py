"""A linear policy's rounds in blocks: exact, but for rounding (numba).

A block knows its contexts `X` (B x d). `X A_k^-1` for all arms is one matrix product; inside the block a pull of arm
`k` at `x_i` changes only `A_k^-1`, by rank one (Sherman and Morrison 1950), so what the block needs of it is
`A_k^-1 x_i`, had from the product and the block's earlier pulls of `k`, and its products with the contexts to come.
After the block all pulls of an arm are taken off its inverse as one product. Each matrix is thus read once a block and
not once a round, and at the speed of a matrix product.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# Sums may be reordered, which is what lets them run in vector registers; infinities keep their meaning.
REORDERED = {"reassoc", "contract", "arcp", "nsz"}
_SPAN = 16  # rounds whose pulls reach each other one by one, and what comes after them as one product


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def forecast(flat: Any, upright: Any, product: Any, together: int, spread: Any) -> None:
    """Fill `product (K d, B)` with the inverses times the block's contexts, and `spread (K, B)` with x' A^-1 x.

    The inverses go before the contexts, which suits BLAS better than the other way round, `together` of them at a time.
    """
    d, rounds = upright.shape
    arms, fourth = len(flat) // d, d - d % 4
    for k in range(arms):
        if k % together == 0:
            some = slice(k * d, min(k + together, arms) * d)
            np.dot(flat[some], upright, product[some])
        spread[k] = np.float32(0.0)
        own = product[k * d : (k + 1) * d]
        for q in range(0, fourth, 4):  # four rows at a time, since the sum is read and written once for all
            p0, p1, p2, p3 = own[q], own[q + 1], own[q + 2], own[q + 3]
            x0, x1, x2, x3 = upright[q], upright[q + 1], upright[q + 2], upright[q + 3]
            for j in range(rounds):
                spread[k, j] += p0[j] * x0[j] + p1[j] * x1[j] + p2[j] * x2[j] + p3[j] * x3[j]
        for q in range(fourth, d):
            for j in range(rounds):
                spread[k, j] += own[q, j] * upright[q, j]


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def highest(index: Any, available: Any) -> int:
    """Return what `bandits.base.choose` returns: the lowest arm within a relative 1e-5 of the best available one."""
    best = np.float32(-np.inf)
    for k in range(len(index)):
        if available[k] and index[k] > best:
            best = index[k]
    slack = np.float32(1e-5) * abs(best) if np.isfinite(best) else np.float32(0.0)
    for k in range(len(index)):
        if available[k] and index[k] >= best - slack:
            return k
    return 0


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def _gaps(index: Any, available: Any, rate: Any) -> None:
    """Replace the index by the logarithm of `bandits.policies.linear.affine.gap_weights`."""
    best, others, total = highest(index, available), available.sum(), np.float32(0.0)
    top = index[best]
    for k in range(len(index)):
        if available[k] and k != best:
            share = np.float32(1.0) / (others + rate * max(top - index[k], np.float32(0.0)))
            total += share
            index[k] = np.log(share)
    index[best] = np.log(np.float32(1.0) - total)


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def _settle(inverse: Any, pulled: Any) -> None:
    """Take the `n` pulls `pulled (n, d)` off an inverse `(d, d)`: `A^-1 -= U'U`."""
    taken, d = np.dot(pulled.T, pulled), len(inverse)
    for x in range(d):
        for y in range(d):
            inverse[x, y] -= taken[x, y]


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def _reach(
    first: int, last: int, pulled: Any, here: Any, called: Any, steps: Any, along: Any, spread: Any, mean: Any
) -> None:
    """Take what the pulls from `first` to `last` taught into account for the rest of the block.

    Args:
        first, last: rounds of the block, from and up to.
        pulled, here: `(B, d)`.
        called: `(B,)`.
        steps: `(B, m)`.
        along: `(B, B)`, whose entries right of the span are filled.
        spread, mean: `(K, B)` and `(K, m, B)`, brought up to date.
    """
    size, targets = len(here), steps.shape[1]
    products = np.dot(pulled[first:last], here[last:].T)
    for p in range(first, last):
        k, own = called[p], products[p - first]
        for j in range(last, size):
            along[p, j] = own[j - last]
            spread[k, j] -= own[j - last] * own[j - last]
        for f in range(targets):
            for j in range(last, size):
                mean[k, f, j] += steps[p, f] * own[j - last]


@numba.njit(cache=True, nogil=True, fastmath=REORDERED)
def replay_rounds(
    context: Any,
    available: Any,
    of_mean: Any,
    of_width: Any,
    plus: Any,
    rate: Any,
    target: Any,
    inverse: Any,
    weight: Any,
    pulls: Any,
    block: int,
    together: int,
    called: Any,
) -> None:
    """Play `C` rounds of one seed; `inverse`, `weight`, `pulls` and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        of_mean, of_width, plus, rate: `(C, K, m)`, `(C, K)`, `(C, K)`, `(C,)` float32, as in `Weights`.
        target: `(C, K, m)` float32, what each arm would teach.
        inverse, weight: `(K, d, d)` and `(K, m, d)` float32.
        pulls: `(K,)` int32, updates of each arm.
        block: rounds a block, `B`.
        together: arms whose inverses are multiplied by the contexts as one matrix.
        called: `(C,)` int32, filled with the arms.
    """
    rounds, d = context.shape
    arms, targets, _ = weight.shape
    flat, flat_weight = inverse.reshape(arms * d, d), weight.reshape(arms * targets, d)
    whole = np.empty((arms * d, block), np.float32)
    pulled, along = np.empty((block, d), np.float32), np.empty((block, block), np.float32)
    spread, mean = np.empty((arms, block), np.float32), np.empty((arms, targets, block), np.float32)
    steps = np.empty((block, targets), np.float32)
    pulls_of, count = np.empty((arms, block), np.int64), np.zeros(arms, np.int64)
    index = np.empty(arms, np.float32)
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        here = context[start : start + size]
        upright = np.ascontiguousarray(here.T)
        product = whole if size == block else np.empty((arms * d, size), np.float32)
        forecast(flat, upright, product, together, spread)
        # Entry by entry: for an assignment of arrays numba compiles three seconds of error messages.
        expected = np.dot(flat_weight, upright)
        for k in range(arms):
            for f in range(targets):
                for j in range(size):
                    mean[k, f, j] = expected[k * targets + f, j]
        count[:] = 0
        for i in range(size):
            t, edge = start + i, min(size, (i // _SPAN + 1) * _SPAN)
            for k in range(arms):
                index[k] = of_width[t, k] * np.sqrt(max(spread[k, i], np.float32(0.0)))
                for f in range(targets):
                    index[k] += of_mean[t, k, f] * mean[k, f, i]
            if rate[t] > 0:
                _gaps(index, available[t], rate[t])
            for k in range(arms):
                index[k] += plus[t, k]
            k = highest(index, available[t])
            called[t] = k
            # The pull as the vector u with A^-1 - u u' the new inverse: first A^-1 x_i as it is now.
            u = pulled[i]
            for q in range(d):
                u[q] = product[k * d + q, i]
            for p in range(count[k]):
                r = pulls_of[k, p]
                for q in range(d):
                    u[q] -= along[r, i] * pulled[r, q]
            root = np.sqrt(np.float32(1.0) / (np.float32(1.0) + spread[k, i]))
            for q in range(d):
                u[q] *= root
            for j in range(i + 1, edge):
                total = np.float32(0.0)
                for q in range(d):
                    total += here[j, q] * u[q]
                along[i, j] = total
                spread[k, j] -= total * total
            for f in range(targets):
                step = steps[i, f] = (target[t, k, f] - mean[k, f, i]) * root
                for j in range(i + 1, edge):
                    mean[k, f, j] += step * along[i, j]
                for q in range(d):
                    weight[k, f, q] += step * u[q]
            pulls_of[k, count[k]] = i
            count[k] += 1
            pulls[k] += 1
            if i + 1 == edge < size:
                _reach(i // _SPAN * _SPAN, edge, pulled, here, called[start:], steps, along, spread, mean)
        for k in range(arms):
            if count[k] > 0:
                own = np.empty((count[k], d), np.float32)
                for p in range(count[k]):
                    r = pulls_of[k, p]
                    for q in range(d):
                        own[p, q] = pulled[r, q]
                _settle(inverse[k], own)

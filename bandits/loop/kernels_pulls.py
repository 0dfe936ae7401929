"""What the kernels of single policies share: a block's pulls, each of a weight of its own (numba).

As in `bandits.loop.kernels_blocks`, but for a pull that counts `c` times: `A += c x x'`, so that
`A^-1 -= f u u'` with `u = A^-1 x / sqrt|1 + c x'A^-1 x|` and `f` of the sign of `1 + c x'A^-1 x` times `c` (Sherman and
Morrison 1950). A negative `c` takes a pull out again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import kernel
from bandits.loop import kernels_blocks


@kernel
def highest(index: Any, available: Any) -> int:
    """Return what `kernels_blocks.highest` returns for `(K,)` arrays; compiled once for all that call it."""
    return kernels_blocks.highest(len(index), index, available)


@kernel
def dot(x: Any, y: Any) -> Any:
    """Return the product of two float32 vectors `(d,)`."""
    total = np.float32(0.0)
    for q in range(len(x)):
        total += x[q] * y[q]
    return total


@kernel
def matvec(matrix: Any, x: Any, out: Any) -> None:
    """Fill `out (d,)` with a symmetric matrix times `x`, four rows at a time."""
    d = len(x)
    fourth = d - d % 4
    out[:] = np.float32(0.0)
    for q in range(0, fourth, 4):
        r0, r1, r2, r3 = matrix[q], matrix[q + 1], matrix[q + 2], matrix[q + 3]
        x0, x1, x2, x3 = x[q], x[q + 1], x[q + 2], x[q + 3]
        for j in range(d):
            out[j] += x0 * r0[j] + x1 * r1[j] + x2 * r2[j] + x3 * r3[j]
    for q in range(fourth, d):
        for j in range(d):
            out[j] += x[q] * matrix[q, j]


@kernel
def reach(u: Any, upright: Any, first: int, out: Any) -> None:
    """Fill `out[first:B]` with the products of `u (d,)` and the columns of `upright (d, B)` from `first` on."""
    d, size = upright.shape
    fourth = d - d % 4
    out[first:size] = np.float32(0.0)
    for q in range(0, fourth, 4):
        x0, x1, x2, x3 = upright[q], upright[q + 1], upright[q + 2], upright[q + 3]
        u0, u1, u2, u3 = u[q], u[q + 1], u[q + 2], u[q + 3]
        for j in range(first, size):
            out[j] += u0 * x0[j] + u1 * x1[j] + u2 * x2[j] + u3 * x3[j]
    for q in range(fourth, d):
        for j in range(first, size):
            out[j] += u[q] * upright[q, j]


@kernel
def current(u: Any, x: Any, pulled: Any, factor: Any, own: Any, count: int) -> Any:
    """Turn `u`, `A^-1 x` as it was before an arm's `count` pulls of the block, into that of now; return `x'A^-1 x`.

    Args:
        u: `(d,)`, changed in place.
        x: `(d,)`.
        pulled, factor: `(E, d)` and `(E,)`, `u` and `f` of all pulls.
        own: `(E,)`, which of them are the arm's.
        count: how many there are.
    """
    d = len(x)
    for p in range(count):
        row = pulled[own[p]]
        step = factor[own[p]] * dot(row, x)
        for q in range(d):
            u[q] -= step * row[q]
    return dot(u, x)


@kernel
def settle(inverse: Any, pulled: Any, factor: Any) -> None:
    """Take `n` pulls `(n, d)` with their factors `(n,)` off an inverse `(d, d)`: `A^-1 -= U' diag(f) U`."""
    n, d = pulled.shape
    left, right = np.empty((n, d), np.float32), np.empty((n, d), np.float32)
    for p in range(n):
        # A root on either side: u u' stays symmetric to the bit, and what is not would grow without end.
        root = np.sqrt(abs(factor[p]))
        sign = np.float32(1.0) if factor[p] >= 0 else np.float32(-1.0)
        for q in range(d):
            right[p, q] = root * pulled[p, q]
            left[p, q] = sign * right[p, q]
    taken = np.dot(left.T, right)
    for x in range(d):
        for y in range(d):
            inverse[x, y] -= taken[x, y]

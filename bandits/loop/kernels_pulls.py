"""What the kernels of single policies share: a block's pulls, each of a weight of its own (numba).

As in `bandits.loop.kernels_blocks`, but for a pull that counts `c` times: `A += c x x'`, so that
`A^-1 -= f u u'` with `u = A^-1 x / sqrt|1 + c x'A^-1 x|` and `f` of the sign of `1 + c x'A^-1 x` times `c` (Sherman and
Morrison 1950). A negative `c` takes a pull out again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import kernel, part, pointer, take_off
from bandits.loop import kernels_blocks


@kernel
def highest(index: Any, available: Any) -> int:
    """Return what `kernels_blocks.highest` returns for `(K,)` arrays; compiled once for all that call it."""
    return kernels_blocks.highest(len(index), index, available)


@part
def dot(d: int, x: Any, y: Any) -> Any:
    """Return the product of two float32 vectors `(d,)`."""
    total = np.float32(0.0)
    for q in range(d):
        total += x[q] * y[q]
    return total


@part
def less(d: int, step: Any, x: Any, out: Any) -> None:
    """Take `step x` off `out`, both `(d,)`."""
    for q in range(d):
        out[q] -= step * x[q]


@part
def narrow(begin: int, end: int, sign: Any, told: Any, spread: Any) -> None:
    """Take what a pull told off an arm's spreads `(B,)` in these rounds."""
    for j in range(begin, end):
        spread[j] -= sign * told[j] * told[j]


@part
def shift(begin: int, end: int, step: Any, told: Any, mean: Any) -> None:
    """Add what a pull told to an arm's means `(B,)` in these rounds."""
    for j in range(begin, end):
        mean[j] += step * told[j]


@part
def settle(
    arms: int, d: int, events: int, where: Any, factor: Any, pulled: Any, left: Any, right: Any, inverse: Any
) -> None:  # fmt: skip
    """Take pulls `(E, d)` of weights of their own off the inverses of their arms: `A^-1 -= U' diag(f) U`.

    Args:
        where: `(E,)`, the arm of each.
        factor: `(E,)`, its `f`.
        left, right: `(E, d)` of room.
        inverse: `(K, d, d)`.
    """
    for k in range(arms):
        count = 0
        for p in range(events):
            if where[p] == k:
                u, v, w = pointer(pulled, p * d), pointer(left, count * d), pointer(right, count * d)
                # A root on either side: u u' stays symmetric to the bit, and what is not would grow without end.
                root = np.sqrt(abs(factor[p]))
                sign = np.float32(1.0) if factor[p] >= 0 else np.float32(-1.0)
                for q in range(d):
                    w[q] = root * u[q]
                    v[q] = sign * w[q]
                count += 1
        if count > 0:
            take_off(count, d, left, right, pointer(inverse, k * d * d))

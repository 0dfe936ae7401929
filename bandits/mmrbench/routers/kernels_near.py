"""The k most similar columns of each row (numba): a heap of k, and most of a row is only compared with its largest.

The columns come in blocks, so that similarities are looked at while they are still in the processor's cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import beyond, exact, lowest, part, pointer

_TOGETHER = 32  # columns that are compared at once, see `beyond`
_SLACK = 2.0**-22  # more than rounding takes off a distance of float32


@part
def distance(similarity: Any) -> Any:
    """Return 1 - similarity, within [0, 2]."""
    apart = np.float32(1) - similarity
    apart = np.float32(0) if apart < 0 else apart
    return np.float32(2) if apart > 2 else apart


@part
def sink(held: Any, place: Any, at: int, apart: Any, j: int) -> None:
    """Put a distance where the heap's entry `at` was, or below it; of equals the later place leaves first."""
    k = held.size
    while True:
        below = 2 * at + 1
        if below >= k:
            break
        if below + 1 < k and (
            held[below + 1] > held[below]
            or (held[below + 1] == held[below] and place[below + 1] > place[below])
        ):
            below += 1
        if held[below] <= apart:
            break
        held[at], place[at] = held[below], place[below]
        at = below
    held[at], place[at] = apart, j


@exact
def nearest(similar: Any, start: int, held: Any, near: Any) -> None:
    """Take up a block of columns: `near (m, k)` int64 are the places of the k least distances so far, in any order.

    Among equal distances the first place goes before.

    Args:
        similar: `(m, b)` float32, cosines of the columns from `start` on; blocks come one after the other, from 0.
        start: see there.
        held: `(m, k)` float32, those distances: a heap, its largest in front.
        near: see there; k is at most the number of all columns.
    """
    k, size = near.shape[1], similar.shape[1]
    for i in range(similar.shape[0]):
        row, heap, place = similar[i], held[i], near[i]
        done = 0
        while start + done < k and done < size:  # the heap is not full
            apart, at = distance(row[done]), start + done
            while at > 0 and heap[(at - 1) // 2] <= apart:
                heap[at], place[at] = heap[(at - 1) // 2], place[(at - 1) // 2]
                at = (at - 1) // 2
            heap[at], place[at] = apart, start + done
            done += 1
        while done < size:
            together = min(_TOGETHER, size - done)
            bits = (1 << together) - 1
            if together == _TOGETHER:
                # Up to this similarity no distance is less than the largest that is held.
                bits = beyond(pointer(row, done), np.float32(1) - heap[0] - np.float32(_SLACK))
            while bits:
                j = done + lowest(bits)
                bits &= bits - 1
                apart = distance(row[j])
                if not apart >= heap[0]:
                    sink(heap, place, 0, apart, start + j)
            done += together


@exact
def means(value: Any, near: Any, out: Any) -> None:
    """Fill `out (m, K)` with the means of the rows `near (m, k)` of `value (n, K)`; NaN ones are passed over."""
    count = np.empty(value.shape[1])
    for i in range(near.shape[0]):
        total = out[i]
        total[:] = 0.0
        count[:] = 0.0
        for place in near[i]:
            row = value[place]
            for j in range(row.size):
                known = row[j] == row[j]
                total[j] += row[j] if known else 0.0
                count[j] += 1.0 if known else 0.0
        for j in range(count.size):
            total[j] /= count[j]  # NaN where nothing is known

"""The k least of each row of a matrix of distances (numba): a heap of k, and most of a row is only compared with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import exact


@exact
def least(distance: Any, near: Any) -> None:
    """Fill `near (m, k)` int64 with the places of the k least of each row of `distance (m, n)`, in ascending places.

    Among equal distances the first place goes before; k <= n.
    """
    k = near.shape[1]
    held, place = np.empty(k, distance.dtype), np.empty(k, np.int64)
    for i in range(len(distance)):
        row = distance[i]
        for j in range(k):  # a heap, its largest in front
            at = j
            while at > 0 and held[(at - 1) // 2] <= row[j]:
                held[at], place[at] = held[(at - 1) // 2], place[(at - 1) // 2]
                at = (at - 1) // 2
            held[at], place[at] = row[j], j
        for j in range(k, len(row)):
            if row[j] >= held[0]:
                continue
            at = 0
            while True:
                below = 2 * at + 1
                if below >= k:
                    break
                if below + 1 < k and (
                    held[below + 1] > held[below]
                    or (held[below + 1] == held[below] and place[below + 1] > place[below])
                ):
                    below += 1
                if held[below] <= row[j]:  # of equals the later place is in front, to leave first
                    break
                held[at], place[at] = held[below], place[below]
                at = below
            held[at], place[at] = row[j], j
        near[i] = np.sort(place)

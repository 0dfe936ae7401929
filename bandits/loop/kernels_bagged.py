"""Bootstrapped ridges, a round at a time with pulls kept in hand: exact, but for rounding (numba).

An index needs no width, so that inverses are read for the arm that is called alone, and of its heads only for those
that hear the call. Up to `PENDING` pulls of an arm are kept beside its inverses, then taken off as one product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import along_rows, kernel, pointer, take_off
from bandits.loop.kernels_blocks import highest
from bandits.loop.kernels_pulls import dot, less

PENDING = 16


def room(heads: int, arms: int, dim: int) -> NDArray[np.float32]:
    """Return room for the pulls in hand and the index."""
    return np.zeros(heads * arms * PENDING * dim + arms, np.float32)


@kernel
def replay_bagged(
    context: Any, available: Any, reward: Any, head: Any, importance: Any, inverse: Any, weight: Any, pulls: Any,
    room: Any, count: Any, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `bootstrap`; `inverse`, `weight`, `pulls` and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` uint8.
        reward: `(C, K)` float32, what each arm would teach.
        head: `(C,)` int32, which one decides.
        importance: `(C, M)` float32, how often each head hears the call.
        inverse, weight: `(M, K, d, d)` and `(M, K, d)` float32.
        pulls: `(M, K)` int32, updates of each arm.
        room: from `room`.
        count: `(M, K)` int32 of 0.
        called: `(C,)` int32, filled with the arms.
    """
    (rounds, d), (heads, arms), one = context.shape, pulls.shape, np.float32(1.0)
    inverses, weights, counts = pointer(inverse, 0), pointer(weight, 0), pointer(count, 0)
    updates = pointer(pulls, 0)
    pulled = pointer(room, 0)
    index = pointer(pulled, heads * arms * PENDING * d)
    for t in range(rounds + 1):
        begin, end = 0, arms
        if t < rounds:
            x, chosen = pointer(context, t * d), pointer(head, t)[0]
            for k in range(arms):
                index[k] = dot(d, pointer(weights, (chosen * arms + k) * d), x)
            k = highest(arms, index, pointer(available, t * arms))
            pointer(called, t)[0], gained = k, pointer(reward, t * arms)[k]
            begin, end = k, k + 1
            for m in range(heads):
                place, c = m * arms + k, pointer(importance, t * heads + m)[0]
                updates[place] += 1
                if c > 0:
                    rows, learned = pointer(pulled, place * PENDING * d), pointer(weights, place * d)
                    u = pointer(rows, counts[place] * d)
                    along_rows(d, d, x, pointer(inverses, place * d * d), d, u)
                    for p in range(counts[place]):
                        before = pointer(rows, p * d)
                        less(d, dot(d, before, x), before, u)
                    # A root of the importance on either side: u u' is what comes off.
                    scale = one / np.sqrt(one + c * dot(d, u, x))
                    step, root = c * (gained - dot(d, learned, x)) * scale * scale, scale * np.sqrt(c)
                    for q in range(d):
                        learned[q] += step * u[q]
                        u[q] *= root
                    counts[place] += 1
        # What is full, and at the end all of it.
        for m in range(heads):
            for k in range(begin, end):
                place = m * arms + k
                n = counts[place]
                if n == PENDING or (t == rounds and n > 0):
                    rows = pointer(pulled, place * PENDING * d)
                    take_off(n, d, rows, rows, pointer(inverses, place * d * d))
                    counts[place] = 0

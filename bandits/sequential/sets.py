"""A set of items under a limit of tokens: a 0/1 knapsack, exactly, greedily, and bounded from above.

RCR-Router (arXiv 2508.04903, section 2) chooses a subset of memory items that maximises the sum of their importance
subject to a sum of token lengths, and fills it in order of importance (its Algorithm 1). The better of filling by
importance per token and the best single item is worth half of the optimum at least; the optimum of the relaxation
(Dantzig 1957, Operations Research 5) is worth it or more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def fill(score: Floats, size: Floats, limit: float) -> Flags:
    """Return `(K,)`, which items are taken in order of falling score; one that does not fit is passed over.

    Args:
        score: `(K,)`, of equal ones the first item leads; items of a score <= 0 are not taken.
        size: `(K,)` tokens, >= 0.
        limit: tokens of the set at most.
    """
    taken, left = np.zeros(len(score), bool), float(limit)
    for k in np.argsort(-score, kind="stable"):
        if score[k] > 0 and size[k] <= left:
            taken[k] = True
            left -= size[k]
    return taken


def by_worth(worth: Floats, size: Floats, limit: float) -> Flags:
    """Return `(K,)` items filled by worth, as the paper's Algorithm 1."""
    return fill(worth, size, limit)


def by_density(worth: Floats, size: Floats, limit: float) -> Flags:
    """Return `(K,)` items filled by worth per token."""
    return fill(worth / np.maximum(size, 1e-9), size, limit)


def exact(worth: Floats, size: NDArray[np.int64], limit: int) -> Flags:
    """Return `(K,)` items of the most worth within the limit, by dynamic programming over tokens.

    Args:
        worth: `(K,)`.
        size: `(K,)` whole tokens, >= 0.
        limit: whole tokens.
    """
    best = np.zeros(limit + 1)
    takes = np.zeros((len(worth), limit + 1), bool)
    for k, (w, s) in enumerate(zip(worth, size, strict=True)):
        if s <= limit and w > 0:
            with_it = np.full(limit + 1, -np.inf)
            with_it[s:] = best[: limit + 1 - s] + w
            takes[k] = with_it > best
            best = np.maximum(best, with_it)
    taken, left = np.zeros(len(worth), bool), limit
    for k in range(len(worth) - 1, -1, -1):
        if takes[k, left]:
            taken[k] = True
            left -= int(size[k])
    return taken


def dantzig(worth: Floats, size: Floats, limit: float) -> float:
    """Return the worth of the best fractional set: in order of worth per token, the last item in part."""
    order = np.argsort(-worth / np.maximum(size, 1e-9), kind="stable")
    total, left = 0.0, float(limit)
    for k in order:
        if worth[k] <= 0 or left <= 0:
            break
        share = 1.0 if size[k] <= left else left / size[k]
        total += share * float(worth[k])
        left -= share * float(size[k])
    return total

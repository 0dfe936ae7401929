"""Adaptive-Consistency (Aggarwal, Madaan, Yang and Mausam 2023): ask until the leading answer is settled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SURE = 0.95


class Voted(NamedTuple):
    """Of each query, `(N,)`: answers drawn, and the place of the first one that is the commonest among them."""

    drawn: NDArray[np.int64]
    place: NDArray[np.int64]


def settled(first: int, second: int) -> float:
    """Return P(theta > 1/2) under Beta(first + 1, second + 1): the leading answer stays ahead (equation 2 there).

    Args:
        first, second: counts of the two commonest answers.
    """
    from scipy.special import betainc

    return float(1 - betainc(first + 1, second + 1, 0.5))


def vote(answers: NDArray[np.int64], *, sure: float = SURE) -> Voted:
    """Return when each query stops and what it delivers.

    Args:
        answers: `(N, S)` codes of the answers in the order in which they are drawn; equal codes are equal answers.
        sure: probability at which drawing stops.
    """
    drawn = np.full(len(answers), answers.shape[1])
    place = np.zeros(len(answers), np.int64)
    for row, given in enumerate(answers):
        for count in range(1, len(given) + 1):
            _, first, times = np.unique(given[:count], return_index=True, return_counts=True)
            ranked = np.lexsort((first, -times))  # of equal counts the answer drawn first
            second = int(times[ranked[1]]) if len(times) > 1 else 0
            place[row] = first[ranked[0]]
            if settled(int(times[ranked[0]]), second) > sure:
                drawn[row] = count
                break
    return Voted(drawn, place)

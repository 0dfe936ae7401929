"""Pandora's problem with known distributions: the value of Weitzman's rule, and of the best rule there is.

`K` independent boxes; opening one costs `c_k` and shows a value; one may stop after any opening and keep the best value
seen. At least one box is opened: a query needs an answer. For small instances, to check the rule by.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from bandits.sequential.reservation import reservation

Floats = NDArray[np.float64]


def weitzman(values: Floats, chances: Floats, cost: Floats) -> float:
    """Return the expected best value less costs of opening by reservation value, exactly, over all outcomes.

    Args:
        values, chances: `(K, V)`, see `reservation`.
        cost: `(K,)`, > 0.
    """
    sigma = reservation(values, chances, cost)
    order = np.argsort(-sigma, kind="stable")

    def after(place: int, best: float) -> float:
        if place == len(order) or best >= sigma[order[place]]:
            return best
        k = order[place]
        ahead = [
            p * after(place + 1, max(best, float(v))) for v, p in zip(values[k], chances[k], strict=True)
        ]
        return float(sum(ahead)) - float(cost[k])

    return after(0, -np.inf)


def dynamic_programming(values: Floats, chances: Floats, cost: Floats) -> float:
    """Return the value of the best rule, by backward induction over sets of opened boxes and the best value seen.

    Args:
        values, chances: `(K, V)`.
        cost: `(K,)`.
    """
    count = len(cost)

    @cache
    def after(opened: int, best: float) -> float:
        options = [best]
        for k in range(count):
            if not opened >> k & 1:
                ahead = (
                    p * after(opened | 1 << k, max(best, float(v)))
                    for v, p in zip(values[k], chances[k], strict=True)
                )
                options.append(sum(ahead) - float(cost[k]))
        return max(options)

    return after(0, -np.inf)

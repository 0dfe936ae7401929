"""Weitzman's reservation value of a box: what would have to be in hand for it not to be worth opening (1979)."""

from __future__ import annotations

from typing import Any


def reservation(values: Any, chances: Any, cost: Any) -> Any:
    """Return `(K,)`, the `sigma` that solves `E[max(V - sigma, 0)] = cost` for each box.

    `E[max(V - sigma, 0)]` is the largest of the lines `S_i - P_i sigma` over the i highest values, with `P_i` their
    probability and `S_i` their sum of probability times value; hence `sigma = max_i (S_i - cost) / P_i`.

    Args:
        values: `(K, V)` what may be in each box; NumPy or JAX.
        chances: `(K, V)` with which probability, rows that sum to 1.
        cost: `(K,)` of opening it, > 0 (at 0 the highest value is as good as any larger number).
    """
    xp = values.__array_namespace__()
    order = xp.argsort(-values, axis=1)
    value, chance = xp.take_along_axis(values, order, axis=1), xp.take_along_axis(chances, order, axis=1)
    likely = xp.cumsum(chance, axis=1)
    worth = xp.cumsum(chance * value, axis=1) - cost[:, None]
    return xp.where(likely > 1e-9, worth / xp.maximum(likely, 1e-9), -xp.inf).max(axis=1)

"""The exact best cascade of two models with hindsight: every pair, every threshold that tells rows apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.sequential.chains import Chain, Judged

Floats = NDArray[np.float64]


def frontier(judged: Judged, first: int, second: int) -> tuple[Floats, Floats, Floats]:
    """Return thresholds, mean utility and mean cost of a pair for every set of rows that a threshold can escalate.

    Args:
        judged: `N` rows.
        first, second: models; the first answers, the second where its score is below the threshold.

    Returns:
        `(C,)` each, thresholds rising: -inf escalates nothing, inf everything.
    """
    order = np.argsort(judged.score[:, first], kind="stable")
    score = judged.score[order, first]
    gain = judged.utility[order, second] - judged.utility[order, first]
    n = len(score)
    last = np.flatnonzero(np.append(score[1:] > score[:-1], True))  # of each run of equal scores
    utility = np.append(0.0, np.cumsum(gain)[last]) / n + judged.utility[:, first].mean()
    cost = np.append(0.0, np.cumsum(judged.cost[order, second])[last]) / n + judged.cost[:, first].mean()
    middle = (score[last[:-1]] + score[last[:-1] + 1]) / 2
    return np.concatenate([[-np.inf], middle, [np.inf]]), utility, cost


def best(judged: Judged, *, weight: float | None = None, budget: float | None = None) -> Chain:
    """Return the exact best single model or cascade of two: of the highest utility within a budget, or less cost.

    Args:
        judged: the rows that it is best on.
        weight: what cost counts for: `utility - weight x cost` is maximised.
        budget: or mean cost a query at most.

    Raises:
        ValueError: both or neither are given, or no model is within the budget.
    """
    if (weight is None) == (budget is None):
        raise ValueError("the best cascade of two needs a weight on cost or a budget, one of them")
    models = range(judged.utility.shape[1])
    found: list[tuple[float, float, Chain]] = []
    for first in models:
        for second in models:
            if first == second:
                continue
            cut, utility, cost = frontier(judged, first, second)
            worth = utility - (weight or 0.0) * cost
            worth = worth if budget is None else np.where(cost <= budget, worth, -np.inf)
            at = int(np.lexsort((cost, -worth))[0])
            chain = Chain((first,)) if at == 0 else Chain((first, second), (float(cut[at]),))
            found.append((float(worth[at]), -float(cost[at]), chain))
    top = max(found, key=lambda one: one[:2])
    if top[0] == -np.inf:
        raise ValueError(f"no model is within a budget of {budget:g} a query")
    return top[2]

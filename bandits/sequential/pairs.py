"""The exact best cascade of two models with hindsight: every pair, every threshold that tells rows apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def exact(
    after: Callable[[int], tuple[Any, Any]], score: Floats, times: Floats, *, limit: float = np.inf
) -> tuple[int, int, float, Floats, Floats, Floats, Floats] | None:
    """Return the fixed cascade of two models of the highest mean reward, whatever the reward and what is delivered.

    Args:
        after: for a first model, what its answer gets, `(N,)` each of calls, utility, cost and reward, and what is got
            with each second model, `(N, K)` each; of no worth where the second is the first.
        score: `(N, K)` of the first answer, below a threshold of which the second model is called; NaN: never.
        times: `(N,)` how often each row counts.
        limit: of mean cost a row.

    Returns:
        First and second model, the threshold (inf: always both) and calls, utility, cost and reward of every row,
        `(N,)` each; None where no two models are within the limit.
    """
    best: tuple[float, int, int, float] | None = None
    total = times.sum()
    for first in range(score.shape[1]):
        alone, both = after(first)
        known = ~np.isnan(score[:, first])
        order = np.flatnonzero(known)[np.argsort(score[known, first], kind="stable")]
        said = score[order, first]
        ends = np.flatnonzero(np.append(said[1:] > said[:-1], True)) if len(order) else np.zeros(0, np.int64)
        cuts = np.append((said[ends[:-1]] + said[ends[:-1] + 1]) / 2, np.inf) if len(order) else np.zeros(0)
        weight = times[:, None]

        def running(one: Floats, two: Floats) -> Floats:
            """Return `(C + 1, K)` means at each threshold; the last calls both models for every row."""
            gain = (two - one[:, None]) * weight  # noqa: B023
            steps = np.cumsum(gain[order], axis=0)[ends]  # noqa: B023
            return np.asarray((times @ one + np.concatenate([steps, gain.sum(axis=0)[None]])) / total)

        worth, cost = running(alone[3], both[3]), running(alone[2], both[2])
        worth[:, first] = -np.inf
        worth[cost > limit * (1 + 1e-9)] = -np.inf
        at, second = divmod(int(worth.argmax()), worth.shape[1])
        cut = float(np.append(cuts, np.inf)[at])
        if np.isfinite(worth[at, second]) and (best is None or worth[at, second] > best[0]):
            best = float(worth[at, second]), first, second, cut
    if best is None:
        return None
    _, first, second, cut = best
    alone, both = after(first)
    goes = (score[:, first] < cut) | (cut == np.inf)
    return (
        first,
        second,
        cut,
        *(np.where(goes, two[:, second], one) for one, two in zip(alone, both, strict=True)),
    )

"""FrugalGPT's search for a chain under a budget (Chen, Zaharia and Zou, TMLR 2024), as released and on a grid.

Both maximise mean utility subject to mean cost of all calls <= budget over orders of models and thresholds of the judge
(section 3, the cascade's optimisation problem), on the rows given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from bandits.sequential.chains import Chain, Judged

Floats = NDArray[np.float64]
_EDGE = 1e-5  # the released search keeps its quantile levels this far from 0 and 1
_BROKEN = 10000.0  # what it calls the objective where the budget is broken or levels fall


def search(
    judged: Judged, budget: float, *, length: int = 3, points: int = 40, refine: bool = True
) -> tuple[Chain, float] | None:
    """Return the chain of the released search and its mean utility; None where no first model is within the budget.

    All ordered subsets of exactly `length` models. A model's threshold is the quantile `1 - q_i` of the distances
    `1 - score` among the queries that still go on, accepted are distances below it, and the levels `q_1 <= q_2 <= ...`
    come from `points` values each, the best refined by Nelder and Mead. Two differences from the code: the last
    model's answer always counts, as it does when the chain is used, and what cannot be refined within the budget
    stays as found.

    Args:
        judged: the rows to learn on.
        budget: mean cost a query.
        length: `L`, models of a chain.
        points: values of each level.
        refine: whether Nelder and Mead follow.
    """
    best: tuple[Chain, float] | None = None
    for order in permutations(range(judged.utility.shape[1]), length):
        if judged.cost[:, order[0]].mean() > budget:
            continue
        loss, levels = _levels(judged, order, budget, points, refine=refine)
        if loss < 0 and (best is None or -loss / len(judged.utility) > best[1]):
            distances = _thresholds(1 - judged.score[:, list(order)], levels)
            at = tuple(float(np.nextafter(1 - d, np.inf)) for d in distances)
            best = Chain(order, at), -loss / len(judged.utility)
    return best


def searches(
    judged: Judged, budgets: Sequence[float], *, length: int = 3, points: int = 40
) -> list[Chain | None]:
    """Return the chain of `search` within each budget; None where there is none."""
    found = [search(judged, budget, length=length, points=points) for budget in budgets]
    return [None if one is None else one[0] for one in found]


def _thresholds(distance: Floats, levels: Floats) -> Floats:
    """Return the `(L - 1,)` distances below which answers are accepted, by level among those that go on."""
    going, found = np.ones(len(distance), bool), np.zeros(len(levels))
    for place, level in enumerate(np.clip(levels, 0.0, 1.0)):
        # With no query left any threshold is as good: the released code ends in an error there.
        found[place] = np.quantile(distance[going, place], 1 - level) if going.any() else 0.0
        going &= distance[:, place] >= found[place]
    return found


def _levels(
    judged: Judged, order: tuple[int, ...], budget: float, points: int, *, refine: bool
) -> tuple[float, Floats]:
    """Return the least objective (minus the sum of utilities) of an order and the `(L - 1,)` levels that reach it."""
    from scipy.optimize import fmin

    columns = list(order)
    distance = 1 - judged.score[:, columns]
    utility, cost = judged.utility[:, columns], np.cumsum(judged.cost[:, columns], axis=1)

    def loss(levels: Floats) -> float:
        levels = np.atleast_1d(levels)
        if (np.diff(levels) < 0).any():
            return _BROKEN
        accepted = np.column_stack(
            [distance[:, :-1] < _thresholds(distance, levels), np.ones(len(distance), bool)]
        )
        rows, place = np.arange(len(distance)), accepted.argmax(axis=1)
        if cost[rows, place].sum() > budget * len(distance):
            return _BROKEN
        return float(-utility[rows, place].sum())

    found, at = _swept(loss, points, len(order) - 1)
    if not refine or len(order) < 2:
        return found, at
    better, value, *_ = fmin(loss, at, full_output=True, disp=False)
    return (float(value), np.atleast_1d(better)) if value <= found else (found, at)


def _swept(loss: Callable[[Floats], float], points: int, levels: int) -> tuple[float, Floats]:
    """Return the first least loss over rising levels, `points` values each, and where it is."""
    best, at = np.inf, np.zeros(levels)
    values = np.linspace(_EDGE, 1 - _EDGE, points)
    for place in np.ndindex(*[points] * levels):
        if any(a > b for a, b in pairwise(place)):
            continue
        now = loss(values[list(place)])
        if now < best:
            best, at = now, values[list(place)]
    return best, at


def grid(judged: Judged, budget: float, *, length: int = 3, levels: int = 21) -> Chain | None:
    """Return the best chain within one budget, see `grids`; None where there is none."""
    return grids(judged, [budget], length=length, levels=levels)[0]


def grids(
    judged: Judged, budgets: Sequence[float], *, length: int = 3, levels: int = 21
) -> list[Chain | None]:
    """Return the best chain of at most `length` models within each budget; None where there is none.

    Exact over every order and every combination of thresholds from the `levels` even quantiles of each model's scores.
    Of equal utilities the cheaper wins, then the one found first, shorter chains before longer ones.

    Args:
        judged: the rows to learn on.
        budgets: mean cost a query.
        length: models of a chain at most.
        levels: quantiles of each model's score, the least and the highest included.
    """
    models = range(judged.utility.shape[1])
    cuts = np.quantile(judged.score, np.linspace(0, 1, levels), axis=0)
    best: list[tuple[float, float, Chain] | None] = [None] * len(budgets)
    for size in range(1, min(length, len(models)) + 1):
        for order in permutations(models, size):
            if judged.cost[:, order[0]].mean() > max(budgets):
                continue
            utility, cost = surface(judged, order, cuts)
            best = [_better(old, utility, cost, b, order, cuts) for old, b in zip(best, budgets, strict=True)]
    return [None if one is None else one[2] for one in best]


def _better(
    old: tuple[float, float, Chain] | None, utility: Floats, cost: Floats, budget: float,
    order: tuple[int, ...], cuts: Floats,
) -> tuple[float, float, Chain] | None:  # fmt: skip
    """Return the best so far, with its utility and cost, after the combinations of one order."""
    kept = np.where(cost <= budget, utility, -np.inf)
    top = kept.max()
    if top == -np.inf or (old is not None and top < old[0] - 1e-12):
        return old
    place = np.unravel_index(np.where(kept >= top - 1e-12, cost, np.inf).argmin(), kept.shape)
    if old is not None and top <= old[0] + 1e-12 and cost[place] >= old[1] - 1e-15:
        return old
    at = tuple(float(cuts[i, m]) for i, m in zip(place, order, strict=False))[: len(order) - 1]
    return float(top), float(cost[place]), Chain(order, at)


def surface(judged: Judged, order: tuple[int, ...], cuts: Floats) -> tuple[Floats, Floats]:
    """Return mean utility and mean cost of an order at every combination of thresholds, `(C, ..., C)` for `L - 1` axes.

    Args:
        judged: `N` rows.
        order: `L` models.
        cuts: `(C, K)` thresholds of each model.
    """
    n = len(judged.utility)
    going = np.ones((1, n))  # a row for each combination so far
    utility, cost = np.zeros(1), judged.cost[:, order[0]].mean() * np.ones(1)
    for place, model in enumerate(order[:-1]):
        on = (judged.score[:, model][None] < cuts[:, model][:, None]).astype(float)  # (C, N)
        following = judged.cost[:, order[place + 1]]
        utility = utility[:, None] + going @ ((1 - on) * judged.utility[:, model]).T / n
        cost = cost[:, None] + going @ (on * following).T / n
        utility, cost = utility.ravel(), cost.ravel()
        if place < len(order) - 2:
            going = (going[:, None] * on[None]).reshape(-1, n)
        else:
            utility = utility + (going @ (on * judged.utility[:, order[-1]]).T / n).ravel()
    if len(order) == 1:
        utility = utility + judged.utility[:, order[0]].mean()
    shape = (len(cuts),) * (len(order) - 1) or (1,)
    return utility.reshape(shape), cost.reshape(shape)

"""Cascade routing (Dekoninck, Baader and Vechev, ICML 2025): at every step the best set of models still to run.

A supermodel `M` is a set of models, those already run included, of value `q(M) - lambda c(M)` with `q(M)` the expected
quality of its best answer and `c(M)` the sum of costs (section 4). The best supermodel that extends what was run
decides: where it is what was run, the answer of the highest estimate is delivered; else its first model is called.
Depth 1 is routing, argmax of `q - lambda c`; prefixes of the order alone are cascading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.sequential.chains import Judged

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Estimate = Callable[
    [Flags], Floats
]  # (K,) models that have been run -> (N, K) quality of each model on each query
_DIGITS = 8  # values that agree to so many digits are ties
_HALVINGS = 80
_STRONGEST = 1e4  # lambda, on costs in units of the dearest model's mean


class Rule(NamedTuple):
    """How supermodels are chosen.

    Attributes:
        weight: lambda, on cost in the table's unit.
        gamma: probability with which the dearest of equal supermodels is taken instead of the cheapest.
        depth: models of a supermodel at most.
        prefixes: True for cascading: only prefixes of the order.
        prune: drop supermodels with a last model whose gain is less than what it costs, see `allowed`.
        spread: standard deviation of the estimates, of which the expected maximum is then taken; 0: the plain maximum.
    """

    weight: float
    gamma: float = 0.0
    depth: int = 8
    prefixes: bool = False
    prune: bool = True
    spread: float = 0.0


class Routed(NamedTuple):
    """Of each query: `(N, K)` models run, `(N,)` model delivered, utility and cost."""

    run: Flags
    arm: NDArray[np.int64]
    utility: Floats
    cost: Floats


def supermodels(count: int, depth: int, *, prefixes: bool = False) -> Flags:
    """Return the `(S, K)` non-empty sets of at most `depth` models, subsets before their supersets."""
    if prefixes:
        return np.tril(np.ones((count, count), bool))[:depth]
    masks = np.asarray((np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1 == 1)
    return np.asarray(masks[masks.sum(axis=1) <= depth])


def best_of(quality: Floats, sets: Flags, spread: float = 0.0, *, draws: int = 256, seed: int = 0) -> Floats:
    """Return the `(N, S)` expected quality of the best answer of each set, by independent normals where spread > 0."""
    if not spread:
        return np.asarray(np.where(sets[None], quality[:, None], -np.inf).max(axis=2))
    noise = np.random.default_rng(seed).normal(0.0, spread, (draws, 1, quality.shape[1]))
    total: Floats = np.zeros((len(quality), len(sets)))
    for one in noise:
        total += np.where(sets[None], (quality + one)[:, None], -np.inf).max(axis=2)
    return total / draws


def allowed(quality: Floats, cost: Floats, sets: Flags, ran: Flags, rule: Rule) -> Flags:
    """Return `(N, S)`: no supermodel whose last model gains less than `weight` times its cost (Lemma 1 there).

    The best supermodel is never among those left out: without that model it would be worth more.
    """
    last = sets.shape[1] - 1 - sets[:, ::-1].argmax(axis=1)
    less = sets.copy()
    less[np.arange(len(sets)), last] = False
    open_ = (
        less.any(axis=1) & ~ran[last]
    )  # what was run stays, and a single model has nothing to be compared with
    gain = best_of(quality, sets[open_], rule.spread) - best_of(quality, less[open_], rule.spread)
    kept = np.ones((len(quality), len(sets)), bool)
    kept[:, open_] = gain - rule.weight * cost[last[open_]] >= 0
    return kept


def step(quality: Floats, cost: Floats, ran: Flags, rule: Rule, coin: Floats) -> NDArray[np.int64]:
    """Return `(N,)`, the model that each query calls next, -1 where it stops; all have run the same models.

    Args:
        quality: `(N, K)` estimates, after hearing what was run.
        cost: `(K,)` expected cost of a call; models are called in the order of their columns.
        ran: `(K,)` models that have been run.
        rule: how.
        coin: `(N,)` in [0, 1), decides between equal values.
    """
    count, furthest = len(cost), (np.flatnonzero(ran)[-1] if ran.any() else -1)
    sets = supermodels(count, min(rule.depth, count), prefixes=rule.prefixes)
    later = np.arange(count) > furthest
    sets = sets[(sets[:, ran].all(axis=1)) & ~(sets & ~ran & ~later).any(axis=1)]
    total = sets @ cost
    value = np.round(best_of(quality, sets, rule.spread) - rule.weight * total, _DIGITS)
    if rule.prune:
        value = np.where(allowed(quality, cost, sets, ran, rule), value, -np.inf)
    ties = value >= value.max(axis=1, keepdims=True)
    cheap = np.where(ties, total, np.inf).argmin(axis=1)
    dear = np.where(ties, total, -np.inf).argmax(axis=1)
    chosen = sets[np.where(coin < rule.gamma, dear, cheap)] & ~ran
    return np.where(chosen.any(axis=1), chosen.argmax(axis=1), -1)


def play(
    judged: Judged, cost: Floats, estimate: Callable[..., Floats], rule: Rule, *, seed: int = 0
) -> Routed:
    """Return what cascade routing delivers and pays on every query.

    Args:
        judged: the queries.
        cost: `(K,)` expected cost of a call.
        estimate: `(ran, rows) -> (n, K)` quality of each model for these rows once the models `ran` `(K,)` were heard.
        rule: how.
        seed: of the coins between equal values.
    """
    n, count = judged.utility.shape
    run, coin = np.zeros((n, count), bool), np.random.default_rng(seed).random((n,))
    arm, going = np.zeros(n, np.int64), np.ones(n, bool)
    for _ in range(min(rule.depth, count) + 1):
        for ran in np.unique(run[going], axis=0):
            rows = np.flatnonzero(going & (run == ran).all(axis=1))
            quality = estimate(ran, rows)
            then = (
                step(quality, cost, ran, rule, coin[rows])
                if ran.sum() < rule.depth
                else np.full(len(rows), -1)
            )
            stops = then < 0
            arm[rows[stops]] = np.where(ran, quality, -np.inf)[stops].argmax(axis=1)
            going[rows[stops]] = False
            run[rows[~stops], then[~stops]] = True
    rows = np.arange(n)
    return Routed(run, arm, judged.utility[rows, arm], np.where(run, judged.cost, 0.0).sum(axis=1))


def fit(judged: Judged, cost: Floats, estimate: Callable[..., Floats], budget: float, rule: Rule) -> Rule:
    """Return the rule with lambda by bisection and gamma, so that the mean cost on these rows is the budget.

    The least lambda is taken at which the cheapest of equal supermodels keep the budget; gamma then spends what the
    dearest of them would: `gamma = (B - C_cheap) / (C_dear - C_cheap)`, clipped to [0, 1]. Where lambda 0 keeps the
    budget, that is it.
    """

    def spent(weight: float, gamma: float) -> float:
        return float(play(judged, cost, estimate, rule._replace(weight=weight, gamma=gamma)).cost.mean())

    scale = float(np.max(cost)) or 1.0
    low, high = 0.0, _STRONGEST / scale
    if spent(0.0, 0.0) > budget:
        for _ in range(_HALVINGS):
            # Halving on a logarithmic axis once there is a lower end: lambda spans orders of magnitude.
            middle = np.sqrt(low * high) if low > 0 else high / 100
            if spent(float(middle), 0.0) <= budget:
                high = float(middle)
            else:
                low = float(middle)
            if low and high / low < 1 + 1e-10:  # then values that change places are ties
                break
    else:
        high = 0.0
    cheap, dear = spent(high, 0.0), spent(high, 1.0)
    gamma = 0.0 if dear == cheap else float(np.clip((budget - cheap) / (dear - cheap), 0.0, 1.0))
    return rule._replace(weight=high, gamma=gamma)

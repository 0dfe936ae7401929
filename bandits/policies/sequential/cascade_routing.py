"""Cascade routing in a run: supermodels of models run and still to run, on estimates that hearing changes."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.base import Feedback, Observation, Policy, State
from bandits.late import jax, jnp
from bandits.sequential import supermodels
from bandits.sequential.estimates import Estimator, Fitted
from bandits.sequential.logged import Logged, needed

STOP = -1  # as `envs.calls.STOP`
_TIE = 1e-6  # values of float32 that differ by less are equal
_MODELS = 200  # regressions at most: a second or less each
_FAR = 8.0  # of a logit, as `bandits.sequential.estimates`

Flags = NDArray[np.bool_]


class Regressions(NamedTuple):
    """For each set of models heard, `S` of them: `heard` `(S, K)`, `weight` `(S, K, d + K)`, `offset` `(S, K)`."""

    heard: Any
    weight: Any
    offset: Any


def cascade_routing(
    n_arms: int,
    dim: int,
    *,
    log: Logged | None = None,
    budget: float = 0.5,
    depth: int = 2,
    prefixes: bool = False,
) -> Policy:
    """Call the first model of the best set still to run, until that is what was run (cascade routing).

    Dekoninck, Baader and Vechev (ICML 2025, arXiv 2410.10347), section 4; see `bandits.sequential.supermodels`.
    Quality is estimated by a logistic regression on the context and the scores heard, one for each set of models that
    can have been heard; lambda is set by bisection, and gamma for ties, so that the mean cost on the log is the budget.
    Models are called in the order of their mean cost. Nothing is learned online; `--deliver best_heard` belongs to it.

    Args:
        n_arms: `K`.
        dim: `d`.
        log: judged outcomes of every model on rows that are not evaluated; the command gives those of `--warm-start`.
        budget: mean cost a query, of all its calls, in units of the log's dearest model's mean cost, > 0.
        depth: models of a set at most, from 1 (routing) to `K`.
        prefixes: whether sets are prefixes of the order only (cascading).

    Raises:
        ValueError: no log, a number out of range, or more regressions than can be fitted.
    """
    require.whole("cascade_routing", 1, depth=depth)
    require.above("cascade_routing", 0, budget=budget)
    if depth > n_arms:
        raise ValueError(
            f"cascade_routing needs depth <= {n_arms}, the models that there are, got depth={depth}"
        )
    heard = n_arms * (depth if prefixes else sum(comb(n_arms, size) for size in range(depth)))
    if heard > _MODELS:
        raise ValueError(
            f"cascade_routing has {heard:,} regressions to fit, at most {_MODELS}; --models or depth make fewer"
        )
    found = needed("cascade_routing", log, n_arms, dim)
    dear = np.nanmean(found.paid, axis=0)
    order = np.argsort(dear, kind="stable")
    judged = found.judged()
    judged = judged._replace(
        utility=judged.utility[:, order], cost=judged.cost[:, order], score=judged.score[:, order]
    )
    fitted = Fitted(np.asarray(found.context, np.float64), judged)
    estimate = Estimator(fitted, fitted.context, judged)
    rule = supermodels.fit(
        judged,
        dear[order],
        estimate,
        budget * float(dear.max()),
        supermodels.Rule(0.0, depth=depth, prefixes=prefixes),
    )
    sets = supermodels.supermodels(n_arms, depth, prefixes=prefixes)
    return _played(regressions(estimate, n_arms, depth, prefixes=prefixes), sets, order, dear[order], rule)


def regressions(estimate: Estimator, count: int, depth: int, *, prefixes: bool = False) -> Regressions:
    """Return the regressions of every set of fewer than `depth` models that can have been heard."""
    sizes = range(depth)
    masks = [
        np.isin(np.arange(count), some)
        for size in sizes
        for some in ([tuple(range(size))] if prefixes else combinations(range(count), size))
    ]
    told = [estimate.linear(tuple(bool(m) for m in mask)) for mask in masks]
    return Regressions(
        np.stack(masks), np.stack([w for w, _ in told]).astype(np.float32), np.stack([b for _, b in told])
    )


def _played(
    fits: Regressions, sets: Flags, order: NDArray[np.intp], cost: Any, rule: supermodels.Rule
) -> Policy:
    """Return the policy; models are numbered by their cost inside, `order` says which arm each is."""
    n_arms = len(order)
    sets_, cost_ = jnp.asarray(sets), jnp.asarray(cost, jnp.float32)
    heard_, weight, offset = (jnp.asarray(a) for a in fits)
    total = sets_ @ cost_

    def act(key: jax.Array, state: jax.Array, seen: Observation) -> jax.Array:
        del key
        asked = jnp.zeros(n_arms, bool) if seen.asked is None else seen.asked
        heard = jnp.full(n_arms, jnp.nan) if seen.heard is None else seen.heard
        ran, open_ = asked[order], seen.available[order]
        edge = 1 / (1 + np.exp(_FAR))
        safe = jnp.clip(heard[order], edge, 1 - edge)
        told = jnp.where(ran & ~jnp.isnan(safe), jnp.log(safe / (1 - safe)), 0.0)
        fit = (heard_ == ran).all(axis=1).argmax()
        quality = jax.nn.sigmoid(weight[fit] @ jnp.concatenate([seen.context, told]) + offset[fit])
        later = jnp.arange(n_arms) > jnp.where(ran, jnp.arange(n_arms), -1).max()
        extends = (sets_ | ~ran).all(axis=1) & ~(sets_ & ~ran & ~(later & open_)).any(axis=1)
        best = jnp.where(sets_, quality, -jnp.inf).max(axis=1)
        value = jnp.where(extends, best - rule.weight * total, -jnp.inf)
        ties = extends & (value >= value.max() - _TIE)
        cheap = jnp.where(ties, total, jnp.inf).argmin()
        dear = jnp.where(ties, total, -jnp.inf).argmax()
        coin = jnp.where(asked.any(), state[0], state[1])
        chosen = sets_[jnp.where(coin < rule.gamma, dear, cheap)] & ~ran
        going = chosen.any() & extends.any() & (asked.sum() < rule.depth)
        arm = jnp.where(going, jnp.asarray(order)[chosen.argmax()], STOP)
        # No set of the rule can be run where its models are out: the cheapest that can be called answers.
        some = jnp.where(open_.any(), jnp.asarray(order)[open_.argmax()], STOP)
        return jnp.where(asked.any() | going, arm, some).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> State:
        """Keep one coin for a query: of this one, and drawn for the next."""
        del arm, told
        first = jnp.array(True) if seen.asked is None else ~seen.asked.any()
        return jnp.where(first, jnp.stack([state[1], jax.random.uniform(key)]), state)

    return Policy(lambda key: jax.random.uniform(key, (2,)), act, update, again=True)

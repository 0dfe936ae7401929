"""Successive elimination: play the arms in turn, drop those that are surely worse (Even-Dar et al. 2006)."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, choose, formed
from bandits.forms.tabular import Racing
from bandits.late import jax, jnp
from bandits.policies.tabular.counts import HIGH, LOW, Counts, count, nothing, require_range, unit


class Race(NamedTuple):
    """Attributes: `counts`; `active` `(K,)` bool, the arms not dropped yet."""

    counts: Counts
    active: jax.Array


def successive_elimination(
    n_arms: int, dim: int, *, delta: float = 0.1, alpha: float = 1.0, low: float = LOW, high: float = HIGH
) -> Policy:
    """Call every arm in turn, dropping for good those surely worse than another (successive elimination).

    Even-Dar, Mannor and Mansour 2006 (JMLR 7, Algorithm 3). With arms that come and go the pulls differ, so
    each arm has a width of its own instead of one for the round. Made to be sure, not quick: with 10 arms whose
    means lie within .3 it drops nothing in the first few thousand rounds, and is as good as uniform until then.

    Args:
        n_arms: `K`.
        dim: not used.
        delta: in (0, 1], probability of ever dropping the best arm.
        alpha: > 0, multiplies the widths; 1 keeps the promise of `delta`, less drops arms sooner.
        low, high: range that rewards are clipped to, `low < high`.
    """
    del dim
    require.above("successive_elimination", 0, delta=delta, alpha=alpha)
    require.within("successive_elimination", 0, 1, delta=delta)
    require_range("successive_elimination", low, high)

    def init(key: jax.Array) -> Race:
        del key
        return Race(nothing(n_arms), jnp.ones(n_arms, bool))

    def act(key: jax.Array, state: Race, observation: Observation) -> jax.Array:
        del key
        racing = state.active & observation.available
        # Where only dropped arms can be called, the best of them is the least harm.
        best_dropped = choose(state.counts.mean, observation.available)
        return jnp.where(racing.any(), choose(-state.counts.pulls, racing), best_dropped)

    def update(
        key: jax.Array, state: Race, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Race:
        del key, observation
        counts = count(state.counts, arm, unit(feedback.reward, low, high))
        return Race(counts, survivors(counts, state.active, delta, alpha))

    def chances(key: jax.Array, state: Race, observation: Observation) -> jax.Array:
        return jax.nn.one_hot(act(key, state, observation), n_arms)

    return formed(Policy(init, act, update, chances=chances), Racing(low, high, delta, alpha))


def survivors(counts: Counts, active: jax.Array, delta: float, alpha: float) -> jax.Array:
    """Return the `(K,)` bool arms whose upper bound reaches the highest lower bound among the active.

    The width is `sqrt(ln(4 K n^2 / delta) / (2 n))`: by Hoeffding a mean of `n` rewards leaves it with
    probability `delta / (2 K n^2)`, which sums to less than `delta` over all `n` and `K`.
    """
    pulls = jnp.maximum(counts.pulls, 1.0)
    n_arms = counts.pulls.shape[0]
    width = alpha * jnp.sqrt((jnp.log(4.0 * n_arms / delta) + 2.0 * jnp.log(pulls)) / (2.0 * pulls))
    width = jnp.where(counts.pulls > 0, width, jnp.inf)
    highest_lower = jnp.where(active, counts.mean - width, -jnp.inf).max()
    return active & (counts.mean + width >= highest_lower)

"""Arms that share a level, a price tier and the query's difficulty: a normal linear mixed model over utilities."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.effects import Effects, Mixed, foreseen, heard, loadings, renewed
from bandits.late import jax, jnp
from bandits.rewards import Outcome, Reward, linear


class Believed(NamedTuple):
    """The normal posterior of all effects, and what calls have cost.

    Attributes:
        mean: `(K + 3,)` float32: of each arm, the level, the slope of price, the difficulty of the query at hand.
        covariance: `(K + 3, K + 3)` float32.
        calls: `(K,)` float32.
        spent: `(K,)` float32, cost in units of the scale, of all calls.
        at: `()` float32, rounds left at the query at hand, by which another is known.
    """

    mean: jax.Array
    covariance: jax.Array
    calls: jax.Array
    spent: jax.Array
    at: jax.Array


def hierarchical(
    n_arms: int,
    dim: int,
    *,
    alpha: float = 0.5,
    noise: float = 0.4,
    spread: float = 0.3,
    level: float = 0.3,
    slope: float = 0.1,
    difficulty: float = 0.2,
    prior: float = 1.0,
    reward: Reward = linear,
) -> Policy:
    """Call the arm of the highest upper bound, in a model in which arms teach of each other (mixed effects).

    The utility of arm `k` at query `t` is

        `y = a_k + m + b z_k + q_t + e`,    `a_k ~ N(0, spread^2)`, `m ~ N(prior, level^2)`, `b ~ N(0, slope^2)`,
        `q_t ~ N(0, difficulty^2)`, `e ~ N(0, noise^2)`,

    with `z_k` the logarithm of the posted price, standardised over the arms (0 where none is posted): arms of a price
    tier are believed alike, and `b` is learned from those that were tried. `q_t` is shared by all outcomes of a query:
    where feedback is full they tell how hard it was, and only what is left counts for the arm. The posterior of all
    effects is one normal distribution, kept exactly by conditioning on one outcome at a time (Kalman 1960); at another
    query `q` begins anew. Hierarchical priors over arms in this form: Aouali, Kveton, Katariya 2023, arXiv 2205.15124
    (mixed-effect Thompson sampling), not checked against its numbering. The index, with `u_k = a_k + m + b z_k`,
    is `reward(E[u_k], cost, preference) + alpha sd(u_k)`, cost as posted, or the mean of what calls cost.

    Args:
        n_arms: `K`.
        dim: not used: whatever the query.
        alpha: width of the bound, in standard deviations, >= 0.
        noise: standard deviation of a utility around the sum of its effects, > 0.
        spread: of an arm's own effect, > 0.
        level: of what all arms share, >= 0.
        slope: of the effect of a price one standard deviation above the mean logarithm, >= 0; 0: prices tell nothing.
        difficulty: of a query, >= 0; 0: outcomes of one query are independent.
        prior: utility that arms are believed to have before the first call.
        reward: `(outcome, preference) -> reward`, elementwise; the run's own.
    """
    del dim
    require.at_least("hierarchical", 0, alpha=alpha, level=level, slope=slope, difficulty=difficulty)
    require.above("hierarchical", 0, noise=noise, spread=spread)
    require.finite("hierarchical", prior=prior)
    effects = Effects(noise, spread, level, slope, difficulty, prior)

    def init(key: jax.Array) -> Believed:
        del key
        none = jnp.zeros(n_arms, jnp.float32)
        mean, covariance = (jnp.asarray(part, jnp.float32) for part in effects.begun(n_arms))
        return Believed(mean, covariance, none, none, jnp.float32(-1.0))

    def index(key: jax.Array | None, state: Believed, observation: Observation) -> jax.Array:
        del key
        mean, deviation = foreseen(jnp, state.mean, state.covariance, loadings(jnp, observation.price))
        paid = jnp.where(state.calls > 0, state.spent / jnp.maximum(state.calls, 1.0), 1.0)
        cost = jnp.where(jnp.isnan(observation.price), paid * observation.cost_scale, observation.price)
        unknown = jnp.full(n_arms, jnp.nan)
        worth: jax.Array = reward(
            Outcome(mean, cost, unknown, unknown, observation.cost_scale), observation.preference
        )
        return jnp.asarray(worth + alpha * deviation)

    def update(
        key: jax.Array, state: Believed, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Believed:
        del key
        another = observation.rounds_left != state.at
        fresh = renewed(jnp, state.mean, state.covariance, difficulty)
        mean, covariance = (
            jnp.where(another, new, old)
            for new, old in zip(fresh, (state.mean, state.covariance), strict=True)
        )
        loading = loadings(jnp, observation.price)[arm]
        mean, covariance = heard(mean, covariance, loading, feedback.utility, noise)
        return Believed(
            mean,
            covariance,
            state.calls.at[arm].add(1.0),
            state.spent.at[arm].add(jnp.nan_to_num(feedback.cost / observation.cost_scale)),
            observation.rounds_left,
        )

    return formed(ranked(init, index, update), Mixed(alpha, noise, spread, level, slope, difficulty, prior))

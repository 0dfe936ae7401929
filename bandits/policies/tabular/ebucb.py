"""A prior over arms learned from the arms: hierarchical normal means, empirical Bayes (Efron and Morris 1975)."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.shrunk import Shrunk
from bandits.late import jax, jnp
from bandits.rewards import Outcome, Reward, linear


class Told(NamedTuple):
    """What the calls of each arm gave, `(K,)` float32 each: how many, mean utility, squares about it, and cost.

    `spent` is in units of the scale, of all calls; `squares` are summed.
    """

    calls: jax.Array
    mean: jax.Array
    squares: jax.Array
    spent: jax.Array


class Believed(NamedTuple):
    """The posterior of each arm's mean utility: `mean` and `deviation`, `(K,)` each."""

    mean: jax.Array
    deviation: jax.Array


def ebucb(
    n_arms: int,
    dim: int,
    *,
    alpha: float = 0.5,
    noise: float = 0.4,
    spread: float = 0.2,
    prior: float = 1.0,
    reward: Reward = linear,
) -> Policy:
    """Call the arm of the highest upper bound, whose prior is what the other arms' means say (empirical Bayes).

    Arms' mean utilities are `mu_k ~ N(m, tau^2)`, utilities `N(mu_k, s^2)` around them. The pooled variance within arms
    gives `s^2`, the method of moments between arms `tau^2` (DerSimonian and Laird 1986), both begun from a guess that
    counts as `_GUESSED` arms; `m` is the mean weighed by `1 / (s^2 / n_k + tau^2)`. The posterior shrinks an arm's mean
    to `m` by `B_k = (s^2 / n_k) / (s^2 / n_k + tau^2)` and counts that `m` is uncertain (Morris 1983; equations of
    neither paper are checked by number):

        `mean_k = (1 - B_k) y_k + B_k m`,    `deviation_k^2 = tau^2 B_k + B_k^2 Var(m)`.

    The index is `reward(mean, cost, preference) + alpha deviation`, cost as posted, or the mean of what calls cost.

    Args:
        n_arms: `K`.
        dim: not used: whatever the query.
        alpha: width of the bound, in standard deviations, >= 0.
        noise: guess of `s`, > 0.
        spread: guess of `tau`, > 0.
        prior: guess of `m`, of which it counts as one arm; 1 tries every arm. At .5 the first arm that is mostly right
            looks better than all that were not tried, and the policy stays with it.
        reward: `(outcome, preference) -> reward`, elementwise; the run's own.
    """
    del dim
    require.at_least("ebucb", 0, alpha=alpha)
    require.above("ebucb", 0, noise=noise, spread=spread)
    require.finite("ebucb", prior=prior)

    def init(key: jax.Array) -> Told:
        del key
        none = jnp.zeros(n_arms, jnp.float32)
        return Told(none, none, none, none)

    def index(key: jax.Array | None, state: Told, observation: Observation) -> jax.Array:
        del key
        now = believed(state, noise, spread, prior)
        heard = jnp.where(state.calls > 0, state.spent / jnp.maximum(state.calls, 1.0), 1.0)
        cost = jnp.where(jnp.isnan(observation.price), heard * observation.cost_scale, observation.price)
        unknown = jnp.full(n_arms, jnp.nan)
        expected = Outcome(now.mean, cost, unknown, unknown, observation.cost_scale)
        worth: jax.Array = reward(expected, observation.preference)
        return worth + alpha * now.deviation

    def update(
        key: jax.Array, state: Told, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Told:
        del key
        calls = state.calls[arm] + 1.0
        error = feedback.utility - state.mean[arm]
        step = error / calls
        cost = jnp.nan_to_num(feedback.cost / observation.cost_scale)
        return Told(
            state.calls.at[arm].set(calls),
            state.mean.at[arm].add(step),
            state.squares.at[arm].add(error * (error - step)),
            state.spent.at[arm].add(cost),
        )

    return formed(ranked(init, index, update), Shrunk(alpha, noise, spread, prior))


_GUESSED = 2.0  # arms, or calls, that the guess of a variance counts as


def believed(told: Told, noise: float, spread: float, prior: float) -> Believed:
    """Return the posterior of each arm's mean utility."""
    tried = told.calls > 0
    n = jnp.maximum(told.calls, 1.0)
    arms = tried.sum()
    free = jnp.where(tried, told.calls - 1.0, 0.0).sum()
    within = (told.squares.sum() + _GUESSED * noise**2) / (free + _GUESSED)
    weight = jnp.where(tried, n / within, 0.0)
    total = jnp.maximum(weight.sum(), 1e-9)
    centre = (weight * told.mean).sum() / total
    scale = jnp.maximum(total - (weight**2).sum() / total, 1e-9)
    moment = ((weight * (told.mean - centre) ** 2).sum() - (arms - 1.0)) / scale
    between = (_GUESSED * spread**2 + (arms > 1) * (arms - 1.0) * jnp.maximum(moment, 0.0)) / (
        _GUESSED + jnp.maximum(arms - 1.0, 0.0)
    )
    level = jnp.where(tried, 1.0 / (within / n + between), 0.0)
    sure = level.sum() + 1.0 / between  # the guess counts as an arm whose mean is known
    middle = ((level * told.mean).sum() + prior / between) / sure
    shrunk = jnp.where(tried, (within / n) / (within / n + between), 1.0)
    mean = (1.0 - shrunk) * told.mean + shrunk * middle
    return Believed(mean, jnp.sqrt(between * shrunk + shrunk**2 / sure))

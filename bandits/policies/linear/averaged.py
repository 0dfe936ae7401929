"""Ridge regressions of several precisions, weighed by how well each has foretold: context is used where it pays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy, choose, formed, ranked
from bandits.forms.averaged import Averaging
from bandits.late import begun, jax, jnp
from bandits.policies.linear.ridge import Ridge, learn
from bandits.rewards import Outcome, Reward, linear


class Averaged(NamedTuple):
    """`M` models of utility side by side, and what calls have cost.

    Attributes:
        models: a `Ridge` with a leading axis `M`; its inverse is the posterior's covariance over the noise's variance.
        evidence: `(M,)` float32, the logarithm of each model's marginal likelihood of all utilities so far.
        spent: `(K,)` float32, cost in units of the scale, of all calls of each arm.
    """

    models: Ridge
    evidence: jax.Array
    spent: jax.Array


def averaged(
    n_arms: int,
    dim: int,
    *,
    alpha: float = 0.5,
    noise: float = 0.4,
    least: float = 1.0,
    middle: float = 10.0,
    most: float = 1e6,
    ridge: float = 1.0,
    prior: float = 1.0,
    indicators: int = 0,
    reward: Reward = linear,
) -> Policy:
    """Average ridge models of utility whose features are trusted more or less (Bayesian model averaging).

    Hoeting, Madigan, Raftery, Volinsky 1999, Eq. 1 and 2, for conjugate linear models of known noise (Bishop 2006,
    section 3.5.1): model `m` believes `theta_k ~ N(prior e_d, noise^2 Lambda_m^-1)` with `Lambda_m` the precision of
    the features, `ridge` on the constant column. Its log marginal likelihood is the sum over rounds of
    `log N(y_t; x'mu, noise^2 (1 + x'A^-1 x))`, and the weights are `w_m ~ exp` of it. At the precision `most` a model
    sees next to nothing of the features: it is the policy without context. Where some features are indicators of data
    sets (`--context +dataset`), a fourth model sees these and next to nothing of the others. The index is

        `reward(sum_m w_m mu_m, cost, preference) + alpha sqrt(sum_m w_m (s_m^2 + (mu_m - mean)^2))`,

    with `s_m = noise sqrt(x'A_m^-1 x)`, the standard deviation of the mixture, and as cost the posted price, or the
    mean of what the arm's calls have cost where none is posted (the scale before the first call, so that no price is
    no bargain).

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: width of the bound, in standard deviations, >= 0; .5 was chosen on twin `ocr` and `pareto_k3` alone.
        noise: standard deviation of a utility around its mean, > 0; a coin's is at most .5.
        least, middle, most: precision of the features in each of the three models, in units of the noise's, > 0.
        ridge: precision of the constant's weight, > 0.
        prior: utility that every arm is believed to have before its first call; 1 tries them all.
        indicators: how many features right before the constant are indicators; given by the stream.
        reward: `(outcome, preference) -> reward`, elementwise; the run's own.
    """
    require.at_least("averaged", 0, alpha=alpha)
    require.above("averaged", 0, noise=noise, least=least, middle=middle, most=most, ridge=ridge)
    require.finite("averaged", prior=prior)
    require.whole("averaged", 0, indicators=indicators)
    form = Averaging(alpha, noise, (least, middle, most), ridge, min(indicators, dim - 1))
    trust = np.asarray(form.precisions(dim), np.float32)
    models = len(trust)

    def init(key: jax.Array) -> Averaged:
        del key
        # Nothing here needs JAX: a run that kernels play is spared loading it.
        each = np.stack([np.diag(one) for one in np.float32(1.0) / trust])
        inverse = np.broadcast_to(each[:, None], (models, n_arms, dim, dim))
        weight = np.zeros((models, n_arms, dim), np.float32)
        weight[..., -1] = prior
        ridges: Any = inverse, weight, np.zeros((models, n_arms), np.int32)
        none: Any = np.zeros(models, np.float32), np.zeros(n_arms, np.float32)
        return begun(Averaged(Ridge(*ridges), *none))  # type: ignore[no-any-return]

    def index(key: jax.Array | None, state: Averaged, observation: Observation) -> jax.Array:
        del key
        mean, spread = mixture(state, observation.context, noise)
        calls = state.models.pulls[0]
        heard = jnp.where(calls > 0, state.spent / jnp.maximum(calls, 1), 1.0) * observation.cost_scale
        cost = jnp.where(jnp.isnan(observation.price), heard, observation.price)
        unknown = jnp.full(n_arms, jnp.nan)
        expected = Outcome(mean, cost, unknown, unknown, observation.cost_scale)
        worth: jax.Array = reward(expected, observation.preference)
        return worth + alpha * spread

    def update(
        key: jax.Array, state: Averaged, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Averaged:
        del key
        x, utility = observation.context, feedback.utility
        gained = evidence(state.models, x, arm, utility, noise)
        models = jax.vmap(learn, in_axes=(0, None, None, None))(state.models, x, arm, utility)
        cost = feedback.cost / observation.cost_scale
        total = state.evidence + gained
        # Only differences count; without this the sum outgrows what float32 tells apart.
        return Averaged(models, total - total.max(), state.spent.at[arm].add(jnp.nan_to_num(cost)))

    def chances(key: jax.Array, state: Averaged, observation: Observation) -> jax.Array:
        return jax.nn.one_hot(choose(index(key, state, observation), observation.available), n_arms)

    return formed(ranked(init, index, update, chances=chances), form, whole=reward is linear)


def evidence(
    models: Ridge, context: jax.Array, arm: jax.Array, utility: jax.Array, noise: float
) -> jax.Array:
    """Return `(M,)` the logarithm of what each model gave for a utility before it was heard.

    `log N(y; x'mu, noise^2 (1 + x'A^-1 x))`, summed over rounds the marginal likelihood (Bishop 2006, Eq. 3.86).
    """
    inverse, weight = models.inverse[:, arm], models.weight[:, arm]
    variance = noise**2 * (1.0 + jnp.einsum("d,mde,e->m", context, inverse, context))
    error = utility - weight @ context
    return -0.5 * (jnp.log(2 * jnp.pi * variance) + error**2 / variance)


def mixture(state: Averaged, context: jax.Array, noise: float) -> tuple[jax.Array, jax.Array]:
    """Return mean and standard deviation `(K,)` of each arm's mean utility over the weighed models."""
    weight = jax.nn.softmax(state.evidence)[:, None]
    each = state.models.weight @ context
    along = jnp.einsum("d,mkde,e->mk", context, state.models.inverse, context)
    mean = (weight * each).sum(axis=0)
    spread = (weight * (noise**2 * jnp.maximum(along, 0.0) + (each - mean) ** 2)).sum(axis=0)
    return mean, jnp.sqrt(spread)

"""Information-directed sampling in its variance-based form: Russo and Van Roy 2018, arXiv 1403.5556."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.exploring import Posterior
from bandits.forms.sampling import Directed, normal
from bandits.late import jax, jnp
from bandits.policies.linear.affine import Form, prime
from bandits.policies.linear.ridge import Ridge, estimate, fresh, learn

_LEAST = 1e-12  # variance below which an arm tells nothing


class Worth(NamedTuple):
    """What a round's posterior says of each arm, `(K,)` each.

    Attributes:
        regret: `Delta`, expected regret of a call.
        told: `v`, variance of an arm's mean over which arm is the best: what a call tells of that.
    """

    regret: jax.Array
    told: jax.Array


def ids(
    n_arms: int,
    dim: int,
    *,
    v: float = 0.25,
    ridge: float = 1.0,
    prior: float = 0.0,
    draws: int = 128,
) -> Policy:
    """Call arms by the lowest squared regret for what a call tells of which arm is best (information-directed).

    The probabilities minimise `(pi' Delta)^2 / (pi' v)`, the information ratio with a variance in the place of mutual
    information, which it bounds from below: `Delta_a = E[max_b f_b] - E[f_a]` and `v_a = Var(E[f_a | A*])` over the
    posterior `f_k ~ N(mean_k, (v width_k)^2)` of disjoint ridge arms, as `thompson` has it, by `draws` samples. The
    ratio is convex and two arms at most have a probability: every pair is tried, its best share in closed form.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        v: posterior scale, > 0.
        ridge: prior precision of every weight, > 0.
        prior: reward that every arm is believed to give before its first call.
        draws: samples of the posterior, >= 2; the same standard normal numbers in every round.
    """
    require.above("ids", 0, v=v, ridge=ridge)
    require.finite("ids", prior=prior)
    require.whole("ids", 2, draws=draws)
    drawn = normal(draws, n_arms)

    def init(key: jax.Array) -> Ridge:
        del key
        return fresh(n_arms, dim, ridge, prior=prior)

    def chances(key: jax.Array | None, state: Ridge, observation: Observation) -> jax.Array:
        del key
        now = estimate(state, observation.context)
        found = worth(now.mean + v * now.width * drawn, observation.available)
        return directed(found, observation.available)

    def index(key: jax.Array | None, state: Ridge, observation: Observation) -> jax.Array:
        if key is None:
            return estimate(state, observation.context).mean
        return jnp.log(chances(None, state, observation)) + jax.random.gumbel(key, (n_arms,))

    def update(
        key: jax.Array, state: Ridge, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge:
        del key
        return learn(state, observation.context, arm, feedback.reward)

    made = ranked(init, index, update, chances=chances)
    return formed(
        made._replace(prime=prime(Form(Posterior(v), ridge, prior))), Directed(v=v, ridge=ridge, draws=draws)
    )


def worth(drawn: jax.Array, available: jax.Array) -> Worth:
    """Return regret and information of each arm from `drawn (M, K)` samples of the arms' means."""
    best = jnp.where(available, drawn, -jnp.inf)
    first = jax.nn.one_hot(best.argmax(axis=1), drawn.shape[1])  # (M, K) which arm is best in each sample
    often = first.mean(axis=0)
    mean = drawn.mean(axis=0)
    given = first.T @ drawn / jnp.maximum(first.sum(axis=0), 1.0)[:, None]  # (K best, K arms)
    told = often @ (given - mean) ** 2
    # By samples, the best arm's mean can come out above the mean of the best; regret is not negative.
    return Worth(jnp.maximum(best.max(axis=1).mean() - mean, 0.0), told)


def directed(found: Worth, available: jax.Array) -> jax.Array:
    """Return the `(K,)` probabilities of the lowest information ratio."""
    regret, told = found
    d_regret, d_told = (
        regret[:, None] - regret,
        told[:, None] - told,
    )  # of the share that goes to the row's arm

    def ratio(share: jax.Array) -> jax.Array:
        lost, learned = regret + share * d_regret, told + share * d_told
        return lost**2 / jnp.maximum(learned, _LEAST)

    # The ratio is (r_j + q (r_i - r_j))^2 / (v_j + q (v_i - v_j)); its derivative is 0 at
    # q = r_j / (r_i - r_j) - 2 v_j / (v_i - v_j).
    moves = (d_regret != 0) & (d_told != 0)
    still = regret / jnp.where(moves, d_regret, 1.0) - 2.0 * told / jnp.where(moves, d_told, 1.0)
    inside = jnp.where(moves, jnp.clip(still, 0.0, 1.0), 0.0)
    shares = jnp.stack([jnp.zeros_like(inside), jnp.ones_like(inside), inside])
    ratios = jax.vmap(ratio)(shares)
    both = available[:, None] & available
    ratios = jnp.where(both, ratios, jnp.inf)
    at = jnp.argmin(ratios.ravel())
    which, row, column = jnp.unravel_index(at, ratios.shape)
    share = shares[which, row, column]
    n = regret.shape[0]
    return share * jax.nn.one_hot(row, n) + (1.0 - share) * jax.nn.one_hot(column, n)

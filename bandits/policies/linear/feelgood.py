"""Feel-good Thompson sampling, linear: Zhang 2021, arXiv 2110.00871, by sampling importance resampling."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.sampling import Cheering
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, estimate, fresh, learn


class Cheered(NamedTuple):
    """A ridge posterior of each arm's reward, and the contexts that the feel-good term is summed over.

    Attributes:
        ridge: of all calls.
        past: `(memory, d)` contexts, the latest over the oldest; 0 where there is none yet.
        rounds: `()` float32, calls heard.
        root: `(K, d, d)`, the Cholesky factor of each inverse.
    """

    ridge: Ridge
    past: jax.Array
    rounds: jax.Array
    root: jax.Array


def feelgood(
    n_arms: int,
    dim: int,
    *,
    v: float = 0.25,
    optimism: float = 0.05,
    most: float = 1.0,
    ridge: float = 1.0,
    prior: float = 0.0,
    draws: int = 32,
    memory: int = 64,
) -> Policy:
    """Call the best arm of a draw from a posterior that favours worlds in which much can be had (feel-good Thompson).

    The posterior is `p(theta) exp(-sum_s [eta (f(x_s, a_s) - r_s)^2 - lambda min(b, max_a f(x_s, a))])`: the
    likelihood of Thompson sampling and the paper's feel-good term, with `eta = 1 / (2 v^2)`, lambda = `optimism` and
    `b = most`. Without the term it is `N(theta_k, v^2 A_k^-1)` for disjoint ridge arms, as in `thompson`; of `draws`
    from that, one is drawn by weights `exp` of its term, which is exact as `draws` grows (sampling importance
    resampling, Rubin 1988). The sum over rounds is taken over the last `memory` of them, in proportion.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        v: posterior scale, > 0.
        optimism: weight of the feel-good term, >= 0; 0 is `thompson`.
        most: reward beyond which a world feels no better.
        ridge: prior precision of every weight, > 0.
        prior: reward that every arm is believed to give before its first call.
        draws: samples that one is drawn from, >= 1.
        memory: rounds that the term is summed over, >= 1.
    """
    require.above("feelgood", 0, v=v, ridge=ridge)
    require.at_least("feelgood", 0, optimism=optimism)
    require.finite("feelgood", most=most, prior=prior)
    require.whole("feelgood", 1, draws=draws, memory=memory)

    def init(key: jax.Array) -> Cheered:
        del key
        none = jnp.zeros((memory, dim), jnp.float32)
        begun = fresh(n_arms, dim, ridge, prior=prior)
        return Cheered(begun, none, jnp.float32(0.0), jnp.linalg.cholesky(begun.inverse))

    def index(key: jax.Array | None, state: Cheered, observation: Observation) -> jax.Array:
        if key is None:
            return estimate(state.ridge, observation.context).mean
        drawn, picked = jax.random.split(key)
        normal = jax.random.normal(drawn, (draws, n_arms, dim))
        theta = state.ridge.weight + v * jnp.einsum("kde,mke->mkd", state.root, normal)
        best = jnp.einsum("mkd,sd->msk", theta, state.past).max(axis=-1)
        filled = jnp.minimum(state.rounds, memory)
        there = jnp.arange(memory) < filled
        felt = (jnp.where(there, jnp.minimum(best, most), 0.0)).sum(axis=1)
        share = state.rounds / jnp.maximum(filled, 1.0)
        chosen = theta[jax.random.categorical(picked, optimism * share * felt)]
        return chosen @ observation.context

    def update(
        key: jax.Array, state: Cheered, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Cheered:
        del key
        place = jnp.mod(state.rounds, memory).astype(jnp.int32)
        learned = learn(state.ridge, observation.context, arm, feedback.reward)
        return Cheered(
            learned,
            state.past.at[place].set(observation.context),
            state.rounds + 1.0,
            state.root.at[arm].set(jnp.linalg.cholesky(learned.inverse[arm])),
        )

    form = Cheering(v=v, ridge=ridge, optimism=optimism, most=most, draws=draws, memory=memory)
    return formed(ranked(init, index, update), form)

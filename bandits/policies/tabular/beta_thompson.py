"""Beta-Bernoulli Thompson sampling in a range: Agrawal and Goyal 2012, arXiv 1111.1797, Algorithm 2."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.tabular import BetaCounts
from bandits.late import jax, jnp
from bandits.policies.tabular.counts import HIGH, LOW, require_range, unit


class Beta(NamedTuple):
    """Attributes: `success` and `failure`, `(K,)` float32, the two parameters of each arm's posterior."""

    success: jax.Array
    failure: jax.Array


def beta_thompson(
    n_arms: int, dim: int, *, prior: float = 1.0, low: float = LOW, high: float = HIGH
) -> Policy:
    """Call the arm whose draw from its Beta posterior is highest, whatever the query (Beta Thompson).

    Agrawal and Goyal 2012 (arXiv 1111.1797, Algorithm 2): a reward of `r` in [0, 1] counts as a success with
    probability `r`.

    Args:
        n_arms: `K`.
        dim: not used.
        prior: > 0, both parameters of the Beta prior; 1 is uniform.
        low, high: range that rewards are clipped to, `low < high`.
    """
    del dim
    require.above("beta_thompson", 0, prior=prior)
    require_range("beta_thompson", low, high)

    def init(key: jax.Array) -> Beta:
        del key
        return Beta(jnp.full(n_arms, prior, jnp.float32), jnp.full(n_arms, prior, jnp.float32))

    def index(key: jax.Array | None, state: Beta, observation: Observation) -> jax.Array:
        del observation
        mean = state.success / (state.success + state.failure)
        drawn = mean if key is None else jax.random.beta(key, state.success, state.failure)
        return low + (high - low) * drawn

    def update(
        key: jax.Array, state: Beta, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Beta:
        del observation
        success = jax.random.bernoulli(key, unit(feedback.reward, low, high)).astype(jnp.float32)
        return Beta(state.success.at[arm].add(success), state.failure.at[arm].add(1.0 - success))

    return formed(ranked(init, index, update), BetaCounts(low, high, prior))

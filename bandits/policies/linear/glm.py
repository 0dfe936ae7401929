"""Logistic UCB for utilities of 0 or 1: Filippi, Cappe, Garivier, Szepesvari 2010, with an online Laplace posterior."""

from __future__ import annotations

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.linear import Logistic
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, estimate, fresh
from bandits.rewards import Outcome, Reward, linear


def glm(n_arms: int, dim: int, *, alpha: float = 0.2, ridge: float = 1.0, reward: Reward = linear) -> Policy:
    """Call by an upper bound on a logistic model of the utility, cost learned apart (GLM-UCB with Laplace updates).

    Utility is modelled as `mu(x' theta_k)` with the logistic `mu`. The posterior is Gaussian with precision
    `A_k = ridge I + sum mu'(m) x x'`, updated by one Newton step an observation (the Laplace approximation of
    Chapelle and Li 2011, Algorithm 3, one point at a time); the index is Filippi et al. 2010, equation 7:
    `mu(x' theta) + alpha sqrt(x' A^-1 x)`, at most 1, put into the reward with the estimated cost.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
        reward: `(outcome, preference) -> reward`, elementwise; the run's own.
    """
    require.at_least("glm", 0, alpha=alpha)
    require.above("glm", 0, ridge=ridge)

    def init(key: jax.Array) -> Ridge:
        del key
        return fresh(n_arms, dim, ridge, targets=(2,))

    def index(key: jax.Array | None, state: Ridge, observation: Observation) -> jax.Array:
        del key
        now = estimate(state, observation.context)
        utility = jnp.minimum(jax.nn.sigmoid(now.mean[:, 0]) + alpha * now.width, 1.0)
        unknown = jnp.full(n_arms, jnp.nan)
        expected = Outcome(
            utility, now.mean[:, 1] * observation.cost_scale, unknown, unknown, observation.cost_scale
        )
        worth: jax.Array = reward(expected, observation.preference)
        return worth

    def update(
        key: jax.Array, state: Ridge, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge:
        del key
        x = observation.context
        logit, cost = state.weight[arm] @ x
        probability = jax.nn.sigmoid(logit)
        curvature = probability * (1.0 - probability)
        direction = state.inverse[arm] @ x
        after = direction / (1.0 + curvature * (x @ direction))  # A_new^-1 x
        # The Newton step on the utility; weighted least squares, with the same weights, on the cost.
        error = jnp.stack(
            [feedback.utility - probability, curvature * (feedback.cost / observation.cost_scale - cost)]
        )
        return Ridge(
            state.inverse.at[arm].add(-curvature * jnp.outer(after, direction)),
            state.weight.at[arm].add(error[:, None] * after),
            state.pulls.at[arm].add(1),
        )

    return formed(ranked(init, index, update), Logistic(alpha, ridge), whole=reward is linear)

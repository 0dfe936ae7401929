"""One run for every trade-off: utility and cost learned apart, combined by this round's preference."""

from __future__ import annotations

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.exploring import Bonus
from bandits.late import jax, jnp
from bandits.policies.linear.affine import Form, affine, prime
from bandits.policies.linear.ridge import Ridge, estimate, fresh, learn
from bandits.rewards import Outcome, Reward, linear


def preference(
    n_arms: int,
    dim: int,
    *,
    alpha: float = 1.0,
    ridge: float = 1.0,
    prior: float = 0.0,
    reward: Reward = linear,
) -> Policy:
    """Learn utility and cost apart and call by the reward of both at this round's preference (preference-conditioned).

    Two targets on one shared ridge (Li et al. 2010, Algorithm 1, for each). The index is the reward function at the
    two estimates and the preference shown, plus alpha times the width: at a fixed preference and the linear reward
    it is LinUCB's, since ridge estimates are linear in their targets; when the preference changes from round to
    round, what was learned under one serves every other.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        alpha: width of the confidence bound, in units of reward, >= 0.
        ridge: prior precision of every weight, > 0.
        prior: utility that every arm is believed to have before its first call; 1 tries them all.
        reward: `(outcome, preference) -> reward`, elementwise; the run's own.
    """
    require.at_least("preference", 0, alpha=alpha)
    require.above("preference", 0, ridge=ridge)
    require.finite("preference", prior=prior)

    if reward is linear:
        # Then the index is affine in the two estimates.
        return affine(n_arms, dim, Form(Bonus(alpha), ridge, prior, both, targets=(2,)))
    return _any_reward(n_arms, dim, alpha, ridge, prior, reward)


def both(observation: Observation, feedback: Feedback) -> jax.Array:
    """Return `(2,)`: utility, and cost in units of the scale."""
    return jnp.stack([feedback.utility, feedback.cost / observation.cost_scale])


def _any_reward(n_arms: int, dim: int, alpha: float, ridge: float, prior: float, reward: Reward) -> Policy:
    """Return the policy for a reward that need not be affine in utility and cost."""

    def init(key: jax.Array) -> Ridge:
        del key
        return fresh(n_arms, dim, ridge, targets=(2,), prior=prior)

    def index(key: jax.Array | None, state: Ridge, observation: Observation) -> jax.Array:
        del key
        now = estimate(state, observation.context)
        unknown = jnp.full(n_arms, jnp.nan)
        expected = Outcome(
            now.mean[:, 0], now.mean[:, 1] * observation.cost_scale, unknown, unknown, observation.cost_scale
        )
        worth: jax.Array = reward(expected, observation.preference)
        return worth + alpha * now.width

    def update(
        key: jax.Array, state: Ridge, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge:
        del key
        return learn(state, observation.context, arm, both(observation, feedback))

    form = Form(Bonus(alpha), ridge, prior, both, targets=(2,), rewarded=True)
    return formed(ranked(init, index, update)._replace(prime=prime(form)), form)

"""Online bagging: Eckles and Kaptein 2014, arXiv 1410.4009; Oza and Russell 2001 for the Poisson weights."""

from __future__ import annotations

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.linear import Bagged
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, fresh, learn


def bootstrap(n_arms: int, dim: int, *, heads: int = 8, ridge: float = 1.0) -> Policy:
    """Call the best arm of one of several bootstrapped ridge models, drawn anew each round (online bagging).

    Every head hears each observation with a Poisson(1) weight (Oza and Russell's online bootstrap), so the spread
    of the heads stands in for a posterior: choosing by a random head is bootstrap Thompson sampling (Eckles and
    Kaptein, Algorithm 2).

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        heads: models kept, >= 1.
        ridge: prior precision of every weight, > 0.
    """
    require.whole("bootstrap", 1, heads=heads)
    require.above("bootstrap", 0, ridge=ridge)

    def init(key: jax.Array) -> Ridge:
        one = fresh(n_arms, dim, ridge)
        # The prior is sampled too: equal heads would agree on every arm that has not been called yet.
        start = jax.random.normal(key, (heads, n_arms, dim)) / jnp.sqrt(ridge)
        return Ridge(*(jnp.broadcast_to(a, (heads, *a.shape)) for a in one))._replace(weight=start)

    def index(key: jax.Array | None, state: Ridge, observation: Observation) -> jax.Array:
        if key is None:
            return state.weight.mean(axis=0) @ observation.context
        head = jax.random.randint(key, (), 0, heads)
        return state.weight[head] @ observation.context

    def update(
        key: jax.Array, state: Ridge, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge:
        importance = jax.random.poisson(key, 1.0, (heads,)).astype(jnp.float32)
        each = jax.vmap(learn, in_axes=(0, None, None, None, 0))
        return each(state, observation.context, arm, feedback.reward, importance)

    return formed(ranked(init, index, update), Bagged(heads, ridge))

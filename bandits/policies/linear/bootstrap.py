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
        return state.weight[head_of(key, heads)] @ observation.context

    def update(
        key: jax.Array, state: Ridge, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge:
        importance = hearings(key, heads)
        each = jax.vmap(learn, in_axes=(0, None, None, None, 0))
        return each(state, observation.context, arm, feedback.reward, importance)

    return formed(ranked(init, index, update), Bagged(heads, ridge))


def head_of(key: jax.Array, heads: int) -> jax.Array:
    """Return which of so many heads decides, `()` int32."""
    return jax.random.randint(key, (), 0, heads)


def hearings(key: jax.Array, heads: int) -> jax.Array:
    """Return `(heads,)` float32 Poisson(1) numbers: how often each head hears a call.

    As `jax.random.poisson(key, 1.0, (heads,))` has them, by Knuth's products of uniform numbers, without the draws for
    large rates that it makes beside these and drops.
    """

    def drawn(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        number, log_product, key = carry
        key, now = jax.random.split(key)
        number = jnp.where(log_product > -1.0, number + 1.0, number)
        return number, log_product + jnp.log(jax.random.uniform(now, (heads,))), key

    none = jnp.zeros(heads, jnp.float32)
    number: jax.Array = jax.lax.while_loop(lambda carry: (carry[1] > -1.0).any(), drawn, (none, none, key))[0]
    return number - 1.0

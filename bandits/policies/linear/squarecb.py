"""Regression oracles turned into exploration: SquareCB and RegCB."""

from __future__ import annotations

from bandits import require
from bandits.base import Observation, Policy, choose, even
from bandits.forms.exploring import Gaps, VersionSpace
from bandits.late import jax, jnp
from bandits.policies.linear.affine import Form, affine
from bandits.policies.linear.ridge import Ridge, estimate


def squarecb(
    n_arms: int, dim: int, *, gamma: float = 20.0, exponent: float = 0.5, ridge: float = 1.0
) -> Policy:
    """Draw an arm with probability inverse to its estimated gap to the best (SquareCB, arXiv 2002.04926, Algorithm 1).

    The learning rate at round `t` is `gamma t^exponent`; the theory's `sqrt(K T / Reg(T))` grows like that.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        gamma: scale of the learning rate, > 0; larger explores less.
        exponent: its growth, in [0, 1].
        ridge: prior precision of every weight, > 0.
    """
    require.above("squarecb", 0, gamma=gamma, ridge=ridge)
    require.within("squarecb", 0, 1, exponent=exponent)

    # What is drawn by is a logarithm of a probability, not in units of reward: nothing that pacing could weigh.
    return affine(n_arms, dim, Form(Gaps(gamma, exponent), ridge))._replace(index=None)


def regcb(n_arms: int, dim: int, *, mode: str = "optimistic", c: float = 0.1, ridge: float = 1.0) -> Policy:
    """Call within the version space of ridge regressors that fit nearly as well as the best (RegCB, arXiv 1803.01088).

    All regressors whose squared loss is within `c log(1 + t)` of the least one predict, at a context, within
    `sqrt(c log(1 + t)) width` of the ridge estimate (the set is an ellipsoid), so both of the paper's procedures
    are closed forms: `optimistic` (Algorithm 1) calls the arm of the highest upper value, `elimination`
    (Algorithm 2) draws uniformly among the arms whose upper value reaches the highest lower value.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        mode: `optimistic` or `elimination`.
        c: radius of the version space, in squared reward, >= 0.
        ridge: prior precision of every weight, > 0.
    """
    require.one_of("regcb", ("optimistic", "elimination"), mode=mode)
    require.at_least("regcb", 0, c=c)
    require.above("regcb", 0, ridge=ridge)

    optimistic = affine(n_arms, dim, Form(VersionSpace(c), ridge))
    if mode == "optimistic":
        return optimistic

    def alive(state: Ridge, observation: Observation) -> jax.Array:
        now = estimate(state, observation.context)
        spread = jnp.sqrt(c * jnp.log1p(now.round)) * now.width
        lower = jnp.where(observation.available, now.mean - spread, -jnp.inf).max()
        return observation.available & (now.mean + spread >= lower)

    def act(key: jax.Array, state: Ridge, observation: Observation) -> jax.Array:
        return choose(jax.random.uniform(key, (n_arms,)), alive(state, observation))

    def chances(key: jax.Array, state: Ridge, observation: Observation) -> jax.Array:
        del key
        return even(alive(state, observation))

    return Policy(optimistic.init, act, optimistic.update, chances=chances, prime=optimistic.prime)

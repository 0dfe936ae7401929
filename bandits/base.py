"""The whole contract between the loop and whoever decides: Policy, Observation, Feedback, and `check`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

State = Any  # any pytree of arrays; its structure, shapes and dtypes never change
RESOURCES = ("cost", "latency", "tokens")  # what a budget can be put on: `R` of them, in this order


class Observation(NamedTuple):
    """All that a policy sees before it chooses. Nothing here is an outcome of the coming call.

    Attributes:
        context: `(d,)` float32 features of the query; the last one is the constant 1 (the stream adds it).
        available: `(K,)` bool, which models can be called.
        price: `(K,)` posted cost of a call, in cost units; NaN where none is posted.
        preference: `()` the weight on cost that this query's user holds.
        cost_scale: `()` the unit in which rewards count cost: mean cost of the stream's dearest model.
        budget: `(R,)` what is left of each of `RESOURCES`; inf where there is no limit.
        rounds_left: `()` float32, rounds to come including this one.
    """

    context: jax.Array
    available: jax.Array
    price: jax.Array
    preference: jax.Array
    cost_scale: jax.Array
    budget: jax.Array
    rounds_left: jax.Array


class Feedback(NamedTuple):
    """All that a policy hears after it chose: the chosen model's outcome and nobody else's, each `()` float32.

    `latency` and `tokens` are NaN where the table does not record them.
    """

    utility: jax.Array
    cost: jax.Array
    reward: jax.Array
    latency: jax.Array
    tokens: jax.Array


class Policy(NamedTuple):
    """Three pure functions of one query; seeds, rounds and batching are the loop's business.

    Attributes:
        init: `(key) -> state`.
        act: `(key, state, observation) -> arm`, an int32 scalar among the available ones.
        update: `(key, state, observation, arm, feedback) -> state`, the same tree, shapes and dtypes.
    """

    init: Callable[[jax.Array], State]
    act: Callable[[jax.Array, State, Observation], jax.Array]
    update: Callable[[jax.Array, State, Observation, jax.Array, Feedback], State]


def choose(index: jax.Array, available: jax.Array) -> jax.Array:
    """Return the available arm of the highest index, as int32; one tie rule for every policy and backend.

    The lowest arm within a relative 1e-5 of the best wins: two decimal digits above the rounding of a
    float32 dot product of 64 terms, so that the order of a summation never decides.

    Args:
        index: `(K,)` score of each arm.
        available: `(K,)` bool.
    """
    masked = jnp.where(available, index, -jnp.inf)
    best = masked.max()
    slack = jnp.where(jnp.isfinite(best), 1e-5 * jnp.abs(best), 0.0)
    return jnp.argmax(available & (masked >= best - slack)).astype(jnp.int32)


def example(n_arms: int, dim: int) -> tuple[Observation, Feedback]:
    """Return an observation and a feedback of the right shapes and dtypes, for checks and shape inference."""
    one = jnp.float32(1.0)
    context = jnp.full(dim, 0.5, jnp.float32).at[-1].set(1.0)
    open_budget = jnp.full(len(RESOURCES), jnp.inf, jnp.float32)
    available = jnp.ones(n_arms, bool)
    posted = jnp.ones(n_arms, jnp.float32)
    return (
        Observation(context, available, posted, 0.2 * one, one, open_budget, 10 * one),
        Feedback(0.5 * one, one, 0.3 * one, one, one),
    )


def check(policy: Policy, n_arms: int, dim: int, name: str = "policy") -> Policy:
    """Return `policy` if it keeps the contract on example inputs.

    Raises:
        ValueError: one line naming the function of the policy, what it needs and what it returned.
    """
    if not isinstance(policy, Policy):
        raise ValueError(
            f"{name} needs to return a bandits.Policy(init, act, update), got {type(policy).__name__}"
        )
    key = jax.random.key(0)
    observation, feedback = example(n_arms, dim)
    # Shapes are found by tracing alone, and choices by one program for all arms: a check costs no eager dispatch.
    state = jax.eval_shape(policy.init, key)
    arm = jax.eval_shape(policy.act, key, state, observation)
    found = (getattr(arm, "shape", None), str(getattr(arm, "dtype", type(arm).__name__)))
    if found != ((), "int32"):
        raise ValueError(f"{name}: act needs to return an int32 scalar, got shape {found[0]} of {found[1]}")
    after = jax.eval_shape(policy.update, key, state, observation, jnp.int32(0), feedback)
    before_tree, after_tree = str(jax.tree.structure(state)), str(jax.tree.structure(after))
    if before_tree != after_tree:
        raise ValueError(
            f"{name}: update needs to return a state like init's, {before_tree}, got {after_tree}"
        )
    for was, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        if (was.shape, was.dtype) != (now.shape, now.dtype):
            raise ValueError(
                f"{name}: update changed a state array from {was.shape} {was.dtype} to {now.shape} {now.dtype}"
            )

    def choices(key: jax.Array) -> jax.Array:
        begun = policy.init(key)
        only = jnp.eye(n_arms, dtype=bool)
        return jax.vmap(lambda seen: policy.act(key, begun, observation._replace(available=seen)))(only)

    for only, chosen in enumerate(jax.jit(choices)(key).tolist()):
        if chosen != only:
            raise ValueError(f"{name}: act chose arm {chosen} when only arm {only} was available")
    return policy

"""Linear policies in one form: an index that is affine in what the ridge knows, by weights known before the round.

LinUCB, Thompson sampling, softmax, epsilon-greedy and the rest differ in how they weigh an arm's mean and width and in
what they add at random; none of that depends on what was learned. So the form is written once and read twice: here, a
round at a time, and by `bandits.loop.blocks`, which replays many rounds of it as matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bandits.base import Feedback, Observation, Policy, choose, ranked
from bandits.policies.linear.ridge import Estimate, Ridge, estimate, fresh, learn


class Weights(NamedTuple):
    """How this round's index is made: `sum over targets of mean_k * mean + width_k * width + plus`.

    Attributes:
        mean: factor of the estimates, which broadcasts to `(K,)`, or to `(K, m)` where there are `m` targets.
        width: factor of sqrt(x' A_k^-1 x), which broadcasts to `(K,)`.
        plus: added, which broadcasts to `(K,)`.
        rate: `()`; above 0 the arm is drawn by inverse-gap weights of the index at this rate, `plus` being Gumbel
            noise; at 0 the highest index is called.
    """

    mean: Any = 1.0
    width: Any = 0.0
    plus: Any = 0.0
    rate: Any = 0.0


class Fading(NamedTuple):
    """How evidence fades: by `gamma` a round, an idle arm's precision to `floor` of itself at the least."""

    gamma: float = 1.0
    floor: float = 1.0


class Faded(NamedTuple):
    """`arms` as each arm last left them; `last` `(K,)` the round of that; `round` `()`; all fading is lazy."""

    arms: Ridge
    last: jax.Array
    round: jax.Array


def heard_reward(observation: Observation, feedback: Feedback) -> jax.Array:
    """Return the reward: what most ridges learn."""
    del observation
    return feedback.reward


class Form(NamedTuple):
    """All in which one linear policy differs from another.

    Attributes:
        weights: `(key, round, observation) -> Weights`; `round` is `()` float32, 1 at the first heard round; with the
            key None, those without what is drawn.
        ridge: prior precision of every weight.
        prior: what every arm's first target is believed to be before its first call.
        target: `(observation, feedback) -> ()`, or `(m,)` with `targets = (m,)`: what is learned.
        targets: shape of the target.
        fading: how evidence fades; None: never.
        chances: `(estimate, observation) -> (K,)` probabilities, where a draw is part of it and they are known.
        speaks_for: `act` and `update` of the policy that was built from it; with others it says nothing.
    """

    weights: Callable[[jax.Array | None, jax.Array, Observation], Weights]
    ridge: float
    prior: float = 0.0
    target: Callable[[Observation, Feedback], jax.Array] = heard_reward
    targets: tuple[int, ...] = ()
    fading: Fading | None = None
    chances: Callable[[Estimate, Observation], jax.Array] | None = None
    speaks_for: Any = None

    def arms(self, state: Any) -> Ridge:
        """Return the arms in a state of the policy, `Ridge` or where evidence fades `Faded`."""
        known: Ridge = state if self.fading is None else state.arms
        return known


def form_of(policy: Policy) -> Form | None:
    """Return the form that a policy was built from, or None where it was not, or learns in another way since."""
    form: Form | None = policy.form
    return form if form is not None and form.speaks_for == (policy.act, policy.update) else None


def gap_weights(mean: jax.Array, available: jax.Array, gamma: jax.Array) -> jax.Array:
    """Return the `(K,)` inverse-gap-weighting probabilities (Foster and Rakhlin 2020, Algorithm 1, lines 5 and 6).

    `p_a = 1 / (n + gamma (best - mean_a))` for every available arm but the best, which gets the rest; `n` is the
    number of available arms.
    """
    best = choose(mean, available)
    n_available = available.sum()
    weight = 1.0 / (n_available + gamma * jnp.maximum(mean[best] - mean, 0.0))
    others = jnp.where(available, weight, 0.0).at[best].set(0.0)
    return others.at[best].set(1.0 - others.sum())


def affine(n_arms: int, dim: int, form: Form) -> Policy:
    """Return the policy of this form, a round at a time.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        form: what sets it apart.
    """

    def init(key: jax.Array) -> Ridge | Faded:
        del key
        arms = fresh(n_arms, dim, form.ridge, form.targets, prior=form.prior)
        none = jnp.zeros((), jnp.int32)
        return arms if form.fading is None else Faded(arms, jnp.zeros(n_arms, jnp.int32), none)

    def index(key: jax.Array | None, state: Ridge | Faded, observation: Observation) -> jax.Array:
        arms = form.arms(state)
        now = estimate(arms, observation.context)
        weights = form.weights(key, now.round, observation)
        mean = now.mean * weights.mean
        width = now.width if form.fading is None else now.width / jnp.sqrt(kept(state, form.fading))
        value = (mean.sum(axis=-1) if form.targets else mean) + weights.width * width
        drawn = not isinstance(weights.rate, (int, float))  # else it is the 0 that stands in Weights
        called = jnp.log(gap_weights(value, observation.available, weights.rate)) if drawn else value
        return jnp.asarray(called + weights.plus)

    def update(
        key: jax.Array, state: Ridge | Faded, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge | Faded:
        del key
        target = form.target(observation, feedback)
        step: Callable[..., Any] = learn if form.fading is None else partial(_faded, form)
        after: Ridge | Faded = step(state, observation.context, arm, target)
        return after

    def chances(key: jax.Array, state: Ridge | Faded, observation: Observation) -> jax.Array:
        del key
        assert form.chances is not None
        return form.chances(estimate(form.arms(state), observation.context), observation)

    policy = ranked(init, index, update, chances=None if form.chances is None else chances)
    return policy._replace(form=form._replace(speaks_for=(policy.act, update)))


def kept(state: Any, fading: Fading) -> jax.Array:
    """Return the `(K,)` shares of their evidence that the arms of a `Faded` state still have this round."""
    waited = (state.round - state.last).astype(jnp.float32)
    return jnp.maximum(jnp.float32(fading.gamma) ** waited, fading.floor)


def most_trace(form: Form, dim: int) -> float:
    """Return what the trace of a fading arm's inverse is held to: without the ridge re-added, the precision of
    directions that no query shows would fade for ever; it stays at `floor` times the prior's."""
    return float("inf") if form.fading is None else dim / (form.ridge * form.fading.floor)


def _faded(form: Form, state: Faded, context: jax.Array, arm: jax.Array, target: jax.Array) -> Faded:
    # Scaling A by f and adding x x' is adding x x' / f and then scaling: one rank-one step, then one factor.
    assert form.fading is not None
    factor = kept(state, form.fading)[arm]
    arms = learn(state.arms, context, arm, target, importance=1.0 / factor)
    scaled = arms.inverse[arm] / factor
    cap = jnp.minimum(1.0, most_trace(form, len(context)) / jnp.trace(scaled))
    arms = arms._replace(inverse=arms.inverse.at[arm].set(scaled * cap))
    return Faded(arms, state.last.at[arm].set(state.round), state.round + 1)

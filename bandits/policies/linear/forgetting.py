"""LinUCB that forgets, for worlds that change: discounted and sliding-window forms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy, Prior, formed, ranked
from bandits.forms.forgetting import Fading, Windowed
from bandits.late import begun, jax, jnp
from bandits.policies.linear.ridge import Ridge, estimate, fresh, learn


class Discounted(NamedTuple):
    """What D-LinUCB's arms know, without the ridge; arm `k`'s sums stand at the end of round `since[k]`.

    Attributes:
        evidence: `(K, d, d)` float32, `sum gamma^(since - s) x x'` over the arm's rounds `s`.
        squared: `(K, d, d)`, `sum gamma^(2 (since - s)) x x'`.
        moment: `(K, d)`, `sum gamma^(since - s) r x`.
        since: `(K,)` int32.
        round: `()` int32, rounds heard.
    """

    evidence: jax.Array
    squared: jax.Array
    moment: jax.Array
    since: jax.Array
    round: jax.Array


def dlinucb(n_arms: int, dim: int, *, gamma: float = 0.997, alpha: float = 1.0, ridge: float = 1.0) -> Policy:
    """Call by LinUCB with evidence that fades by gamma a round (D-LinUCB, Russac, Vernade, Cappe 2019, Algorithm 1).

    arXiv 1909.09146, for each arm: `V = sum gamma^(t-s) x x' + ridge I`, `V~ = sum gamma^(2(t-s)) x x' + ridge I`, and
    the index is `x' V^-1 b + alpha sqrt(x' V^-1 V~ V^-1 x)`. Time is that of the stream: every arm fades in every
    round that is heard, called or not; the ridge never does, so an arm that waits goes back to the prior. The paper's
    `beta_t`, which needs bounds that are not known, is the constant `alpha`.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        gamma: share of the evidence kept each round, in (0, 1]; 1 is plain LinUCB.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
    """
    require.within("dlinucb", 1e-6, 1, gamma=gamma)
    require.at_least("dlinucb", 0, alpha=alpha)
    require.above("dlinucb", 0, ridge=ridge)

    def init(key: jax.Array) -> Discounted:
        del key
        none, moment = np.zeros((n_arms, dim, dim), np.float32), np.zeros((n_arms, dim), np.float32)
        whole: Any = none, none, moment, np.zeros(n_arms, np.int32), np.zeros((), np.int32)
        return begun(Discounted(*whole))  # type: ignore[no-any-return]

    def index(key: jax.Array | None, state: Discounted, observation: Observation) -> jax.Array:
        del key
        x, kept = observation.context, _kept(state, gamma)
        precision = kept[:, None, None] * state.evidence + ridge * jnp.eye(dim)
        each = jnp.broadcast_to(x, (n_arms, dim))[..., None]
        solved = jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(precision), True), each)[..., 0]
        mean = kept * jnp.sum(state.moment * solved, axis=-1)
        within = kept**2 * jnp.einsum("ki,kij,kj->k", solved, state.squared, solved)
        return jnp.asarray(mean + alpha * jnp.sqrt(within + ridge * jnp.sum(solved**2, axis=-1)))

    def update(
        key: jax.Array, state: Discounted, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Discounted:
        del key
        x, now = observation.context, state.round + 1
        kept = gamma * _kept(state, gamma)[arm]
        return Discounted(
            state.evidence.at[arm].set(kept * state.evidence[arm] + jnp.outer(x, x)),
            state.squared.at[arm].set(kept**2 * state.squared[arm] + jnp.outer(x, x)),
            state.moment.at[arm].set(kept * state.moment[arm] + feedback.reward * x),
            state.since.at[arm].set(now),
            now,
        )

    return formed(ranked(init, index, update)._replace(prime=_primed), Fading(gamma, alpha, ridge))


def _primed(state: Discounted, prior: Prior) -> Discounted:
    """Return what `dlinucb` begins with: the log as evidence of one moment, which fades from then on.

    `V = A`, so that the sums are `A - ridge I`, and `b = A theta`.
    """
    precision = np.linalg.inv(prior.inverse)
    evidence = jnp.asarray(precision - prior.ridge * np.eye(precision.shape[1]), jnp.float32)
    moment = jnp.asarray(np.einsum("kij,kj->ki", precision, prior.weight["reward"]), jnp.float32)
    return state._replace(evidence=evidence, squared=evidence, moment=moment)


def _kept(state: Discounted, gamma: float) -> jax.Array:
    """Return the `(K,)` shares of their evidence that the arms still have."""
    return jnp.asarray(jnp.float32(gamma) ** (state.round - state.since).astype(jnp.float32))


class Window(NamedTuple):
    """`arms` with what the window holds; `context` `(W, d)`, `arm` `(W,)` (-1 before it is full), `reward` `(W,)`."""

    arms: Ridge
    context: jax.Array
    arm: jax.Array
    reward: jax.Array
    at: jax.Array


def swlinucb(n_arms: int, dim: int, *, window: int = 1000, alpha: float = 1.0, ridge: float = 1.0) -> Policy:
    """Call by LinUCB on the last `window` rounds only (SW-LinUCB, Cheung, Simchi-Levi, Zhu 2019, arXiv 1810.03024).

    Each round adds its own observation by rank one and takes the one that leaves the window out by another
    (Sherman-Morrison with weight -1), so `A_k = ridge I + sum over the window of x x'` exactly.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        window: rounds remembered, >= 1.
        alpha: width of the confidence bound, >= 0.
        ridge: prior precision of every weight, > 0.
    """
    require.whole("swlinucb", 1, window=window)
    require.at_least("swlinucb", 0, alpha=alpha)
    require.above("swlinucb", 0, ridge=ridge)

    def init(key: jax.Array) -> Window:
        del key
        past: Any = (
            np.zeros((window, dim), np.float32),
            np.full(window, -1, np.int32),
            np.zeros(window, np.float32),
            np.zeros((), np.int32),
        )
        return Window(fresh(n_arms, dim, ridge), *begun(past))

    def index(key: jax.Array | None, state: Window, observation: Observation) -> jax.Array:
        del key
        now = estimate(state.arms, observation.context)
        return now.mean + alpha * now.width

    def update(
        key: jax.Array, state: Window, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Window:
        del key
        old_arm, old_context = state.arm[state.at], state.context[state.at]
        leaves = jnp.where(old_arm >= 0, -1.0, 0.0)
        # First in, then out: the precision never falls below the ridge in between.
        arms = learn(state.arms, observation.context, arm, feedback.reward)
        arms = learn(arms, old_context, jnp.maximum(old_arm, 0), state.reward[state.at], importance=leaves)
        arms = arms._replace(pulls=state.arms.pulls.at[arm].add(1))
        return Window(
            arms,
            state.context.at[state.at].set(observation.context),
            state.arm.at[state.at].set(arm),
            state.reward.at[state.at].set(feedback.reward),
            (state.at + 1) % window,
        )

    return formed(ranked(init, index, update), Windowed(window, alpha, ridge))

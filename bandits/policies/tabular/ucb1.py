"""UCB1: the arm of the highest mean plus confidence width (Auer, Cesa-Bianchi, Fischer 2002, Figure 1)."""

from __future__ import annotations

from bandits import require
from bandits.base import Feedback, Observation, Policy, formed, ranked
from bandits.forms.tabular import Bounds
from bandits.late import jax, jnp
from bandits.policies.tabular.counts import HIGH, LOW, Counts, count, nothing, require_range, unit

UNTRIED = 1e6  # above every index, and finite: with inf the tie rule of `choose` would compare NaN


def ucb1(n_arms: int, dim: int, *, alpha: float = 1.0, low: float = LOW, high: float = HIGH) -> Policy:
    """Call the arm of the highest mean reward plus confidence width, whatever the query (UCB1).

    Auer, Cesa-Bianchi and Fischer 2002 (Machine Learning 47, Figure 1).

    Args:
        n_arms: `K`.
        dim: not used.
        alpha: >= 0, multiplies the width; 1 is the paper.
        low, high: range that rewards are clipped to, `low < high`.
    """
    del dim
    require.at_least("ucb1", 0, alpha=alpha)
    require_range("ucb1", low, high)

    def init(key: jax.Array) -> Counts:
        del key
        return nothing(n_arms)

    def index(key: jax.Array | None, state: Counts, observation: Observation) -> jax.Array:
        del key, observation
        return low + (high - low) * upper_bound(state, alpha)

    def update(
        key: jax.Array, state: Counts, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Counts:
        del key, observation
        return count(state, arm, unit(feedback.reward, low, high))

    return formed(ranked(init, index, update), Bounds(low, high, "hoeffding", alpha))


def upper_bound(counts: Counts, alpha: float) -> jax.Array:
    """Return the `(K,)` index `mean + alpha sqrt(2 ln t / pulls)`, `t` all pulls so far; untried first."""
    played = jnp.maximum(counts.pulls.sum(), 1.0)
    width = jnp.sqrt(2.0 * jnp.log(played) / jnp.maximum(counts.pulls, 1.0))
    return jnp.where(counts.pulls > 0, counts.mean + alpha * width, UNTRIED)

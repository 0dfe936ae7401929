"""KL-UCB, upper bounds in Bernoulli divergence: Garivier and Cappe 2011, arXiv 1102.2490, Algorithm 1."""

from __future__ import annotations

from bandits import require
from bandits.base import Feedback, Observation, Policy, choose, formed
from bandits.forms.tabular import Bounds
from bandits.late import jax, jnp
from bandits.policies.tabular.counts import HIGH, LOW, Counts, count, nothing, require_range, unit

HALVINGS = 22  # leaves 2^-22, the spacing of float32 numbers near 1
EDGE = 1e-7  # keeps the logarithms finite at means of 0 and 1


def klucb(n_arms: int, dim: int, *, c: float = 0.0, low: float = LOW, high: float = HIGH) -> Policy:
    """Call the arm of the highest upper bound in Bernoulli divergence, whatever the query (KL-UCB).

    Garivier and Cappe 2011 (arXiv 1102.2490, Algorithm 1).

    Args:
        n_arms: `K`.
        dim: not used.
        c: >= 0, weight of the ln ln t term; the proof takes 3, the paper recommends 0 in practice.
        low, high: range that rewards are clipped to, `low < high`.
    """
    del dim
    require.at_least("klucb", 0, c=c)
    require_range("klucb", low, high)

    def init(key: jax.Array) -> Counts:
        del key
        return nothing(n_arms)

    def act(key: jax.Array, state: Counts, observation: Observation) -> jax.Array:
        del key
        # In units of the range, where bounds that have met at 1 tie: brought to rewards they may round apart.
        return choose(upper_bound(state, c), observation.available)

    def index(key: jax.Array | None, state: Counts, observation: Observation) -> jax.Array:
        del key, observation
        return low + (high - low) * upper_bound(state, c)

    def update(
        key: jax.Array, state: Counts, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Counts:
        del key, observation
        return count(state, arm, unit(feedback.reward, low, high))

    return formed(Policy(init, act, update, index=index), Bounds(low, high, "bernoulli", c))


def upper_bound(counts: Counts, c: float) -> jax.Array:
    """Return the `(K,)` index: the largest `q` with `pulls d(mean, q) <= ln t + c ln ln t`; 2 untried."""
    log_played = jnp.log(jnp.maximum(counts.pulls.sum(), 1.0))
    allowed = (log_played + c * jnp.log(jnp.maximum(log_played, 1.0))) / jnp.maximum(counts.pulls, 1.0)

    def halve(_: int, bracket: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        inside, outside = bracket
        middle = 0.5 * (inside + outside)
        fits = divergence(counts.mean, middle) <= allowed
        return jnp.where(fits, middle, inside), jnp.where(fits, outside, middle)

    # The divergence grows with q above the mean, so the bracket always holds the root.
    inside, _ = jax.lax.fori_loop(0, HALVINGS, halve, (counts.mean, jnp.ones_like(counts.mean)))
    return jnp.where(counts.pulls > 0, inside, 2.0)


def divergence(p: jax.Array, q: jax.Array) -> jax.Array:
    """Return `d(p, q) = p ln(p/q) + (1-p) ln((1-p)/(1-q))`, elementwise, for `p`, `q` in [0, 1]."""
    p, q = jnp.clip(p, EDGE, 1.0 - EDGE), jnp.clip(q, EDGE, 1.0 - EDGE)
    return p * jnp.log(p / q) + (1.0 - p) * jnp.log((1.0 - p) / (1.0 - q))

"""Linear policies in one form: an index that is affine in what the ridge knows, by weights known before the round.

LinUCB, Thompson sampling, softmax, epsilon-greedy and the rest differ in how they weigh an arm's mean and width and in
what they add at random; none of that depends on what was learned. So the form is written once and read twice: here, a
round at a time, and by `bandits.loop.blocks`, which replays many rounds of it as matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bandits import base
from bandits.base import Feedback, Observation, Policy, Prior, choose, even, formed, ranked
from bandits.forms.exploring import Boltzmann, Coin, Explore, Gaps, Weights
from bandits.forms.linear import Ridges
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Estimate, Ridge, estimate, fresh, learn, primed


def heard_reward(observation: Observation, feedback: Feedback) -> jax.Array:
    """Return the reward: what most ridges learn."""
    del observation
    return feedback.reward


class Keyed(NamedTuple):
    """A round's randomness from a key: the `Draws` of a run."""

    key: Any
    n_arms: int

    @property
    def xp(self) -> Any:
        """The library of its arrays."""
        return jnp

    def normal(self) -> jax.Array:
        """Return `(K,)` standard normal numbers."""
        return jax.random.normal(self.key, (self.n_arms,))

    def gumbel(self) -> jax.Array:
        """Return `(K,)` standard Gumbel numbers."""
        return jax.random.gumbel(self.key, (self.n_arms,))

    def coin(self) -> tuple[jax.Array, jax.Array]:
        """Return a uniform number `()` and, independent of it, `(K,)` uniform ones."""
        coin, pick = jax.random.split(self.key)
        return jax.random.uniform(coin), jax.random.uniform(pick, (self.n_arms,))


class Form(NamedTuple):
    """All in which one linear policy differs from another.

    Attributes:
        explore: how it explores.
        ridge: prior precision of every weight.
        prior: what every arm's first target is believed to be before its first call.
        target: `(observation, feedback) -> ()`, or `(m,)` with `targets = (m,)`: what is learned.
        targets: shape of the target; two are utility and cost, weighed by the preference.
        rewarded: whether the two targets are joined by the run's reward function instead of by the linear one, so
            that the index is not affine in them.
    """

    explore: Explore
    ridge: float
    prior: float = 0.0
    target: Callable[[Observation, Feedback], jax.Array] = heard_reward
    targets: tuple[int, ...] = ()
    rewarded: bool = False

    @property
    def served(self) -> Ridges:
        """What a service keeps of it."""
        return Ridges(self.explore, self.ridge, 2 if self.targets else 1)

    def weights(self, key: jax.Array | None, round: jax.Array, observation: Observation) -> Weights:
        """Return a round's weights; `round` is `()` float32, 1 at the first heard round.

        With the key None, those of what a call may be worth, without what is drawn.
        """
        if key is None and self.explore.drawn:
            weights = Weights()
        else:
            weights = self.explore.weights(Keyed(key, observation.available.shape[0]), round)
        if not self.targets:
            return weights
        return weights._replace(mean=weights.mean * jnp.stack([jnp.float32(1.0), -observation.preference]))


def form_of(policy: Policy) -> Form | None:
    """Return the affine form that a policy was built from, or None where it was not, or learns in another way since."""
    form = any_form_of(policy)
    return None if form is None or form.rewarded else form


def any_form_of(policy: Policy) -> Form | None:
    """Return the form of a policy, affine or joined by a reward function; None as in `form_of`."""
    form = base.form_of(policy)
    return form if isinstance(form, Form) else None


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

    def init(key: jax.Array) -> Ridge:
        del key
        return fresh(n_arms, dim, form.ridge, form.targets, prior=form.prior)

    def index(key: jax.Array | None, state: Ridge, observation: Observation) -> jax.Array:
        now = estimate(state, observation.context)
        weights = form.weights(key, now.round, observation)
        mean = now.mean * weights.mean
        value = (mean.sum(axis=-1) if form.targets else mean) + weights.width * now.width
        drawn = not isinstance(weights.rate, (int, float))  # else it is the 0 that stands in Weights
        called = jnp.log(gap_weights(value, observation.available, weights.rate)) if drawn else value
        return jnp.asarray(called + weights.plus)

    def update(
        key: jax.Array, state: Ridge, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Ridge:
        del key
        return learn(state, observation.context, arm, form.target(observation, feedback))

    known = _CHANCES.get(type(form.explore))

    def chances(key: jax.Array, state: Ridge, observation: Observation) -> jax.Array:
        del key
        assert known is not None
        return known(form.explore, estimate(state, observation.context), observation.available)

    made = ranked(init, index, update, chances=chances if known is not None else None)
    return formed(made._replace(prime=prime(form)), form)


def prime(form: Form) -> Callable[[Ridge, Prior], Ridge]:
    """Return how a policy of this form begins where a log's prior ends."""
    targets = ("utility", "cost in scale") if form.targets else ("reward",)
    return lambda state, prior: primed(state, prior, targets)


def _softmax(explore: Any, now: Estimate, available: jax.Array) -> jax.Array:
    logit = now.mean * now.round**explore.decay / explore.temperature
    return jax.nn.softmax(jnp.where(available, logit, -jnp.inf))


def _coin(explore: Any, now: Estimate, available: jax.Array) -> jax.Array:
    best = jax.nn.one_hot(choose(now.mean, available), len(available))
    chance = jnp.minimum(explore.chance(now.round), 1.0)
    return (1.0 - chance) * best + chance * even(available)


def _gaps(explore: Any, now: Estimate, available: jax.Array) -> jax.Array:
    return gap_weights(now.mean, available, explore.rate(now.round))


# The probabilities of the ways to explore that draw and have them in closed form.
_CHANCES: dict[type, Callable[[Any, Estimate, jax.Array], jax.Array]] = {
    Boltzmann: _softmax,
    Coin: _coin,
    Gaps: _gaps,
}

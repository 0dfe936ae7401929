"""Pacing: what every way of spending a budget evenly has in common, as a wrapper from policy to policy.

A pacer charges each arm for what it is expected to use and may forbid some; the arm of the highest index less charge
is called (`Policy.index`). A policy without an index cannot be paced. Where nothing is left, the cheapest available
arm is called. What a pacer itself weighs is the index without what chance adds. A policy that may call again for a
query stops where no further call is worth its charge: its index is what a call is worth over stopping. Budgets are a
query's, so a pacer takes what all calls of a query use as spent in one round (`opens`).
What the budget is, a pacer sees in the observation: one wrapped policy serves every budget without compiling anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bandits.base import RESOURCES, Feedback, Observation, Policy, Prior, State, choose
from bandits.late import jax, jnp
from bandits.policies.linear.ridge import Ridge, fresh, learn, primed

R = len(RESOURCES)
Worth = Callable[["jax.Array"], "jax.Array"]  # context (d,) -> (K,), what the policy expects of a call


class Terms(NamedTuple):
    """What a pacer demands this round, each `(K,)`: `charge` in units of reward, `allowed`, and the expected `cost`."""

    charge: jax.Array
    allowed: jax.Array
    cost: jax.Array


class Pacer(NamedTuple):
    """How spending is paced; the state is any tree with a field `price (R,)`, the present dual price.

    Attributes:
        init: `() -> state`.
        terms: `(state, worth (K,), observation) -> Terms`.
        update: `(key, state, observation, arm, feedback, worth) -> state`; the last a `Worth`.
        prime: `(state, prior) -> state` that knows what a log says of the use of each arm.
    """

    init: Callable[[], Any]
    terms: Callable[[Any, jax.Array, Observation], Terms]
    update: Callable[[jax.Array, Any, Observation, jax.Array, Feedback, Worth], Any]
    prime: Callable[[Any, Prior], Any]


class Paced(NamedTuple):
    """The states of the wrapped policy and of its pacer."""

    policy: State
    pacer: Any


def paced(policy: Policy, pacer: Pacer, name: str) -> Policy:
    """Return `policy` with its spending paced.

    Raises:
        ValueError: the policy has no index; `name` is the pacing's, for the message.
    """
    index = policy.index
    if index is None:
        raise ValueError(
            f"pacing {name} needs a policy with an index, such as linucb or thompson; this one, or one that"
            " it is made of, chooses by probabilities or a fixed rule, not by what a call is worth"
        )

    def init(key: jax.Array) -> Paced:
        return Paced(policy.init(key), pacer.init())

    def open_to(state: Paced, observation: Observation) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return what is charged for each arm, which may be called, both `(K,)`, and whether the pacer lets any."""
        worth = index(None, state.policy, observation)
        charge, allowed, cost = pacer.terms(state.pacer, worth, observation)
        open_arms = observation.available & allowed
        cheapest = jnp.arange(len(cost)) == choose(-cost, observation.available)
        return charge, jnp.where(open_arms.any(), open_arms, cheapest), open_arms.any()

    def act(key: jax.Array, state: Paced, observation: Observation) -> jax.Array:
        charge, open_arms, any_open = open_to(state, observation)
        net = index(key, state.policy, observation) - charge
        if observation.asked is None:
            return choose(net, open_arms)
        # A further call has to be worth more than stopping, and is not made only because nothing else is open.
        going = ~observation.asked.any() | (any_open & (open_arms & (net > 0)).any())
        return jnp.where(going, choose(net, open_arms), jnp.int32(-1))

    def update(
        key: jax.Array, state: Paced, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> Paced:
        learned = policy.update(key, state.policy, observation, arm, feedback)

        def now(context: jax.Array) -> jax.Array:
            return index(None, learned, unasked(observation)._replace(context=context))

        return Paced(learned, pacer.update(key, state.pacer, observation, arm, feedback, now))

    known = policy.prime

    def prime(state: Paced, prior: Prior) -> Paced:
        assert known is not None
        return Paced(known(state.policy, prior), pacer.prime(state.pacer, prior))

    return Policy(
        init, act, update, prime=None if known is None else prime, price=lambda state: state.pacer.price,
        again=policy.again,
    )  # fmt: skip


def opens(observation: Observation) -> Any:
    """Return 1.0 for the first call of a query, which the budget of a round is for, and 0.0 for each further one."""
    return 1.0 if observation.asked is None else jnp.where(observation.asked.any(), 0.0, 1.0)


def unasked(observation: Observation) -> Observation:
    """Return the observation as of a query that was not called for yet."""
    if observation.asked is None or observation.heard is None:
        return observation
    unknown = jnp.full_like(observation.heard, jnp.nan)
    return observation._replace(asked=jnp.zeros_like(observation.asked), heard=unknown)


def among(observation: Observation, allowed: jax.Array, arm: jax.Array) -> Observation:
    """Return the observation of a choice among the allowed arms, the one called among them."""
    called = jnp.arange(len(allowed)) == arm
    return observation._replace(available=observation.available & (allowed | called))


def used(feedback: Feedback) -> jax.Array:
    """Return `(R,)` what a call used of each resource, 0 where the table does not record it."""
    return jnp.nan_to_num(jnp.stack([getattr(feedback, name) for name in RESOURCES]))


class Means(NamedTuple):
    """What the calls of each arm have used: `total` `(K, R)` and `calls` `(K,)`."""

    total: jax.Array
    calls: jax.Array

    def heard(self, arm: jax.Array, amount: jax.Array) -> Means:
        """Return the means after a call of `arm` that used `amount (R,)`."""
        return Means(self.total.at[arm].add(amount), self.calls.at[arm].add(1.0))

    def primed(self, prior: Prior) -> Means:
        """Return the means after the calls that a prior counts for."""
        calls = jnp.full_like(self.calls, prior.n_eff)
        return Means(jnp.asarray(prior.mean * prior.n_eff, self.total.dtype), calls)

    def expected(self, price: jax.Array) -> jax.Array:
        """Return `(K, R)`: the posted price where there is one, else the mean heard, else the least of the others."""
        mean = self.total / self.calls[:, None]  # NaN before the first call
        mean = mean.at[:, 0].set(jnp.where(jnp.isnan(price), mean[:, 0], price))
        least = jnp.nan_to_num(jnp.nanmin(mean, axis=0))
        return jnp.where(jnp.isnan(mean), least, mean)


def no_means(n_arms: int) -> Means:
    """Return the means before the first call."""
    return Means(jnp.zeros((n_arms, R)), jnp.zeros(n_arms))


class Usage(NamedTuple):
    """What a call of each arm uses at a context: `costs` a ridge regression, `means` what bounds it from below."""

    costs: Ridge
    means: Means

    def heard(self, context: jax.Array, arm: jax.Array, amount: jax.Array) -> Usage:
        """Return the usage after a call of `arm` that used `amount (R,)`."""
        return Usage(learn(self.costs, context, arm, amount), self.means.heard(arm, amount))

    def primed(self, prior: Prior) -> Usage:
        """Return the usage that begins where a log's prior ends."""
        return Usage(primed(self.costs, prior, RESOURCES), self.means.primed(prior))

    def at_least(self, predicted: jax.Array) -> jax.Array:
        """Return predictions `(..., K, R)`, none below a quarter of the arm's mean: a line may cross 0, a cost not."""
        return jnp.maximum(predicted, 0.25 * jnp.nan_to_num(self.means.total / self.means.calls[:, None]))

    def expected(self, context: jax.Array) -> jax.Array:
        """Return `(K, R)`, what a call of each arm is expected to use; 0 before the first call."""
        return self.at_least(self.costs.weight @ context)


def no_usage(n_arms: int, dim: int, ridge: float) -> Usage:
    """Return the usage before the first call."""
    return Usage(fresh(n_arms, dim, ridge, targets=(R,)), no_means(n_arms))


def primed_usage(state: State, prior: Prior) -> Any:
    """Return a pacer's state with its field `usage` primed."""
    return state._replace(usage=state.usage.primed(prior))


def first(kept: jax.Array, now: jax.Array) -> jax.Array:
    """Return `now` in the first round, where `kept` is still NaN, and `kept` afterwards."""
    return jnp.where(jnp.isnan(kept), now, kept)


def stop(policy: Policy, n_arms: int, dim: int) -> Policy:
    """Spend as the policy likes until the money is gone (no pacing)."""
    del n_arms, dim
    return policy

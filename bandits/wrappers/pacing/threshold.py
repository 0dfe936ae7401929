"""An online knapsack's threshold on worth per cost: PILOT's cost policy, arXiv 2508.21141, section 4."""

from __future__ import annotations

from typing import NamedTuple

from bandits import require
from bandits.base import Feedback, Observation, Policy, Prior
from bandits.late import jax, jnp
from bandits.wrappers.pacing.paced import Means, Pacer, R, Terms, Worth, first, no_means, opens, paced, used


class Bins(NamedTuple):
    """`price` `(R,)`, the least worth per unit; `whole` budget `(R,)` and `rounds` `()` of the run, NaN before the
    first; `opened` `(R,)`, what had been spent when the present bin began."""

    price: jax.Array
    whole: jax.Array
    rounds: jax.Array
    opened: jax.Array
    means: Means


class Bar(NamedTuple):
    """This round's `height` `(R,)`, the least worth per unit; `room` `(R,)` in the bin; `opened` as in `Bins`; the
    expected `cost` `(K, R)`."""

    height: jax.Array
    room: jax.Array
    opened: jax.Array
    cost: jax.Array


def threshold(policy: Policy, n_arms: int, dim: int, *, bin_size: int = 100) -> Policy:
    """Forbid arms whose worth per cost is below a bar that rises as the money goes (PILOT's online knapsack).

    PILOT, arXiv 2508.21141, section 4, after Zhou, Chakrabarty and Lukose 2008 (ZCL): with `z` the share of the
    bin's budget that is spent, an arm is open iff `c <= worth / ((UB e / LB)^z LB / e)`. `worth` is the policy's
    index without what chance adds, `LB = 1 / c_max` and `UB = 1 / c_min` bound worth per cost, and as in any knapsack
    the call needs to fit into what is left. The run is cut into bins of `bin_size` rounds with equal budgets; what a
    bin leaves rolls over into the next. Of the open arms the
    policy takes its best. With several budgets an arm needs to be open
    under each.

    Args:
        policy: what is paced; it needs an index.
        n_arms: `K`.
        dim: `d`; it plays no part.
        bin_size: rounds in a bin, >= 1.
    """
    del dim
    require.whole("threshold", 1, bin_size=bin_size)

    def init() -> Bins:
        unknown = jnp.full(R, jnp.nan)
        return Bins(jnp.zeros(R), unknown, jnp.asarray(jnp.nan), jnp.zeros(R), no_means(n_arms))

    def bar(state: Bins, observation: Observation) -> Bar:
        whole, rounds = first(state.whole, observation.budget), first(state.rounds, observation.rounds_left)
        done = rounds - observation.rounds_left
        spent = jnp.where(jnp.isinf(whole), 0.0, whole - observation.budget)
        opened = jnp.where((jnp.mod(done, bin_size) == 0) & (opens(observation) > 0), spent, state.opened)
        # Budgets of all bins so far, the present one included; the last one may be short.
        due = whole * jnp.minimum((jnp.floor(done / bin_size) + 1.0) * bin_size, rounds) / rounds
        share = (spent - opened) / jnp.maximum(due - opened, 1e-30)
        cost = state.means.expected(observation.price)
        dearest = jnp.maximum(cost.max(axis=0), 1e-30)
        upper_by_lower = dearest / jnp.maximum(cost.min(axis=0), 1e-6 * dearest)
        height = (upper_by_lower * jnp.e) ** jnp.clip(share, 0.0, 1.0) / (dearest * jnp.e)
        return Bar(jnp.where(jnp.isinf(whole), 0.0, height), due - spent, opened, cost)

    def terms(state: Bins, worth: jax.Array, observation: Observation) -> Terms:
        now = bar(state, observation)
        worthy = (now.cost * now.height <= worth[:, None]) & (now.cost <= now.room)
        return Terms(jnp.zeros(n_arms), worthy.all(axis=1), now.cost[:, 0])

    def update(
        key: jax.Array,
        state: Bins,
        observation: Observation,
        arm: jax.Array,
        feedback: Feedback,
        worth: Worth,
    ) -> Bins:
        del key, worth
        now = bar(state, observation)
        whole, rounds = first(state.whole, observation.budget), first(state.rounds, observation.rounds_left)
        return Bins(now.height, whole, rounds, now.opened, state.means.heard(arm, used(feedback)))

    def prime(state: Bins, prior: Prior) -> Bins:
        return state._replace(means=state.means.primed(prior))

    return paced(policy, Pacer(init, terms, update, prime), "threshold")

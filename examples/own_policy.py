"""A policy of your own, three pure functions: explore first, then call the model that was best on average.

The state is any tree of arrays; shapes never change. The same function works on the command line, from the file:
`python simulate.py --policy examples/own_policy.py:explore_first,calls=20 --stream vqa`.

Run: python examples/own_policy.py
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

import bandits
import envs
from bandits import Feedback, Observation, Policy, choose


class Tally(NamedTuple):
    """What each of `K` models was called for and gave, `(K,)` each."""

    calls: jax.Array
    total: jax.Array


def explore_first(n_arms: int, dim: int, *, calls: int = 30) -> Policy:
    """Call every model `calls` times, then the one of the highest mean reward (explore, then commit).

    Args:
        n_arms: `K`.
        dim: `d`; this policy does not look at the context.
        calls: of each model, >= 1.
    """
    del dim
    if calls < 1:
        raise ValueError(f"explore_first needs calls >= 1, got calls={calls}")

    def init(key: jax.Array) -> Tally:
        del key
        return Tally(jnp.zeros(n_arms), jnp.zeros(n_arms))

    def act(key: jax.Array, state: Tally, seen: Observation) -> jax.Array:
        del key
        mean = state.total / jnp.maximum(state.calls, 1)
        return choose(jnp.where(state.calls < calls, 1e6 - state.calls, mean), seen.available)

    def update(key: jax.Array, state: Tally, seen: Observation, arm: jax.Array, heard: Feedback) -> Tally:
        del key, seen
        return Tally(state.calls.at[arm].add(1.0), state.total.at[arm].add(heard.reward))

    return Policy(init, act, update)


if __name__ == "__main__":
    stream = envs.load("vqa")
    table = bandits.reward_table(bandits.rewards.linear, stream, preference=0.2)
    print(f"{stream.outcomes.label}; regret after {len(stream)} rounds, mean of 10 seeds\n")
    contenders = {
        "explore_first": explore_first(stream.n_arms, stream.dim),
        "explore_first, 100 calls": explore_first(stream.n_arms, stream.dim, calls=100),
        "linucb": bandits.linucb(stream.n_arms, stream.dim),
    }
    for name, policy in contenders.items():
        bandits.check(policy, stream.n_arms, stream.dim, name)  # what the command line does before a run
        trace = bandits.replay(policy, stream, table, seeds=10)
        for baseline in ("oracle", "best_fixed"):
            regret = bandits.metrics.cumulative_regret(table, trace, baseline)[:, -1]
            print(f"{name:26} against {baseline:12} {regret.mean():8.1f}")

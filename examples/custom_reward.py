"""A reward of your own: a right answer is worth a cent, what a call costs is taken off, and slow answers count less.

A reward is a plain function of an outcome and a preference, elementwise over arrays. The policy `preference` applies
the same function to its estimates, so that it can follow it.

Run: python examples/custom_reward.py
"""

from __future__ import annotations

from functools import partial

import numpy as np

import bandits
import envs

SEEDS = 5


def profit(outcome, preference, *, worth=10.0):  # type: ignore[no-untyped-def]
    """Return what an answer earns, in the table's unit of cost: here a thousandth of a dollar a query."""
    return worth * outcome.utility - (1.0 + preference) * outcome.cost


stream = envs.load("math")
print(f"{stream.outcomes.label}; profit in {stream.outcomes.cost_unit}, {SEEDS} seeds\n")
for worth in (1.0, 10.0, 100.0):
    reward = partial(profit, worth=worth)
    table = bandits.reward_table(reward, stream, preference=0.0)
    policy = bandits.preference(stream.n_arms, stream.dim, reward=reward, alpha=0.1 * worth, prior=1.0)
    trace = bandits.replay(policy, stream, table, seeds=SEEDS, preference=0.0, rounds=2000)
    earned = bandits.metrics.rewards(table, trace).mean()
    called = np.bincount(trace.arms.ravel(), minlength=stream.n_arms)
    best = np.nanmean(table, axis=0)
    print(
        f"an answer worth {worth:5.0f}: earns {earned:7.3f} a query, calls {stream.models[called.argmax()]} most"
    )
    print(f"{'':22} the best single model, {stream.models[best.argmax()]}, earns {best.max():7.3f}")

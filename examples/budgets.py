"""Spend what was given: one policy, three ways of spending, two budgets, against what the same money buys at best.

A budget is an argument of `replay` and a pacing is a wrapper around the policy: one wrapped policy serves every budget
and is compiled once. The reward is accuracy alone: under a budget the money is counted already.

Run: python examples/budgets.py
"""

from __future__ import annotations

import bandits
import envs
from bandits import metrics
from bandits.metrics.knapsack import best_mixture, best_within
from bandits.wrappers import budget

SEEDS = 3
stream = envs.load("all")
table = bandits.reward_table(bandits.rewards.accuracy, stream)
policy = bandits.linucb(stream.n_arms, stream.dim, alpha=0.3, prior=1.0)

# `(R,)` limits of cost, latency and tokens; inf where there is none. Shares are of what the best single model costs.
budgets = {amount: budget.parse(amount, stream, rounds=len(stream)) for amount in ("20%", "60%")}
print(f"{stream.outcomes.label}; {len(stream)} queries, {SEEDS} seeds\n")
for amount, limits in budgets.items():
    mixture, hindsight = (
        float(f(table, stream.cost, limits[0])) / len(stream) for f in (best_mixture, best_within)
    )
    print(f"{amount} of the money: a fixed mixture of models gets {mixture:.4f}, hindsight {hindsight:.4f}")

print(f"\n{'pacing':12} {'budget':>7} {'accuracy':>9} {'spent':>7} {'unanswered':>11}")
for pacing in ("stop", "primal_dual", "lp"):
    held = budget.held(policy, stream, pacing=pacing, hard=True)  # hard: the budget is never exceeded
    for amount, limits in budgets.items():
        trace = bandits.replay(held, stream, table, seeds=SEEDS, budget=limits)
        accuracy = metrics.rewards(table, trace).mean()
        spent = metrics.spend(stream.cost, trace)[:, -1].max() / limits[0]
        silent = (trace.arms < 0).mean()
        print(f"{pacing:12} {amount:>7} {accuracy:9.4f} {spent:7.1%} {silent:11.1%}")

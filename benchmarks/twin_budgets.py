"""Every pacing on the calibrated twin at a share of the best single model's cost, from a cold and from a warm start.

    python benchmarks/twin_budgets.py [--budget 30%] [--dim 5] [--seeds 20]

The reward is accuracy. `over_mixture` is against the best fixed mixture of models at the same spend, paired over seeds;
`gap_closed` the share of the way from there to the best that the same spend buys with hindsight. The warm start's log
is a tenth of the queries, none of which is evaluated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bandits  # from a checkout, installed or not
import envs
from bandits import rewards
from bandits.results import spending as accounts
from bandits.wrappers import budget, warm

POLICIES = ("linucb", "thompson", "preference")
SHOWN = (
    "start",
    "policy",
    "spent_cost",
    "spent_most",
    "unanswered",
    "reward",
    "over_mixture",
    "over_lo",
    "over_hi",
    "gap_closed",
)


def rows(start: str, whole: Any, text: str, seeds: int, pacings: list[str]) -> pd.DataFrame:
    """Return the accounts of all policies under all pacings, cold or after a log."""
    stream, prior = whole, None
    if start != "cold":
        logged, stream = warm.split(whole, start)
        prior = warm.fit(logged, rewards.reward_table(rewards.accuracy, logged))
    table = rewards.reward_table(rewards.accuracy, stream)
    limits = budget.parse(text, stream, len(stream))
    told = []
    for name in POLICIES:
        hyper = {"reward": rewards.accuracy} if name == "preference" else {}
        plain = bandits.POLICIES[name](stream.n_arms, stream.dim, **hyper)
        for pacing in pacings:
            policy = budget.held(plain, stream, pacing=pacing)
            policy = policy if prior is None else warm.start(policy, prior)
            trace = bandits.replay(policy, stream, table, seeds=seeds, budget=limits)
            told.append(accounts.account(stream, table, {f"{name} {pacing}": trace}, limits))
    return pd.concat(told, ignore_index=True).assign(start=start)


def both(whole: Any, text: str, seeds: int, pacings: list[str] | None = None) -> pd.DataFrame:
    """Return the accounts of every policy and pacing, from a cold start and after a log of a tenth."""
    chosen = list(budget.PACINGS) if pacings is None else pacings
    frame = pd.concat([rows(s, whole, text, seeds, chosen) for s in ("cold", "10%")])
    return frame[list(SHOWN)]


def main() -> None:
    """Run all of it and print one table."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--budget", default="30%")
    options.add_argument("--dim", type=int, default=5, help="principal components in the context")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--pacing", nargs="+", default=list(budget.PACINGS))
    asked = options.parse_args()
    whole = envs.load("all", dim=asked.dim)
    frame = both(whole, asked.budget, asked.seeds, asked.pacing)
    print(frame.to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    main()

"""Preferences drawn each round from uniform(0,2): what seeing them can be worth to a linear policy on the twin.

    python benchmarks/uniform_preference.py [--stream all] [--dim 32] [--seeds 20]

Two questions. How far below `linucb`'s regret against the per-query oracle can `preference` come at all? Bounded by
ridge regressions that know every outcome: fitted on one half of the rows and read off on the other (held out), and
fitted on the very rows that they are read off on (hindsight, which no policy can beat by much). And what is left of the
two policies' regret against the best linear policy in hindsight, the one that sees the preference?
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bandits  # from a checkout, installed or not
import envs
from bandits import rewards
from bandits.metrics.intervals import student

Floats = NDArray[np.float64]
DRAWN = "uniform(0,2)"
RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)


def fit(x: Floats, y: Floats, ridge: float) -> Floats:
    """Return the ridge weights `(d, K)` of outcomes `(n, K)`."""
    return np.asarray(np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y))


def choices(stream: Any, table: Floats, preference: Floats, fitted: Any, read: Any) -> dict[str, Floats]:
    """Return the reward of each query `read` under ridges that know every outcome of `fitted`, at their best ridge."""
    x = stream.context.astype(float)
    scaled = stream.cost / stream.cost_scale
    found = {}
    for name in ("blind", "seeing"):
        best = None
        for ridge in RIDGES:
            if name == "blind":
                index = x[read] @ fit(x[fitted], table[fitted], ridge)
            else:
                utility, cost = (x[read] @ fit(x[fitted], y[fitted], ridge) for y in (stream.utility, scaled))
                index = utility - preference[read][:, None] * cost
            earned = table[read][np.arange(len(index)), index.argmax(axis=1)]
            best = earned if best is None or earned.mean() > best.mean() else best
        found[name] = best
    return found


def bounds(stream: Any, table: Floats, preference: Floats) -> dict[str, float]:
    """Return rewards a query: oracle, best fixed model, and the ridges held out and in hindsight."""
    order = np.random.default_rng(0).permutation(len(stream))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    told = {"oracle": table.max(axis=1).mean(), "best fixed": table.mean(axis=0).max()}
    sides = [choices(stream, table, preference, *pair) for pair in (halves, halves[::-1])]
    whole = np.arange(len(stream))
    for name, got in choices(stream, table, preference, whole, whole).items():
        told[f"{name}, held out"] = np.concatenate([side[name] for side in sides]).mean()
        told[f"{name}, hindsight"] = got.mean()
    return {name: float(x) for name, x in told.items()}


def learned(stream: Any, table: Floats, preference: Floats, seeds: int) -> dict[str, Floats]:
    """Return `(S,)` reward a query of the two policies, on the same orders."""
    policies = {
        "linucb": bandits.linucb(stream.n_arms, stream.dim),
        "preference": bandits.preference(stream.n_arms, stream.dim, reward=rewards.linear),
    }
    earned = {}
    for name, policy in policies.items():
        trace = bandits.replay(policy, stream, table, seeds=seeds, preference=preference)
        earned[name] = table[trace.order, trace.arms].mean(axis=1)
    return earned


def main() -> None:
    """Print the bounds, the policies, and the ratios of their regrets."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--stream", default="all")
    options.add_argument("--dim", type=int, default=32)
    options.add_argument("--seeds", type=int, default=20)
    asked = options.parse_args()
    stream = envs.load(asked.stream, dim=asked.dim)
    preference = rewards.preferences(DRAWN, len(stream), 0)[DRAWN]
    table = rewards.reward_table(rewards.linear, stream, preference)
    known, earned = bounds(stream, table, preference), learned(stream, table, preference, asked.seeds)
    print(f"{stream.name}, preferences {DRAWN}, {stream.outcomes.label}; reward a query")
    every = known | {f"{name}, {asked.seeds} seeds": float(x.mean()) for name, x in earned.items()}
    print(pd.Series(every).to_string(float_format="{:.4f}".format), "\n")
    seeing = known["seeing, hindsight"]
    comparators = {"oracle": known["oracle"], "best linear policy in hindsight, seeing": seeing}
    for name, reference in comparators.items():
        ratio = (reference - earned["preference"]) / (reference - earned["linucb"])
        low, high = student(ratio)
        print(f"regret of preference / of linucb, against {name}: {ratio.mean():.3f} [{low:.3f}, {high:.3f}]")
    for name in ("held out", "hindsight"):
        least = (known["oracle"] - known[f"seeing, {name}"]) / (known["oracle"] - earned["linucb"].mean())
        print(f"against oracle, were preference the ridge {name}: {least:.3f}")


if __name__ == "__main__":
    main()

"""Where sharing parts pays: `paired` against `linucb` as more of what a pair is worth is its own.

Synthetic streams of 6 models at 4 settings, 1,500 queries, 5 features: weights of model and of setting are normal with
deviation 0.15, those of the pair with `share` times it. Differences are paired over seeds and queries, by the one rule
in each stream. Settings were chosen on streams 100 and 101; these are 0, 1 and 2.
"""

from __future__ import annotations

import argparse

import numpy as np

import bandits
from bandits.experiment.lineup import build
from bandits.metrics.intervals import clustered, paired
from bandits.metrics.verdict import judge
from bandits.rewards import accuracy, reward_table
from envs.outcomes import Outcomes
from envs.stream import Stream

MODELS, SETTINGS, ROWS, FEATURES, SEEDS = 6, (0, 1, 3, 5), 1500, 5, 4
SPECS = ("linucb,alpha=0.3", "paired,alpha=0.3,own=0", "paired,alpha=0.3")


def stream(seed: int, share: float) -> Stream:
    """Return a stream in which a share of a pair's weights is its own."""
    rng = np.random.default_rng([seed, 9])
    x = rng.standard_normal((ROWS, FEATURES))
    x = np.c_[x / np.linalg.norm(x, axis=1, keepdims=True), np.ones(ROWS)]
    of_model = rng.normal(0, 0.15, (MODELS, 1, FEATURES + 1))
    of_setting = rng.normal(0, 0.15, (1, len(SETTINGS), FEATURES + 1))
    of_pair = share * rng.normal(0, 0.15, (MODELS, len(SETTINGS), FEATURES + 1))
    weight = (of_model + of_setting + of_pair).reshape(-1, FEATURES + 1)
    utility = (rng.random((ROWS, len(weight))) < np.clip(0.5 + x @ weight.T, 0.02, 0.98)).astype(float)
    names = tuple(f"model{m}@{n}" for m in range(MODELS) for n in SETTINGS)
    ids = np.array([f"q{i}" for i in range(ROWS)], object)
    return Stream("pairs", Outcomes(names, utility, np.zeros_like(utility), ids), x.astype(np.float32))


def main() -> None:
    """Print a line for each share, stream and policy: accuracy, and the difference from linucb where it is shown."""
    print("share of its own, stream, policy, accuracy, over linucb, shown")
    for share in (0.0, 1.0, 2.0):
        for seed in range(3):
            queries = stream(seed, share)
            table = reward_table(accuracy, queries)
            first = None
            for spec in SPECS:
                policy = build(spec, queries, accuracy, checked=False)
                trace = bandits.replay(policy, queries, table, seeds=SEEDS, seed=1)
                got = table[trace.order, trace.arms]
                first = (trace.order, got) if first is None else first
                gap = got - first[1]
                over = paired(gap.mean(axis=1), np.zeros(SEEDS))
                of_query = np.bincount(trace.order.ravel(), gap.ravel())
                said = judge(over, clustered(of_query, np.full(ROWS, SEEDS)), seeds=SEEDS, queries=ROWS)
                print(
                    f"{share:g}, {seed}, {spec}, {got.mean():.3f}, {float(over.mean):+.3f}, {bool(said.shown)}",
                    flush=True,
                )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()

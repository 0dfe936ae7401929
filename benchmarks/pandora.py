"""Pandora's rule online against the best cascade of two models learned from the same log, on the twin.

The first queries of each seed's order are the log: the cascade is the exact best pair and threshold on all of their
outcomes (more than the rule hears of them), then both play the rest. The rule learns from what it calls, log included:
scores of every call, right or wrong of the delivered answer alone. Settle `--alpha` on one stream, report on others.
Prints, for each quality of the judge and each preference, the rewards and their paired difference, corrected for all.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np

from bandits.experiment import several
from bandits.experiment.ask import Ask
from bandits.loop import slots
from bandits.metrics.intervals import Estimate, clustered, paired
from bandits.metrics.verdict import judge
from bandits.policies.sequential.pandora import pandora
from bandits.rewards import linear
from bandits.sequential import chains, pairs
from bandits.sequential.chains import Judged
from envs import load


def main() -> None:
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stream", default="all")
    parser.add_argument("--auc", default="0.6,0.7,0.8,0.9")
    parser.add_argument("--preference", default="0.2,1")
    parser.add_argument("--log", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=3)
    given = parser.parse_args()
    base = load(given.stream)
    policy = pandora(base.n_arms, base.dim, alpha=given.alpha)
    lines, found = [], []
    print(
        "auc preference pandora cascade difference seeds_lo seeds_hi queries_lo queries_hi calls calls_cascade"
    )
    for auc, preference in product(given.auc.split(","), map(float, given.preference.split(","))):
        ask = Ask((), calls=given.calls, deliver="best_heard", judge=f"auc={auc}")
        stream = several.judged(base, ask, None)
        trace = slots.replay(
            policy, stream, linear, seeds=given.seeds, seed=given.seed, preference=preference
        )
        earned = slots.gained(trace, stream, linear, preference).sum(axis=2)[:, given.log :]
        judged = Judged(stream.utility, stream.cost, stream.several.scores)
        weight, other, calls = preference / stream.cost_scale, [], []
        for rows in trace.order:
            chain = pairs.best(judged.take(rows[: given.log]), weight=weight)
            ran = chains.play(judged.take(rows[given.log :]), chain)
            other.append(ran.utility - weight * ran.cost)
            calls.append(ran.calls.mean())
        over = earned - np.array(other)
        rows, played = trace.order[:, given.log :].ravel(), trace.order[:, given.log :].size
        often = np.bincount(rows)
        sums = np.bincount(rows, weights=over.ravel())[often > 0]
        seeds, queries = (
            paired(earned.mean(axis=1), np.mean(other, axis=1)),
            clustered(sums, often[often > 0]),
        )
        made = (trace.arms[:, given.log :] >= 0).sum() / played
        numbers = (
            earned.mean(),
            np.mean(other),
            seeds.mean,
            seeds.lo,
            seeds.hi,
            queries.lo,
            queries.hi,
            made,
        )
        lines.append([auc, preference, *(f"{float(n):.4f}" for n in (*numbers, np.mean(calls)))])
        found.append((seeds, queries, len(sums)))
    over_seeds, over_queries = (
        Estimate(*map(np.array, zip(*(one[i] for one in found), strict=True))) for i in (0, 1)
    )
    sure = judge(over_seeds, over_queries, seeds=given.seeds, queries=np.array([one[2] for one in found]))
    for line, shown, p in zip(lines, sure.shown, sure.p_holm, strict=True):
        print(*line, f"p {p:.2g}", "shown" if shown else "")


if __name__ == "__main__":
    main()

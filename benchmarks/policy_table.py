"""Every policy on the twin's streams and on a table of your own: regret, reward, cost, seconds, as Markdown.

`python benchmarks/policy_table.py [TABLE ...]`: the second half of docs/policies.md. Defaults, 20 seeds, preference .2.
What is shown to beat the best fixed model is judged by `defaults.py`.
`llmbandit` is not among them: it needs rows set aside, and is measured by `simulate.py transfer --new-models`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import envs
from bandits import POLICIES, replay, reward_table, rewards
from bandits.experiment.lineup import bounds_of, build
from bandits.metrics.intervals import paired, student
from bandits.metrics.regret import comparator

SEEDS = 20
# Beside the defaults: the same policies when every arm is believed good until it was tried.
EXTRA = ("linucb,alpha=0.3,prior=1", "greedy,prior=1")


def line(name: str, stream: envs.Stream, table: np.ndarray, references: dict[str, np.ndarray]) -> str:
    """Return a row: reward and final regrets with 95 % intervals over seeds, cost, whole seconds."""
    began = time.perf_counter()
    policy = build(name, stream, rewards.linear, bounds=bounds_of(table))
    trace = replay(policy, stream, table, seeds=SEEDS)
    seconds = time.perf_counter() - began
    earned = table[trace.order, trace.arms].mean(axis=1)
    cost = stream.cost[trace.order, trace.arms].mean()
    lo, hi = student(earned)
    cells = [f"{earned.mean():.4f} ({lo:.4f} to {hi:.4f})"]
    for reference in references.values():
        gap = paired(np.full(SEEDS, reference.mean()), earned)[:3]
        regret, low, high = (float(x) * len(stream) for x in gap)
        cells.append(f"{regret:.0f} ({low:.0f} to {high:.0f})")
    return f"| `{name}` | {' | '.join(cells)} | {cost:.4g} | {seconds:.1f} |"


def main() -> None:
    """Print one table for each stream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="Tables of your own, beside the twin.")
    given = parser.parse_args()
    tables = {name: envs.load(name) for name in ("ocr", "vqa", "math", "all")}
    tables |= {Path(path).name.split(".")[0]: envs.load(path) for path in given.tables}
    print("## Every policy, with its defaults\n")
    print(f"{SEEDS} seeds, reward `linear` at preference 0.2; in brackets 95 % intervals over seeds. Made by")
    print("`python benchmarks/policy_table.py`. Seconds include compiling.")
    for name, stream in tables.items():
        table = reward_table(rewards.linear, stream)
        rows = np.arange(len(stream))
        hindsight = {
            b: table[rows, comparator(table, b, cost=stream.cost, dataset=stream.dataset)]
            for b in ("oracle", "best_fixed", "best_per_dataset")
        }
        means = ", ".join(f"{b} {v.mean():.4f}" for b, v in hindsight.items())
        print(f"\n## {name}: {len(stream)} queries, {stream.n_arms} models ({stream.outcomes.label})\n")
        print(f"Reward of the references: {means}, uniform {np.nanmean(table):.4f}.\n")
        print(
            "| policy | reward a query | regret, oracle | regret, best fixed | regret, best per dataset",
            end=" ",
        )
        print("| cost a query | seconds |\n|---|---|---|---|---|---|---|")
        for policy in (*(p for p in POLICIES if p not in ("always", "llmbandit")), *EXTRA):
            print(line(policy, stream, table, hindsight), flush=True)


if __name__ == "__main__":
    main()

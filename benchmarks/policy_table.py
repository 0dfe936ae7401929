"""Every policy on the twin's streams and on a table of your own: regret, reward, cost, seconds, as Markdown.

`python benchmarks/policy_table.py [TABLE ...] > docs/policies.md`; `--short docs/policies.md` draws the README's table
from it without running anything. Defaults throughout, 20 seeds, preference 0.2.
`llmbandit` is not among them: it needs rows set aside, and is measured in `llmbandit_transfer.py`.
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
    verdict = "yes" if lo > references["best_fixed"].mean() else "no"
    return f"| `{name}` | {' | '.join(cells)} | {verdict} | {cost:.4g} | {seconds:.1f} |"


def short(path: str) -> None:
    """Print one row for each policy: its reward on every stream of a table printed earlier, in bold where it wins."""
    rewards_of: dict[str, list[str]] = {}
    streams, fixed = [], []
    for text in Path(path).read_text(encoding="utf-8").splitlines():
        if text.startswith("## "):
            streams.append(text[3:].split(":")[0])
        elif text.startswith("Reward of the references"):
            fixed.append(text.split("best_fixed ")[1].split(",")[0])
        elif text.startswith("| `"):
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            reward = cells[1].split(" ")[0]
            rewards_of.setdefault(cells[0], []).append(f"**{reward}**" if cells[5] == "yes" else reward)
    print(f"| policy | {' | '.join(streams)} |\n|---|{'---|' * len(streams)}")
    print(f"| *best fixed model, in hindsight* | {' | '.join(fixed)} |")
    for name, cells in rewards_of.items():
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Print one table for each stream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="Tables of your own, beside the twin.")
    parser.add_argument(
        "--short", metavar="FILE", help="Draw the README's table from this page; run nothing."
    )
    given = parser.parse_args()
    if given.short:
        short(given.short)
        return
    tables = {name: envs.load(name) for name in ("ocr", "vqa", "math", "all")}
    tables |= {Path(path).name.split(".")[0]: envs.load(path) for path in given.tables}
    print("# Every policy, with its defaults\n")
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
        print("| beats best fixed | cost a query | seconds |\n|---|---|---|---|---|---|---|---|")
        for policy in (*(p for p in POLICIES if p not in ("always", "llmbandit")), *EXTRA):
            print(line(policy, stream, table, hindsight), flush=True)


if __name__ == "__main__":
    main()

"""Every ready-made scenario with forgetting and plain policies: regret, recovery, cost, as Markdown.

`python benchmarks/scenario_table.py [--recovery] [TABLE ...] > docs/scenarios.md`. Defaults throughout, 12 seeds, 3,000
rounds, preference 0.2; the twin first, then each table named. `--recovery` adds `price-cut`, `silent-regression` and
`new-model` with 12,000 rounds and policies that are set for them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import envs
from bandits import rewards
from bandits.runs.scenarios import compare
from envs.scenarios import SCENARIOS

POLICIES = ("linucb", "dlinucb", "swlinucb", "thompson", "restart(linucb)", "neuralucb")
SET = (
    "linucb", "linucb,prior=1,alpha=0.1", "swlinucb,window=2000,alpha=1", "restart(linucb)",
    "restart(linucb,prior=1,alpha=0.1)", "explore_new(linucb,prior=1,alpha=0.1)",
)  # fmt: skip
CHANGES = ("price-cut", "silent-regression", "new-model")


def cell(row: dict[str, Any], name: str, form: str = ".0f") -> str:
    """Return a number as text, "-" where there is none."""
    value = row.get(name, float("nan"))
    return "-" if value != value else format(value, form)


def line(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    if "note" in row:
        return f"| {row['scenario']} | not here: {row['note']} " + "| - " * 8 + "|"
    interval = f"{cell(row, 'regret')} ({cell(row, 'regret_lo')}, {cell(row, 'regret_hi')})"
    paired = "-"
    if "difference" in row:
        mark = "**" if row["significant"] else ""
        ends = f"({cell(row, 'difference_lo', '+.0f')}, {cell(row, 'difference_hi', '+.0f')})"
        paired = f"{mark}{cell(row, 'difference', '+.0f')}{mark} {ends}"
    back = "never" if row["unrecovered"] else cell(row, "recovery")
    parts = [row["scenario"], f"`{row['policy']}`", interval, paired, cell(row, "regret_phase"), back]
    parts += [
        cell(row, "adoption"),
        cell(row, "reward", ".4f"),
        cell(row, "cost", ".3g"),
        cell(row, "p", ".3f"),
    ]
    return f"| {' | '.join(parts)} |"


def show(stream: Any, policies: tuple[str, ...], scenarios: tuple[str, ...], rounds: int) -> None:
    """Print one table, scenario by scenario as they are done."""
    print("| scenario | policy | regret, oracle of the moment | against the first policy, paired", end=" ")
    print("| regret, best of each phase | recovery | adoption | reward | cost | p (Holm) |")
    print("|---" * 10 + "|")
    for row in compare(stream, policies, rewards.linear, scenarios=scenarios, seeds=12, rounds=rounds):
        print(line(row), flush=True)


def main() -> None:
    """Print the tables."""
    paths = [path for path in sys.argv[1:] if path != "--recovery"]
    print(
        "# Scenarios\n\nMade by `python benchmarks/scenario_table.py`. Regret and recovery are in rewards and rounds;"
    )
    print(
        'recovery is within 5 % of the best model of the new phase, over 100 rounds; "never" is not before the next'
    )
    print(
        "change. A difference in bold is significant at 5 % after Holm's correction over the whole table; 12 seeds"
    )
    print("cannot give less than p = 0.0005 before it, 8 could never be significant.")
    for name, scenario in SCENARIOS.items():
        print(
            f"- `{name}`: {scenario.what}"
            if name != next(iter(SCENARIOS))
            else f"\n- `{name}`: {scenario.what}"
        )
    for stream in (envs.load("all"), *(envs.load("all", data=Path(path)) for path in paths)):
        print(f"\n## {stream.name}, {stream.n_arms} models ({stream.outcomes.label})\n")
        show(stream, POLICIES, tuple(SCENARIOS), 3000)
        if "--recovery" in sys.argv:
            print("\n12,000 rounds:\n")
            show(stream, SET, CHANGES, 12_000)


if __name__ == "__main__":
    main()

"""Every ready-made scenario with forgetting and plain policies: regret, recovery, cost, as Markdown.

`python benchmarks/scenario_table.py TABLE > docs/scenarios.md`. Defaults throughout, 20 paired seeds, preference
0.2, 3,000 rounds; the twin first, then each table named. Then `price-cut`, `silent-regression` and `new-model` again
with 10,000 rounds, where a plain policy has had time to gather evidence before the change.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import envs
from bandits import rewards
from bandits.experiment import worlds
from bandits.metrics.changing import best_of_phase, phase
from bandits.metrics.regret import earned_by
from bandits.rewards import reward_table
from bandits.sweeps.scenarios import VERDICTS, compare
from envs.changes.scenarios import SCENARIOS

SEEDS = 20
POLICIES = ("linucb", "dlinucb", "swlinucb", "thompson", "restart(linucb)", "neuralucb")
FORGETTING = (
    "linucb", "dlinucb,gamma=0.999", "swlinucb", "swlinucb,window=2000", "restart(linucb)",
    "restart(linucb,alpha=0.3,prior=1)",
)  # fmt: skip
NEW = (
    "linucb", "explore_new(linucb)", "pooled(linucb)", "linucb,alpha=0.1", "explore_new(linucb,alpha=0.1)",
    "pooled(linucb,alpha=0.1)",
)  # fmt: skip
# Scenario, stream and preference. On the twin the regression is looked at on one kind of traffic, where a router does
# rely on one model, and on the mixture; a price cut on a table where cost counts for more than the tolerance.
TWIN = (
    ("price-cut", "all", 0.2), ("silent-regression", "vqa", 0.2), ("silent-regression", "all", 0.2),
    ("new-model", "all", 0.2),
)  # fmt: skip
TABLE = (
    ("price-cut", "all", 2.0), ("price-cut", "all", 0.2), ("silent-regression", "all", 0.2),
    ("new-model", "all", 0.2),
)  # fmt: skip
_COLUMNS = (
    "scenario", "policy", "regret, oracle of the moment", "against the first policy, over seeds",
    "the same over queries", "regret, best of each phase", "recovery", "take-up, rounds", "calls", "reward", "cost",
    "p (Holm)",
)  # fmt: skip
_INTRODUCTION = f"""# Scenarios

Ready-made worlds that change. One command runs policies through them on paired seeds:

```text
python simulate.py scenarios --policy linucb --policy dlinucb,gamma=0.999 --policy "restart(linucb)"
```

This page is made by `python benchmarks/scenario_table.py TABLE`; {SEEDS} paired seeds, 95 % intervals over them in
brackets. Regret is in rewards, over the whole run. Recovery, in rounds: from when on the mean reward over the seeds is
within 5 % of that of the best model of the new phase, over 100 rounds and over the rest of the phase; of several
changes the slowest counts, "never" is not before the next change. Take-up: rounds and calls until the arriving model
holds a fifth of the latest calls, median over seeds, from the twentieth round on. A difference in bold is shown at 5 %
by both tests, over seeds and over queries (copies of a query, and a query that comes again, count once), after Holm's
correction over its table; any other difference is not shown. More: [Changing worlds](changing.md#what-is-measured).
"""


def cell(row: dict[str, Any], name: str, form: str = ",.0f") -> str:
    """Return a number as text, "-" where there is none, "never" where it is without end."""
    value = row.get(name, float("nan"))
    return "-" if value != value else "never" if value == float("inf") else format(value, form)


def spread(row: dict[str, Any], name: str, form: str = ",.0f") -> str:
    """Return both ends of an interval in brackets."""
    return f"({cell(row, f'{name}_lo', form)}, {cell(row, f'{name}_hi', form)})"


def line(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    if "note" in row:
        return f"| {row['scenario']} | not here: {row['note']} " + "| - " * (len(_COLUMNS) - 2) + "|"
    paired = other = "-"
    if "difference" in row:
        mark = "" if row["verdict"] == VERDICTS[2] else "**"
        paired = f"{mark}{cell(row, 'difference', '+,.0f')}{mark} {spread(row, 'difference', '+,.0f')}"
        other = spread(row, "queries", "+,.0f")
    back = "never" if row["unrecovered"] else cell(row, "recovery")
    parts = [
        row["scenario"],
        f"`{row['policy']}`",
        f"{cell(row, 'regret')} {spread(row, 'regret')}",
        paired,
        other,
        cell(row, "regret_best_of_phase"),
        back if row["recovery_lo"] != row["recovery_lo"] else f"{back} {spread(row, 'recovery')}",
        cell(row, "adoption"),
        cell(row, "adoption_pulls"),
        cell(row, "reward", ".4f"),
        cell(row, "cost", ".3g"),
        cell(row, "p", ".3f"),
    ]
    return f"| {' | '.join(parts)} |"


def show(
    stream: Any, policies: tuple[str, ...], scenarios: tuple[str, ...], rounds: int, preference: float
) -> None:
    """Print one table."""
    print(f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|")
    run = {"seeds": SEEDS, "rounds": rounds, "preference": preference}
    for row in compare(stream, policies, rewards.linear, scenarios=scenarios, **run):
        print(line(row), flush=True)


def worth(stream: Any, scenario: str, rounds: int, preference: float) -> str:
    """Return the best model before and after the change, and what each earns: known from the table alone."""
    world = worlds.changed(stream, SCENARIOS[scenario].changes, seeds=SEEDS, rounds=rounds)
    table = reward_table(rewards.linear, world, preference)
    arms, number = best_of_phase(world, table), phase(world)
    earned, told = earned_by(table, arms), []
    for p in range(number.max() + 1):
        model = world.models[np.bincount(arms[number == p]).argmax()]
        told.append(f"{model} {earned[number == p].mean():.3f}")
    return ", then ".join(told)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="Tables of your own, beside the twin.")
    given = parser.parse_args()
    print(_INTRODUCTION)
    print("\n".join(f"- `{name}`: {scenario.what}" for name, scenario in SCENARIOS.items()))
    for path in (None, *(Path(path) for path in given.tables)):
        stream = envs.load("all", data=path)
        print(f"\n## {stream.name}, {stream.n_arms} models\n\nNumbers are from: {stream.outcomes.label}.\n")
        show(stream, POLICIES, tuple(SCENARIOS), 3000, 0.2)
        for scenario, name, preference in TWIN if path is None else TABLE:
            part = stream if name == "all" else envs.load(name, data=path)
            print(f"\n### {scenario}, stream `{name}`, preference {preference:g}, 10,000 rounds\n")
            print(f"Best model: {worth(part, scenario, 10_000, preference)}.\n")
            show(part, NEW if scenario == "new-model" else FORGETTING, (scenario,), 10_000, preference)


if __name__ == "__main__":
    main()

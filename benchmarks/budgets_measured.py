"""Everything measured about budgets as one page: `python benchmarks/budgets_measured.py > docs/budgets-measured.md`.

Writes the picture of the three phases to docs/budget-phases.svg (needs the extra `plots`); `--seeds 3` for a look.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pareto_budgets
import twin_budgets

import envs

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "budget-phases.svg"
OPENING = """# Budgets, measured

Made by `python benchmarks/budgets_measured.py > docs/budgets-measured.md`; {seeds} seeds, intervals are 95 %, paired
over seeds. `over mixture` is reward a query above the best fixed mixture of models at the same spend, `gap closed` the
share of the way from that mixture to the best that the same spend buys with hindsight (`best_within`). What the columns
mean: [Budgets](budgets.md#reading-the-summary)."""
PUBLISHED = """
## Recorded answers: ParetoBandit's table, seven budgets

`pareto_k3`: LinUCB (alpha 0.01), warm on the first 1,785 rows with an effective size of 1,164, on the last 1,824 rows.
`published` is the paper's reward (arXiv 2604.00136). `primal_dual` is the paper's pacer with the paper's step, begun at
the price that the log would have needed; begun at 0, as in the paper, it is the first block; `step=0.02` is about one
over the root of the number of rounds.
"""
RIGHT = """
What a linear policy could earn there: ridges of the log, at the one price, known in hindsight, that spends the budget.
Where the mixture is almost wholly one good model (6.6e-4) next to nothing is left to win.
"""
PHASES = """
## Recorded answers: a price that moves

The dear model costs a tenth in the second third. Spend by budget in each phase at 6.6e-4 USD a query, forgetting
LinUCB; the fixed price is the one that spends the budget in the first phase.

![Spend by budget over the three phases](budget-phases.svg)
"""
TWIN = """
## The calibrated twin, `all`, at 30 % of the best single model's cost

Calibrated twin, not recorded answers. Reward is accuracy; {dim} principal components; cold, and after a log of a tenth
of the queries, none of which is evaluated. `preference` at a fixed preference is `linucb`, call for call.
"""


def table(frame: Any, digits: dict[str, int]) -> str:
    """Return a frame as a table in Markdown, with so many decimals in each column; -1: two digits that count."""

    def cell(name: str, value: Any) -> str:
        if not isinstance(value, float):
            return f"`{value}`" if name in ("pacing", "policy") else str(value)
        return f"{value:.2g}" if digits.get(name, 4) < 0 else f"{value:.{digits.get(name, 4)}f}"

    head = [name.replace("_", " ") for name in frame.columns]
    lines = [head, ["---"] * len(head)]
    lines += [[cell(n, row[n]) for n in frame.columns] for row in frame.to_dict("records")]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Print the page, section by section."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--data", type=Path, default=pareto_budgets.DATA)
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--dim", type=int, default=5)
    asked = options.parse_args()
    _say(OPENING.format(seeds=asked.seeds), PUBLISHED)
    found = pareto_budgets.published(asked.data, asked.seeds)
    kept = [
        "pacing",
        "budget",
        "reward",
        "published",
        "mixture",
        "over_mixture",
        "over_lo",
        "over_hi",
        "within",
    ]
    _say(table(found[[*kept, "spent", "spent_most", "unanswered"]], {"budget": -1, "unanswered": 1}), RIGHT)
    _say(table(pareto_budgets.at_the_right_price(asked.data), {"budget": -1}), PHASES)
    moved, costs = pareto_budgets.phases(asked.data, asked.seeds)
    pareto_budgets.plot(costs, PICTURE)
    _say(table(moved, dict.fromkeys(moved.columns, 2)), TWIN.format(dim=asked.dim))
    whole = envs.load("all", dim=asked.dim)
    twin = twin_budgets.both(whole, "30%", asked.seeds)
    _say(table(twin, {"unanswered": 1, "gap_closed": 3}))


def _say(*parts: str) -> None:
    for part in parts:
        print(part, flush=True)


if __name__ == "__main__":
    main()

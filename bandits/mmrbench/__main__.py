"""Table 2 of MMR-Bench side by side, as Markdown: `python -m bandits.mmrbench > docs/table2.md`."""

from __future__ import annotations

from bandits.metrics.verdict import FEWEST_SEEDS
from bandits.mmrbench.contest import sentence
from bandits.mmrbench.table2 import markdown, side_by_side
from envs.twin import twin

rows = side_by_side(twin.twin(), seeds=FEWEST_SEEDS)
print(f"{sentence(rows)}\n\n{markdown(rows)}")

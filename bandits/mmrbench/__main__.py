"""Table 2 of MMR-Bench side by side, as Markdown: `python -m bandits.mmrbench > docs/table2.md`."""

from __future__ import annotations

from bandits.mmrbench.table2 import markdown, side_by_side
from envs.twin import twin

print(markdown(side_by_side(twin.twin())))

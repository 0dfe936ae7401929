"""MMR-Bench's own evaluation (arXiv 2601.17814): splits, modes, routers trained on a share, scores, Table 2."""

from bandits.mmrbench.protocol import Protocol as Protocol
from bandits.mmrbench.protocol import evaluate as evaluate
from bandits.mmrbench.protocol import frontier_points as frontier_points
from bandits.mmrbench.protocol import held_out as held_out
from bandits.mmrbench.protocol import printable as printable
from bandits.mmrbench.table2 import side_by_side as side_by_side

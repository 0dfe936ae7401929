"""The world: which queries come, and what every model would answer and cost.

Not here: anything about policies; nothing in this package imports `bandits`.
"""

from envs.outcomes import Outcomes
from envs.stream import Stream, load
from envs.tables.formats import read, write

__all__ = ["Outcomes", "Stream", "load", "read", "write"]

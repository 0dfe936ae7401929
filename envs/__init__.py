"""The world: which queries come, and what every model would answer and cost. Knows nothing of who decides."""

from envs.outcomes import Outcomes
from envs.stream import Stream, load
from envs.tables.formats import read, write

__all__ = ["Outcomes", "Stream", "load", "read", "write"]

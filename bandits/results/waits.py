"""What late feedback adds to a run's tables: how many rounds are called and not heard yet, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import AMOUNT, band

if TYPE_CHECKING:
    import pandas as pd

    from bandits.results.book import Ints

OUTSTANDING = "outstanding"


class Waits:
    """The sums of a run so far; all state is in `arrays`, saved and loaded as it is."""

    def __init__(self, seeds: int, rounds: int, points: int = 200) -> None:
        """Begin with nothing."""
        self.done, self.rounds = 0, rounds
        self.points = np.unique(np.linspace(1, rounds, points).round().astype(int))
        self.arrays: dict[str, NDArray[Any]] = {
            "heard": np.zeros(seeds, np.int64),
            "total": np.zeros(seeds, np.int64),
            "kept": np.zeros((seeds, len(self.points)), np.int64),
        }

    def add(self, heard: Ints) -> None:
        """Add the next rounds: how many outcomes are heard after each, `(S, m)`."""
        state, m = self.arrays, heard.shape[1]
        first, last = np.searchsorted(self.points, [self.done, self.done + m], side="right")
        so_far = state["heard"][:, None] + np.cumsum(heard, axis=1)
        left = np.arange(self.done + 1, self.done + m + 1) - so_far
        state["kept"][:, first:last] = left[:, self.points[first:last] - self.done - 1]
        state["total"], state["heard"] = state["total"] + left.sum(axis=1), so_far[:, -1]
        self.done += m

    def tables(self, policies: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the columns of a summary, by policy, and the rows of its curves; all policies of a run wait alike."""
        import pandas as pd

        left = self.arrays["kept"].astype(np.float64)
        known = {
            OUTSTANDING: float(self.arrays["total"].sum() / (len(left) * self.rounds)),
            "never_heard": float(left[:, -1].mean()),
        }
        low, high = band(left, within=AMOUNT)
        line = {
            "round": self.points,
            "quantity": OUTSTANDING,
            "mean": left.mean(axis=0),
            "lo": low,
            "hi": high,
        }
        lines = [pd.DataFrame({"policy": name, **line}) for name in policies]
        waits = pd.DataFrame([{"policy": name, **known} for name in policies])
        return waits, pd.concat(lines, ignore_index=True)

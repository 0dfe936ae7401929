"""What each player got with each query of a run too long to keep: sums for each query, or for batches of queries.

An interval over queries is made of sums over queries that are independent of each other. Sums over groups of queries
drawn by chance are independent too, with the same mean and variance in all (the method of random groups, Wolter 2007,
chapter 2): with `B` groups the interval is as wide in the mean, and its width varies by `1 / sqrt(2 (B - 1))` of
itself, 1 % at 5,000. So the first `MOST` queries of a run have sums of their own, and all later ones share `MOST`
batches, to which a hash of the query sends them, not their place in the file, since neighbours there are alike. Memory
does not grow with the rounds, and a table of at most `MOST` queries gives just what it gives in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.results.books import Book, Floats, Ints
from bandits.results.by_dataset import MEASURES, UNNAMED

if TYPE_CHECKING:
    import pandas as pd

MOST = 16_384
_ROW = np.iinfo(np.int64).max  # of a place that no query has taken
Keys = NDArray[np.uint64]


class Cells:
    """The sums of a run so far, by query and data set; all state is in `arrays`, saved and loaded as it is.

    The first `most` places belong to a query each (one whose copies are in two data sets has two), the others to
    batches: `most // D` for each of `D` data sets. Copies share a batch, unless they are in several data sets.
    """

    def __init__(self, players: int, datasets: int, rows: int) -> None:
        """Begin with nothing; `rows` of the table."""
        self.most, self.datasets = min(MOST, rows), datasets
        self.batches = max(1, self.most // datasets)
        places = self.most + datasets * self.batches
        self.arrays: dict[str, NDArray[Any]] = {
            "sums": np.zeros((players, len(MEASURES), places)),
            "rounds": np.zeros(places, np.int64),
            "row": np.full(places, _ROW),  # the first that was asked
            "key": np.zeros(self.most, np.uint64),
            "code": np.zeros(self.most, np.int64),
            "used": np.zeros((), np.int64),
        }

    def add(self, window: Book, first: int, often: Ints, own: Floats) -> None:
        """Add a window.

        Args:
            window: from `books.book`.
            first: row of the table that the window begins with.
            often: `(n,)` rounds of each of its rows, over all seeds.
            own: `(P, 3, n)` reward, accuracy and cost of the policies, summed over these.
        """
        asked = np.flatnonzero(often)
        place = self._places(window.alike[asked], window.code[asked])
        sums, size = self.arrays["sums"], len(self.arrays["rounds"])
        self.arrays["rounds"] += np.bincount(place, often[asked], size).astype(np.int64)
        np.minimum.at(self.arrays["row"], place, first + asked)
        others = np.concatenate([window.reference, window.fixed], axis=1).swapaxes(0, 1)  # (R + K, 3, n)
        for player, got in enumerate([*own, *others]):
            weighed = got if player < len(own) else got * often
            for measure, values in enumerate(weighed):
                sums[player, measure] += np.bincount(place, values[asked], size)

    def _places(self, key: Keys, code: Ints) -> NDArray[np.int64]:
        """Return the place of each of `m` rows; queries that are new take one of their own while there are any."""
        pair = _mixed(key, code)
        known, used = _mixed(self.arrays["key"], self.arrays["code"]), int(self.arrays["used"])
        new, first = np.unique(pair[~np.isin(pair, known[:used])], return_index=True)
        if len(new) and used < self.most:
            at = np.flatnonzero(~np.isin(pair, known[:used]))[np.sort(first)][: self.most - used]
            here = slice(used, used + len(at))
            self.arrays["key"][here], self.arrays["code"][here] = key[at], code[at]
            known[here], used = pair[at], here.stop
            self.arrays["used"] = np.array(used)
        order = np.argsort(known[:used])
        found = order[np.minimum(np.searchsorted(known[:used], pair, sorter=order), used - 1)]
        batch = self.most + code * self.batches + (key % np.uint64(self.batches)).astype(np.int64)
        return np.where(known[found] == pair, found, batch)

    def table(self, players: Sequence[str], kept: Sequence[int], datasets: Sequence[str]) -> pd.DataFrame:
        """Return what `by_query.by_query` does; the `cluster` of a batch is below 0.

        Args:
            players: names of all.
            kept: which of them.
            datasets: `D` names.
        """
        import pandas as pd

        asked = np.flatnonzero(self.arrays["rounds"])
        asked = asked[np.argsort(self.arrays["row"][asked], kind="stable")]
        batch = asked - self.most
        alone = batch < 0
        at = np.minimum(asked, self.most - 1)
        cluster = np.where(alone, np.unique(self.arrays["key"], return_inverse=True)[1][at], -1 - batch)
        code = np.where(alone, self.arrays["code"][at], batch // self.batches)
        rounds = self.arrays["rounds"][asked]
        columns: dict[str, Any] = {
            "row": self.arrays["row"][asked],
            "cluster": cluster,
            "dataset": np.array([name or UNNAMED for name in datasets], object)[code],
            "rounds": rounds,
        }
        for player in kept:
            for measure, name in enumerate(MEASURES):
                columns[f"{name}:{players[player]}"] = self.arrays["sums"][player, measure, asked] / rounds
        return pd.DataFrame(columns)


def _mixed(key: Keys, code: Ints) -> Keys:
    """Return one number for a query in a data set (the finaliser of SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = key + (code.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)

"""What each player got with each query of a run: sums for each query, or for batches of queries where they are many.

An interval over queries is made of sums over queries that are independent of each other. Sums over groups of queries
drawn by chance are independent too, with the same mean and variance in all (the method of random groups, Wolter 2007,
chapter 2): with `B` groups the interval is as wide in the mean, and its width varies by `1 / sqrt(2 (B - 1))` of
itself, 1 % at 5,000. So the first `MOST` queries of a run have sums of their own, and all later ones share `MOST`
batches, to which a hash of the query sends them, not their place in the file, since neighbours there are alike. Memory
does not grow with the rounds, and a table of at most `MOST` queries gives just what it gives in memory, where every
query has sums of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.kernels_tally import add_known
from bandits.metrics.regret import plain
from bandits.results.book import REFERENCES, Book, Ints
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

    def __init__(self, players: int, datasets: int, rows: int, *, most: int | None = None) -> None:
        """Begin with nothing; `rows` of the table, `most` queries with sums of their own (None: all)."""
        self.most, self.datasets = rows if most is None else min(most, rows), datasets
        self.batches = 0 if self.most == rows else max(1, self.most // datasets)
        places = self.most + datasets * self.batches
        self.arrays: dict[str, NDArray[Any]] = {
            "sums": np.zeros((players, places, len(MEASURES))),
            "rounds": np.zeros(places, np.int64),
            "row": np.full(places, _ROW),  # the first that was asked
            "key": np.zeros(self.most, np.uint64),
            "code": np.zeros(self.most, np.int64),
            "used": np.zeros((), np.int64),
        }

    def add(self, window: Book, often: Ints) -> NDArray[np.int64]:
        """Add rounds of a window for all but the policies; return `(n,)` the place of each row that was asked.

        Args:
            window: from `book.book`.
            often: `(n,)` rounds of each of its rows, over all seeds.
        """
        asked, place = np.flatnonzero(often), np.zeros(len(often), np.int64)
        found = place[asked] = self._places(window.alike[asked], window.code[asked])
        np.add.at(self.arrays["rounds"], found, often[asked])
        np.minimum.at(self.arrays["row"], found, window.row[asked])
        every = len(REFERENCES) + window.outcome.shape[1]
        add_known(*window[:2], *window[3:5], plain(often, np.int64), place, self.arrays["sums"][-every:])
        return place

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
        if not self.batches:
            return found
        batch = self.most + code * self.batches + (key % np.uint64(self.batches)).astype(np.int64)
        return np.where(known[found] == pair, found, batch)

    def table(self, players: Sequence[str], kept: Sequence[int], datasets: Sequence[str]) -> pd.DataFrame:
        """Return one row for each query that was asked, its numbers means over its rounds with all seeds.

        What an interval over queries is made of: seeds permute one table, and do not tell what other queries would
        give. Near copies are one query, and so are all rounds of a query in a world that changes: the frame has no
        more rows than the table as it was read, whatever the seeds and rounds.

        Args:
            players: names of all.
            kept: which of them.
            datasets: `D` names.

        Returns:
            A frame with the columns `row` (the first of the query's, in the table before any change), `cluster` (a
            number for each query; one whose copies are in several data sets has a row for each; below 0 for a batch),
            dataset, rounds, and for each player `reward:<player>`, `accuracy:` and `cost:`, a round.
        """
        import pandas as pd

        asked = np.flatnonzero(self.arrays["rounds"])
        asked = asked[np.argsort(self.arrays["row"][asked], kind="stable")]
        batch = asked - self.most
        at = np.minimum(asked, self.most - 1)
        rounds, code = self.arrays["rounds"][asked], self.arrays["code"][at]
        columns: dict[str, Any] = {
            "row": self.arrays["row"][asked],
            "cluster": np.where(batch < 0, _numbered(self.arrays["key"][at]), -1 - batch),
            "dataset": np.array([name or UNNAMED for name in datasets], object)[
                np.where(batch < 0, code, batch // max(self.batches, 1))
            ],
            "rounds": rounds,
        }
        for player in kept:
            for measure, name in enumerate(MEASURES):
                columns[f"{name}:{players[player]}"] = self.arrays["sums"][player, asked, measure] / rounds
        return pd.DataFrame(columns)


def _numbered(keys: Keys) -> NDArray[np.intp]:
    """Return a number for each key, from 0 in the order in which they first stand."""
    _, first, code = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[code])


def _mixed(key: Keys, code: Ints) -> Keys:
    """Return one number for a query in a data set (the finaliser of SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = key + (code.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)

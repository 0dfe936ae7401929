"""Reward, accuracy, cost and regret of a run, added up window by window: all that its tables are made of.

A table in memory is one window, and one larger than memory as many as its file has. Sums are compensated between
stretches of `envs.windows.big.WINDOW` rounds (`envs.windows.survey.add`), and the stretches are the same in memory and
on disk, before and after a stop: so are the numbers, to the last digit.

Letters: `P` policies, `R` = 4 references, `K` models, `S` seeds, `D` data sets. Players are policies, `REFERENCES`,
single models, in this order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.kernels_tally import add_up
from bandits.metrics.regret import BASELINES, growth_rounds, plain
from bandits.results.book import REFERENCES, Book, Floats, Ints
from bandits.results.cells import Cells
from envs.windows import big
from envs.windows.survey import add

_POINTS = 250  # rounds at which curves are kept: 200 evenly spaced, the others evenly in the logarithm
_SHARES = 40  # rounds at which shares by data set are kept


def kept_rounds(rounds: int) -> NDArray[np.int64]:
    """Return the ascending rounds, the first and the last included, at which curves are kept."""
    even = np.linspace(1, rounds, _POINTS - 50)
    return np.unique(np.concatenate([even, np.geomspace(1, rounds, 50)]).round().astype(np.int64))


def share_rounds(rounds: int) -> NDArray[np.int64]:
    """Return the ascending rounds at which shares by data set are kept."""
    return np.unique(np.linspace(1, rounds, _SHARES).round().astype(np.int64))


def window(rounds: int) -> int:
    """Return how many rounds before a point of a curve its means are taken over; shares by data set: of a tenth."""
    return max(1, rounds // 25)


def stops(rounds: int) -> NDArray[np.int64]:
    """Return the ascending rounds at which a run is looked at: points of curves, where windows begin, for exponents."""
    points, shares = kept_rounds(rounds), _shares(rounds)
    begins = np.maximum(points - window(rounds), 0)
    return np.unique(np.concatenate([points, begins[begins > 0], growth_rounds(rounds), shares]))


def _shares(rounds: int) -> NDArray[np.int64]:
    points = share_rounds(rounds)
    begins = np.maximum(points - max(1, rounds // 10), 0)
    return np.unique(np.concatenate([points, begins[begins > 0]]))


class Tally:
    """The sums of a run so far, and its curves at the `stops`; all state is in `arrays`, saved and loaded as it is."""

    def __init__(
        self,
        policies: int,
        arms: int,
        seeds: int,
        datasets: int,
        *,
        rounds: int,
        rows: int,
        most: int | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            policies, arms, seeds, datasets: `P`, `K`, `S` and `D`.
            rounds: of the run.
            rows, most: of `cells.Cells`.
        """
        self.done, self.shape, self.stops = 0, (policies, arms, seeds, datasets), stops(rounds)
        self.shares = _shares(rounds) if datasets > 1 else self.stops[:0]
        players, lines = policies + len(REFERENCES) + arms, 2 * (policies + len(REFERENCES)) + arms + 1
        self.cells = Cells(players, datasets, rows, most=most)
        self.arrays: dict[str, NDArray[Any]] = {
            "totals": np.zeros((2, players, seeds, datasets, 3)),
            "rounds": np.zeros((seeds, datasets), np.int64),
            "calls": np.zeros((seeds, policies + len(BASELINES), datasets, arms), np.int64),
            "answered": np.zeros(arms, np.int64),
            "running": np.zeros((2, seeds, lines)),
            "kept": np.zeros((seeds, len(self.stops), lines)),
            "kept_calls": np.zeros((policies, len(self.stops), arms), np.int64),
            "kept_parts": np.zeros((policies, len(self.shares), datasets, arms), np.int64),
            "kept_rounds": np.zeros((len(self.shares), datasets), np.int64),
        }

    def add(self, book: Book, order: Ints, arms: Ints, *, plan: Floats | None = None) -> None:
        """Add the next rounds, which ask rows of one window.

        Args:
            book: of the window.
            order: `(S, m)` rows of the window in the order in which each seed met them.
            arms: `(P, S, m)` models called, -1 where none was.
            plan: `(S, m)` what the best plan of a budget earns, or None.

        Raises:
            ValueError: a call of a model that is not available.
        """
        if arms.min() < -1 or arms.max() >= self.shape[1]:
            raise ValueError(
                f"a trace needs models -1 to {self.shape[1] - 1}, got {arms.min()} to {arms.max()}"
            )
        plan = np.zeros((len(order), 0)) if plan is None else plan
        for part in big.slices(order.shape[1]):
            self._stretch(book, order[:, part], arms[:, :, part], plan[:, part])

    def _stretch(self, book: Book, order: Ints, arms: Ints, plan: Floats) -> None:
        m, state = order.shape[1], self.arrays
        place = self.cells.add(book, np.bincount(order.ravel(), minlength=len(book.code)))
        first, last = np.searchsorted(self.stops, [self.done, self.done + m], side="right")
        stops = self.stops[first:last]
        share_at = np.where(np.isin(stops, self.shares), np.searchsorted(self.shares, stops), -1)
        before, sums = state["running"].sum(axis=0), np.zeros(state["totals"].shape[1:])
        lines, own = np.zeros(before.shape), self.cells.arrays["sums"][: self.shape[0]]
        for s, rows in enumerate(order):
            total = np.zeros((len(sums), *sums.shape[2:]))
            wrong = add_up(
                *book[:5], place, plain(rows, np.int32), plain(arms[:, s], np.int32), plain(plan[s], np.float64),
                stops - self.done, share_at, first, before[s], own, total, state["calls"][s], state["rounds"][s],
                state["answered"], lines[s], state["kept"][s], state["kept_calls"], state["kept_parts"],
                state["kept_rounds"],
            )  # fmt: skip
            if wrong >= 0:
                raise ValueError(
                    "trace needs calls of available models only, got an unavailable one at seed"
                    f" {s}, round {self.done + wrong}"
                )
            sums[:, s] = total
        add(state["totals"], sums)
        add(state["running"], lines)
        self.done += m

    def totals(self) -> Floats:
        """Return `(players, S, D, 3)`: reward, accuracy and cost."""
        return np.asarray(self.arrays["totals"].sum(axis=0))

    def curves(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return at each stop what was earned `(P + R, S, stops)`, spent, each model's regret `(K, S, stops)`, and
        what the plan of a budget earned `(S, stops)`."""
        kept, drawn = np.moveaxis(self.arrays["kept"], 2, 0), 2 * (self.shape[0] + len(REFERENCES))
        return kept[0:drawn:2], kept[1:drawn:2], kept[drawn:-1], kept[-1]

    def at(self, rounds: Ints) -> NDArray[np.intp]:
        """Return the places of these rounds among the stops."""
        return np.searchsorted(self.stops, rounds)


def prepare() -> None:
    """Compile what adds up, by adding up two rounds of two queries and one model."""
    none, places = np.zeros(2, np.int32), np.arange(2)
    sheet = Book(
        np.zeros((2, 1, 3)), np.zeros((2, 3)), np.zeros(2, np.int64), np.zeros((2, 3), np.int32), none,
        places.astype(np.uint64), places,
    )  # fmt: skip
    Tally(1, 1, 1, 1, rounds=2, rows=2).add(sheet, places[None].astype(np.int32), none[None, None])

"""Feedback that comes late from a table too large to hold: the windows in which a round is still waited for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.experiment.ask import Ask
from bandits.loop import feedback, lanes
from bandits.loop.rounds import Chunk, Due
from bandits.results.waits import Waits
from envs.windows import big

Ints = NDArray[np.integer[Any]]


class Backlog:
    """The rows of the latest windows, as many as the longest wait needs, and how long is waited in all."""

    def __init__(self, late: feedback.Late, ask: Ask, rounds: int) -> None:
        self.late, self.shape, self.seed = late, (ask.seeds, rounds), ask.seed
        self.longest = feedback.longest(late, self.shape, ask.seed)
        self.ring = feedback.ring_of(self.longest)
        self.waits = Waits(*self.shape)
        self.held: list[tuple[int, Chunk, Ints]] = []  # number of a window, its sheet, the order in it

    def since(self, first: int) -> int:
        """Return the first window of which something is heard from this round on."""
        return max(0, first - self.longest) // big.WINDOW

    def hold(self, number: int, sheet: Chunk, order: Ints) -> None:
        """Keep a window for what comes later."""
        self.held.append((number, sheet, order))

    def heard(self, first: int, rounds: int) -> tuple[Callable[[int], tuple[Due, Any]], Ints]:
        """Return what `lanes.rounds` takes of the window that begins with this round, the last one held, and how many
        outcomes are heard after each of its rounds, `(S, rounds)`."""
        self.held = [one for one in self.held if one[0] >= self.since(first)]
        low = self.held[0][0] * big.WINDOW
        after = feedback.due(self.late, self.shape, self.seed, first=low, last=first + rounds)
        columns = zip(*(sheet for _, sheet, _ in self.held), strict=True)
        sheet = Chunk(*(None if column[0] is None else np.concatenate(column) for column in columns))
        starts = np.cumsum([0, *(len(one.preference) for _, one, _ in self.held)])
        rows = np.concatenate(
            [order + at for at, (_, _, order) in zip(starts, self.held, strict=False)], axis=1
        )
        times, sheets = feedback.timetable(after, low=low, begin=first), [sheet] * self.shape[0]
        told = partial(lanes.due, times, sheets, rows, total=self.shape[1], low=low)
        return told, feedback.heard(after, first, rounds)

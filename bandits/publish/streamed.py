"""A run on a table too large to hold: survey, play window by window, save as it goes, go on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import RESOURCES
from bandits.experiment import lineup as experiment
from bandits.experiment.ask import Ask
from bandits.folders import checkpoint, place, trace
from bandits.folders import write as artefacts
from bandits.folders.unfinished import Staged
from bandits.loop import lanes
from bandits.loop.keys import named
from bandits.loop.lanes import CHUNK
from bandits.loop.orders import window_order
from bandits.loop.player import player
from bandits.loop.replay import shared
from bandits.metrics.regret import BASELINES, fall_back, fixed_sums, played, stand_in
from bandits.publish import asked
from bandits.results import cells, summary
from bandits.results.book import Best, Book, book
from bandits.results.tally import Tally
from bandits.rewards import REWARDS, Reward, reward_table
from bandits.wrappers import budget, promise
from envs.ahead import ahead
from envs.windows import big

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.integer[Any]]
EVERY = 1024  # chunks between checkpoints by default: about a million rounds


class Interrupted(Exception):
    """The run was told to stop, and left a checkpoint; the text says after how many rounds."""


class _Window(NamedTuple):
    """What is made of a window before it is played: its number, the compiled rounds' view of it, its book and ids."""

    number: int
    sheet: Any
    book: Book
    ids: Any


class _Run:
    """A run on its way: everything that a checkpoint holds, and where it goes."""

    def __init__(self, table: big.Big, ask: Ask, staged: Staged, about: Mapping[str, Any]) -> None:
        self.table, self.ask, self.staged, self.about = table, ask, staged, about
        self.worth: Reward = resolve.function(ask.reward, REWARDS, "reward")
        self.total = ask.rounds or len(table)
        self.bounds = self._range() if any(map(experiment.ranged, ask.policies)) else None
        lineup = experiment.lineup(table, ask.policies, self.worth, bounds=self.bounds)
        built = [policy for policy in lineup.values() if policy is not None]
        account = None
        if ask.cap is not None:  # which may leave no call, as a budget may: an endless one stands for it
            size = table.n_arms, table.dim
            built = [promise.cap(budget.PACINGS["stop"](p, *size), *size, limit=ask.cap) for p in built]
            account = lanes.account(np.full((ask.seeds, len(RESOURCES)), np.inf))
        self.playing = [
            player(policy, named(ask.seed, ask.seeds), shared(table), account=account) for policy in built
        ]
        sizes = len(lineup), table.n_arms, ask.seeds, len(table.datasets)
        self.tally = Tally(*sizes, rounds=self.total, rows=len(table), most=cells.MOST)
        self.first = 0  # round that the present window begins with
        self.called = [self._none()]  # (P, S, c) in the present window, chunk by chunk
        # A window is added up in a second thread while the next one is played; one at a time.
        self.adder, self.adding = ThreadPoolExecutor(1), Future[None]()
        self.adding.set_result(None)

    @property
    def done(self) -> int:
        """Rounds played, those of the present window included."""
        return self.first + sum(int(called.shape[2]) for called in self.called)

    def _none(self) -> Ints:
        """Return the calls of no round."""
        return np.zeros((len(self.playing), self.ask.seeds, 0), np.int32)

    def _range(self) -> tuple[float, float]:
        """Return the least and the highest reward of the windows that are played: a pass over the table."""
        ends: list[float] = []
        for piece in self.table.pieces(context=False):
            if piece.first >= self.total:
                break
            weight = asked.preference(self.ask, piece.first, len(piece))
            ends += experiment.bounds_of(reward_table(self.worth, piece, weight))
        return min(ends), max(ends)

    def save(self) -> None:
        """Write the checkpoint."""
        self.adding.result()
        arrays = {f"tally.{name}": array for name, array in self.tally.arrays.items()}
        arrays |= {f"cells.{name}": array for name, array in self.tally.cells.arrays.items()}
        for p, one in enumerate(self.playing):
            arrays |= checkpoint.packed(one.carry, f"carry{p}")
        arrays["called"] = np.concatenate(self.called, axis=2)
        checkpoint.save(self.staged.checkpoint, arrays, {**self.about, "done": self.first})

    def load(self) -> None:
        """Take up the checkpoint.

        Raises:
            ValueError: it is of another run, another table or other versions.
        """
        arrays, about = checkpoint.load(self.staged.checkpoint)
        for key, mine in json.loads(json.dumps(self.about)).items():
            if about.get(key) != mine:
                raise ValueError(
                    f"--resume needs the run that was stopped; its {key} was {about.get(key)}, now it is {mine}"
                )
        self.first = self.tally.done = about["done"]
        trace.parts(self.staged.calls, -(-self.first // big.WINDOW))
        self.tally.arrays = {name: arrays[f"tally.{name}"] for name in self.tally.arrays}
        self.tally.cells.arrays = {name: arrays[f"cells.{name}"] for name in self.tally.cells.arrays}
        for p, one in enumerate(self.playing):
            one.carry = checkpoint.unpacked(arrays, f"carry{p}", one.carry)
        self.called = [arrays["called"]]

    def windows(self, means: Best) -> Iterator[_Window]:
        """Yield the windows that are still to be played, as far as the run goes."""
        ask, first, last = self.ask, self.first // big.WINDOW, -(-self.total // big.WINDOW)
        for number, piece in zip(range(first, last), self.table.pieces(first), strict=False):
            weight = asked.preference(ask, piece.first, len(piece))
            reward = reward_table(self.worth, piece, weight)
            row = np.arange(piece.first, piece.first + len(piece))
            own = book(reward, piece, means, row=row, alike=piece.alike)
            yield _Window(number, lanes.sheet(piece, reward, weight), own, piece.query_id)

    def play(
        self, window: _Window, every: int, stop: Callable[[], bool], told: Callable[[int], object]
    ) -> None:
        """Play the rest of a window and add it up; save where a checkpoint is due.

        Raises:
            Interrupted: `stop` said so; the checkpoint is written.
        """
        ask, first, rows = self.ask, self.first, len(window.book.code)
        order = window_order(rows, window.number, seeds=ask.seeds, seed=ask.seed, order=ask.order)
        order, sheets = order[:, : self.total - first], [window.sheet] * ask.seeds
        played = lanes.rounds(
            self.playing, sheets, order, total=self.total, first=first, done=self.done - first
        )
        for size, called in played:
            arms = np.array([arms for arms, _ in called], np.int32)
            self.called.append(arms.reshape(len(called), ask.seeds, size))
            told(size)
            if stop():
                self.save()
                raise Interrupted(f"stopped after {self.done:,} of {self.total:,} rounds")
            if self.done % (every * CHUNK) == 0:
                self.save()
        self.adding.result()
        self.adding = self.adder.submit(self._add, window, order, first, self.called)
        self.first, self.called = first + order.shape[1], [self._none()]

    def _add(self, window: _Window, order: Ints, first: int, called: list[Ints]) -> None:
        own = iter(np.concatenate(called, axis=2))
        known = dict(zip(BASELINES, window.book.best.T, strict=True))
        arms = np.stack([known[p][order] if p in known else next(own) for p in self.ask.policies])
        self.tally.add(window.book, order, arms)
        row, where = window.book.row, {"first": first, "begins": int(window.book.row[0])}
        part = trace.part(self.staged.calls, window.number)
        trace.write(part, self.ask.policies, order, list(arms), window.ids, row, **where)


def run(
    table: big.Big,
    ask: Ask,
    folder: Path,
    known: Mapping[str, Any],
    *,
    every: int = EVERY,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda rounds: None,
) -> dict[str, pd.DataFrame]:
    """Play policies through a table, write the run's folder, and return its tables by name.

    Args:
        table: from `envs.windows.survey.opened`.
        ask: what to do; what a streamed run cannot give is refused.
        folder: where to.
        known: what only the caller knows: command, context, load.
        every: chunks of `CHUNK` rounds between checkpoints.
        resume: go on with what a stopped run left, where it left something.
        stop: asked after every chunk; True stops the run with a checkpoint.
        progress: called after each chunk with its rounds, of one policy and seed.

    Raises:
        ValueError: something cannot be had of a streamed run, or an option is wrong; one line.
        Interrupted: `stop` said so.
    """
    asked.refuse(table, ask, every)
    folder = place.check_folder(folder)
    started, staged = time.perf_counter(), Staged(folder)
    left = staged.checkpoint.is_file()
    if left and not resume:
        raise ValueError(
            f"{staged.place} holds a run that was stopped; --resume goes on with it, or remove it to begin anew"
        )
    about: dict[str, Any] = {
        "asked": {k: v for k, v in ask._asdict().items() if k in asked.FIELDS},
        "context": known["context"],
        "chunk, window": [CHUNK, big.WINDOW],
        "versions": artefacts.versions(),
    }
    going = _Run(table, ask, staged, about)
    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(big.sha256, table.path)
        ranked = fall_back(table.answered)
        means = Best(fixed_sums(_rewards(going, ranked), len(table.datasets)), ranked)
    about["sha256"] = digest.result()
    if left:
        going.load()
    else:
        staged.begin()
    progress(going.done)
    with going.adder:
        for window in ahead(going.windows(means)):
            going.play(window, every, stop, progress)
        going.adding.result()
    return _published(going, {**known, "seconds": round(time.perf_counter() - started, 3)})


def _rewards(
    going: _Run, ranked: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int32], Ints, Ints]]:
    """Yield what `fixed_sums` takes of every window that is played."""
    ask = going.ask
    for number, piece in enumerate(ahead(going.table.pieces(context=False))):
        rest = going.total - piece.first
        if rest <= 0:
            return
        often = np.full(len(piece), ask.seeds)
        if rest < len(piece):
            rows = window_order(len(piece), number, seeds=ask.seeds, seed=ask.seed, order=ask.order)
            often = played(rows[:, :rest], len(piece))
        reward = reward_table(going.worth, piece, asked.preference(ask, piece.first, len(piece)))
        yield reward, stand_in(~np.isnan(reward), ranked), piece.code, often


def _published(going: _Run, known: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Write the folder of a finished run, and return its tables."""
    table, ask = going.table, going.ask
    made = summary.tables(going.tally, table, ask.policies)
    made.summary["preference"], made.summary["budget"] = ask.preference, ""
    own = {
        "title": f"{', '.join(ask.policies)} on {table.name}",
        "notes": asked.notes(table, ask.order),
        "budget": "",
        "reward_range": going.bounds,
        "rounds": going.total,
        "streamed": True,
        **known,
    }
    data = {"name": str(table.path), "sha256": going.about["sha256"]}
    manifest = artefacts.described(table, ask, own, stream=table.name, data=data)
    going.staged.publish(artefacts.filed(made._asdict(), manifest), going.total)
    return made._asdict()

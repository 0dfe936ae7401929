"""A run on a table too large to hold, on its way: played window by window, all that it carries saved and taken up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.base import RESOURCES, Policy
from bandits.experiment import lineup as experiment
from bandits.experiment import play, worlds
from bandits.experiment.ask import Ask
from bandits.folders import checkpoint, trace
from bandits.folders.unfinished import Staged
from bandits.loop import lanes
from bandits.loop.keys import named
from bandits.loop.lanes import CHUNK
from bandits.loop.orders import window_order
from bandits.loop.player import Player, player
from bandits.loop.replay import shared, stopped
from bandits.loop.rounds import Chunk, ring
from bandits.metrics.regret import BASELINES
from bandits.publish import asked
from bandits.publish.backlog import Backlog
from bandits.results import cells
from bandits.results.book import Best, Book, book
from bandits.results.spending import Spending
from bandits.results.tally import Tally
from bandits.rewards import REWARDS, Reward, reward_table
from bandits.wrappers import budget
from envs.windows import big

Ints = NDArray[np.integer[Any]]


class Interrupted(Exception):
    """The run was told to stop, and left a checkpoint; the text says after how many rounds."""


class Window(NamedTuple):
    """A window before it is played: its number, its rows, the compiled rounds' view of them, and their book."""

    number: int
    piece: big.Piece
    sheet: Chunk
    book: Book


class Going:
    """A run on its way: everything that a checkpoint holds, and where it goes."""

    def __init__(self, table: big.Big, ask: Ask, staged: Staged, about: Mapping[str, Any]) -> None:
        self.table, self.ask, self.staged, self.about = table, ask, staged, about
        self.worth: Reward = resolve.function(ask.reward, REWARDS, "reward")
        self.total = ask.rounds or len(table)
        self.bounds = self._range() if any(map(experiment.ranged, ask.policies)) else None
        lineup = experiment.lineup(table, ask.policies, self.worth, bounds=self.bounds)
        self.limits = play.limits(table, ask, self.total)
        built = {spec: self._held(policy) for spec, policy in lineup.items() if policy is not None}
        late = worlds.late(ask)
        self.backlog = None if late is None else Backlog(late, ask, self.total)
        self.own = list(built)
        self.playing = [self._player(policy) for policy in built.values()]
        sizes = len(lineup), table.n_arms, ask.seeds, len(table.datasets)
        self.tally = Tally(*sizes, rounds=self.total, rows=len(table), most=cells.MOST)
        self.spending = (
            Spending(list(built), ask.seeds, table.n_arms, self.limits, rounds=self.total, cap=ask.cap)
            if ask.budget and self.limits is not None and built
            else None
        )
        self.first = 0  # round that the present window begins with
        self.called = [self._none()]  # (P, S, c) in the present window, chunk by chunk
        self.prices = [self._unread()]  # (P, S, c, R) read before each of them, NaN where a policy has none
        # A window is added up in a second thread while the next one is played; one at a time.
        self.adder, self.adding = ThreadPoolExecutor(1), Future[None]()
        self.adding.set_result(None)

    def _held(self, policy: Policy) -> Policy:
        """Return the policy in the wrappers that a budget or a cap asks for."""
        own = self.ask
        if self.limits is None:
            return policy
        return budget.held(policy, self.table, pacing=own.pacing, hard=own.hard, cap=own.cap)

    def _player(self, policy: Policy) -> Player:
        """Return what plays a policy: with an account where a round may have no call, with a ring where it waits."""
        ask, table, held, places = self.ask, self.table, None, None
        if self.limits is not None:
            held = lanes.account(np.stack([self.limits] * ask.seeds))
        if self.backlog is not None:
            sizes = self.backlog.ring, table.n_arms, table.dim
            places = ring(policy, ask.seeds, *sizes, budgeted=held is not None)
        full = ask.feedback == "full"
        keys = named(ask.seed, ask.seeds)
        return player(policy, keys, shared(table), account=held, ring=places, probe=policy.price, full=full)

    @property
    def done(self) -> int:
        """Rounds played, those of the present window included."""
        return self.first + sum(int(called.shape[2]) for called in self.called)

    def _none(self) -> Ints:
        """Return the calls of no round."""
        return np.zeros((len(self.playing), self.ask.seeds, 0), np.int32)

    def _unread(self) -> NDArray[np.float32]:
        """Return the dual prices of no round."""
        return np.zeros((len(self.playing), self.ask.seeds, 0, len(RESOURCES)), np.float32)

    @property
    def sums(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The arrays of all that is added up, by their owner."""
        found = {"tally": self.tally.arrays, "cells": self.tally.cells.arrays}
        found |= {} if self.spending is None else {"spending": self.spending.arrays}
        return found if self.backlog is None else {**found, "waits": self.backlog.waits.arrays}

    def valued(self, piece: big.Piece) -> tuple[NDArray[np.float64], float | NDArray[np.float64]]:
        """Return what the outcomes of a window are worth, `(n, K)`, and the preference that went into it."""
        weight = asked.preference(self.ask, piece.first, len(piece))
        return reward_table(self.worth, piece, weight), weight

    def _range(self) -> tuple[float, float]:
        """Return the least and the highest reward of the windows that are played: a pass over the table."""
        ends: list[float] = []
        for piece in self.table.pieces(context=False):
            if piece.first >= self.total:
                break
            ends += experiment.bounds_of(self.valued(piece)[0])
        return min(ends), max(ends)

    def save(self) -> None:
        """Write the checkpoint."""
        self.adding.result()
        arrays = {f"{owner}.{name}": a for owner, own in self.sums.items() for name, a in own.items()}
        for p, one in enumerate(self.playing):
            arrays |= checkpoint.packed(one.carry, f"carry{p}")
        arrays["called"] = np.concatenate(self.called, axis=2)
        arrays["prices"] = np.concatenate(self.prices, axis=2)
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
        if self.spending is not None:
            self.spending.done = self.first
        if self.backlog is not None:
            self.backlog.waits.done = self.first
        trace.parts(self.staged.calls, -(-self.first // big.WINDOW))
        for owner, own in self.sums.items():
            own |= {name: arrays[f"{owner}.{name}"] for name in own}
        for p, one in enumerate(self.playing):
            one.carry = checkpoint.unpacked(arrays, f"carry{p}", one.carry)
        self.called, self.prices = [arrays["called"]], [arrays["prices"]]

    def windows(self, means: Best) -> Iterator[Window]:
        """Yield the windows that are still to be played, as far as the run goes, after those still waited for."""
        first = self.first // big.WINDOW if self.backlog is None else self.backlog.since(self.first)
        last = -(-self.total // big.WINDOW)
        for number, piece in zip(range(first, last), self.table.pieces(first), strict=False):
            reward, weight = self.valued(piece)
            row = np.arange(piece.first, piece.first + len(piece))
            own = book(reward, piece, means, row=row, alike=piece.alike)
            yield Window(number, piece, lanes.sheet(piece, reward, weight), own)

    def play(
        self, window: Window, every: int, stop: Callable[[], bool], told: Callable[[int], object]
    ) -> None:
        """Play the rest of a window and add it up; save where a checkpoint is due.

        Raises:
            Interrupted: `stop` said so; the checkpoint is written.
        """
        ask, first, rows = self.ask, self.first, len(window.book.code)
        order = window_order(rows, window.number, seeds=ask.seeds, seed=ask.seed, order=ask.order)
        order, sheets = order[:, : self.total - window.piece.first], [window.sheet] * ask.seeds
        late, heard = None, None
        if self.backlog is not None:
            self.backlog.hold(window.number, window.sheet, order)
            if window.piece.first < first:  # played before a stop
                return
            late, heard = self.backlog.heard(first, order.shape[1])
        where = {"total": self.total, "first": first, "done": self.done - first}
        played = lanes.rounds(self.playing, sheets, order, **where, late=late)
        for size, called in played:
            arms = np.array([arms for arms, _ in called], np.int32)
            self.called.append(arms.reshape(len(called), ask.seeds, size))
            if self.spending is not None:
                blank = np.full((ask.seeds, size, len(RESOURCES)), np.nan, np.float32)
                self.prices.append(np.stack([blank if read is None else read for _, read in called]))
            told(size)
            if stop():
                self.save()
                raise Interrupted(f"stopped after {self.done:,} of {self.total:,} rounds")
            if self.done % (every * CHUNK) == 0:
                self.save()
        self.adding.result()
        if self.backlog is not None and heard is not None:
            self.backlog.waits.add(heard)
        self.adding = self.adder.submit(self._add, window, order, first, self.called, self.prices)
        self.first, self.called, self.prices = first + order.shape[1], [self._none()], [self._unread()]

    def _add(
        self,
        window: Window,
        order: Ints,
        first: int,
        called: list[Ints],
        prices: list[NDArray[np.float32]],
    ) -> None:
        made = np.concatenate(called, axis=2)
        if self.spending is not None and self.limits is not None:
            spent = self.spending.arrays["spent"]
            ended = (
                stopped(window.piece, order, one, self.limits, own)
                for one, own in zip(made, spent, strict=True)
            )
            made = np.stack(list(ended))
            reward, other = window.book.outcome[..., 0], window.book.other
            self.spending.add(window.piece, reward, other, order, made, np.concatenate(prices, axis=2))
        own = iter(made)
        known = dict(zip(BASELINES, window.book.best.T, strict=True))
        arms = np.stack([known[p][order] if p in known else next(own) for p in self.ask.policies])
        self.tally.add(window.book, order, arms)
        row, where = window.book.row, {"first": first, "begins": int(window.book.row[0])}
        part = trace.part(self.staged.calls, window.number)
        trace.write(part, self.ask.policies, order, list(arms), window.piece.query_id, row, **where)

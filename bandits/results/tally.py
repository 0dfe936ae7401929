"""Reward, accuracy, cost and regret added up window by window, for runs too long to keep every round.

Letters: `P` policies, `R` = 4 references, `K` models, `S` seeds, `D` data sets. Players are policies, `REFERENCES`,
single models, in this order. Sums are compensated (`envs.windows.survey.add`) and windows are always the same, so the
numbers do not depend on where a run was broken off and taken up again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.regret import BASELINES
from bandits.results.books import REFERENCES, Book, Floats, Ints, settled
from envs.windows.survey import add

# What is summed by data set: rounds that count, what they gave, and what each of BASELINES earned in the same rounds.
QUANTITIES = ("rounds", "reward", "accuracy", "cost", *BASELINES)
_REWARD = 1


class Tally:
    """The sums of a run so far, and its curves at the `stops`; all state is in `arrays`, saved and loaded as it is."""

    def __init__(self, policies: int, arms: int, seeds: int, datasets: int, stops: Ints) -> None:
        """Begin with nothing; `stops` are ascending numbers of rounds."""
        self.stops, self.done = stops, 0
        players, drawn = policies + len(REFERENCES) + arms, policies + len(REFERENCES)
        self.shape = (policies, arms, seeds, datasets)
        self.arrays: dict[str, NDArray[Any]] = {
            "totals": np.zeros((2, players, seeds, datasets, len(QUANTITIES))),
            "calls": np.zeros((policies + len(BASELINES), seeds, datasets, arms), np.int64),
            "running": np.zeros((2, seeds, 2 * drawn + arms)),
            "running_calls": np.zeros((policies, seeds, arms), np.int64),
            "answered": np.zeros(arms, np.int64),
            "kept": np.zeros((seeds, len(stops), 2 * drawn + arms)),
            "kept_calls": np.zeros((policies, seeds, len(stops), arms), np.int64),
        }

    def add(self, window: Book, order: Ints, arms: Ints) -> tuple[Ints, Floats]:
        """Add a window; return the rounds of its rows `(n,)` and what each policy got with them `(P, 3, n)`, summed.

        Args:
            window: from `book`.
            order: `(S, m)` rows of the window in the order in which each seed met them.
            arms: `(P, S, m)` models called.

        Raises:
            ValueError: a call of a model that is not available.
        """
        policies, _, _, datasets = self.shape
        m = order.shape[1]
        inside = self.stops[(self.stops > self.done) & (self.stops <= self.done + m)] - self.done
        first = int(np.searchsorted(self.stops, self.done, side="right"))
        places = slice(first, first + len(inside))
        whole = window.sums if m == len(window.code) else None
        totals, lines = np.empty_like(self.arrays["totals"][0]), []
        often, own = np.zeros(len(window.code), np.int64), np.zeros((policies, 3, len(window.code)))
        for s, rows in enumerate(order):
            others, called = whole or settled(window, rows, datasets)
            totals[policies:, s] = others
            self.arrays["calls"][policies:, s] += called
            self.arrays["answered"] += (~np.isnan(window.sheets[0][:, rows])).sum(axis=1)
            rivals = others[: len(BASELINES), :, _REWARD].T
            earned = [self._played(window, rows, arms[p, s], p, s, places, inside) for p in range(policies)]
            often[rows] += 1  # a seed meets each row once
            for p, (sums, got) in enumerate(earned):
                totals[p, s] = np.concatenate([sums, rivals], axis=1)
                own[p][:, rows] += got
            every = [window.lines[:, rows], *(got[::2] for _, got in earned)]
            lines.append(_cumulative(np.concatenate(every), inside))
        add(self.arrays["totals"], totals)
        before = self.arrays["running"].sum(axis=0)
        for s, line in enumerate(lines):
            self.arrays["kept"][s, places] = before[s] + line[: len(inside)]
        add(self.arrays["running"], np.stack([line[-1] for line in lines]))
        self.done += m
        return often, own

    def _played(
        self, window: Book, rows: Ints, arms: Ints, policy: int, seed: int, places: slice, inside: Ints
    ) -> tuple[Floats, Floats]:
        """Return what a policy got with one seed, by data set `(D, 4)` and by round `(3, m)`; count its calls."""
        _, n_arms, _, datasets = self.shape
        if arms.min() < 0:
            raise ValueError("a policy that answers -1 (no call) needs a budget, and a streamed run has none")
        code = window.code[rows]
        got = window.sheets[:, arms, rows]
        if np.isnan(reward := got[0]).any():
            raise ValueError(f"a policy called an unavailable model in row {int(np.isnan(reward).argmax())}")
        sums = [np.bincount(code, weights=x, minlength=datasets) for x in (None, *got)]
        counts = np.bincount(code * n_arms + arms, minlength=datasets * n_arms).reshape(datasets, n_arms)
        self.arrays["calls"][policy, seed] += counts
        so_far = self.arrays["running_calls"][policy, seed]
        parts = np.split(arms, inside)
        each = np.cumsum([np.bincount(part, minlength=n_arms) for part in parts], axis=0)
        self.arrays["kept_calls"][policy, seed, places] = so_far + each[: len(inside)]
        so_far += each[-1]
        return np.stack(sums, axis=1), got

    def totals(self) -> Floats:
        """Return `(players, S, D, 7)`, `QUANTITIES` last."""
        return np.asarray(self.arrays["totals"].sum(axis=0))

    def curves(self) -> tuple[Floats, Floats, Floats]:
        """Return at each stop what was earned `(P + R, S, stops)`, spent, and each model's regret `(K, S, stops)`."""
        policies, arms, _, _ = self.shape
        kept, r = np.moveaxis(self.arrays["kept"], 2, 0), len(REFERENCES)
        own = kept[2 * r + arms :].reshape(policies, 2, *kept.shape[1:])
        earned, spent = (np.concatenate([own[:, i], kept[i * r : (i + 1) * r]]) for i in range(2))
        return earned, spent, kept[2 * r : 2 * r + arms]


def _cumulative(values: Floats, inside: Ints) -> Floats:
    """Return the sums of `(Q, m)` up to each stop, and last up to the end, `(stops + 1, Q)`."""
    starts = np.concatenate([[0], inside[inside < values.shape[1]]]).astype(np.intp)
    sums = np.cumsum(np.add.reduceat(values, starts, axis=1), axis=1).T
    return np.concatenate([sums[: len(inside)], sums[-1:]])

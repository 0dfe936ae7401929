"""Reward, accuracy, cost and regret added up window by window, for runs too long to keep every round.

Letters: `P` policies, `R` = 4 references, `K` models, `S` seeds, `D` data sets. Players are policies, `REFERENCES`,
single models, in this order. Sums are compensated (`envs.survey.add`) and windows are always the same, so the numbers
do not depend on where a run was broken off and taken up again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.regret import BASELINES
from envs.survey import add

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
REFERENCES = (*BASELINES, "uniform")
# What is summed by data set: rounds that count, what they gave, and what each of BASELINES earned in the same rounds.
QUANTITIES = ("rounds", "reward", "accuracy", "cost", *BASELINES)
_REWARD, _RIVALS = 1, slice(4, 7)


class Best(NamedTuple):
    """Mean reward of each model over all rows of a table, `overall` `(K,)` and `by_dataset` `(D, K)`; -inf: none."""

    overall: Floats
    by_dataset: Floats


def best(windows: Iterable[tuple[Floats, Ints]], datasets: int) -> Best:
    """Return the mean rewards from windows of a reward table `(n, K)`, NaN where unavailable, and data sets `(n,)`."""
    total: Floats | None = None
    calls = np.zeros(0)
    for reward, code in windows:
        seen = ~np.isnan(reward)
        sums = _by_dataset(np.where(seen, reward, 0.0).T, code, datasets)
        if total is None:
            total, calls = np.zeros((2, *sums.shape)), np.zeros_like(sums)
        add(total, sums)
        calls += _by_dataset(seen.T, code, datasets)
    assert total is not None
    each = total[0] + total[1]

    def mean(total: Floats, calls: Floats) -> Floats:
        return np.where(calls > 0, total / np.maximum(calls, 1), -np.inf)

    return Best(mean(each.sum(axis=0), calls.sum(axis=0)), mean(each, calls))


class Book(NamedTuple):
    """What is known of the `n` rows of a window before anybody plays.

    Attributes:
        sheets: `(3, K, n)` reward, utility and cost, NaN where unavailable.
        code: `(n,)` data set.
        arms: `(3, n)` what each of `BASELINES` calls.
        reference: `(3, R, n)` reward, accuracy and cost of each of `REFERENCES`.
        lines: `(2 R + K, n)` what curves are made of: reward and cost of `REFERENCES`, and for each model how much
            more the oracle earns, 0 where the model is unavailable.
        sums: what `_settled` gives for all rows.
    """

    sheets: Floats
    code: Ints
    arms: Ints
    reference: Floats
    lines: Floats
    sums: tuple[Floats, Ints] | None = None


def book(reward: Floats, utility: Any, cost: Any, code: Ints, means: Best) -> Book:
    """Return the book of a window; ranks of the models come from `means`, over all rows."""
    sheets = np.stack([reward.T, utility.T, cost.T])
    seen = ~np.isnan(sheets[0])
    every = bool(seen.all())
    known = sheets if every else np.where(seen, sheets, 0.0)
    arms = np.stack(
        [
            _oracle(sheets, known, every),
            _ranked(means.overall[:, None], seen),
            _ranked(means.by_dataset.T, seen)[code] if every else _ranked(means.by_dataset.T[:, code], seen),
        ]
    )
    called = sheets[:, arms, np.arange(len(code))]  # (3, 3, n)
    there = len(sheets[0]) if every else seen.sum(axis=0)
    reference = np.concatenate([called, (known.sum(axis=1) / there)[:, None]], axis=1)
    behind = reference[0, 0] - sheets[0] if every else np.where(seen, reference[0, 0] - known[0], 0.0)
    lines = np.concatenate([reference[0], reference[2], behind])
    made = Book(sheets, code, arms, reference, lines)
    return made._replace(sums=_settled(made, None, len(means.by_dataset)))


def _oracle(sheets: Floats, known: Floats, every: bool) -> Ints:
    """Return `(n,)` what `comparator` calls the oracle: the highest reward, the cheapest among equals."""
    reward = sheets[0] if every else np.where(np.isnan(sheets[0]), -np.inf, sheets[0])
    return np.asarray(np.where(reward == reward.max(axis=0), known[2], np.inf).argmin(axis=0))


def _ranked(means: Floats, seen: NDArray[np.bool_]) -> Ints:
    """Return the available model of the highest mean in each column; `means` `(K, 1)`, `(K, D)` or `(K, n)`."""
    if seen.all():
        best: Ints = means.argmax(axis=0)
        return np.broadcast_to(best, seen.shape[1:]) if means.shape[1] == 1 else best
    return np.asarray(np.where(seen, means, -np.inf).argmax(axis=0))


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
            "kept": np.zeros((seeds, len(stops), 2 * drawn + arms)),
            "kept_calls": np.zeros((policies, seeds, len(stops), arms), np.int64),
        }

    def add(self, window: Book, order: Ints, arms: Ints) -> None:
        """Add a window.

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
        for s, rows in enumerate(order):
            others, called = whole or _settled(window, rows, datasets)
            totals[policies:, s] = others
            self.arrays["calls"][policies:, s] += called
            rivals = others[: len(BASELINES), :, _REWARD].T
            earned = [self._played(window, rows, arms[p, s], p, s, places, inside) for p in range(policies)]
            for p, (sums, _) in enumerate(earned):
                totals[p, s] = np.concatenate([sums, rivals], axis=1)
            every = [window.lines[:, rows], *(line for _, line in earned)]
            lines.append(_cumulative(np.concatenate(every), inside))
        add(self.arrays["totals"], totals)
        before = self.arrays["running"].sum(axis=0)
        for s, line in enumerate(lines):
            self.arrays["kept"][s, places] = before[s] + line[: len(inside)]
        add(self.arrays["running"], np.stack([line[-1] for line in lines]))
        self.done += m

    def _played(
        self, window: Book, rows: Ints, arms: Ints, policy: int, seed: int, places: slice, inside: Ints
    ) -> tuple[Floats, Floats]:
        """Return what a policy got with one seed, by data set `(D, 4)` and by round `(2, m)`; count its calls."""
        _, n_arms, _, datasets = self.shape
        if arms.min() < 0:
            raise ValueError("a policy that answers -1 (no call) needs a budget, and a streamed run has none")
        code = window.code[rows]
        reward, accuracy, cost = window.sheets[:, arms, rows]
        if np.isnan(reward).any():
            raise ValueError(f"a policy called an unavailable model in row {int(np.isnan(reward).argmax())}")
        sums = [np.bincount(code, weights=x, minlength=datasets) for x in (None, reward, accuracy, cost)]
        counts = np.bincount(code * n_arms + arms, minlength=datasets * n_arms).reshape(datasets, n_arms)
        self.arrays["calls"][policy, seed] += counts
        so_far = self.arrays["running_calls"][policy, seed]
        parts = np.split(arms, inside)
        each = np.cumsum([np.bincount(part, minlength=n_arms) for part in parts], axis=0)
        self.arrays["kept_calls"][policy, seed, places] = so_far + each[: len(inside)]
        so_far += each[-1]
        return np.stack(sums, axis=1), np.stack([reward, cost])

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


def _settled(window: Book, rows: Ints | None, datasets: int) -> tuple[Floats, Ints]:
    """Return the sums of references and models `(R + K, D, 7)`, and the calls of `BASELINES` `(3, D, K)`."""
    taken: Any = slice(None) if rows is None else rows
    code, n_arms = window.code[taken], window.sheets.shape[1]
    references = window.reference[:, :, taken]  # (3, R, m)
    best = references[0, : len(BASELINES)]
    count = np.bincount(code, minlength=datasets).astype(np.float64)[:, None]
    rivals = _by_dataset(best, code, datasets)
    parts = [
        np.hstack([count, _by_dataset(got, code, datasets), rivals]) for got in references.swapaxes(0, 1)
    ]
    for got in window.sheets[:, :, taken].swapaxes(0, 1):
        seen = ~np.isnan(got[0])
        if seen.all():
            parts.append(np.hstack([count, _by_dataset(got, code, datasets), rivals]))
        else:
            every = np.where(seen, np.concatenate([seen[None], got, best]), 0.0)
            parts.append(_by_dataset(every, code, datasets))
    calls = [
        np.bincount(code * n_arms + arms[taken], minlength=datasets * n_arms).reshape(datasets, n_arms)
        for arms in window.arms
    ]
    return np.stack(parts), np.stack(calls)


def _by_dataset(values: Floats, code: Ints, datasets: int) -> Floats:
    """Return the sums `(D, Q)` of `(Q, m)` by data set, each added up in the order of the rows."""
    return np.stack([np.bincount(code, weights=row, minlength=datasets) for row in values], axis=1)


def _cumulative(values: Floats, inside: Ints) -> Floats:
    """Return the sums of `(Q, m)` up to each stop, and last up to the end, `(stops + 1, Q)`."""
    starts = np.concatenate([[0], inside[inside < values.shape[1]]]).astype(np.intp)
    sums = np.cumsum(np.add.reduceat(values, starts, axis=1), axis=1).T
    return np.concatenate([sums[: len(inside)], sums[-1:]])

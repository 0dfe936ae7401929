"""What is known of a window of a large table before anybody plays: the references, and every sum but the policies'.

Letters: `R` = 4 references, `K` models, `D` data sets, `n` rows of the window.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.regret import BASELINES
from envs.windows.survey import add

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
REFERENCES = (*BASELINES, "uniform")


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
        sums: what `settled` gives for all rows.
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
    return made._replace(sums=settled(made, None, len(means.by_dataset)))


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


def settled(window: Book, rows: Ints | None, datasets: int) -> tuple[Floats, Ints]:
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

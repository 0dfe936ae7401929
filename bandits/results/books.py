"""What is known of a window of a large table before it is played: the references, and every sum but the policies'.

Letters: `R` = 4 references, `K` models, `D` data sets, `n` rows of the window.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.regret import BASELINES, stand_in
from envs.windows.survey import add

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
REFERENCES = (*BASELINES, "uniform")


class Best(NamedTuple):
    """What each fixed choice earns over the rows played, `overall` `(K,)` and `by_dataset` `(D, K)`, summed.

    `order` `(K,)` is `metrics.regret.fall_back`, which answers where a fixed choice cannot be called.
    """

    overall: Floats
    by_dataset: Floats
    order: NDArray[np.int32]


def best(windows: Iterable[tuple[Floats, Ints, Ints]], datasets: int, order: NDArray[np.int32]) -> Best:
    """Return what the fixed choices earn.

    Args:
        windows: reward tables `(n, K)`, NaN where unavailable, data sets `(n,)`, and how often each row is played.
        datasets: `D`.
        order: of the fall-back.
    """
    total: Floats | None = None
    for reward, code, often in windows:
        seen = ~np.isnan(reward)
        filled = reward if seen.all() else _filled(reward, reward, stand_in(seen, order))
        sums = _by_dataset((filled * often[:, None]).T, code, datasets)
        if total is None:
            total = np.zeros((2, *sums.shape))
        add(total, sums)
    assert total is not None
    each = total[0] + total[1]
    return Best(each.sum(axis=0), each, order)


def _filled(sheet: Floats, reward: Floats, other: NDArray[np.int32]) -> Floats:
    """Return `(n, K)`: each model's entry of the sheet, that of the stand-in where the model has no reward."""
    return np.where(np.isnan(reward), sheet[np.arange(len(sheet)), other][:, None], sheet)


class Book(NamedTuple):
    """What is known of the `n` rows of a window before it is played.

    Attributes:
        sheets: `(3, K, n)` reward, utility and cost, NaN where unavailable.
        fixed: `(3, K, n)` the same of each fixed choice, which falls back there.
        code: `(n,)` data set.
        alike: `(n,)` a number that near copies of a query share.
        arms: `(3, n)` what each of `BASELINES` calls.
        reference: `(3, R, n)` reward, accuracy and cost of each of `REFERENCES`.
        lines: `(2 R + K, n)` what curves are made of: reward and cost of `REFERENCES`, and for each model how much
            more the oracle earns than its fixed choice.
        sums: what `settled` gives for all rows.
    """

    sheets: Floats
    fixed: Floats
    code: Ints
    alike: NDArray[np.uint64]
    arms: Ints
    reference: Floats
    lines: Floats
    sums: tuple[Floats, Ints] | None = None


def book(reward: Floats, piece: Any, means: Best) -> Book:
    """Return the book of a window; what is the best fixed choice comes from `means`, over all rows played.

    Args:
        reward: `(n, K)`.
        piece: an `envs.windows.big.Piece` of these rows.
        means: from `best`.
    """
    utility, cost, code = piece.utility, piece.cost, piece.code
    sheets = np.stack([reward.T, utility.T, cost.T])
    seen = ~np.isnan(sheets[0])
    every = bool(seen.all())
    known = sheets if every else np.where(seen, sheets, 0.0)
    other = stand_in(seen.T, means.order)
    fixed = sheets if every else np.stack([_filled(x, reward, other).T for x in (reward, utility, cost)])
    wanted = np.broadcast_to(means.overall.argmax(), code.shape), means.by_dataset.argmax(axis=1)[code]
    at = np.arange(len(code))
    arms = np.stack([_oracle(sheets, known, every), *(np.where(seen[k, at], k, other) for k in wanted)])
    called = sheets[:, arms, at]  # (3, 3, n)
    there = len(sheets[0]) if every else seen.sum(axis=0)
    reference = np.concatenate([called, (known.sum(axis=1) / there)[:, None]], axis=1)
    behind = reference[0, 0] - fixed[0]
    lines = np.concatenate([reference[0], reference[2], behind])
    made = Book(sheets, fixed, code, piece.alike, arms, reference, lines)
    return made._replace(sums=settled(made, None, len(means.by_dataset)))


def _oracle(sheets: Floats, known: Floats, every: bool) -> Ints:
    """Return `(n,)` what `comparator` calls the oracle: the highest reward, the cheapest among equals."""
    reward = sheets[0] if every else np.where(np.isnan(sheets[0]), -np.inf, sheets[0])
    return np.asarray(np.where(reward == reward.max(axis=0), known[2], np.inf).argmin(axis=0))


def settled(window: Book, rows: Ints | None, datasets: int) -> tuple[Floats, Ints]:
    """Return the sums of references and models `(R + K, D, 7)`, and the calls of `BASELINES` `(3, D, K)`."""
    taken: Any = slice(None) if rows is None else rows
    code, n_arms = window.code[taken], window.sheets.shape[1]
    references = window.reference[:, :, taken]  # (3, R, m)
    best = references[0, : len(BASELINES)]
    count = np.bincount(code, minlength=datasets).astype(np.float64)[:, None]
    rivals = _by_dataset(best, code, datasets)
    fixed = window.fixed[:, :, taken]
    every = [*references.swapaxes(0, 1), *fixed.swapaxes(0, 1)]
    parts = [np.hstack([count, _by_dataset(got, code, datasets), rivals]) for got in every]
    calls = [
        np.bincount(code * n_arms + arms[taken], minlength=datasets * n_arms).reshape(datasets, n_arms)
        for arms in window.arms
    ]
    return np.stack(parts), np.stack(calls)


def _by_dataset(values: Floats, code: Ints, datasets: int) -> Floats:
    """Return the sums `(D, Q)` of `(Q, m)` by data set, each added up in the order of the rows."""
    return np.stack([np.bincount(code, weights=row, minlength=datasets) for row in values], axis=1)

"""Regret, reward and spend of a trace, computed afterwards from the table of rewards.

A trace is `order (S, T)`, the row of the table asked at each round, and `arms (S, T)`, the model called there
(-1 where none was). A call that was not made earns reward 0 and costs 0. Rows may repeat or be left out in
`order`; what is "best in hindsight" is judged over the rows played, as often as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics import kernels
from envs.windows import big, survey

if TYPE_CHECKING:
    from bandits.loop.replay import Trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
BASELINES = ("oracle", "best_fixed", "best_per_dataset")


def plain(array: ArrayLike, dtype: type[Any]) -> NDArray[Any]:
    """Return the array in this dtype, contiguous and writable: the one kind that kernels are compiled for."""
    return np.require(np.asarray(array), dtype, ["C", "W"])


def checked(table: ArrayLike, trace: Trace) -> tuple[Floats, Ints, Ints]:
    """Return the table, the order and the arms as the kernels need them.

    Raises:
        ValueError: shapes that do not fit, a row or model outside the table, or a call where it has NaN.
    """
    values, order, arms = plain(table, np.float64), plain(trace.order, np.int32), plain(trace.arms, np.int32)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"table needs shape (rows, models), got {values.shape}")
    if order.ndim != 2 or order.size == 0 or order.shape != arms.shape:
        raise ValueError(
            f"trace needs order and arms of one shape (seeds, rounds), got {order.shape} and {arms.shape}"
        )
    if order.min() < 0 or order.max() >= len(values):
        raise ValueError(f"trace.order needs rows 0 to {len(values) - 1}, got {order.min()} to {order.max()}")
    if arms.min() < -1 or arms.max() >= values.shape[1]:
        raise ValueError(
            f"trace.arms needs models -1 to {values.shape[1] - 1}, got {arms.min()} to {arms.max()}"
        )
    return values, order, arms


def comparator(
    table: ArrayLike,
    baseline: str | int,
    *,
    cost: ArrayLike | None = None,
    dataset: ArrayLike | None = None,
    times: ArrayLike | None = None,
) -> Ints:
    """Return `(rows,)` int32: the model that a reference with hindsight calls in each row of the table.

    A fixed choice of model `k` calls `k` where it can be called, and the first of `fall_back` that can be elsewhere.
    All fixed choices are so judged over the same rows, and none can lie above the oracle.

    Args:
        table: `(rows, K)` reward, NaN where the model is unavailable.
        baseline: `oracle` is the best model of each row, ties to the cheapest where `cost` is given, then to
            the lowest index. `best_fixed` is the fixed choice of the highest mean reward, ties to the lowest index;
            `best_per_dataset` the best one inside each dataset. A model's index is the fixed choice of that model.
        cost: `(rows, K)`, for the oracle's ties.
        dataset: `(rows,)` labels, for `best_per_dataset`.
        times: `(rows,)` how often each row is played, for what is best; once each when left out.

    Raises:
        ValueError: an unknown baseline, `dataset` missing or of another length, a row without any model.
    """
    values = plain(table, np.float64)
    seen = ~np.isnan(values)
    if not seen.any(axis=1).all():
        raise ValueError(
            f"table row {int(np.argmin(seen.any(axis=1)))} needs a reward of at least one model, got none"
        )
    if baseline == "oracle":
        best = values == np.nanmax(values, axis=1, keepdims=True)
        if cost is None:
            return np.asarray(best.argmax(axis=1), np.int32)
        tied = np.where(best, np.nan_to_num(plain(cost, np.float64)), np.inf)
        return np.asarray(tied.argmin(axis=1), np.int32)
    other = stand_in(seen, fall_back(seen.sum(axis=0)))
    often = np.ones(len(values)) if times is None else np.asarray(times, np.float64)
    if baseline == "best_fixed":
        return _choices(values, other, np.zeros(len(values), np.int64), often)
    if baseline == "best_per_dataset":
        if dataset is None or len(labels := np.asarray(dataset).astype(str)) != len(values):
            raise ValueError(f"best_per_dataset needs dataset, one label for each of {len(values)} rows")
        return _choices(values, other, np.unique(labels, return_inverse=True)[1], often)
    if not isinstance(baseline, (int, np.integer)) or not 0 <= baseline < values.shape[1]:
        raise ValueError(
            f"baseline needs {', '.join(BASELINES)} or a model's index below {values.shape[1]},"
            f" got {baseline!r}"
        )
    return np.where(seen[:, baseline], baseline, other).astype(np.int32)


def fall_back(answered: ArrayLike) -> Ints:
    """Return the models in the order in which they stand in for one that cannot be called.

    First the one that can be called most often, ties to the lowest index: an order that knows no outcome, so that a
    policy can have it too.

    Args:
        answered: `(K,)` rows in which each model can be called.
    """
    return np.argsort(-np.asarray(answered), kind="stable").astype(np.int32)


def stand_in(seen: NDArray[np.bool_], order: Ints) -> Ints:
    """Return `(rows,)`: the first model of `order` that can be called in each row of `seen (rows, K)`."""
    return np.asarray(order[seen[:, order].argmax(axis=1)], np.int32)


def _choices(values: Floats, other: Ints, code: NDArray[np.integer[Any]], often: Floats) -> Ints:
    """Return `(rows,)`: the fixed choice of the highest reward in each group `code`, of rows played so often."""
    groups = int(code.max()) + 1
    times = np.where(np.bincount(code, often, groups)[code] > 0, often, 1.0)  # never played: each row once
    windows = ((values[w], other[w], code[w], times[w]) for w in big.slices(len(values)))
    best = fixed_sums(windows, groups).argmax(axis=1)[code]
    return np.where(np.isnan(values[np.arange(len(values)), best]), other, best).astype(np.int32)


def fixed_sums(
    windows: Iterable[tuple[Floats, Ints, NDArray[np.integer[Any]], NDArray[Any]]], groups: int
) -> Floats:
    """Return `(groups, K)`: what each fixed choice earns in each group of rows, in all.

    Args:
        windows: of the rows, added up one after the other: reward `(n, K)`, NaN where unavailable, the model that
            stands in `(n,)` (`stand_in`), the group `(n,)` and how often each row is played `(n,)`.
        groups: their number.
    """
    total: Floats | None = None
    for reward, other, code, often in windows:
        stood = reward[np.arange(len(reward)), other]
        weighed = np.where(np.isnan(reward), stood[:, None], reward) * np.asarray(often)[:, None]
        sums = np.stack([np.bincount(code, column, groups) for column in weighed.T], axis=1)
        total = np.zeros((2, *sums.shape)) if total is None else total
        survey.add(total, np.asarray(sums, np.float64))
    assert total is not None
    return np.asarray(total.sum(axis=0))


def played(order: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Return `(rows,)`: how often `order (S, T)` asks each row, all seeds together."""
    return np.bincount(np.asarray(order).ravel(), minlength=rows)


def earned_by(table: ArrayLike, arms: ArrayLike) -> Floats:
    """Return `(rows,)`: the table's entry for one arm a row, 0 where the arm is -1."""
    values, picked = plain(table, np.float64), plain(arms, np.int32)
    return np.where(picked < 0, 0.0, values[np.arange(len(values)), np.maximum(picked, 0)])


def cumulative_regret(
    table: ArrayLike,
    trace: Trace,
    baseline: str | int | NDArray[np.floating[Any]] = "oracle",
    *,
    cost: ArrayLike | None = None,
    dataset: ArrayLike | None = None,
) -> Floats:
    """Return `(S, T)`: how much less reward than the baseline a trace has earned, each round included.

    Against `best_fixed` or `best_per_dataset` it can fall below 0: the context can help to beat them.

    Args:
        table: `(rows, K)` reward, NaN where the model is unavailable.
        trace: a `Trace`.
        baseline: see `comparator`, or `(rows,)` the reward of a comparator of your own.
        cost, dataset: see `comparator`.

    Raises:
        ValueError: as `comparator`, or a trace that does not fit the table.
    """
    values, order, arms = checked(table, trace)
    if isinstance(baseline, np.ndarray):
        if baseline.shape != (len(values),):
            raise ValueError(
                f"baseline needs one reward for each of {len(values)} rows, got shape {baseline.shape}"
            )
        reference = plain(baseline, np.float64)
    else:
        often = played(order, len(values))
        reference = earned_by(values, comparator(values, baseline, cost=cost, dataset=dataset, times=often))
    gap = np.empty(order.shape)
    kernels.cumulative_gap(reference, values, order, arms, gap)
    return _finite(gap)


def rewards(table: ArrayLike, trace: Trace) -> Floats:
    """Return `(S, T)`: what each round earned, 0 where no call was made."""
    values, order, arms = checked(table, trace)
    earned = np.empty(order.shape)
    kernels.gather(values, order, arms, earned)
    return _finite(earned)


def spend(cost: ArrayLike, trace: Trace) -> Floats:
    """Return `(S, T)`: what was spent up to and including each round, in the unit of `cost (rows, K)`."""
    return np.cumsum(rewards(cost, trace), axis=1)


def _finite(values: Floats) -> Floats:
    """Return the values unchanged; raise where a call hit a cell that the table does not have."""
    if np.isnan(values).any():
        seed, turn = np.argwhere(np.isnan(values))[0]
        raise ValueError(
            f"trace needs calls of available models only, got an unavailable one at seed {seed}, round {turn}"
        )
    return values


def exponent(regret: ArrayLike, *, skip: float = 0.5) -> float:
    """Return the slope of log regret on log round: about 0.5 for sqrt(T) regret, 1 for linear regret.

    Least squares over 90 rounds spaced evenly in the logarithm from `T ** skip` to `T`; before that, a handful
    of rounds and the first look at each model decide. NaN where fewer than 10 of them have positive regret.

    Args:
        regret: `(T,)` cumulative regret, best averaged over seeds.
        skip: in [0, 1).
    """
    curve = np.asarray(regret, np.float64)
    rounds = growth_rounds(len(curve), skip)
    return slope(rounds, curve[rounds - 1])


def growth_rounds(rounds: int, skip: float = 0.5) -> NDArray[np.int64]:
    """Return the ascending rounds that `exponent` looks at in a run of so many."""
    return np.unique(np.geomspace(rounds**skip, rounds, 90).round().astype(np.int64))


def slope(rounds: ArrayLike, regret: ArrayLike) -> float:
    """Return the exponent of a curve that is known at some rounds only; see `exponent`."""
    turns, values = np.asarray(rounds), np.asarray(regret, np.float64)
    turns, values = turns[values > 0], values[values > 0]
    if len(turns) < 10:
        return float("nan")
    x, y = np.log(turns), np.log(values)
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())

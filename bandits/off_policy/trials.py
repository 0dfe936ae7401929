"""How wrong each estimator is: many logs drawn from a table whose truth is known, ten targets valued on each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits import require
from bandits.metrics.off_policy import models
from bandits.off_policy.rounds import Rounds
from bandits.off_policy.valued import RECOMMENDED, How, modelled, valued
from bandits.rewards import Reward, reward_table

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
ALPHA = 0.05  # of the intervals
TIE = 1.1  # scores this near are a tie, which ope's own estimator wins: a hundred logs tell no more
TOP = 3  # policies that would go into an A/B test, for SharpeRatio@k


def targets(stream: Stream, table: Floats, reward: Reward) -> dict[str, Floats]:
    """Return ten targets `(N, K)`: uniform, four single models, greedy ridges at four preferences, and a soft one.

    The ridges know the whole table: what is tried is the estimators, not how a target was made.
    """
    seen, k = stream.available, stream.n_arms
    found = {"uniform": seen / seen.sum(axis=1, keepdims=True)}
    for arm in np.argsort(-np.nanmean(np.where(seen, table, np.nan), axis=0))[:4]:
        found[f"always,model={stream.models[arm]}"] = _called(seen, np.where(np.arange(k) == arm, 1.0, 0.0))
    for preference in (0.0, 0.2, 0.5, 1.0):
        worth = _ridges(stream, reward_table(reward, stream, preference))
        found[f"greedy at preference {preference:g}"] = _called(seen, worth)
    soft = np.exp(5 * (_ridges(stream, table) - _ridges(stream, table).max(axis=1, keepdims=True))) * seen
    return found | {"softmax": soft / soft.sum(axis=1, keepdims=True)}


def trials(
    stream: Stream, reward: Reward, *, preference: float = 0.2, explores: tuple[float, ...] = (0.1,),
    sizes: tuple[int, ...] = (2000,), logs: int = 100, seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each exploration, log size and estimator: errors over logs and targets, in units of reward.

    The logging policy is the greedy ridge of a tenth of the table, with `explore` uniform calls in between. `bias` is
    the root mean square over targets of the mean error, `sd` of the deviation from it, `coverage` the share of
    intervals that hold the truth, `score` the mean interval score (Gneiting, Raftery 2007, Eq. 43: width, and 2 / .05
    times how far the truth lies outside), `effective` the median effective sample size, `sharpe` SharpeRatio@3
    (Kiyohara et al. 2024, 2311.18207): the best of the three targets that look best less the logged policy's value,
    over the standard deviation among the three.

    Raises:
        ValueError: a number out of range.
    """
    require.whole("ope-benchmark", 2, logs=logs)
    for explore in explores:
        if not 0 < explore <= 1:
            raise ValueError(f"ope-benchmark needs --explore in (0, 1], got {explore:g}")
    for size in sizes:
        require.whole("ope-benchmark", 10, rounds=size)
    table = reward_table(reward, stream, preference)
    named = targets(stream, table, reward)
    truth = np.array(
        [np.where(pi > 0, pi * np.nan_to_num(table), 0).sum(axis=1).mean() for pi in named.values()]
    )
    tenth = np.random.default_rng([seed, 1]).permutation(len(stream))[: max(len(stream) // 10, 50)]
    base = _called(stream.available, _ridges(stream, table, tenth))
    even, rows, done = named["uniform"], [], 0
    for explore in explores:
        every = (1 - explore) * base + explore * even
        logged = float(np.where(every > 0, every * np.nan_to_num(table), 0).sum(axis=1).mean())
        for size in sizes:
            tried: dict[str, list[Any]] = defaultdict(list)
            for number in range(logs):
                rng = np.random.default_rng([seed, 2, number])
                for name, found in _one(stream, table, every, named, size, rng).items():
                    tried[name].append(found)
                done += 1
                if progress is not None:
                    progress(done)
            for name, each in tried.items():
                both = set.intersection(*({one[0] for one in log} for log in each))  # replay may lack a match
                if not both:
                    continue
                # (L, targets, 5), the first of the five the target's number
                values = np.array([[one for one in log if one[0] in both] for log in each])
                scored = _scored(values[..., 1:], truth[values[0, :, 0].astype(int)], logged)
                rows.append({"explore": explore, "rounds": size, "estimator": name} | scored)
    return sorted(rows, key=lambda row: (row["explore"], row["rounds"], row["score"]))


def trusted(rows: list[dict[str, Any]], coverage: float = 0.9) -> str:
    """Return which estimator to trust: of those whose interval holds the truth nine times in ten, the least score.

    Judged by the worst cell for coverage and by the mean over cells of the interval score, in units of the least score
    of the cell. That is how `valued.RECOMMENDED` was chosen; where another one is better by a tenth, both are named.
    """
    cells: dict[tuple[float, int], float] = defaultdict(lambda: np.inf)
    by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_name[row["estimator"]].append(row)
    whole = {n: each for n, each in by_name.items() if len(each) == max(map(len, by_name.values()))}
    honest = {n: each for n, each in whole.items() if min(r["coverage"] for r in each) >= coverage}
    pool = honest or whole
    for row in (row for each in pool.values() for row in each):
        cell = row["explore"], row["rounds"]
        cells[cell] = min(cells[cell], row["score"])
    score = {n: np.mean([r["score"] / cells[r["explore"], r["rounds"]] for r in pool[n]]) for n in pool}
    best = min(score, key=lambda n: score[n])
    if score.get(RECOMMENDED, np.inf) <= TIE * score[best]:
        best = RECOMMENDED
    worst = min(r["coverage"] for r in pool[best])
    said = (
        f"to trust here: {best} (its interval holds the truth in at least {100 * worst:.0f} % of the trials)"
    )
    if not honest:
        said = f"no interval holds the truth in {100 * coverage:.0f} % of the trials;"
        said += f" the least score has {best} ({100 * worst:.0f} %)"
    if best == RECOMMENDED:
        said += ", as ope has it"
    elif RECOMMENDED in score:
        own = min(r["coverage"] for r in pool[RECOMMENDED])
        more = 100 * (score[RECOMMENDED] / score[best] - 1)
        said += f"; ope has {RECOMMENDED} ({100 * own:.0f} %), whose score is {more:.0f} % more"
    low = sorted({r["estimator"] for r in rows if r["coverage"] < 0.8})
    return said + (f"; intervals that fail (below 80 %): {', '.join(low)}" if low else "")


def log_of(
    stream: Stream, table: Floats, every: Floats, size: int, rng: np.random.Generator
) -> tuple[Rounds, NDArray[np.int64]]:
    """Return a log of so many rounds, queries drawn with replacement, models from `every (N, K)`, and its rows."""
    row = rng.integers(0, len(stream), size)
    arm = (every[row].cumsum(axis=1) > rng.random(size)[:, None] * (1 - 1e-12)).argmax(axis=1)
    _, group = np.unique(row, return_inverse=True)
    chances = every[row]
    made = Rounds(
        "drawn", stream.models, arm, stream.context[row].astype(np.float64), group, {"reward": table[row, arm]},
        stream.available[row], chances[np.arange(size), arm], chances, stream.cost_scale,
        np.arange(size, dtype=np.float64),
    )  # fmt: skip
    return made, row


def _one(
    stream: Stream,
    table: Floats,
    every: Floats,
    named: dict[str, Floats],
    size: int,
    rng: np.random.Generator,
) -> dict[str, list[tuple[int, float, float, float, float]]]:
    """Return `(target's number, mean, low, high, effective size)` of each target by estimator, on one log."""
    rounds, row = log_of(stream, table, every, size, rng)
    model, chances = modelled(rounds)["reward"], every[row, rounds.arm]
    found: dict[str, list[tuple[int, float, float, float, float]]] = defaultdict(list)
    assert rounds.propensity is not None  # the log was drawn here
    for number, pi in enumerate(named.values()):
        weight = pi[row, rounds.arm] / chances
        effective = float(weight.sum() ** 2 / max((weight**2).sum(), 1e-300))
        for one in valued(rounds, pi[row], "reward", model, How(wide=True)):
            label = one.estimator.partition(" at ")[0]
            label += f" ({one.interval})" if one.interval in ("Clopper-Pearson", "Bernstein") else ""
            found[label].append((number, one.mean, one.low, one.high, effective))
    return found


def _scored(found: Floats, truth: Floats, logged: float) -> dict[str, float]:
    """Return a row's figures from `(L, targets, 4)`: mean, low, high and effective size."""
    error = found[..., 0] - truth
    inside = (found[..., 1] <= truth) & (truth <= found[..., 2])
    width = found[..., 2] - found[..., 1]
    missed = np.maximum(np.maximum(found[..., 1] - truth, truth - found[..., 2]), 0.0)
    top = np.argsort(-found[..., 0], axis=1)[:, :TOP]
    chosen = truth[top]
    sharpe = (chosen.max(axis=1) - logged) / np.maximum(chosen.std(axis=1), 1e-12)
    return {
        "error": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float(np.sqrt((error.mean(axis=0) ** 2).mean())),
        "sd": float(np.sqrt(error.var(axis=0).mean())),
        "coverage": float(inside.mean()),
        "width": float(np.nanmean(width)),
        "score": float(np.nanmean(width + 2 / ALPHA * missed)),
        "effective": float(np.median(found[..., 3])),
        "sharpe": float(np.median(sharpe)),
    }


def _ridges(stream: Stream, table: Floats, rows: NDArray[np.intp] | None = None) -> Floats:
    """Return `(N, K)` predictions of ridges fitted on these rows of the table."""
    some = np.arange(len(stream)) if rows is None else rows
    x, worth = stream.context[:, :-1].astype(np.float64), np.full(table.shape, -1e9)
    for arm in range(stream.n_arms):
        own = some[stream.available[some, arm]]
        if own.size:
            worth[:, arm] = models.ridge(x[own], table[own, arm], np.ones(own.size))(x)
    return worth


def _called(seen: NDArray[np.bool_], worth: Floats) -> Floats:
    """Return one-hot `(N, K)` of the available model of the greatest worth."""
    masked = np.where(seen, worth, -np.inf)
    return np.asarray(masked.argmax(axis=1)[:, None] == np.arange(seen.shape[1]), np.float64)

"""A log made ready for estimation: contexts, rewards, propensities and candidates as arrays."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import count, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.off_policy import models
from bandits.rewards import PREFERENCE, Outcome, Reward
from envs.tables import aliases
from envs.tables.log import Log

Floats = NDArray[np.float64]
CHANCE = "chance:"  # a column `chance:MODEL` is the logging policy's probability of that model
QUANTITIES = ("utility", "cost", "reward")
_PROBE = 5000  # rows
_CODES = 50  # so many different values at most become a column each
_OUTCOMES = {*aliases.LONG_UTILITY, *(name for names in aliases.FIELDS.values() for name in names), "own_arm"}


@dataclass(frozen=True, eq=False)
class Rounds:
    """`n` logged calls of `K` models.

    Attributes:
        name: of the file.
        models: `K` names.
        arm: `(n,)`.
        context: `(n, d)` float64, the constant 1 last.
        group: `(n,)` code of the query; rows of one query stay in one fold.
        values: `(n,)` of each of `QUANTITIES` that is known.
        available: `(n, K)` bool, the candidates.
        propensity: `(n,)` in (0, 1]; None: not recorded.
        every: `(n, K)` the log's whole distribution, or None.
        scale: the unit in which rewards count cost.
        estimated: whether the propensities are estimates.
        time: `(n,)` when each call was made, or its place in the file.
        preference: weight on cost.
        notes: one line each, to be shown.
        query_id: `n` names, where the log has any.
    """

    name: str
    models: tuple[str, ...]
    arm: NDArray[np.int64]
    context: Floats
    group: NDArray[np.int64]
    values: dict[str, Floats]
    available: NDArray[np.bool_]
    propensity: Floats | None
    every: Floats | None
    scale: float
    time: Floats
    preference: float = PREFERENCE
    estimated: bool = False
    notes: tuple[str, ...] = ()
    query_id: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def even(self) -> bool:
        """Whether every call was a uniform choice among its candidates."""
        p = self.propensity
        return p is not None and bool(np.abs(p * self.available.sum(axis=1) - 1).max() < 1e-3)

    @property
    def distribution(self) -> Floats:
        """`(n, K)` the log's probabilities; where it tells its own call's alone, the rest is spread evenly."""
        if self.every is not None or self.propensity is None:
            return self.available / self.available.sum(axis=1)[:, None] if self.every is None else self.every
        others = np.maximum(self.available.sum(axis=1) - 1, 1)
        every = self.available * ((1 - self.propensity) / others)[:, None]
        every[np.arange(len(self)), self.arm] = self.propensity
        return np.asarray(every)


def ready(
    log: Log, reward: Reward, *, preference: float | None = None, context: Floats | None = None,
    scale: float | None = None,
) -> Rounds:  # fmt: skip
    """Return the rounds of a log that have a score.

    Args:
        log: from `read_log`.
        reward: `(outcome, preference) -> reward`.
        preference: weight on cost; None: the log's own column `reward` where it has one, else the default.
        context: `(N, d)` of every row of the log, the constant last; None: from the log's own columns.
        scale: the unit in which rewards count cost; None: mean logged cost of the dearest model.

    Raises:
        ValueError: one line: no row has a score, an arm is outside its candidates, or it is a table of outcomes.
    """
    kept, k = np.flatnonzero(~np.isnan(log.utility)), len(log.models)
    if kept.size < 2 or k < 2:
        raise ValueError(
            f"{log.path}: off-policy evaluation needs two models and two rows with a score, found {k} and {kept.size}"
        )
    _, group = np.unique(log.query_id[kept].astype(str), return_inverse=True)
    arm, available = log.model[kept], _candidates(log)[kept]
    _no_table(log, group, arm)
    notes = [f"left out {len(log.model) - len(kept):,} rows without a score"] * (len(kept) < len(log.model))
    if context is None:
        context, said = _contexts(log)
        notes += said
    values, unit, said = _values(log, kept, arm, reward, preference, scale)
    notes += said
    propensity, every = _chances(log, kept, available)
    return Rounds(
        log.path.name, log.models, arm, context[kept], group.astype(np.int64), values, available, propensity, every,
        unit, _times(log)[kept], PREFERENCE if preference is None else preference,
        notes=tuple(notes) + log.notes,
        query_id=tuple(log.query_id[kept].astype(str)),
    )  # fmt: skip


def _values(
    log: Log, kept: NDArray[np.intp], arm: NDArray[np.int64], reward: Reward, preference: float | None,
    scale: float | None,
) -> tuple[dict[str, Floats], float, list[str]]:  # fmt: skip
    """Return each of `QUANTITIES` that is known, the unit of cost in rewards, and notes."""
    utility, notes = np.asarray(log.utility[kept], np.float64), []
    cost = np.zeros(len(kept)) if log.cost is None else np.asarray(log.cost[kept], np.float64)
    if not np.isfinite(cost).all():
        raise ValueError(f"{log.path}: row {kept[int(np.isnan(cost).argmax())] + 1} needs a cost")
    unit = scale or _dearest(cost, arm, len(log.models))
    told = log.context.get("reward")
    if told is not None and preference is None:
        earned = _numbers(told)[kept]
        notes.append("reward is the log's own column")
    else:
        weight, unknown = PREFERENCE if preference is None else preference, np.full(len(kept), np.nan)
        latency, tokens = (unknown if x is None else x[kept] for x in (log.latency, log.tokens))
        earned = np.asarray(reward(Outcome(utility, cost, latency, tokens, unit), weight), np.float64)
    if not np.isfinite(earned).all():
        row = kept[int((~np.isfinite(earned)).argmax())] + 1
        raise ValueError(f"{log.path}: row {row} needs a finite reward")
    if log.cost is None:
        return (
            {"utility": utility, "reward": earned},
            unit,
            [*notes, "the log has no costs: every call is free"],
        )
    return {"utility": utility, "cost": cost, "reward": earned}, unit, notes


def estimated(rounds: Rounds) -> Rounds:
    """Return the rounds with propensities estimated by a cross-fitted, calibrated regression, labelled so."""
    found = models.propensities(rounds.context[:, :-1], rounds.arm, len(rounds.models))
    open_arms = np.where(rounds.available, found, 0.0)
    every = open_arms / open_arms.sum(axis=1, keepdims=True)
    own = every[np.arange(len(rounds)), rounds.arm]
    note = (
        "propensities are estimated from the contexts: what the log's policy saw beside them they cannot know"
    )
    return replace(rounds, propensity=own, every=every, estimated=True, notes=(*rounds.notes, note))


def _no_table(log: Log, group: NDArray[Any], arm: NDArray[Any]) -> None:
    """Refuse a table of outcomes: most queries with several models and no propensity."""
    if log.propensity is not None:
        return
    calls = np.bincount(group)
    kinds = np.bincount(np.unique(np.stack([group, arm]), axis=1)[0])
    if (kinds > 1).mean() > 0.5:
        raise ValueError(
            f"{log.path}: a table of outcomes ({calls.mean():.1f} models a query), not a log: give it to"
            " --truth, or draw a log from it with `log --data`"
        )


def _candidates(log: Log) -> NDArray[np.bool_]:
    n, k = len(log.model), len(log.models)
    if log.candidates is None:
        return np.ones((n, k), bool)
    rows: dict[tuple[int, ...], int] = {}
    code = np.array([rows.setdefault(c, len(rows)) for c in log.candidates])
    masks = np.zeros((len(rows), k), bool)
    for places, i in rows.items():
        masks[i, list(places)] = True
        masks[i] |= not places  # an empty cell: nothing is known
    available = masks[code]
    wrong = np.flatnonzero(~available[np.arange(n), log.model])
    if wrong.size:
        row = int(wrong[0])
        names = ", ".join(log.models[i] for i in np.flatnonzero(available[row]))
        raise ValueError(
            f"{log.path}: row {row + 1} needs a model among its candidates ({names}),"
            f" found {log.models[log.model[row]]!r}"
        )
    return np.asarray(available)


def _chances(
    log: Log, kept: NDArray[Any], available: NDArray[np.bool_]
) -> tuple[Floats | None, Floats | None]:
    """Return `(n,)` propensities and, where the log tells it, the whole distribution `(n, K)`."""
    if log.propensity is None:
        return None, None
    own = log.propensity[kept]
    if log.every is not None:
        return own, log.every[kept]
    if all(CHANCE + m in log.context for m in log.models):
        every = np.stack([_numbers(log.context[CHANCE + m])[kept] for m in log.models], axis=1)
        total = np.nansum(every, axis=1)
        if not (every >= 0).all() or np.abs(total - 1).max() > 1e-4:
            row = int(kept[int(np.abs(np.nan_to_num(total) - 1).argmax())]) + 1
            raise ValueError(f"{log.path}: row {row} needs columns {CHANCE}MODEL that add up to 1")
        arm = log.model[kept]
        chance = every[np.arange(len(kept)), arm]
        if not (chance > 0).all():
            row = int(kept[int((chance <= 0).argmax())]) + 1
            raise ValueError(
                f"{log.path}: row {row} needs {CHANCE}MODEL above 0 for the model called, found 0"
            )
        return chance, every
    counts = available.sum(axis=1)
    if np.abs(own * counts - 1).max() < 1e-3:
        return 1.0 / counts, available / counts[:, None]  # recorded with fewer digits
    return own, None


def _contexts(log: Log) -> tuple[Floats, list[str]]:
    """Return `(N, d)` features from a log's own columns, the constant last, and what was left out."""
    ready = list(takewhile(log.context.__contains__, (f"x{i}" for i in count())))
    if ready:  # as `log` writes it: what an exported router was trained on
        features = np.stack([_numbers(log.context[name]) for name in ready], axis=1)
        if not np.isfinite(features).all():
            raise ValueError(f"{log.path}: columns x0 to {ready[-1]} need finite numbers")
        return np.hstack([features, np.ones((len(features), 1))]), []
    parts, left = [], []
    for name, cells in log.context.items():
        if name.startswith(CHANCE) or name.lower() in _OUTCOMES or _OUTCOME.search(name.lower()):
            continue
        if len(set(cells[:_PROBE])) > _CODES:  # measured, not coded; looked at whole it takes seconds
            numbers = _numbers(cells)
            if np.isfinite(numbers).all():
                parts.append(numbers[:, None])
            else:
                left.append(name)
            continue
        words, code = np.unique(cells.astype(str), return_inverse=True)
        numbers = _numbers(words)
        if len(words) <= _CODES:
            parts.append((code[:, None] == np.arange(1, len(words))).astype(np.float64))
        elif np.isfinite(numbers).all():
            parts.append(numbers[code][:, None])
        else:
            left.append(name)
    notes = [f"columns not used as context, too many texts: {', '.join(left)}"] * bool(left)
    if not parts:
        notes.append("the log has no columns of context: reward models know the model alone")
    return np.hstack([*parts, np.ones((len(log.model), 1))]), notes


_OUTCOME = re.compile(r"^(propensity|utility|cost|reward|latency|tokens)")


def _numbers(cells: NDArray[Any]) -> Floats:
    """Return cells as float64, NaN where one is no number."""
    try:
        return cells.astype(np.float64)
    except ValueError:
        found = np.full(len(cells), np.nan)
        for i, cell in enumerate(cells):
            try:
                found[i] = float(cell)
            except ValueError:
                continue
        return found


def _times(log: Log) -> Floats:
    """Return when each row was logged, as numbers that can be ordered: its place in the file where nothing else is."""
    given = np.full(len(log.model), np.nan) if log.timestamp is None else _numbers(log.timestamp)
    return given if np.isfinite(given).all() else np.arange(len(log.model), dtype=np.float64)


def _dearest(cost: Floats, arm: NDArray[np.int64], k: int) -> float:
    calls = np.bincount(arm, minlength=k)
    return float((np.bincount(arm, cost, k) / np.maximum(calls, 1)).max()) or 1.0

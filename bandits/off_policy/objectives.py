"""Policies learned from a log alone: the greedy policy of a ridge fitted by one of four objectives.

Off-policy learning by regression as VowpalWabbit's `cb_type` has it (Bietti, Agarwal, Langford 2018, 1802.04064,
section 2.3); every round's policy comes from the other half of the log.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.metrics.off_policy import models
from bandits.off_policy.rounds import Rounds
from bandits.off_policy.targets import halves

Floats = NDArray[np.float64]
LEAST = 1e-3  # propensities below it count as it


def ips(rounds: Rounds, rows: NDArray[np.intp], arm: int) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Regress `r 1[a] / p` on every round."""
    y, p, a = _log(rounds, rows)
    return np.where(a == arm, y / p, 0.0), np.ones(len(rows)), rows


def direct(rounds: Rounds, rows: NDArray[np.intp], arm: int) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Regress `r` on the rounds of the model."""
    y, _, a = _log(rounds, rows)
    own = a == arm
    return y[own], np.ones(int(own.sum())), rows[own]


def mtr(rounds: Rounds, rows: NDArray[np.intp], arm: int) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Regress `r` on the rounds of the model, each weighted by `1 / p`, in units of the mean number of models."""
    y, p, a = _log(rounds, rows)
    own = a == arm
    return y[own], 1 / (p[own] * rounds.available[rows].sum(axis=1).mean()), rows[own]


def doubly(rounds: Rounds, rows: NDArray[np.intp], arm: int) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Regress `q + 1[a] (r - q) / p` on every round, with a cross-fitted ridge `q`."""
    y, p, a = _log(rounds, rows)
    x = rounds.context[rows, :-1]
    q = models.cross_fitted(x, a, y, len(rounds.models))[:, arm]
    return q + np.where(a == arm, (y - q) / p, 0.0), np.ones(len(rows)), rows


OBJECTIVES = {"dm": direct, "ips": ips, "mtr": mtr, "dr": doubly}


def learned(*, objective: str = "mtr") -> str:
    """Return the name of the objective of the spec `learned,objective=NAME`.

    Raises:
        ValueError: no such objective.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"learned needs objective {', '.join(OBJECTIVES)}, got {objective!r}")
    return objective


def chances(rounds: Rounds, spec: str, *, seed: int = 0) -> Floats:
    """Return `(n, K)` of the greedy policy of a fitted objective, each round's from the other half of the log.

    Raises:
        ValueError: no such objective, or one that needs propensities that the log lacks.
    """
    made = resolve.function(spec, {"learned": learned}, "policy")
    name = made()
    if name != "dm" and rounds.propensity is None:
        raise ValueError(f"policy {spec!r} needs propensities, which the log lacks; objective=dm needs none")
    first, n, k = halves(rounds, seed), len(rounds), len(rounds.models)
    worth = np.empty((n, k))
    for half in (first, ~first):
        rows = np.flatnonzero(~half)
        for arm in range(k):
            y, weight, used = OBJECTIVES[name](rounds, rows, arm)
            if not len(y):
                worth[half, arm] = -np.inf
                continue
            worth[half, arm] = models.ridge(rounds.context[used, :-1], y, weight)(rounds.context[half, :-1])
    masked = np.where(rounds.available, worth, -np.inf)
    return np.asarray(masked.argmax(axis=1)[:, None] == np.arange(k), np.float64)


def _log(rounds: Rounds, rows: NDArray[np.intp]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    p = np.ones(len(rows)) if rounds.propensity is None else np.maximum(rounds.propensity[rows], LEAST)
    return rounds.values["reward"][rows], p, rounds.arm[rows]

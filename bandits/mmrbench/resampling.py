"""Bootstrap over queries of the scores of routers that are trained once, with the same resamples for all."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.bootstrap import interval, p_value
from bandits.metrics.curve import Path
from bandits.mmrbench import scores, trial

Floats = NDArray[np.floating[Any]]
GROUPS = 100  # of the jackknife: the acceleration's error is then .245 / (6 sqrt(100)) = .004


class Scheme(NamedTuple):
    """How often each query counts in each resample, and in the sample without each group of queries.

    Attributes:
        drawn: `(B, N)` uint16; near copies are drawn together.
        left: `(G, N)` bool.
    """

    drawn: NDArray[np.uint16]
    left: NDArray[np.bool_]


class Resampled(NamedTuple):
    """A router's scores `scores.RESAMPLED` on the sample, its resamples and the sample without each group.

    Attributes:
        estimate: `(R,)`; means over repetitions, as the others.
        draws: `(B, R)`.
        left_out: `(G, R)`.
    """

    estimate: Floats
    draws: Floats
    left_out: Floats

    def interval(self, score: str) -> tuple[float, float]:
        """Return the interval of one score, see `metrics.bootstrap`."""
        return interval(*self._of(score))

    def p(self, score: str, value: float) -> float:
        """Return the p-value of a score's being `value`."""
        return p_value(value, *self._of(score))

    def _of(self, score: str) -> tuple[float, Floats, Floats]:
        column = scores.RESAMPLED.index(score)
        return float(self.estimate[column]), self.draws[:, column], self.left_out[:, column]

    def less(self, other: Resampled) -> Resampled:
        """Return the differences, paired by resample and by group."""
        with np.errstate(invalid="ignore"):  # inf less inf is no number
            return Resampled(*(a - b for a, b in zip(self, other, strict=True)))


def scheme(unit: NDArray[np.intp], resamples: int, seed: int) -> Scheme:
    """Return resamples of units with replacement, as many as there are, and groups of them at random.

    Args:
        unit: `(N,)` numbers from 0, which near copies share, from `splits.units`.
        resamples: `B`.
        seed: of the draw.
    """
    size = int(unit.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(unit)), np.uint16)
    for b in range(resamples):
        drawn[b] = np.bincount(rng.integers(0, size, size), minlength=size)[unit]
    groups = min(size, GROUPS)
    group = (rng.permutation(size) % groups)[unit]
    return Scheme(drawn, group != np.arange(groups)[:, None])


def resampled(paths: list[Path], cases: list[trial.Case], values: Floats, plan: Scheme) -> Resampled:
    """Return a router's scores under a scheme.

    Args:
        paths, cases: one each a repetition.
        values: `(R,)`, the scores `scores.RESAMPLED` of the sample.
        plan: for the rows of the table that the cases come from.

    Raises:
        ValueError: see `scores.resample`.
    """
    drawn, left = (
        np.mean([_scored(p, c, w[:, c.split.test]) for p, c in zip(paths, cases, strict=True)], axis=0)
        for w in (plan.drawn, plan.left)
    )
    return Resampled(values, drawn, left)


def _scored(path: Path, case: trial.Case, weights: NDArray[Any]) -> Floats:
    """Return the scores `(B, R)`; NaN for a sample from which every test query is left out."""
    kept = weights.any(axis=1) | (weights.dtype != bool)  # a resample of nothing is refused, see `resample`
    out = np.full((len(weights), len(scores.RESAMPLED)), np.nan)
    out[kept] = scores.resample(path, case.true, weights[kept])
    return out

"""Bootstrap over queries of the scores of routers that are trained once, with the same resamples for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.bootstrap import interval, p_value
from bandits.metrics.kernels_lanes import LANES
from bandits.mmrbench import scores, trial

Floats = NDArray[np.floating[Any]]
GROUPS = 100  # of the jackknife: the acceleration's error is then .245 / (6 sqrt(100)) = .004


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


def weights(unit: NDArray[np.intp], resamples: int, seed: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Yield how often each query counts in each resample of units, with replacement and as many as there are units.

    Then in the sample without each group of units, groups made at random. They come in blocks that are made when they
    are asked for: number of the first one, and `(m, N)`, `m` at most `LANES`.

    Args:
        unit: `(N,)` numbers from 0, which near copies share, from `splits.units`.
        resamples: `B`.
        seed: of the draw.
    """
    size = int(unit.max()) + 1
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, LANES):
        block = np.empty((min(LANES, resamples - start), len(unit)), np.uint16)
        for row in block:
            row[:] = np.bincount(rng.integers(0, size, size), minlength=size)[unit]
        yield start, block
    group = (rng.permutation(size) % _groups(unit))[unit]
    for start in range(0, _groups(unit), LANES):
        left_out = np.arange(start, min(start + LANES, _groups(unit)))
        yield resamples + start, (group != left_out[:, None]).astype(np.uint16)


def _groups(unit: NDArray[np.intp]) -> int:
    return min(int(unit.max()) + 1, GROUPS)


def resampled(part: trial.Part, values: Floats, resamples: int, seed: int) -> list[Resampled]:
    """Return each router's scores on the same resamples.

    Args:
        part: what was played.
        values: `(R, 6)`, the scores `scores.RESAMPLED` of the sample.
        resamples, seed: see `weights`.

    Raises:
        ValueError: a resample draws none of the test queries, so few are they.
    """
    found = []
    for s, case in enumerate(part.cases):
        paths, size = [e.paths[s] for e in part.entries], resamples + _groups(part.unit)
        blocks = _tested(weights(part.unit, resamples, seed), case.split.test, resamples)
        found.append(scores.resample_each(paths, case.true, blocks, size))
    means = np.mean(found, axis=0)
    return [Resampled(*own, *np.split(mean, [resamples])) for *own, mean in zip(values, means, strict=True)]


def _tested(
    blocks: Iterator[tuple[int, NDArray[np.uint16]]], test: NDArray[np.intp], resamples: int
) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Yield the weights of the test queries; none of them may be left out, a whole group of units may."""
    for start, block in blocks:
        own = block[:, test]
        if start < resamples and not own.any(axis=1).all():
            raise ValueError(
                f"mmrbench needs more test queries for intervals, got {len(test)}: a resample drew none of them"
            )
        yield start, own

"""UCB1's rounds (numba): `bandits.policies.tabular.ucb1` over counts and means, in float32 as there.

Near the edge of what `choose` takes as equal the last digit decides, so that it is had as the scan has it: products and
sums that follow each other are rounded once, a constant divides as its reciprocal, and the logarithm is XLA's.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from bandits.loop.kernels_blocks import highest

_UNTRIED = np.float32(1e6)  # as in `ucb1`
_f = np.float32


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def logarithm(x: Any) -> Any:
    """Return the logarithm of a float32 `x >= 1`: Cephes' `logf` (Moshier 1989), as XLA computes it on a CPU."""
    part, power = math.frexp(x)
    m, e = _f(part), _f(power)
    small = m < _f(math.sqrt(0.5))
    t = m - _f(1.0) + (m if small else _f(0.0))
    e -= _f(1.0) if small else _f(0.0)
    square = t * t
    cube = square * t
    high = (t * _f(7.0376836292e-2) + _f(-1.1514610310e-1)) * t + _f(1.1676998740e-1)
    middle = (t * _f(-1.2420140846e-1) + _f(1.4249322787e-1)) * t + _f(-1.6668057665e-1)
    low = (t * _f(2.0000714765e-1) + _f(-2.4999993993e-1)) * t + _f(3.3333331174e-1)
    rest = ((high * cube + middle) * cube + low) * cube + _f(-2.12194440e-4) * e
    return t - _f(0.5) * square + rest + _f(0.693359375) * e


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def replay_counts(
    available: Any, reward: Any, low: Any, span: Any, alpha: Any, pulls: Any, mean: Any, called: Any
) -> None:
    """Play `C` rounds of one seed; `pulls`, `mean` and `called` are changed in place.

    Args:
        available: `(C, K)` bool.
        reward: `(C, K)` float32, what each arm would teach.
        low, span, alpha: float32, the least reward, how far it is to the highest, and the factor of the width.
        pulls, mean: `(K,)` float32, as `Counts` has them.
        called: `(C,)` int32, filled with the arms.
    """
    one, none = np.float32(1.0), np.float32(0.0)
    index, played, per_span = np.empty_like(mean), none, one / span
    for k in range(len(pulls)):
        played += pulls[k]
    for t in range(len(called)):
        twice = np.float32(2.0) * logarithm(max(played, one))
        for k in range(len(pulls)):
            bound = mean[k] + alpha * np.sqrt(twice / max(pulls[k], one))
            index[k] = low + span * (bound if pulls[k] > none else _UNTRIED)
        k = highest(index, available[t])
        value = min(max((reward[t, k] - low) * per_span, none), one)
        pulls[k] += one
        played += one
        mean[k] += (value - mean[k]) / pulls[k]
        called[t] = k

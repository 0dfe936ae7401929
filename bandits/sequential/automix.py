"""AutoMix's gates between a small and a large model (Aggarwal, Madaan et al., NeurIPS 2024), as its code has them.

The small model answers and its answer is verified, `p` in [0, 1]; a gate says of which `p` the large one is called too.
A gate is chosen by its lift on training rows: `IBC(M) = (P_M - P_small) / (C_M - C_small)`, the slope of a method, and
`lift = (IBC(M) - IBC_base) / IBC_base` with the slope between the two models as the base (section 4).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 8
METHODS = ("threshold", "double", "triple", "pomdp", "greedy", "union")
_REWARDS = 5000  # that the released POMDP tries
_HOPELESS = 0.1  # quantile up to which both models' scores are hopeless


class Pair(NamedTuple):
    """A small and a large model on `N` queries.

    Attributes:
        small, large: `(N,)` utilities.
        verified: `(N,)` in [0, 1], what the verifier says of the small one's answer.
        costs: of a call of each, numbers as in the released code (1 and 50) or `(N,)` of each query.
        verifier: cost of verifying one answer, 1 in the released code.
    """

    small: Floats
    large: Floats
    verified: Floats
    costs: tuple[Any, Any]
    verifier: float = 0.0


class Gate(NamedTuple):
    """Which verified answers are tried again.

    Attributes:
        spans: closed intervals of `p`.
        actions: for each bin, whether `p` nearest to it is tried again; empty where spans say it.
    """

    spans: tuple[tuple[float, float], ...] = ()
    actions: tuple[int, ...] = ()


class Value(NamedTuple):
    """What a gate gives: lift over the base slope, mean utility, mean cost, share of queries tried again."""

    lift: float
    utility: float
    cost: float
    retried: float


def retry(gate: Gate, verified: Floats) -> NDArray[np.bool_]:
    """Return `(N,)`, which queries the gate tries again."""
    if gate.actions:
        nearest = np.floor(np.asarray(verified) * (len(gate.actions) - 1) + 0.5).astype(int)
        again = np.array(gate.actions, bool)
        return np.asarray(again[np.clip(nearest, 0, len(again) - 1)])
    found = np.zeros(len(verified), bool)
    for low, high in gate.spans:
        found |= (verified >= low) & (verified <= high)
    return found


def value(pair: Pair, again: NDArray[np.bool_]) -> Value:
    """Return what trying these queries again gives; the lift is NaN where nothing is spent beyond the small model.

    Args:
        pair: the two models.
        again: `(N,)`.
    """
    small, large = (np.broadcast_to(cost, again.shape) for cost in pair.costs)
    utility = float(np.where(again, pair.large, pair.small).mean())
    base = (pair.large.mean() - pair.small.mean()) / (large.mean() - small.mean())
    spent = float(np.where(again, large, 0.0).mean()) + pair.verifier
    lift = float("nan") if spent == 0 else float(((utility - pair.small.mean()) / spent - base) / base)
    return Value(lift, utility, float(small.mean()) + spent, float(again.mean()))


def gates(pair: Pair, method: str, *, bins: int = BINS) -> list[Gate]:
    """Return the gates that a method tries, in its order.

    `threshold`: p <= t; `double`: a <= p <= b; `triple`: p <= a or b <= p <= c; `pomdp`, `greedy`: an action for each
    of `bins + 1` bins; `union`: pomdp, greedy, double and threshold, which is what is released as the POMDP.

    Args:
        pair: training rows.
        method: one of `METHODS`.
        bins: the thresholds are multiples of `1 / bins`.

    Raises:
        ValueError: no such method.
    """
    steps = np.arange(bins + 1) / bins
    if method == "threshold":
        return [Gate(((0.0, float(t)),)) for t in steps]
    if method == "double":
        return [Gate(((i / bins, j / bins),)) for i in range(bins) for j in range(i + 1, bins)]
    if method == "triple":
        cuts = ((i, j, k) for i in range(bins) for j in range(i + 1, bins) for k in range(j + 1, bins))
        return [Gate(((0.0, i / bins), (j / bins, k / bins))) for i, j, k in cuts]
    if method == "pomdp":
        return _pomdp(pair, bins)
    if method == "greedy":
        return _greedy(pair, bins)
    if method == "union":
        return [g for m in ("pomdp", "greedy", "double", "threshold") for g in gates(pair, m, bins=bins)]
    raise ValueError(f"automix needs method to be one of {', '.join(METHODS)}, got {method!r}")


def fit(pair: Pair, method: str = "union", *, bins: int = BINS) -> tuple[Gate, Value]:
    """Return the gate of the highest lift on training rows, of equal ones the first, and its value there.

    A gate that tries nothing again has no lift and is never chosen.

    Raises:
        ValueError: no such method, or no gate of it tries anything again.
    """
    tried = [(gate, value(pair, retry(gate, pair.verified))) for gate in gates(pair, method, bins=bins)]
    known = [(gate, got) for gate, got in tried if not np.isnan(got.lift) and got.retried > 0]
    if not known:
        raise ValueError(f"automix {method} tries no query again on the training rows")
    return max(known, key=lambda one: one[1].lift)


def _categories(pair: Pair) -> NDArray[np.int64]:
    """Return `(N,)`: 0 needy, 1 good, 2 hopeless, -1 none of them; later conditions never override earlier ones."""
    hopeless = (pair.small <= np.quantile(pair.small, _HOPELESS)) & (
        pair.large <= np.quantile(pair.large, _HOPELESS)
    )
    found = np.where(hopeless, 2, -1)
    found = np.where((pair.small == pair.large) & (pair.small != 0), 1, found)
    return np.where(pair.small < pair.large, 0, found)


def _pomdp(pair: Pair, bins: int) -> list[Gate]:
    """Return the distinct action sequences over all rewards r: keep earns (-r, 0, -r-1), retry (-100, -100, -r-100)."""
    category, chance = _categories(pair), np.zeros((bins + 1, 3))
    for i in range(bins + 1):
        near = np.abs(pair.verified - i / bins) < 0.5 / bins
        if near.any():
            chance[i] = [(category[near] == c).mean() for c in range(3)]
    r = np.arange(_REWARDS)[:, None]
    keep = chance[:, 0] * -r + chance[:, 2] * (-r - 1)
    again = -100 * (chance[:, 0] + chance[:, 1]) + chance[:, 2] * (-r - 100)
    return [Gate(actions=tuple(int(a) for a in row)) for row in np.unique(again > keep, axis=0)]


def _greedy(pair: Pair, bins: int) -> list[Gate]:
    """Return a gate for each prefix of the bins in order of smoothed gain, the highest first."""
    from scipy.ndimage import gaussian_filter

    place = np.floor(pair.verified * bins).astype(int)
    gain = [
        float((pair.large - pair.small)[place == i].mean()) if (place == i).any() else 0.0
        for i in range(bins + 1)
    ]
    order = sorted(range(bins + 1), key=gaussian_filter(gain, sigma=2).__getitem__)[::-1]
    return [Gate(actions=tuple(int(i in order[: n + 1]) for i in range(bins + 1))) for n in range(bins + 1)]

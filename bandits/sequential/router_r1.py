"""The reward of Router-R1 (Zhang, Feng and You, NeurIPS 2025), as its released code computes it.

A wrong answer earns nothing, so that cost counts for right ones only, and what a cost earns depends on the last
thousand costs: the reward of an episode is not a function of the episode alone. The window is part of the state here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIZE = 1000
_LOW, _HIGH, _NARROW = 0.05, 0.95, 1e-8


class Window(NamedTuple):
    """Square roots of the raw costs of the latest episodes, at most `SIZE`, oldest first."""

    roots: tuple[float, ...] = ()


def cost_reward(window: Window, cost: float) -> tuple[Window, float]:
    """Return the window with an episode's cost in it and what that cost earns, in [0, 1].

    With `v = sqrt(cost)` appended first, and the 5 % and 95 % quantiles by linear interpolation over the window with
    it: `1 - clip((v - q05) / (q95 - q05), 0, 1)`; 1/2 where the window holds one cost or hardly varies.

    Args:
        window: before the episode.
        cost: sum over its calls of completion tokens x price per million tokens, >= 0; a failed call costs 0.

    Raises:
        ValueError: a negative cost, or none.
    """
    if not cost >= 0:
        raise ValueError(f"router_r1 needs a cost >= 0, got {cost}")
    v = float(np.sqrt(cost))
    roots = (*window.roots, v)[-SIZE:]
    low, high = np.quantile(roots, [_LOW, _HIGH])
    if len(roots) == 1 or high - low < _NARROW:
        return Window(roots), 0.5
    return Window(roots), float(1 - np.clip((v - low) / (high - low), 0.0, 1.0))


def after(window: Window, costs: Sequence[float] | NDArray[np.float64]) -> tuple[Window, NDArray[np.float64]]:
    """Return the window after a sequence of episodes and what each earns for its cost: `cost_reward`, all at once.

    Raises:
        ValueError: a negative cost, or none.
    """
    cost = np.asarray(costs, np.float64)
    if not (cost >= 0).all():
        raise ValueError(f"router_r1 needs a cost >= 0, got {cost.min()}")
    roots = np.concatenate([window.roots, np.sqrt(cost)])
    earned = np.zeros(len(cost))
    full = max(SIZE - len(window.roots), 0)  # episodes that find room in the window
    for i in range(min(full, len(cost))):
        window, earned[i] = cost_reward(window, float(cost[i]))
    if len(cost) > full:
        seen = np.lib.stride_tricks.sliding_window_view(roots, SIZE)[-(len(cost) - full) :]
        low, high = np.quantile(seen, [_LOW, _HIGH], axis=1)
        gap = np.where(high - low < _NARROW, 1.0, high - low)
        told = 1 - np.clip((seen[:, -1] - low) / gap, 0.0, 1.0)
        earned[full:] = np.where(high - low < _NARROW, 0.5, told)
    return Window(tuple(roots[-SIZE:].tolist())), earned


def reward(*, valid: bool, answered: bool, score: float, for_cost: float, alpha: float) -> float:
    """Return the reward of an episode.

    -1 where the format is broken; 0 without an answer or with a wrong one (score 0); else
    `(1 - alpha) score + alpha for_cost`.

    Args:
        valid: whether the episode keeps the format; in a simulator, whether its sequence of calls is allowed.
        answered: whether it ends in an answer.
        score: exact match or F1; in a simulator the utility of what is delivered.
        for_cost: from `cost_reward`.
        alpha: weight of cost, in [0, 1].

    Raises:
        ValueError: an alpha outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"router_r1 needs 0 <= alpha <= 1, got {alpha}")
    if not valid:
        return -1.0
    return (1 - alpha) * score + alpha * for_cost if answered and score > 0 else 0.0

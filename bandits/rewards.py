"""Rewards: plain elementwise functions of an outcome and a preference."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.lengths import length_aware

if TYPE_CHECKING:
    from envs.shapes import Queries

PREFERENCE = 0.2  # the weight on cost by default
_LARGEST = 1e15  # of a preference: its product with a cost stays inside float32


class Outcome(NamedTuple):
    """What one call gave, elementwise over arrays of any one shape.

    Attributes:
        utility: in [0, 1].
        cost: in the table's unit a call; 0 where the table records no cost.
        latency: seconds; NaN where not recorded.
        tokens: output tokens; NaN where not recorded.
        cost_scale: the unit in which rewards count cost: mean cost of the stream's dearest model.
    """

    utility: Any
    cost: Any
    latency: Any
    tokens: Any
    cost_scale: Any


Reward = Callable[[Outcome, Any], Any]
Preference = float | NDArray[np.floating[Any]]  # a number, or `(N,)` one for each query


def linear(outcome: Outcome, preference: Any) -> Any:
    """Utility minus preference times cost in units of the dearest model's mean cost (MMR-Bench's scalarisation)."""
    return outcome.utility - preference * outcome.cost / outcome.cost_scale


def accuracy(outcome: Outcome, preference: Any) -> Any:
    """Utility alone; the preference and the cost do not count."""
    return outcome.utility + 0.0 * preference


def log_cost(outcome: Outcome, preference: Any, *, floor: float = 1e-4, ceiling: float = 0.1) -> Any:
    """Utility minus preference times log-scaled cost, clipped to [0, 1] (ParetoBandit, arXiv 2604.00136, section 3).

    `c~ = (log c - log floor) / (log ceiling - log floor)`, with both ends in the table's cost unit.

    Raises:
        ValueError: unless 0 < floor < ceiling.
    """
    if not 0 < floor < ceiling:
        raise ValueError(f"log_cost needs 0 < floor < ceiling, got floor={floor}, ceiling={ceiling}")
    xp = outcome.cost.__array_namespace__()  # NumPy for the table, in float64; JAX for a policy's estimates
    clipped = xp.clip(outcome.cost, floor, ceiling)
    return outcome.utility - preference * (xp.log(clipped) - math.log(floor)) / math.log(ceiling / floor)


REWARDS: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "accuracy": accuracy,
    "log_cost": log_cost,
    "length_aware": length_aware,
}


def reward_table(reward: Reward, stream: Queries, preference: Preference = PREFERENCE) -> NDArray[np.float64]:
    """Return the `(T, K)` float64 table of what each model's outcome is worth; NaN where it is unavailable.

    Args:
        reward: `(outcome, preference) -> reward`, elementwise.
        stream: a `Stream`.
        preference: one number, or `(T,)` one for each query.

    Raises:
        ValueError: the function raised, or returned another shape or a number that is not finite; the line
            names the function and where it is.
    """
    preference = np.broadcast_to(np.asarray(preference, np.float64), (len(stream),))[:, None]
    unknown = np.broadcast_to(np.nan, stream.utility.shape)
    outcome = Outcome(
        np.where(stream.available, stream.utility, 0.0),
        np.where(stream.available, stream.cost, 0.0),
        unknown if stream.latency is None else stream.latency,
        unknown if stream.tokens is None else stream.tokens,
        stream.cost_scale,
    )
    name = getattr(getattr(reward, "func", reward), "__name__", repr(reward))
    try:
        table = np.asarray(reward(outcome, preference), np.float64)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"reward {name}{resolve.where(reward, error)} raised {type(error).__name__}: {error}"
        ) from error
    if table.shape != stream.utility.shape:
        raise ValueError(
            f"reward {name}{resolve.where(reward)} needs to return shape {stream.utility.shape}, got {table.shape}"
        )
    bad = stream.available & ~np.isfinite(table)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"reward {name}{resolve.where(reward)} needs to return finite numbers, got {table[row, column]} for model"
            f" {stream.models[column]!r}, query {str(stream.query_id[row])!r}"
        )
    return np.where(stream.available, table, np.nan)


def preferences(text: str, rows: int, seed: int) -> dict[str, float | NDArray[np.float64]]:
    """Return the preferences that a text asks for, one run each, by their own text.

    Args:
        text: a number, a list `0,0.1,1` (a run for each), or `uniform(low,high)` (one run in which every query
            comes with its own draw, the same for all seeds and policies: the preference belongs to the user who asks).
        rows: `N`, queries of the stream.
        seed: of the draws.

    Raises:
        ValueError: it is none of these, or a preference is negative or not finite.
    """
    drawn = re.fullmatch(r"\s*uniform\(([^,]+),([^,]+)\)\s*", text)
    try:
        numbers = [float(part) for part in (drawn.groups() if drawn else text.split(","))]
    except ValueError:
        numbers = [math.nan]
    if not all(0 <= n <= _LARGEST for n in numbers) or (drawn and numbers[0] > numbers[1]):
        raise ValueError(
            f"preference needs a number >= 0 (at most {_LARGEST:g}), a list such as 0,0.1,1 or uniform(0,2),"
            f" got {text!r}"
        )
    if drawn:
        low, high = numbers
        return {text.strip(): np.random.default_rng([seed, 7]).uniform(low, high, rows)}
    return {f"{n:g}": n for n in numbers}

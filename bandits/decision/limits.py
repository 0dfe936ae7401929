"""Limits that a choice has to keep, read strictly: accuracy at least, cost and latency at most."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.decision.choices import MEASURES, Choices, added

Floats = NDArray[np.float64]
_SIGNS = {"accuracy": ">=", "cost": "<=", "latency": "<="}
_SLACK = 1e-9  # of a mixture that is made to lie on a limit


class Limit(NamedTuple):
    """A bound on a mean: at least where the measure is accuracy, at most for the others; `text` as it was given."""

    measure: str
    value: float
    text: str

    @property
    def place(self) -> int:
        """Where the measure stands in `MEASURES`."""
        return MEASURES.index(self.measure)

    def kept(self, values: Floats) -> NDArray[np.bool_]:
        """Return where values keep the limit."""
        slack = _SLACK * abs(self.value)
        if self.measure == "accuracy":
            return np.asarray(values >= self.value - slack)
        return np.asarray(values <= self.value + slack)


def parse(text: str) -> tuple[Limit, ...]:
    """Return the limits of a text such as "accuracy>=0.9, cost<=0.002", cost in the table's currency a query.

    Raises:
        ValueError: not of this form, an unknown measure, a measure given twice or a number out of range.
    """
    found: list[Limit] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|==|=|>|<)\s*(\S+)\s*", part)
        if match is None or match[1] not in _SIGNS or match[2] != _SIGNS[match[1]]:
            raise ValueError(
                f"--require needs accuracy>=NUMBER, cost<=NUMBER or latency<=NUMBER, with commas between, got {part!r}"
            )
        if match[1] in (one.measure for one in found):
            raise ValueError(f"--require names {match[1]} twice, got {text!r}")
        found.append(limit(match[1], match[3], "--require"))
    return tuple(found)


def limit(measure: str, value: str | float, option: str) -> Limit:
    """Return a limit.

    Raises:
        ValueError: no finite number in the measure's range.
    """
    highest = 1.0 if measure == "accuracy" else 1e30
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= highest:
        needed = "in [0, 1]" if measure == "accuracy" else ">= 0"
        raise ValueError(f"{option} needs {measure} as a number {needed}, got {value!r}")
    return Limit(measure, number, f"{measure} {_SIGNS[measure]} {number:g}")


def fulfil(choices: Choices, limits: Sequence[Limit]) -> NDArray[np.bool_]:
    """Return `(P,)` which choices keep all limits by their means."""
    kept = np.ones(len(choices.names), bool)
    for one in limits:
        kept &= one.kept(choices.mean[:, one.place])
    return kept


def with_mixtures(
    choices: Choices, limits: Sequence[Limit]
) -> tuple[Choices, dict[int, list[tuple[int, float]]]]:
    """Return the choices and, where there are limits, the mixtures of two single models that lie on one of them.

    A mixture can only be better than its parts where a limit forbids one of them, and the best one then lies on that
    limit. Of each limit those are kept that keep all others and are on the hull of what keeps them.

    Returns:
        The choices, and the parts of each mixture by its place.
    """
    from bandits.decision.worths import best_by_worth

    mean, models = choices.mean, choices.of("model")
    made: list[tuple[list[tuple[int, float]], Floats]] = []
    for one in limits:
        for i, j in combinations(models, 2):
            a, b = mean[i, one.place], mean[j, one.place]
            if (a - one.value) * (b - one.value) < 0:
                share = float((one.value - b) / (a - b))
                mixed = share * mean[i] + (1 - share) * mean[j]
                if all(other.kept(mixed[other.place]) for other in limits):
                    made.append(([(i, share), (j, 1 - share)], mixed))
    fixed = [mean[i] for i in models if fulfil(choices, limits)[i]]
    points = np.array([*fixed, *(mixed for _, mixed in made)])
    parts: dict[int, list[tuple[int, float]]] = {}
    if not made:
        return choices, parts
    for piece in best_by_worth(points[:, 0], points[:, 1]):
        if piece.choice >= len(fixed):
            shares = sorted(made[piece.choice - len(fixed)][0], key=lambda part: -part[1])
            name = " and ".join(f"{100 * share:.3g} % {choices.names[i]}" for i, share in shares)
            parts[len(choices.names)] = shares
            choices = added(choices, name, shares)
    return choices, parts

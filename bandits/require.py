"""One-line refusals of hyperparameters out of range, the same sentence for every factory."""

from __future__ import annotations

import math


def at_least(policy: str, low: float, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a finite number >= `low`."""
    for key, value in hyper.items():
        if not (_number(value) and value >= low):
            raise ValueError(f"{policy} needs {key} >= {low:g}, got {key}={value}")


def above(policy: str, low: float, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a finite number > `low`."""
    for key, value in hyper.items():
        if not (_number(value) and value > low):
            raise ValueError(f"{policy} needs {key} > {low:g}, got {key}={value}")


def finite(policy: str, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a finite number."""
    for key, value in hyper.items():
        if not _number(value):
            raise ValueError(f"{policy} needs a finite number {key}, got {key}={value}")


def within(policy: str, low: float, high: float, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a number in [`low`, `high`]."""
    for key, value in hyper.items():
        if not (_number(value) and low <= value <= high):
            raise ValueError(f"{policy} needs {low:g} <= {key} <= {high:g}, got {key}={value}")


def whole(policy: str, low: int, **hyper: int) -> None:
    """Raise unless each named hyperparameter is a whole number >= `low`."""
    for key, value in hyper.items():
        if not (isinstance(value, int) and not isinstance(value, bool) and value >= low):
            raise ValueError(f"{policy} needs a whole number {key} >= {low}, got {key}={value}")


def one_of(policy: str, choices: tuple[str, ...], **hyper: str) -> None:
    """Raise unless each named hyperparameter is one of `choices`."""
    for key, value in hyper.items():
        if value not in choices:
            raise ValueError(f"{policy} needs {key} to be one of {', '.join(choices)}, got {key}={value}")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

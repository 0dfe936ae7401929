"""One-line refusals of hyperparameters out of range, the same sentence for every factory."""

from __future__ import annotations

_LARGEST = 1e30  # of a number: float32 ends at 3e38
# The most that a size can be: beyond it a network or a list is gigabytes before its first round.
_MOST = dict.fromkeys(("width", "first", "second", "latent", "rank", "clusters"), 8192) | {
    "depth": 64,
    "layers": 64,
    "heads": 4096,
    "rollouts": 4096,
    "steps": 10_000,
    "train_steps": 10_000,
    "trials": 10_000,
    "epochs": 100_000,
    "seed": 2**32 - 1,
}
_WHOLE = 2**31 - 1  # of any other whole number: int32 on the device


def at_least(policy: str, low: float, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a finite number >= `low`."""
    for key, value in hyper.items():
        if not (_number(value) and value >= low):
            raise ValueError(f"{policy} needs {key} >= {low:g}{_capped(value)}, got {key}={_shown(value)}")


def above(policy: str, low: float, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a finite number > `low`."""
    for key, value in hyper.items():
        if not (_number(value) and value > low):
            raise ValueError(f"{policy} needs {key} > {low:g}{_capped(value)}, got {key}={_shown(value)}")


def finite(policy: str, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a finite number."""
    for key, value in hyper.items():
        if not _number(value):
            raise ValueError(
                f"{policy} needs a finite number {key}{_capped(value)}, got {key}={_shown(value)}"
            )


def within(policy: str, low: float, high: float, **hyper: float) -> None:
    """Raise unless each named hyperparameter is a number in [`low`, `high`]."""
    for key, value in hyper.items():
        if not (_number(value) and low <= value <= high):
            raise ValueError(f"{policy} needs {low:g} <= {key} <= {high:g}, got {key}={_shown(value)}")


def whole(policy: str, low: int, **hyper: int) -> None:
    """Raise unless each named hyperparameter is a whole number >= `low`, and no more than its size may be."""
    for key, value in hyper.items():
        most = _MOST.get(key, _WHOLE)
        if not (isinstance(value, int) and not isinstance(value, bool) and value >= low):
            raise ValueError(f"{policy} needs a whole number {key} >= {low}, got {key}={_shown(value)}")
        if value > most:
            raise ValueError(f"{policy} needs a whole number {key} <= {most:,}, got {key}={_shown(value)}")


def one_of(policy: str, choices: tuple[str, ...], **hyper: str) -> None:
    """Raise unless each named hyperparameter is one of `choices`."""
    for key, value in hyper.items():
        if value not in choices:
            raise ValueError(f"{policy} needs {key} to be one of {', '.join(choices)}, got {key}={value}")


def _number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= _LARGEST  # false for nan and inf


def _capped(value: object) -> str:
    """Return the upper bound in words, where it is what was broken."""
    large = isinstance(value, (int, float)) and value == value and abs(value) > _LARGEST
    return f" and at most {_LARGEST:g}" if large else ""


def _shown(value: object) -> str:
    """Return a value as it was given; an integer can be too long for Python to write."""
    return f"{value:#x}" if isinstance(value, int) and value.bit_length() > 10_000 else str(value)

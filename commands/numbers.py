"""Numbers on the command line: whole ones that fit the device, and finite ones."""

from __future__ import annotations

from typing import Any

import click

_LARGEST = 1e30  # float32 ends at 3e38


class Whole(type(click.INT)):  # type: ignore[misc]
    """A whole number of at most `most`, on either side of 0."""

    def __init__(self, most: int = 2**31 - 1) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or fail in one line."""
        try:
            number = int(super().convert(value, param, ctx))
        except OverflowError:  # an infinite number from a file
            self.fail(f"needs a whole number, got {value}", param, ctx)
        if abs(number) > self.most:
            self.fail(f"needs a whole number of at most {self.most}, got {value}", param, ctx)
        return number


class Finite(type(click.FLOAT)):  # type: ignore[misc]
    """A finite number that float32 holds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail in one line."""
        number = float(super().convert(value, param, ctx))
        if not abs(number) <= _LARGEST:
            self.fail(f"needs a finite number of at most {_LARGEST:g}, got {value}", param, ctx)
        return number


WHOLE, FINITE = Whole(), Finite()
SEED = click.IntRange(0, 2**32 - 1)  # what the device's generator takes

"""How a table is to be read: what its columns cannot tell and somebody has to say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class How(NamedTuple):
    """Settings of `formats.read`.

    Attributes:
        models: keep these only, in this order; they may be columns named after models.
        prices: a price file that gives the costs.
        per: tokens that a price in it is for, `token`, `1k` or `1M`; None: its column names tell.
        unit: the currency of costs whose column names none, such as `USD`.
        scale: the least and the largest score that there can be; they become 0 and 1.
        clip: scores outside the range become the nearest inside, instead of being refused.
        missing: `unavailable`, an empty cell is a model that cannot be called; `wrong`, a call that failed.
        drop_empty: leave out queries without any outcome, instead of refusing the table.
        metric: the score to take, by name, where a file has several.
        duels: battles are wanted, each as the outcomes of its two models.
        alone: this is the only file.
    """

    models: Sequence[str] | None = None
    prices: str | Path | None = None
    per: str | None = None
    unit: str | None = None
    scale: tuple[float, float] | None = None
    clip: bool = False
    missing: str = "unavailable"
    drop_empty: bool = False
    metric: str | None = None
    duels: bool = False
    alone: bool = True


def checked(how: How) -> How:
    """Return the settings, or refuse one that is none.

    Raises:
        ValueError: one line that names the option.
    """
    if how.missing not in ("unavailable", "wrong"):
        raise ValueError(f"--missing needs unavailable or wrong, got {how.missing!r}")
    if how.scale is not None and not how.scale[0] < how.scale[1] < float("inf"):
        raise ValueError(
            f"--scale needs the least score and a larger one, got {how.scale[0]:g},{how.scale[1]:g}"
        )
    return how

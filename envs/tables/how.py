"""How a table is to be read: settings that its columns do not determine."""

from __future__ import annotations

import math
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
        scale: the least and the largest score that there can be, as two numbers or `1,10`; they become 0 and 1.
        clip: scores outside the range become the nearest inside, instead of being refused.
        missing: `unavailable`, an empty cell is a model that cannot be called; `wrong`, a call that failed.
        drop_empty: leave out queries without any outcome, instead of refusing the table.
        metric: the score to take, by name, where a file has several.
        duels: battles are wanted, each as the outcomes of its two models.
        logs: a log is wanted too, each request as the outcome of its one model.
    """

    models: Sequence[str] | None = None
    prices: str | Path | None = None
    per: str | None = None
    unit: str | None = None
    scale: str | Sequence[float] | None = None
    clip: bool = False
    missing: str = "unavailable"
    drop_empty: bool = False
    metric: str | None = None
    duels: bool = False
    logs: bool = False

    @property
    def span(self) -> tuple[float, float] | None:
        """The least and the largest score.

        Raises:
            ValueError: `scale` is not two numbers, the least first.
        """
        if self.scale is None:
            return None
        try:
            low, high = (
                float(x) for x in (self.scale.split(",") if isinstance(self.scale, str) else self.scale)
            )
        except (TypeError, ValueError):
            raise ValueError(f"--scale needs two numbers such as 1,10, got {self.scale!r}") from None
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"--scale needs the least score and a larger one, got {low:g},{high:g}")
        return low, high


def checked(how: How) -> How:
    """Return the settings, or refuse one that is none.

    Raises:
        ValueError: one line that names the option.
    """
    if how.missing not in ("unavailable", "wrong"):
        raise ValueError(f"--missing needs unavailable or wrong, got {how.missing!r}")
    return how._replace(scale=how.span)


# What `envs.load` takes of this beside models and prices, and whether copies of a question may be parted.
READING = ("per", "unit", "scale", "clip", "missing", "drop_empty", "metric", "keep_copies")

"""What our own files say beside their columns: units, label, notes, posted prices."""

from __future__ import annotations

from pathlib import Path

import msgspec

KEY = "routebandit"  # of the JSON in a Parquet schema
COLUMN = "_about"  # where a CSV keeps it, in its first row


class About(msgspec.Struct, frozen=True):
    """What no column can say; `price` is a call's posted cost by model."""

    cost_unit: str | None = None
    label: str = "recorded answers"
    source: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    price: dict[str, float | None] = {}


def parsed(path: Path, said: str) -> About:
    """Return what a file says of itself; nothing for other people's tables.

    Raises:
        ValueError: it is no JSON of these types.
    """
    try:
        return msgspec.json.decode(said or "{}", type=About)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"{path}: {COLUMN!r} needs JSON that says cost_unit, label, ...: {error}") from error

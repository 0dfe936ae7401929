"""Ctrl-C and SIGTERM where a stop has to wait for a file or a chunk of rounds."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def files_own(error: BaseException) -> str:
    """Return what is wrong where a user's file raised KeyboardInterrupt itself; "" where it was Ctrl-C."""
    resolve = sys.modules.get("bandits.resolve")  # not there yet: then no file of the user's is either
    place = "" if resolve is None else resolve.raised_in(error)
    return f"{place} raised {type(error).__name__}, which is for Ctrl-C alone" if place else ""


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into an answer; a second one stops at once."""
    asked: list[int] = []
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}

    def note(name: int, frame: FrameType | None) -> None:
        asked.append(name)
        for each, handler in before.items():
            signal.signal(each, handler)

    for name in before:
        signal.signal(name, note)
    try:
        yield lambda: bool(asked)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)

"""Ctrl-C and SIGTERM where a stop has to wait for a file or a chunk of rounds."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into an answer; a second one stops at once."""
    asked: list[int] = []
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}

    def note(name: int, frame: Any) -> None:
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

"""One item ahead: the next one is made in a second thread while this one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the same items in the same order; at most one waits, so memory does not grow with their number."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        coming = maker.submit(_next, items)
        while made := coming.result():
            coming = maker.submit(_next, items)
            yield made[0]


def _next(items: Iterator[Item]) -> tuple[Item, ...]:
    """Return the next item in a tuple, an empty one at the end: an exception would not pass a future as it is."""
    for item in items:
        return (item,)
    return ()

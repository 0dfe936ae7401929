"""Which rows of a large table are near copies, told row by row: a number of 64 bits that copies share.

A table in memory compares its rows (`envs.tables.copies`); here each row's number is the digest of what the comparison
is of, so that nothing has to be remembered from window to window. Two queries share a number by chance once in `2^64`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from envs.tables.copies import plain, templates

Keys = NDArray[np.uint64]


def keys(
    group: Iterable[str],
    question: Iterable[str],
    path: Iterable[str],
    image: Iterable[bytes],
    own: Iterable[str],
) -> Keys:
    """Return `(n,)` a number for each row: of its `group_id`; else of its question and image; else of its own id.

    Args:
        group, question, path, image, own: `n` each, "" where there is none; an image's embedding as bytes.
    """
    told = (
        f"group {g}".encode()
        if g
        else b"\0".join((b"asks", plain(q).encode(), p.encode(), i))
        if q
        else f"id {o}".encode()
        for g, q, p, i, o in zip(group, question, path, image, own, strict=True)
    )
    digests = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in told)
    return np.frombuffer(digests, np.uint64)


def named(found: Keys) -> bool:
    """Return whether questions name queries: not where they stand for so many rows that they are templates."""
    return not templates(len(found) - len(np.unique(found)), len(found))

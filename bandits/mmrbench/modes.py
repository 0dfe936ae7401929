"""What a router sees of a query: text, image or both, in MMR-Bench's modes (arXiv 2601.17814, appendix D.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bandits.mmrbench.routers.base import Floats
from envs.contexts import features
from envs.outcomes import Outcomes

TEXT, BOTH, IMAGE = "1", "2", "3"

# `(rows, digit) -> context (n, d)` float32, from the `n` queries of one side of a split.
Fusion = Callable[[Outcomes, str], Floats]


def parse(mode: str) -> tuple[str, str]:
    """Return the training digit and the test digit of a mode.

    All nine pairs are allowed. Trained on both and tested on text (`21`) is the paper's text-only transfer.

    Raises:
        ValueError: unless there are two digits from 1 to 3.
    """
    if len(mode) != 2 or set(mode) - {TEXT, BOTH, IMAGE}:
        raise ValueError(f"mode needs two digits, train and test (1 text, 2 both, 3 image), got {mode!r}")
    return mode[0], mode[1]


def embedded(table: Outcomes) -> Outcomes:
    """Return the table with text embeddings: its own, else hashed TF-IDF of its questions where it has those."""
    if table.text is not None or not any(table.question):
        return table
    return replace(table, text=features.tfidf(table.question))


def contexts(fusion: Fusion, mode: str, train: Outcomes, test: Outcomes) -> tuple[Floats, Floats]:
    """Return the contexts of both sides of a split, cropped to the narrower where a mode mixes widths.

    Args:
        fusion: `mean`, `adaptive` or `tokens`.
        mode: two digits, see `parse`.
        train, test: tables with embeddings.

    Raises:
        ValueError: the mode is malformed, or the table lacks the embeddings that it needs.
    """
    seen, asked = parse(mode)
    left, right = fusion(train, seen), fusion(test, asked)
    width = min(left.shape[1], right.shape[1])
    return left[:, :width], right[:, :width]


def mean(rows: Outcomes, digit: str) -> Floats:
    """Return text, image, or their plain mean cropped to the narrower of the two (the published default)."""
    if digit == TEXT:
        return _embedding(rows, "text")
    if digit == IMAGE:
        return _embedding(rows, "image")
    return features.fuse(_embedding(rows, "text"), _embedding(rows, "image"), "mean")


def adaptive(rows: Outcomes, digit: str) -> Floats:
    """Return text, or the adaptive fusion of both, for `2` and, as published, for `3` too.

    Means and norms are those of the rows passed in, so each side of a split has its own (as published).
    """
    if digit == TEXT:
        return _embedding(rows, "text")
    fused = features.fuse(_embedding(rows, "text"), _embedding(rows, "image"), "adaptive")
    return np.asarray(fused, np.float32)


def tokens(rows: Outcomes, digit: str) -> Floats:
    """Return text and image side by side, `(n, 2 d)`, the narrower one padded with zeros; `1` masks the image.

    The image alone cannot be asked for: `3` is the same as `2`, as published.
    """
    text = _embedding(rows, "text")
    image = np.zeros_like(text) if digit == TEXT else _embedding(rows, "image")
    width = max(text.shape[1], image.shape[1])
    return np.hstack([np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in (text, image)])


def _embedding(rows: Outcomes, channel: str) -> Floats:
    found: Floats | None = getattr(rows, channel)
    if found is None:
        has = [c for c in ("text", "image") if getattr(rows, c) is not None]
        allowed = {"text": "; --mode 11 sees text only", "image": "; --mode 33 sees images only"}
        way = allowed[has[0]] if len(has) == 1 else ""
        raise ValueError(
            f"this mode needs {channel} embeddings; the table has {' and '.join(has) or 'none'}{way}"
        )
    return found

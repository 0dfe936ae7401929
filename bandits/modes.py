"""What a router sees of a query: text, image or both, in MMR-Bench's modes (arXiv 2601.17814, appendix D.2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bandits.routers.base import Floats
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
    text, image = _both(rows)
    return (text + image) / 2


def adaptive(rows: Outcomes, digit: str) -> Floats:
    """Return text, or the adaptive fusion of both, for `2` and, as published, for `3` too.

    Each channel weighs `softmax(5 c)` by its confidence `c`: half its cosine to the channel's mean, half the
    standing of its norm. Product and absolute difference join at half weight. Means and norms are those of the
    rows passed in, so both sides of a split have their own (as published).
    """
    if digit == TEXT:
        return _embedding(rows, "text")
    text, image = _both(rows)
    weight = np.exp(5 * np.stack([_confidence(text), _confidence(image)]))
    weight = (weight / (weight.sum(axis=0) + _TINY))[:, :, None]
    fused = weight[0] * text + weight[1] * image + 0.5 * text * image + 0.5 * np.abs(text - image)
    return np.asarray(fused / (np.linalg.norm(fused, axis=1, keepdims=True) + _TINY), np.float32)


def tokens(rows: Outcomes, digit: str) -> Floats:
    """Return text and image side by side, `(n, 2 d)`, the narrower one padded with zeros; `1` masks the image.

    The image alone cannot be asked for: `3` is the same as `2`, as published.
    """
    text = _embedding(rows, "text")
    image = np.zeros_like(text) if digit == TEXT else _embedding(rows, "image")
    width = max(text.shape[1], image.shape[1])
    return np.hstack([np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in (text, image)])


_TINY = 1e-8


def _confidence(channel: Floats) -> Floats:
    """Return `(n,)` in [0, 1], how typical each embedding is of its channel."""
    centre, norm = channel.mean(axis=0), np.linalg.norm(channel, axis=1)
    cosine = (channel * centre).sum(axis=1) / (norm * np.linalg.norm(centre) + _TINY)
    standing = 1 / (1 + np.exp(-(norm - norm.mean()) / (norm.std() + _TINY)))
    return np.clip(0.5 * (cosine + 1) / 2 + 0.5 * standing, 0, 1)


def _both(rows: Outcomes) -> tuple[Floats, Floats]:
    text, image = _embedding(rows, "text"), _embedding(rows, "image")
    width = min(text.shape[1], image.shape[1])
    return text[:, :width], image[:, :width]


def _embedding(rows: Outcomes, channel: str) -> Floats:
    found: Floats | None = getattr(rows, channel)
    if found is None:
        has = [c for c in ("text", "image") if getattr(rows, c) is not None]
        raise ValueError(f"this mode needs {channel} embeddings; the table has {' and '.join(has) or 'none'}")
    return found

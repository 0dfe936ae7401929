"""The fitted way from embeddings to a context, to be applied to queries that come after the run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.contexts import features
from envs.outcomes import Floats, Outcomes


class Projection(NamedTuple):
    """What a context is made of: unit embeddings, fused, minus `mean` `(D,)`, times `axes` `(D, d - 1)`, and a 1.

    Attributes:
        uses: `text`, `image` or both, in this order.
        sizes: features of each of `uses`.
        fusion: how two become one, see `features.fuse`.
        mean, axes: of all rows of the stream that it was fitted on; the scale is in `axes`.
    """

    uses: tuple[str, ...]
    sizes: tuple[int, ...]
    fusion: str
    mean: Floats
    axes: Floats


def fit(
    outcomes: Outcomes,
    *,
    modality: str,
    fusion: str,
    dim: int,
    whiten: bool,
    context: str = features.EMBEDDINGS,
) -> Projection:
    """Return the projection behind `features.context` with the same arguments.

    Raises:
        ValueError: the context comes from something that a single new query does not bring: questions, data sets, or
            the whole batch that adaptive fusion weighs a query against.
    """
    if context != features.EMBEDDINGS:
        raise ValueError(f"a projection needs a context of embeddings alone, this one is {context}")
    text, image, _ = features.modalities(outcomes, modality, dim)
    if text is not None and outcomes.text is None:
        raise ValueError("a projection needs text embeddings; this context is of hashed questions")
    parts = {name: part for name, part in (("text", text), ("image", image)) if part is not None}
    if not parts:
        raise ValueError("a projection needs text or image embeddings, and the table has neither")
    if len(parts) == 2 and fusion == "adaptive":
        raise ValueError(
            "a projection needs fusion concat or mean; adaptive weighs a query against its whole batch"
        )
    return fitted(parts, fusion=fusion, dim=dim, whiten=whiten)


def fitted(parts: dict[str, Floats], *, fusion: str, dim: int, whiten: bool) -> Projection:
    """Return the projection of these embeddings `(T, D)` by modality, text before image; adaptive fusion has none."""
    joined = features.fused(parts.get("text"), parts.get("image"), fusion)
    mean, axes = features.affine(joined, dim, whiten)
    return Projection(tuple(parts), tuple(p.shape[1] for p in parts.values()), fusion, mean, axes)


def project_rows(projection: Projection, parts: dict[str, Floats]) -> Floats:
    """Return the contexts `(T, d)` float32 of many queries at once, the constant 1 last; `parts` as for `fitted`."""
    joined = features.fused(parts.get("text"), parts.get("image"), projection.fusion)
    shown = (joined - projection.mean) @ projection.axes
    return np.hstack([shown, np.ones((len(shown), 1))]).astype(np.float32)


def project(projection: Projection, embeddings: dict[str, Floats]) -> Floats:
    """Return the context `(d,)` of one query, the constant 1 last.

    Args:
        projection: from `fit`.
        embeddings: one for each of `projection.uses`, of the size it was fitted on.

    Raises:
        ValueError: an embedding is lacking or has another size.
    """
    units = []
    for name, size in zip(projection.uses, projection.sizes, strict=True):
        part = np.asarray(embeddings.get(name, ()), np.float64)
        if part.shape != (size,):
            raise ValueError(f"choose needs {name}_embedding of shape ({size},), got {part.shape}")
        length = np.sqrt(part @ part)
        units.append(part / length if length > 0 else part)
    if len(units) == 1:
        joined = units[0]
    elif projection.fusion == "concat":
        joined = np.concatenate(units)
    else:
        least = min(projection.sizes)
        joined = (units[0][:least] + units[1][:least]) / 2
    context = np.empty(projection.axes.shape[1] + 1)
    context[-1] = 1.0
    np.matmul(joined - projection.mean, projection.axes, out=context[:-1])
    return context

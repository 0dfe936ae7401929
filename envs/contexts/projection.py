"""The fitted way from a query to a context, to be applied to queries that come after the run."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envs.contexts import features
from envs.contexts.words import Words, embed, words
from envs.outcomes import Floats, Outcomes


class Projection(NamedTuple):
    """What a context is made of: unit embeddings, fused, minus `mean` `(D,)`, times `axes` `(D, d - 1)`, and a 1.

    Attributes:
        uses: `text`, `image` or both, in this order; `dataset`, whose embedding is an indicator; or nothing.
        sizes: features of each of `uses`.
        fusion: how two become one, see `features.fuse`.
        mean, axes: of all rows of the stream that it was fitted on; the scale is in `axes`.
        centres: `(2, least size + 2)` of adaptive fusion, see `features.centre`; None: of another.
        words: what embeds a text, where questions stand in for text embeddings; None: embeddings are given.
        datasets: the names where a context has an indicator of each: it is the embedding where `uses` says so, and
            stands between what embeddings became and the 1 where not.
    """

    uses: tuple[str, ...]
    sizes: tuple[int, ...]
    fusion: str
    mean: Floats
    axes: Floats
    centres: Floats | None = None
    words: Words | None = None
    datasets: tuple[str, ...] = ()

    @property
    def beside(self) -> int:
        """How many indicators stand beside what embeddings became."""
        return 0 if self.uses == ("dataset",) else len(self.datasets)

    @property
    def features(self) -> int:
        """How many numbers a context has, the constant 1 included."""
        return int(self.axes.shape[1]) + self.beside + 1


NOTHING = Projection((), (), "concat", np.zeros(0), np.zeros((0, 0)))  # the context is the constant 1


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
        ValueError: as `features.context`.
    """
    beside = tuple(features.indicated(outcomes.dataset, context).tolist())
    alone = context == features.ALONE
    text, image, _ = (None, None, "") if alone else features.modalities(outcomes, modality, dim)
    parts = {name: part for name, part in (("text", text), ("image", image)) if part is not None}
    if not parts:
        names = tuple(np.unique(outcomes.dataset.astype(str)).tolist())
        if len(names) < 2:
            return NOTHING
        n = len(names)
        return Projection(("dataset",), (n,), "concat", np.zeros(n), np.eye(n), datasets=names)
    made = fitted(parts, fusion=fusion, dim=dim, whiten=whiten)._replace(datasets=beside)
    if text is not None and outcomes.text is None:
        made = made._replace(words=words(outcomes.question, max(dim, features.COMPONENTS)))
    return made


def fitted(parts: dict[str, Floats], *, fusion: str, dim: int, whiten: bool) -> Projection:
    """Return the projection of these embeddings `(T, D)` by modality, text before image."""
    joined = features.fused(parts.get("text"), parts.get("image"), fusion)
    mean, axes = features.affine(joined, dim, whiten)
    centres = None
    if len(parts) == 2 and fusion == "adaptive":
        least = min(part.shape[1] for part in parts.values())
        rows = [features.unit_rows(np.asarray(part, np.float64))[:, :least] for part in parts.values()]
        centres = np.stack([features.centre(part) for part in rows])
    return Projection(tuple(parts), tuple(p.shape[1] for p in parts.values()), fusion, mean, axes, centres)


def project_rows(projection: Projection, parts: dict[str, Floats]) -> Floats:
    """Return the contexts `(T, d)` float32 of many queries at once, the constant 1 last; `parts` as for `fitted`."""
    joined = features.fused(parts.get("text"), parts.get("image"), projection.fusion)
    shown = (joined - projection.mean) @ projection.axes
    return np.hstack([shown, np.ones((len(shown), 1))]).astype(np.float32)


def project(projection: Projection, given: dict[str, Any]) -> Floats:
    """Return the context `(d,)` of one query, the constant 1 last.

    Args:
        projection: from `fit`.
        given: for each of `projection.uses` an embedding of the size it was fitted on; a text where it has `words`, a
            data set's name where it has `datasets`.

    Raises:
        ValueError: an embedding is lacking or has another size, or a data set was not there.
    """
    units = [
        _unit(projection, name, size, given)
        for name, size in zip(projection.uses, projection.sizes, strict=True)
    ]
    context, shown = np.ones(projection.features), projection.axes.shape[1]
    if units:
        np.matmul(_joined(projection, units) - projection.mean, projection.axes, out=context[:shown])
    if projection.beside:
        context[shown:-1] = 0.0
        context[shown + _place(projection, given)] = 1.0
    return context


def _place(projection: Projection, given: dict[str, Any]) -> int:
    """Return which of the data sets a query is of."""
    told = given.get("dataset", ())
    if told not in projection.datasets:
        known = ", ".join(projection.datasets)[:300]
        found = "none" if told is None or told == () else repr(str(told)[:80])
        raise ValueError(f"choose needs dataset=..., one of {known}; got {found}")
    return int(projection.datasets.index(told))


def _unit(projection: Projection, name: str, size: int, given: dict[str, Any]) -> Floats:
    """Return a query's embedding of one kind, at length 1 unless it is zeros."""
    told = given.get(name, ())
    if name == "dataset":
        return np.asarray(np.eye(size)[_place(projection, given)])
    if name == "text" and projection.words is not None:
        if not isinstance(told, str):
            found = "none" if isinstance(told, tuple) and not told else type(told).__name__
            raise ValueError(f"choose needs the text of the question as a string, got {found}")
        # In float32, as the contexts of the run were made.
        part = embed(projection.words, told).astype(np.float32).astype(np.float64)
    else:
        part = np.asarray(told, np.float64)
    if part.shape != (size,):
        raise ValueError(f"choose needs {name}_embedding of shape ({size},), got {part.shape}")
    length = np.sqrt(part @ part)
    return np.asarray(part / length if length > 0 else part)


def _joined(projection: Projection, units: list[Floats]) -> Floats:
    """Return the embeddings of one query as one."""
    if len(units) == 1:
        return units[0]
    if projection.fusion == "concat":
        return np.concatenate(units)
    least = min(projection.sizes)
    text, image = units[0][:least], units[1][:least]
    if projection.centres is None:
        return (text + image) / 2
    return features.adaptive_one(text, image, projection.centres)

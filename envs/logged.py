"""A log from a table of its own, as a stream whose contexts come from another stream's fitted pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.contexts import features
from envs.outcomes import Floats, Outcomes
from envs.stream import Stream
from envs.tables import formats, partial
from envs.twin import twin


def beside(
    stream: Stream,
    path: str | Path,
    *,
    prices: str | Path | None = None,
    reading: Mapping[str, Any] | None = None,
    embed: str | None = None,
    select: bool = False,
    modality: str = "both",
    fusion: str = "concat",
    dim: int = 32,
    whiten: bool = False,
    context: str = features.EMBEDDINGS,
) -> tuple[Stream, Stream]:
    """Return the log that a table holds, and the stream with a note of which of its rows were left out of it.

    Left out are rows that are evaluated: those of a query id of the stream (and the same question, where both tables
    have questions), and near copies of evaluated ones, of a `group_id` of the stream.

    Args:
        stream: what is evaluated; it stays as it is.
        path: a table as `formats.read` takes it, with the stream's models, or a log of one call a query. A log of
            the stream's own queries sets them aside: they are no longer evaluated.
        prices, embed: as `load` takes them; the same as for the stream.
        reading: what the columns cannot tell, as `load` takes it.
        select: leave out models that the stream has not, instead of refusing them.
        modality, fusion, dim, whiten, context: those that the stream was loaded with.

    Raises:
        ValueError: one line: the table cannot be read, its models are not the stream's, it lacks costs or embeddings
            that the stream has, or all of its rows are evaluated.
    """
    told, chosen = dict(reading or {}), stream.models if select else None
    calls = partial.read(path, models=chosen, **told)
    if calls is not None:
        how = {"modality": modality, "fusion": fusion, "dim": dim, "whiten": whiten, "context": context}
        return _called(stream, calls, path, prices=prices, embed=embed, **how)
    outcomes = formats.read(path, models=chosen, prices=prices, **told)
    outcomes = _embedded(outcomes, embed, path)
    outcomes = _same_models(outcomes, stream, path)
    _same_cost(outcomes, stream, path)
    own = ~_evaluated(outcomes, stream)
    if not own.any():
        raise ValueError(f"--warm-start {path} needs rows that are not evaluated; all {len(own)} of it are")
    option = f"--warm-start {path}"
    seen = _contexts(stream.outcomes, outcomes, option, modality, fusion, dim, whiten, context)
    logged = Stream(f"{Path(path).name}", outcomes.take(own), seen[own], unit=stream.cost_scale)
    notes = [f"log of {own.sum()} rows from {Path(path).name}"]
    if not own.all():
        notes[0] += f"; {(~own).sum()} rows that are evaluated too were left out of it"
    return logged, replace(stream, notes=(*stream.notes, *notes))


def _called(
    stream: Stream,
    calls: partial.Partial,
    path: str | Path,
    *,
    prices: str | Path | None,
    embed: str | None,
    **how: Any,
) -> tuple[Stream, Stream]:
    """Return a log of calls and the stream: rows of both leave the log, or the stream where all are of both."""
    if prices is not None:
        raise ValueError(f"--warm-start {path} is a log of calls: it needs costs of its own, not --prices")
    outcomes = _same_models(_embedded(calls.outcomes, embed, path), stream, path)
    unstated = outcomes.cost_unit == "units/query" != stream.outcomes.cost_unit != ""
    if unstated:
        outcomes = replace(outcomes, cost_unit=stream.outcomes.cost_unit)
    _same_cost(outcomes, stream, path)
    chance = np.full(len(outcomes), np.nan) if calls.chance is None else calls.chance
    place = {name: row for row, name in enumerate(stream.query_id.astype(str))}
    rows = np.array([place.get(str(name), -1) for name in calls.asked])
    same = _evaluated(outcomes, stream, calls.asked)
    note = f"log of {{}} calls from {Path(path).name}, one a query"
    note += f", its costs taken as {outcomes.cost_unit}" * unstated
    if same.all() and (rows >= 0).all():
        rest = _apart(stream, np.unique(rows), path)
        logged = Stream(
            Path(path).name, outcomes, stream.context[rows], unit=stream.cost_scale, chance=chance
        )
        note = f"{note.format(len(rows))}; its {len(np.unique(rows))} queries are not evaluated"
        return logged, replace(rest, notes=(*stream.notes, note))
    if same.all():
        raise ValueError(f"--warm-start {path} needs rows that are not evaluated; all {len(same)} of it are")
    context = _contexts(stream.outcomes, outcomes, f"--warm-start {path}", **how)
    own = np.flatnonzero(~same)
    logged = Stream(
        Path(path).name, outcomes.take(own), context[own], unit=stream.cost_scale, chance=chance[own]
    )
    left = f"; {same.sum()} calls that are evaluated too were left out of it" * bool(same.any())
    return logged, replace(stream, notes=(*stream.notes, note.format(len(own)) + left))


def _apart(stream: Stream, rows: NDArray[np.int64], path: str | Path) -> Stream:
    """Return the stream without these rows and their near copies, with the same unit of cost."""
    group = stream.outcomes.group_id.astype(str)
    gone = np.isin(np.arange(len(stream)), rows) | (np.isin(group, group[rows]) & (group != ""))
    if gone.all():
        raise ValueError(
            f"--warm-start {path} needs to leave queries to evaluate; it has all {len(gone)} of them"
        )
    kept = np.flatnonzero(~gone)
    return replace(
        stream, outcomes=stream.outcomes.take(kept), context=stream.context[kept], unit=stream.cost_scale
    )


def _embedded(outcomes: Outcomes, embed: str | None, path: str | Path) -> Outcomes:
    if embed is None:
        return outcomes
    from envs.contexts.embed import embed as encoded

    return encoded(outcomes, embed, folder=Path(path).parent)


def refit(
    logged: Stream,
    stream: Stream,
    *,
    modality: str = "both",
    fusion: str = "concat",
    dim: int = 32,
    whiten: bool = False,
    context: str = features.EMBEDDINGS,
) -> tuple[Stream, Stream]:
    """Return a log and the stream evaluated after it with all that is fitted to rows fitted on the log alone.

    That is the context (PCA, its scale, TF-IDF, the data sets that have an indicator), the unit of cost, and the
    twin's posted prices, which are mean costs: of a model without a logged outcome none is posted.

    Raises:
        ValueError: adaptive fusion, which weighs a query against its whole batch.
    """
    how = "--fit warm", modality, fusion, dim, whiten, context
    seen = [_contexts(logged.outcomes, each.outcomes, *how) for each in (logged, stream)]
    unit = replace(logged, unit=0.0).cost_scale
    note = f"context and unit of cost are fitted on the {len(logged)} rows of the log alone"
    kept = []
    for each, shown in zip((logged, stream), seen, strict=True):
        outcomes = each.outcomes
        if outcomes.label == twin.LABEL:
            calls = np.maximum(logged.answered, 1)
            mean = np.where(logged.answered > 0, np.nansum(logged.cost, axis=0) / calls, np.nan)
            outcomes = replace(outcomes, price=mean)
        kept.append(replace(each, outcomes=outcomes, context=shown, unit=unit))
    return kept[0], replace(kept[1], notes=(*stream.notes, note))


def _same_models(outcomes: Outcomes, stream: Stream, path: str | Path) -> Outcomes:
    """Return the table with its models in the stream's order."""
    lacking = [m for m in stream.models if m not in outcomes.models]
    extra = [m for m in outcomes.models if m not in stream.models]
    if lacking or extra:
        found = f"lacks {', '.join(lacking)}" if lacking else f"has {', '.join(extra)} too; name --models"
        raise ValueError(f"--warm-start {path} needs the models of the stream; it {found}")
    return outcomes.select(stream.models)


def _same_cost(outcomes: Outcomes, stream: Stream, path: str | Path) -> None:
    if outcomes.priced != stream.outcomes.priced:
        with_cost, without = ("it", "the stream") if outcomes.priced else ("the stream", "it")
        raise ValueError(
            f"--warm-start {path} needs costs where the stream has them; {with_cost} has and {without} has not"
        )
    here, there = outcomes.cost_unit, stream.outcomes.cost_unit
    if outcomes.priced and here != there:
        raise ValueError(f"--warm-start {path} needs costs in the stream's unit {there!r}, got {here!r}")


def _evaluated(outcomes: Outcomes, stream: Stream, asked_as: NDArray[Any] | None = None) -> NDArray[np.bool_]:
    """Return `(N,)`, which rows of the table the stream asks too, or has near copies of.

    `asked_as` are the rows' query ids, where they are not those of the table.
    """
    question = dict(zip(stream.query_id.astype(str), stream.outcomes.question.astype(str), strict=True))

    def asked(name: str, text: str) -> bool:
        there = question.get(name)
        return there is not None and (not text or not there or text == there)

    ids = outcomes.query_id if asked_as is None else asked_as
    named = zip(ids.astype(str), outcomes.question.astype(str), strict=True)
    same = np.array([asked(*each) for each in named])
    group = outcomes.group_id.astype(str)
    return np.asarray(same | (np.isin(group, stream.outcomes.group_id.astype(str)) & (group != "")))


def _contexts(
    fitted: Outcomes,
    shown: Outcomes,
    option: str,
    modality: str,
    fusion: str,
    dim: int,
    whiten: bool,
    context: str,
) -> Floats:
    """Return the `(N, d)` contexts that the pipeline fitted on `fitted` gives to the rows of `shown`."""
    names = features.indicated(fitted.dataset, context)
    ones = np.hstack([features.indicators(shown.dataset, names), np.ones((len(shown), 1))]).astype(np.float32)
    if context == features.ALONE:
        return ones
    text, image, _ = features.modalities(fitted, modality, dim)
    if text is None and image is None:
        ones = ones[:, -1:]
        names = np.unique(fitted.dataset.astype(str))
        known = shown.dataset.astype(str)[:, None] == names
        return np.hstack([known if len(names) > 1 else known[:, :0], ones]).astype(np.float32)
    if text is not None and image is not None and fusion == "adaptive":
        raise ValueError(
            f"{option} needs --fusion concat or mean; adaptive weighs a query against its whole batch"
        )
    there: dict[str, Any] = {"text": shown.text, "image": shown.image}
    if text is not None and fitted.text is None:  # hashed questions
        there["text"] = None
        if any(shown.question):
            there["text"] = features.tfidf(fitted.question, text.shape[1], asked=shown.question)
    for name, part in (("text", text), ("image", image)):
        width = None if there[name] is None else there[name].shape[1]
        if part is not None and width != part.shape[1]:
            needed = f"{name} embeddings of {part.shape[1]} numbers, as the stream's"
            raise ValueError(f"{option} needs {needed}; it has {width or 'none'}")
    mean, axes = features.affine(features.fused(text, image, fusion), dim, whiten)
    joined = features.fused(
        None if text is None else there["text"], None if image is None else there["image"], fusion
    )
    return np.hstack([(joined - mean) @ axes, ones]).astype(np.float32)

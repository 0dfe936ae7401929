"""Missing modality: the image or the text of a query does not arrive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from envs.changes.world import draws, entered, moment, noted
from envs.contexts import features
from envs.outcomes import Floats
from envs.stream import ASKED, Stream


def mask(stream: Stream, *, what: str = "image", share: float = 1.0, at: Any = 0) -> Stream:
    """Lose the image or the text of a share of the queries from a time on: its part of the context is 0, and flagged.

    The context is a linear map of the embeddings. What the lost one contributes to it (around its mean, so that 0
    says nothing) is taken away, and a column is added before the constant: 1 where the modality is missing. Answers
    and costs are as recorded: it is the router that does not see, not the model.

    Args:
        stream: an unrolled stream of a table with embeddings or questions, fused by `concat` or `mean`.
        what: `image` or `text`; `@seen` is the image, or the text of a table without images.
        share: of the queries, in [0, 1].
        at: when it begins.

    Raises:
        ValueError: a value out of range, or a context that is no linear map of known embeddings.
    """
    world = entered(stream, "mask", stream.world.stage if stream.world is not None else ASKED)
    if what == "@seen":
        what = "text" if world.base.outcomes.image is None else "image"
    if what not in ("image", "text") or not 0 <= share <= 1:
        raise ValueError(f"change mask needs what=image or text and share in [0, 1], got {what}, {share}")
    part = contribution(world.base, what)[world.row]
    start, name = moment("change mask: at", at, world.rounds), f"mask:{what}"
    lost = draws(world, name).random(len(world.row)) < share
    lost &= world.by_round(np.arange(world.rounds) >= start)
    width, context = part.shape[1], np.array(stream.context)
    context[:, :width] -= np.where(lost[:, None], part, np.float32(0.0))
    context = np.insert(context, -1, lost.astype(np.float32), axis=1)
    world = noted(world, name, (start, f"{what} missing"))
    return replace(stream, context=context, world=world)


def contribution(stream: Stream, what: str) -> Floats:
    """Return `(N, d - 1)` float32, what one modality adds to the features of a plain stream, around its mean.

    Raises:
        ValueError: the stream has no such modality, or its context is no linear map of the embeddings.
    """
    outcomes = stream.outcomes
    text = outcomes.text
    if text is None and any(outcomes.question):
        text = features.tfidf(outcomes.question, max(stream.dim - 1, 64))
    known = {"text": text, "image": outcomes.image}
    if known[what] is None:
        raise ValueError(f"change mask needs {what} embeddings, and the table has none")
    units = {k: features.unit_rows(np.asarray(v, np.float64)) for k, v in known.items() if v is not None}
    centred = {k: v - v.mean(axis=0) for k, v in units.items()}
    target = np.asarray(stream.context[:, :-1], np.float64)
    joint = np.hstack(list(centred.values()))
    weight = np.linalg.lstsq(joint, target, rcond=None)[0]
    if not np.allclose(joint @ weight, target, atol=1e-3 * np.abs(target).max(initial=1.0)):
        raise ValueError(
            "change mask needs a context that is linear in the embeddings: fusion concat or mean, context embeddings"
        )
    first = 0 if what == next(iter(centred)) else next(iter(centred.values())).shape[1]
    own = centred[what]
    return np.asarray(own @ weight[first : first + own.shape[1]], np.float32)

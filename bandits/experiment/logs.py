"""The log that a run begins with: set aside from the table or one of its own, and as policies are fitted on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.metrics.off_policy import models
from bandits.policies.llmbandit.tasks import Log
from bandits.sequential.logged import Logged
from bandits.wrappers import warm
from envs.calls import last

if TYPE_CHECKING:
    from envs.stream import Stream

SPLIT = "split"  # rows that the table calls train are the log, those that it calls test are evaluated


def weighed(logged: Stream, stream: Stream) -> tuple[Any, Any]:
    """Return a log whose calls all have a propensity, and the stream with a note where some are estimates.

    Args:
        logged: a `Stream`; as it is where it has every model's outcome or every propensity.
        stream: the evaluated `Stream`.
    """
    if logged.chance is None or not (lacking := np.isnan(logged.chance)).any():
        return logged, stream
    arm = logged.available.argmax(axis=1)
    found = models.propensities(logged.context[:, :-1], arm, logged.n_arms)[np.arange(len(arm)), arm]
    note = (
        f"{int(lacking.sum()):,} calls of the log have no propensity: estimated from the contexts, and what the log's"
        " policy saw beside them they cannot know"
    )
    chance = np.where(lacking, found, logged.chance)
    return replace(logged, chance=chance), replace(stream, notes=(*stream.notes, note))


def set_aside(stream: Stream, amount: str, *, seed: int) -> tuple[Any, Stream]:
    """Return the log and what is evaluated.

    Raises:
        ValueError: `--warm-start split` without the table's column `split`, or an amount that cannot be taken.
    """
    if amount != SPLIT:
        return warm.split(stream, amount, seed=seed)
    split = None if stream.several is None else stream.several.split
    if split is None or not {"train", "test"} <= set(split):
        raise ValueError(
            "--warm-start split needs --calls and a table with a column split that says train and test"
        )
    logged, rest = (warm.part(stream, np.flatnonzero(split == name)) for name in ("train", "test"))
    return replace(logged, unit=rest.cost_scale), rest


def past(logged: Stream, stream: Stream) -> Any:
    """Return the log as policies are fitted on it, with what a judge said where the run has several calls."""
    outcomes = logged.context, logged.utility, logged.cost
    if stream.several is None or logged.several is None:
        return Log(*outcomes)
    heard = logged.several
    return Logged(
        *outcomes, heard.scores, heard.judge_cost, heard.votes, stream.several.calls.combine or last
    )

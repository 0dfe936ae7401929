"""The log that a run begins with: rows set aside for it, propensities that it lacks, and what policies train on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.experiment.ask import Ask
from bandits.metrics.off_policy import models
from bandits.policies.llmbandit.tasks import Log
from bandits.sequential.logged import Logged
from bandits.wrappers import warm
from envs.calls import last

if TYPE_CHECKING:
    from envs.stream import Stream

SPLIT = "split"  # rows that the table calls train are the log, those that it calls test are evaluated


def weighed(logged: Any, stream: Stream) -> tuple[Any, Any]:
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


def set_aside(stream: Stream, ask: Ask) -> tuple[Any, Any]:
    """Return the rows that `--warm-start` sets aside as a log, and what is evaluated.

    Raises:
        ValueError: `--warm-start split` without the table's column `split`, or an amount that cannot be taken.
    """
    if ask.warm_start != SPLIT or stream.several is None:
        return warm.split(stream, str(ask.warm_start), seed=ask.seed)
    split = stream.several.split
    if split is None or not {"train", "test"} <= set(split):
        raise ValueError("--warm-start split needs a table with a column split that says train and test")
    logged, rest = (warm.part(stream, np.flatnonzero(split == name)) for name in ("train", "test"))
    return replace(logged, unit=rest.cost_scale), rest


def past(logged: Stream) -> Log | Logged:
    """Return the log as policies are trained on it: with what its judge says where there is one."""
    if logged.several is None:
        return Log(logged.context, logged.utility, logged.cost)
    several = logged.several
    said = several.scores, several.judge_cost, several.votes, several.calls.combine or last
    return Logged(logged.context, logged.utility, logged.cost, *said)

"""A log with one call a query that a run begins with: propensities that it lacks are estimated, and that is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.metrics.off_policy import models

if TYPE_CHECKING:
    from envs.stream import Stream


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

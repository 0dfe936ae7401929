"""What any policy could gain on the table of a decision, as plain data and as a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.ceiling.gain import gain
from bandits.decision.figures import per_cent, points
from bandits.metrics.verdict import FEWEST_QUERIES
from bandits.results.by_query import clusters

if TYPE_CHECKING:
    from envs.stream import Stream

Row = Mapping[str, Any]


def ceiling(stream: Stream, worth: float | None, *, boosted: bool = False) -> dict[str, Any] | None:
    """Return what routers that are told every outcome gain at this worth, as `sentence` takes it.

    Without a worth accuracy alone counts; None where queries are too few to say.
    """
    if len(np.unique(clusters(stream))) < FEWEST_QUERIES:
        return None
    found = gain(stream, weights=(stream.cost_scale / worth if worth else 0.0,), boosted=boosted)
    return {"chosen": found.chosen[0], "saving": found.saving}


def sentence(found: Mapping[str, Any] | None) -> list[str]:
    """Return one sentence on what any policy could gain and save; none where it is not known.

    Args:
        found: `chosen`, a row of `ceiling.gain.Gain`, and its `saving`.
    """
    if found is None:
        return []
    row, saving = found["chosen"], found["saving"]
    how = "by routers that are told every model's outcome on other queries"
    aside = " in accuracy, cost aside" if saving is not None else ""
    off = " with cost taken off" if row["weight"] else aside
    if row["shown"]:
        text = f"Routing can gain about {points(row['gain'])} here{off} ({_ends(row)}), {how}"
    elif math.isnan(row["lo"]):
        text = f"Routing has nothing to gain here{off}, {how}: they choose {row['fixed']} for every query"
    else:
        size = f"{points(row['gain'], signed=True)} ({_ends(row)})"
        text = f"Routing is not shown to gain anything here{off}: {size}, {how}"
    if saving is not None and saving["saved"] > 0:
        text += f"; it can save {per_cent(saving['saved'])} of the cost of {saving['model']}"
        text += f" at {points(saving['accuracy'], signed=True)} of accuracy"
        text += "" if math.isnan(saving["lo"]) else f" ({_ends(saving)})"
    return [text + "."]


def _ends(row: Row) -> str:
    return f"{100 * row['lo']:.2g} to {100 * row['hi']:.2g}"

"""Copies of a question: rows that ask the same of the same image; a split or a warm start keeps them on one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.outcomes import Outcomes

_TEMPLATE = 20  # rows a text; repeated sampling of one question stays below


def grouped(outcomes: Outcomes) -> Outcomes:
    """Return the table with a `group_id` for each set of copies that has none of its own, and a note of how many.

    Two rows are copies where their questions are equal but for case and spaces, and so are their images, as far as
    the table tells: path and embedding. Where the texts stand for more than `_TEMPLATE` rows each, in the mean, they
    are templates ("what is in the picture?"), and name no query.
    """
    images = outcomes.image_path if outcomes.image is None else [row.tobytes() for row in outcomes.image]
    rows = zip(outcomes.question, outcomes.image_path, images, outcomes.group_id, strict=True)
    first: dict[tuple[str, str, object], int] = {}
    same = np.arange(len(outcomes))
    for row, (question, path, image, group) in enumerate(rows):
        if question and not group:
            same[row] = first.setdefault((plain(question), path, image), row)
    again = np.flatnonzero(same != np.arange(len(outcomes)))
    if not len(again):
        return outcomes
    if templates(len(again), len(outcomes)):
        note = (
            f"{len(outcomes):,} queries share {len(first):,} texts: templates, by which copies cannot be told"
        )
        return replace(outcomes, notes=(*outcomes.notes, note))
    groups = outcomes.group_id.copy()
    for row in (*again, *same[again]):
        groups[row] = f"copies of {outcomes.query_id[same[row]]}"
    note = (
        f"{len(again):,} of {len(outcomes):,} queries are copies of another; splits and warm starts keep copies on one"
        " side (--keep-copies lets them straddle)"
    )
    return replace(outcomes, group_id=groups, notes=(*outcomes.notes, note))


def plain(question: str) -> str:
    """Return a question without what copies of it may differ in: case and spaces."""
    return " ".join(question.lower().split())


def templates(again: int, rows: int) -> bool:
    """Return whether so many rows repeat an earlier one that their texts name no query."""
    return again >= (1 - 1 / _TEMPLATE) * rows

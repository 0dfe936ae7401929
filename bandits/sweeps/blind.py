"""What models that never see the image get right on a benchmark: its own shortcut (after MCR, arXiv 2602.04486)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import SHARE, SHARES_APART
from bandits.metrics.twofold import twofold
from bandits.results.by_query import clusters

if TYPE_CHECKING:
    from envs.stream import Stream

ANY = "any of them"


def shortcut(stream: Stream, blind: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each blind model and, where there are several, one for their best answer; by dataset too.

    Args:
        stream: a plain one.
        blind: models that answer without the image.

    Returns:
        Rows with model, dataset (`all` first), `queries` that it and the seeing model both answered, in clusters of
        near copies, `accuracy`, `seeing` (the model of the highest mean utility among the others, which is found by
        looking) and `seeing_accuracy` on the same queries, `behind`, how far below that the blind one is, and
        `shortcut`, the share of what the seeing model gets right that the blind one gets right without the image; each
        with its 95 % interval over clusters of queries.

    Raises:
        ValueError: a name that the table has not, or no model that sees.
    """
    unknown = [name for name in blind if name not in stream.models]
    if unknown:
        raise ValueError(f"--blind: no model {unknown[0]!r}; the table has {', '.join(stream.models)}")
    others = [k for k, name in enumerate(stream.models) if name not in blind]
    if not others:
        raise ValueError("--blind needs a model that sees the image too, and names all models of the table")
    best = others[int(np.nanmean(stream.utility[:, others], axis=0).argmax())]
    answers = {name: stream.utility[:, stream.models.index(name)] for name in dict.fromkeys(blind)}
    if len(answers) > 1:
        every = np.stack(list(answers.values()))
        answers[ANY] = np.where(np.isnan(every).any(axis=0), np.nan, every.max(axis=0))
    cluster, seen, names = clusters(stream), stream.utility[:, best], stream.dataset.astype(str)
    sets = ["all", *(np.unique(names) if len(np.unique(names)) > 1 else [])]
    rows = []
    for one in sets:
        inside = np.ones(len(stream), bool) if one == "all" else names == one
        for name, utility in answers.items():
            told = _row(utility, seen, inside & ~np.isnan(utility) & ~np.isnan(seen), cluster)
            if told is not None:
                rows.append({"model": name, "dataset": str(one), "seeing": stream.models[best], **told})
    return rows


def _row(
    utility: NDArray[Any], seen: NDArray[Any], asked: NDArray[np.bool_], cluster: NDArray[np.integer[Any]]
) -> dict[str, Any] | None:
    """Return the figures of one blind model on some queries; None where there are none."""
    if not asked.any():
        return None
    weight = asked[None].astype(float)
    found = {
        "accuracy": twofold(utility[None], weight, cluster, within=SHARE),
        "seeing_accuracy": twofold(seen[None], weight, cluster, within=SHARE),
        "behind": twofold((seen - utility)[None], weight, cluster, within=SHARES_APART),
        "shortcut": twofold(utility[None], weight * np.where(asked, seen, 0.0), cluster, within=SHARE),
    }
    row: dict[str, Any] = {"queries": found["accuracy"].clusters}
    for name, one in found.items():
        row |= {name: one.mean, f"{name}_lo": float(one.queries.lo), f"{name}_hi": float(one.queries.hi)}
    return row


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Return in a sentence how much of the benchmark the best single blind model gets right, as plain text."""
    whole = [row for row in rows if row["dataset"] == "all" and row["model"] != ANY]
    best = max(whole, key=lambda row: row["accuracy"])
    return (
        f"Without the image {best['model']} gets {best['accuracy']:.1%} right ({best['accuracy_lo']:.1%} to"
        f" {best['accuracy_hi']:.1%}), where {best['seeing']}, which sees it, gets {best['seeing_accuracy']:.1%}; of"
        f" what that one gets right, {best['shortcut']:.1%} ({best['shortcut_lo']:.1%} to {best['shortcut_hi']:.1%})"
        " is right without it too."
    ).replace("%", " %")

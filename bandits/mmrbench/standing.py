"""Rows of routers that were played: their scores, the intervals, and what is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import student
from bandits.mmrbench import contest, resampling, scores, trial

if TYPE_CHECKING:
    from bandits.mmrbench.protocol import Protocol

Floats = NDArray[np.floating[Any]]
Row = dict[str, Any]
# Dataset -> router -> score of `scores.RESAMPLED` -> a figure to compare with, NaN where there is none.
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


def rows(
    label: str,
    played: Sequence[trial.Part],
    protocol: Protocol,
    figures: Sequence[Mapping[str, Mapping[str, float]]] | None = None,
) -> list[Row]:
    """Return a row for each split and router, see `protocol.evaluate`; the claims of all are judged as one family.

    Args:
        label: where the numbers are from.
        played: the splits.
        protocol: a `Protocol`.
        figures: for each split, router -> score -> a figure. Its row then has `<score>_p`, the p-value of the score's
            being equal to it over resampled queries.
    """
    rivals = [_contest(part, protocol.random_state) for part in played]
    own, between = contest.columns(rivals), contest.pairs(rivals)
    found = []
    for i, (part, rival) in enumerate(zip(played, rivals, strict=True)):
        made, leader = _of_one(part, protocol, {} if figures is None else figures[i])
        for row in made:
            name = row["router"]
            judged: Row = {"single": rival.single} | own[i].get(name, contest.REFERENCE)
            if leader is not None:
                judged["behind_p"] = between[i].get((leader, name), math.nan)
            found.append(row | judged | {"seeds": protocol.seeds, "label": label})
    return found


def _contest(part: trial.Part, seed: int) -> contest.Contest:
    learned = {e.maker.spec: e.paths for e in part.entries if e.maker.learns}
    return contest.contest(part.cases, learned, part.unit, seed)


def _of_one(
    part: trial.Part, protocol: Protocol, figures: Mapping[str, Mapping[str, float]]
) -> tuple[list[Row], str | None]:
    """Return the rows of one split, its intervals from resamples that all routers share, and the leader's spec."""
    cases, entries = part.cases, part.entries
    values = [[scores.score(p, c.true) for p, c in zip(e.paths, cases, strict=True)] for e in entries]
    means = [{name: _mean([v[name] for v in many]) for name in many[0]} for many in values]
    sample = np.array([[mean[name] for name in scores.RESAMPLED] for mean in means])
    drawn = resampling.resampled(part, sample, protocol.resamples, protocol.random_state)
    learned = [i for i, e in enumerate(entries) if e.maker.learns]
    leader = max(learned, key=lambda i: means[i]["Ps"]) if learned else None
    made = []
    for i, entry in enumerate(entries):
        row = _about(cases[0], entry.maker, protocol) | means[i] | _intervals(drawn[i], values[i])
        if leader is not None:
            low, high = drawn[leader].less(drawn[i]).interval("Ps")
            row |= {"behind": means[leader]["Ps"] - means[i]["Ps"], "behind_lo": low, "behind_hi": high}
        asked = figures.get(entry.maker.spec, {})
        made.append(row | {f"{score}_p": drawn[i].p(score, figure) for score, figure in asked.items()})
    return made, None if leader is None else entries[leader].maker.spec


def _about(case: trial.Case, maker: trial.Maker, protocol: Protocol) -> Row:
    best = case.true.best
    single = {
        "model_id": best,
        "model_name": case.test.models[best],
        "accuracy": float(case.true.model_utility[best]),
        "avg_cost": float(case.true.model_cost[best]),
    }
    return {
        "dataset": case.split.name,
        "mode": protocol.mode,
        "split": protocol.split,
        "router": maker.spec,
        "kind": "router" if maker.learns else "reference",
        "n_train": len(case.split.train),
        "n_test": len(case.split.test),
        "best_single": single,
    }


def _mean(values: list[float]) -> float:
    """Return the mean over repetitions; a single value stays what it is, an integer included."""
    return values[0] if len(values) == 1 else float(np.mean(values))


def _intervals(drawn: resampling.Resampled, many: list[dict[str, float]]) -> Row:
    """Return the intervals over queries and over repetitions of the resampled scores."""
    row: Row = {}
    for name in scores.RESAMPLED:
        row[f"{name}_lo"], row[f"{name}_hi"] = drawn.interval(name)
        with np.errstate(invalid="ignore"):  # a cost to match that is never reached has no mean
            low, high = student([v[name] for v in many], within=scores.RANGE[name])
        row[f"{name}_seed_lo"], row[f"{name}_seed_hi"] = float(low), float(high)
    return row

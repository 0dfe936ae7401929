"""The page of modality bias: reward without one modality, shares of decisions, and what blind models get right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.report import forest
from bandits.report.forest import Line, Table
from bandits.report.words import minus, number, whole

Row = Mapping[str, Any]
WITHOUT = {"text": "image masked", "image": "text masked"}
_LOST = {"lost": WITHOUT, "refit_lost": {"text": "learned on text", "image": "learned on image"}}
CAPTION = (
    "Reward a round that is lost without a modality: right of 0 the policy needs it. Masked: learned on both, and the"
    " modality taken away when it decides. Learned on: it never had the other one. A line is the 95 % interval, over"
    " seeds or over queries, whichever is wider; a filled point is shown by both."
)


def render(rows: Sequence[Row], blind: Sequence[Row], known: Mapping[str, Any]) -> str:
    """Return the page, self-contained and without a script.

    Args:
        rows: of `bandits.sweeps.modality.diagnose`; none: only the outcomes are looked at.
        blind: of `bandits.sweeps.blind.shortcut`; none: no model is said to be blind.
        known: as `forest.render` takes it.
    """
    lines = [_line(row, name) for row in rows for name in _LOST] or [_blind(row) for row in blind]
    tables = [*([_decisions(rows)] if rows else []), *([_benchmark(blind)] if blind else [])]
    return forest.render(
        known,
        lines,
        tables,
        heading="Reward lost without a modality" if rows else "How far blind models are behind",
        axis="reward lost a round" if rows else "right answers a query behind the model that sees",
        caption=CAPTION
        if rows
        else "Blind models against the best one that sees, 95 % interval over queries.",
    )


def wider(row: Row, name: str) -> tuple[float, float]:
    """Return the wider of a difference's two intervals; NaN where there is none."""
    over = [(row[f"{name}_lo"], row[f"{name}_hi"]), (row[f"{name}_queries_lo"], row[f"{name}_queries_hi"])]
    ends = [pair for pair in over if not math.isnan(pair[0])]
    return max(ends, key=lambda pair: pair[1] - pair[0], default=(math.nan, math.nan))


def _line(row: Row, name: str) -> Line:
    what, (low, high) = _LOST[name][row["left"]], wider(row, name)
    told = (
        f"{row['policy']}, {what}: {row[name]:.4f} reward ({low:.4f} to {high:.4f}), {row[f'{name}_verdict']}"
    )
    return Line(row["policy"], what, row[name], low, high, row[f"{name}_verdict"] == "shown", minus(told))


def _blind(row: Row) -> Line:
    low, high = row["behind_lo"], row["behind_hi"]
    shown = low > 0 or high < 0
    told = f"{row['model']}, {row['dataset']}: {row['behind']:.3f} ({low:.3f} to {high:.3f})"
    return Line(row["dataset"], row["model"], row["behind"], low, high, shown, minus(told))


def _span(row: Row, name: str) -> tuple[str, str]:
    """Return a share and its interval in whole per cent."""
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    return whole(row[name]), "" if math.isnan(low) else f"{whole(low)} to {whole(high)}"


def _decisions(rows: Sequence[Row]) -> Table:
    told = []
    for row in rows:
        left = row["left"]
        low, high = wider(row, "lost")
        lost = minus(number(row["lost"], 4)), "" if math.isnan(low) else minus(f"{low:.4f} to {high:.4f}")
        cells = [
            (left, ""),
            lost,
            _span(row, "flips"),
            _span(row, "shortcut"),
            _span(row, "shortcut_right"),
            _span(row, "shortcut_wrong"),
            (whole(row["alike"]), ""),
            (whole(row["chance"]), ""),
        ]
        told.append({"name": row["policy"], "cells": cells, "note": ""})
    return Table(
        "Decisions with one modality",
        "Left: the modality that the policy has. Same as alone: decisions with both that are the same as those of a"
        " policy that learned on this one alone. That is a shortcut only where it exceeds chance: two policies that"
        " call each model as often as these, whatever is asked. Other queries: how often two policies that learned on"
        " both, from other queries, decide the same.",
        ["policy", "left", "reward lost", "flips when the other is masked", "same as alone", "of right ones",
         "of wrong ones", "other queries", "chance"],
        told,
    )  # fmt: skip


def _benchmark(blind: Sequence[Row]) -> Table:
    told = [
        {
            "name": row["model"],
            "cells": [(row["dataset"], ""), (f"{row['queries']:,}", ""), _span(row, "accuracy"),
                      _span(row, "seeing_accuracy"), _span(row, "shortcut")],
            "note": "",
        }
        for row in blind
    ]  # fmt: skip
    seeing = blind[0]["seeing"]
    return Table(
        "What needs no image",
        f"Models that answer without the image beside {seeing}, the most accurate one that sees it. Right without: of"
        " what that one gets right, the share that the blind one gets right too. Any of them: the best answer of all,"
        " which on multiple choice is largely luck.",
        ["model", "data set", "queries", "right", "right with the image", "right without"],
        told,
    )

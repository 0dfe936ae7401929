"""Tables of other commands than a run on a plain terminal, 80 columns wide; `--wide` and the files have all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.money import plain
from bandits.report.merged import wider
from bandits.report.words import number, whole
from bandits.rows import WIDTH, cut

Row = Mapping[str, Any]
Cells = tuple[list[str], list[list[str]]]  # headings and lines of cells, as `rows.laid` takes them
MASKED = (
    "lost: reward of 100 rounds that masking the other one costs, and refit lost never having had it; flips: decisions"
    " that masking changes; shortcut: decisions as of a policy that learned on what is left alone, and chance how often"
    " two such would agree by chance. All figures, with intervals: --wide."
)
BLIND = (
    "right: accuracy in % with its 95 % interval over queries, and that of the model that sees; shortcut: % of what"
    " that one gets right that is right without the image too. All figures: --wide."
)
ADDED = (
    "value: reward of 100 queries with the new model less without it, with its wider 95 % interval; share: of the"
    " queries that it gets. All figures: --wide."
)
RANKED = (
    "Cost in the table's unit and reward, a query; over best_fixed: reward of 100 queries above the best fixed choice,"
    " with its wider 95 % interval. All figures: --wide."
)
APART = (
    "Of the second run's policies less the first's on the same seeds, with the wider 95 % interval, over seeds or over"
    " queries; cost in the table's unit. All figures, with why: --wide."
)
CALLED = (
    "stops: % of queries that stop after each call; added: points of accuracy that each call adds; over random: points"
    " more than the same sequences dealt at random. All figures: --wide."
)
_JUDGES = 8  # simulated judges that have a column
_TEXT = 24  # characters of a name in another column than the first
_NAME = 12  # characters that a name has at least


def modality(rows: Sequence[Row]) -> Cells:
    """Return what policies lose with one modality masked, of the rows of `sweeps.modality.diagnose`."""
    headings = ["", "left", "lost", "refit lost", "flips %", "shortcut %", "chance %"]
    lines = [
        [
            row["policy"], row["left"], *(_lost(row, name) for name in ("lost", "refit_lost")),
            *(_hundred(row[name], 0) for name in ("flips", "shortcut", "chance")),
        ]
        for row in rows
    ]  # fmt: skip
    return headings, lines


def _lost(row: Row, name: str) -> str:
    return f"{100 * row[name]:+.2f}{' shown' if row[f'{name}_verdict'] == 'shown' else ''}"


def blind(rows: Sequence[Row]) -> Cells:
    """Return what models get right that see no image, of the rows of `sweeps.blind.shortcut`."""
    lines = [
        [
            row["model"], f"{row['queries']:,}",
            _hundred(row["accuracy"], 1, row["accuracy_lo"], row["accuracy_hi"]),
            _hundred(row["seeing_accuracy"], 1), _hundred(row["shortcut"], 1),
        ]
        for row in rows
    ]  # fmt: skip
    return ["", "queries", "right %", "seeing %", "shortcut %"], lines


def merged(rows: Sequence[Row]) -> Cells:
    """Return what a new model adds, of the rows of `sweeps.merged.worth`."""
    lines = [
        [
            str(row["quality"]), f"{row['weight']:g}", row["decided"], _hundred(row["value"], 2, *wider(row), sign="+"),
            whole(row["share"]), row["verdict"],
        ]
        for row in rows
    ]  # fmt: skip
    return ["quality", "weight", "decided by", "value", "share", "verdict"], lines


def ranked(rows: Sequence[Row]) -> Cells:
    """Return the ranking of a sweep, of the rows of `sweeps.ranking.ranking`; over the best fixed choice, wider."""
    lines = []
    for row in rows:
        over = [(row["over_lo"], row["over_hi"]), (row["over_queries_lo"], row["over_queries_hi"])]
        known = [ends for ends in over if not math.isnan(ends[0])]
        low, high = max(known, key=lambda ends: ends[1] - ends[0], default=over[0])
        lines.append([
            row["policy"], _hundred(row["accuracy"], 1), plain(row["cost"]), f"{row['reward']:.4f}",
            _hundred(row["over"], 2, low, high, sign="+"), row["verdict"].removesuffix(" best_fixed"),
        ])  # fmt: skip
    return ["", "right %", "cost", "reward", "over best_fixed", "verdict"], lines


def differences(rows: Sequence[Row]) -> Cells:
    """Return how far policies of two runs are apart, of the rows of `folders.read.difference`; the wider interval."""
    several = len({row["dataset"] for row in rows}) > 1
    lines = []
    for row in rows:
        over = [(row["lo"], row["hi"]), (row["queries_lo"], row["queries_hi"])]
        known = [ends for ends in over if not math.isnan(ends[0])]
        low, high = max(known, key=lambda ends: ends[1] - ends[0], default=over[0])
        ends = "" if math.isnan(low) else f" ({low:.3g} to {high:.3g})"
        lines.append([
            f"{row['policy']} less {row['against']}", *[cut(row["dataset"], _NAME)] * several, row["measure"],
            f"{row['difference']:+.3g}{ends}", "shown" if row["shown"] else "not shown",
        ])  # fmt: skip
    return ["", *["data set"] * several, "a query", "difference", ""], lines


def break_even(rows: Sequence[Row], quality: Sequence[float]) -> Cells:
    """Return a cascade's lead in points at each judge's AUC, of the rows of `contests.words.break_even`.

    Where there are many judges, some of them, evenly, the best one included.
    """
    step = -(-len(quality) // _JUDGES)
    kept = quality[::-1][::step][::-1]
    told = {-math.inf: "always", math.inf: "never"}
    lines = [
        [
            plain(row["budget"]), *(_hundred(row[f"auc_{q:g}"], 1, sign="+") for q in kept),
            told.get(row["break_even"], number(row["break_even"], 2)),
        ]
        for row in rows
    ]  # fmt: skip
    return ["budget", *(f"{q:g}" for q in kept), "breaks even"], lines


def chains(rows: Sequence[Row]) -> list[str]:
    """Return each budget's cascade in a sentence that a terminal wraps."""
    told = []
    for row in rows:
        order, _, thresholds = row["chain"].removeprefix("cascade,order=").partition(",thresholds=")
        models = order.split(">") if thresholds else [order]
        below = [number(float(cut)) for cut in thresholds.split(">")] if thresholds else []
        steps = [f"below {cut} {model}" for cut, model in zip(below, models[1:], strict=True)]
        stops = "/".join(
            f"{100 * row[k]:.0f}" for k in row if k.startswith("stopped_") and not math.isnan(row[k])
        )
        told.append(f"{plain(row['budget'])}: {', '.join([models[0], *steps])} ({stops} %)")
    return told


def figures(rows: Sequence[Row]) -> Cells:
    """Return rows as they are, the first column a name, numbers in three digits."""
    headings = [str(name).replace("_", " ") for name in rows[0]] if rows else []
    lines = [[str(name), *map(_short, values)] for name, *values in (row.values() for row in rows)]
    return ["", *headings[1:]], lines


def calls(rows: Sequence[Row]) -> Cells:
    """Return how policies call again, of the rows of a run's `calls`."""
    headings = ["", "calls", "stops %", "added", "accuracy %", "paid", "over random"]
    lines = [
        [
            row["policy"], _short(row["calls"]), _joined(row, "stopped_", "{:.0f}"), _joined(row, "added_", "{:+.1f}"),
            _hundred(row["accuracy"], 1), plain(row["paid"]), _hundred(row.get("over_random", math.nan), 1, sign="+"),
        ]
        for row in rows
    ]  # fmt: skip
    wide = sum(2 + max(len(line[i]) for line in (headings, *lines)) for i in range(1, len(headings)))
    kept = [
        i for i in range(len(headings)) if wide <= WIDTH - _NAME or headings[i] != "added"
    ]  # of many calls a query
    return [headings[i] for i in kept], [[line[i] for i in kept] for line in lines]


def _joined(row: Row, start: str, form: str) -> str:
    each = [row[k] for k in row if str(k).startswith(start) and not math.isnan(row[k])]
    return "/".join(form.format(100 * value) for value in each)


def _short(value: Any) -> str:
    if not isinstance(value, float):
        return cut(str(value), _TEXT)
    return "-" if math.isnan(value) else f"{value:.3g}"


def _hundred(
    value: float, decimals: int, low: float = math.nan, high: float = math.nan, *, sign: str = ""
) -> str:
    """Return a share in per cent, or a difference in hundredths, with its interval where there is one."""
    if math.isnan(value):
        return "-"
    text = f"{100 * value:{sign}.{decimals}f}"
    return text if math.isnan(low) else f"{text} ({100 * low:.{decimals}f} to {100 * high:.{decimals}f})"

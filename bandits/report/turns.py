"""The part of a report about several calls a query: what each call added, beside chance and hindsight; abstention."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bandits.money import Money, plain
from bandits.report.axes import PER
from bandits.report.parts import records
from bandits.report.styles import Figure, Row, styles, tidy
from bandits.report.words import heading, minus, number, whole

if TYPE_CHECKING:
    import pandas as pd


def section(more: Mapping[str, pd.DataFrame], of: Money) -> str:
    """Return the part as HTML; nothing where queries have one call each.

    Args:
        more: what there is of `calls`, from `results.turns`, `abstain` and `risk_coverage`, from `results.withheld`.
        of: the money that costs are in.
    """
    if "calls" not in more and "abstain" not in more:
        return ""
    calls = _calls(records(more["calls"]), of) if "calls" in more else ""
    return calls + (_withheld(records(more["abstain"])) if "abstain" in more else "")


def _calls(rows: Sequence[Row], of: Money) -> str:
    most = max(
        int(str(key).removeprefix("stopped_"))
        for row in rows
        for key in row
        if str(key).startswith("stopped_")
    )
    head = [
        "calls a query", "accuracy, %", f"cost, {of.per_1000}", "stops after 1, 2, ... calls",
        "points that each call adds", "points more than at random", "paid over promised",
    ]  # fmt: skip
    body = []
    for row in rows:
        own = row["kind"] == "policy"
        cells = [
            number(row["calls"], 2),
            number(100 * row["accuracy"], 1),
            plain(row["paid"] * of.factor * PER),
        ]
        cells += ["–"] * 4 if not own else [
            " / ".join(whole(row[f"stopped_{m}"]) for m in range(1, most + 1)),
            " / ".join(number(100 * row[f"added_{m}"], 1) for m in range(1, most + 1)),
            number(100 * row["over_random"], 1) + _span(row, "over"),
            _over(row),
        ]  # fmt: skip
        body.append(_line(row["policy"], _about(row), cells))
    title = _title(rows)
    note = (
        "At random: the same sequences of calls in the same shares, dealt to queries by chance; small print: 95 %"
        " interval over queries. With hindsight, on the same queries: the best single model, the exact best fixed"
        " cascade of two, the cheapest model that does best, and models from the cheapest on until one is right."
        " Promised: cost on the rows called train."
    )
    return _table("turns", title, ("", *head), body, note)


def _title(rows: Sequence[Row]) -> str:
    best = max((row for row in rows if row["kind"] == "policy"), key=lambda row: row["reward"])
    made = f"{best['policy']} makes {number(best['calls'], 2)} calls a query"
    low, high = best["over_lo"], best["over_hi"]
    shown = not math.isnan(low) and (low > 0 or high < 0)
    gap = (
        f"{number(abs(100 * best['over_random']), 1)} points {'more' if best['over_random'] > 0 else 'less'}"
    )
    return f"{made}, {gap} accurate than the same calls at random" + ("" if shown else " (not shown)")


def _about(row: Row) -> str:
    if row["kind"] == "policy":
        return "policy"
    chain, cut = row.get("chain"), row.get("threshold", math.nan)
    if not isinstance(chain, str):
        return "with hindsight"
    below = (
        "" if cut is None or math.isnan(cut) or math.isinf(cut) else f", the second below {number(cut, 2)}"
    )
    return f"with hindsight: {html.escape(chain)}{below}"


def _over(row: Row) -> str:
    share = row.get("over_promise", math.nan)
    return (
        "–"
        if share is None or math.isnan(share)
        else f"{'+' if share >= 0 else ''}{number(100 * share, 1)} %"
    )


def _withheld(rows: Sequence[Row]) -> str:
    best = min(rows, key=lambda row: row["aurc"])
    title = (
        f"Answers scored below {rows[0]['threshold']:g} are withheld: {best['policy']} delivers"
        f" {whole(best['coverage'])}, {number(100 * best['selective_risk'], 1)} % of them wrong"
    )
    head = (
        "",
        "queries answered",
        "wrong of all answers, %",
        "wrong of those delivered, %",
        "AURC",
        "AURC at best",
    )
    body = [
        _line(
            row["policy"], "policy",
            [
                number(100 * row["coverage"], 1) + " %" + _span(row, "coverage"),
                number(100 * row["risk"], 1),
                number(100 * row["selective_risk"], 1) + _span(row, "selective_risk"),
                number(row["aurc"], 4) + _span(row, "aurc", 1, 4),
                number(row["aurc_best"], 4),
            ],
        )
        for row in rows
    ]  # fmt: skip
    note = (
        "Wrong: 1 less the utility, in the mean. AURC: the area under the curve below, the mean share of wrong answers"
        " over all shares that are delivered; at best: with a judge that knows which are wrong. What is withheld is"
        " paid for, and every answer is judged. Small print: 95 % interval over seeds."
    )
    chart = (
        '<figure><div class="controls" id="risk-controls"></div><div class="chart" id="risk" role="img"'
        f' aria-label="{_CAPTION}"></div><figcaption id="risk-caption">{_CAPTION}</figcaption></figure>'
    )
    return _table("abstain", title, head, body, note) + chart


_CAPTION = (
    "Share of wrong answers among those delivered, by the share of queries that are answered, the answers that the"
    " judge scores highest first."
)


def figure(more: Mapping[str, pd.DataFrame], rows: Sequence[Row]) -> Figure | None:
    """Return the risk-coverage chart, a line for each policy; None where nothing is withheld.

    Args:
        more: as for `section`.
        rows: the summary, for the look of each line.
    """
    if "risk_coverage" not in more:
        return None
    looks, data = styles(rows), []
    for name, part in more["risk_coverage"].dropna().groupby("policy", sort=False):
        shown = html.escape(str(name))
        data.append(
            {
                "x": tidy(100 * part["coverage"]),
                "y": tidy(100 * part["risk"]),
                "name": shown,
                "mode": "lines",
                "line": looks[str(name)],
                "hovertemplate": f"{shown}<br>%{{x:.1f}} % answered: %{{y:.1f}} % wrong<extra></extra>",
            }
        )
    view = {"label": "risk and coverage", "data": data, "caption": _CAPTION}
    axes = {"x": "queries answered, %", "y": "wrong among them, %"}
    return {"id": "risk", "views": [view], "axes": axes, "height": 340, "ends": True}


def _table(name: str, title: str, head: Sequence[str], body: Sequence[str], note: str) -> str:
    columns = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    return (
        f'<h2 id="at-{name}">{heading(minus(title))}</h2>'
        f'<section><div class="scroll" tabindex="0" role="region" aria-label="{html.escape(title)}">'
        f'<table id="{name}-table"><thead><tr>{columns}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
        "</section>"
        f'<p class="notes">{html.escape(note)}</p>'
    )


def _line(name: str, small: str, cells: Sequence[str]) -> str:
    told = "".join(f"<td>{minus(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{html.escape(str(name))}<small>{small}</small></th>{told}</tr>'


def _span(row: Row, name: str, scale: float = 100.0, decimals: int = 1) -> str:
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    if math.isnan(low):
        return ""
    return f"<small>{number(scale * low, decimals)} to {number(scale * high, decimals)}</small>"

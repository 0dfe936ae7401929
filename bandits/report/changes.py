"""What changed in a run: marks in every chart over rounds, and the table of phases."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bandits.report import words
from bandits.report.parts import records
from bandits.report.styles import GREY, Figure

if TYPE_CHECKING:
    import pandas as pd

_HEADINGS = (
    "policy", "from round", "what changed", "best model then", "its reward", "reward a query", "regret, oracle",
    "regret, best of phase", "rounds to recover", "rounds to take up", "calls until then",
)  # fmt: skip


def marked(figures: Sequence[Figure], marks: Sequence[Sequence[Any]]) -> list[Figure]:
    """Return the figures; those over rounds carry the marks, one for each round at which something changes.

    Args:
        figures: of the page.
        marks: round (from 1) and label of each change, as a manifest has them; empty for a world that stands still.
    """
    labels: dict[int, dict[str, None]] = {}
    for at, label in marks:
        labels.setdefault(int(at), {})[str(label)] = None
    drawn = [{"x": at, "label": html.escape(", ".join(named))} for at, named in sorted(labels.items())]
    return [
        {**figure, "marks": drawn} if drawn and figure["axes"].get("x") == "round" else figure
        for figure in figures
    ]


def on_paper(figure: Figure, *, loglog: bool = False) -> dict[str, Any]:
    """Return the lines and names of a figure's marks as parts of a Plotly layout, as page.js draws them on a page.

    On logarithmic axes Plotly places lines by the value and text by its exponent.
    """
    lines, names = [], []
    for mark in figure.get("marks", ()):
        at = mark["x"]
        style = {"color": GREY, "width": 1, "dash": "dot"}
        lines.append({"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": style})
        place = {
            "x": math.log10(at) if loglog else at,
            "y": 1,
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "top",
        }
        look = {
            "textangle": -90,
            "showarrow": False,
            "font": {"size": 10, "color": GREY},
            "bgcolor": "#ffffff",
        }
        names.append({**place, "text": mark["label"], **look, "opacity": 0.85})
    return {"shapes": lines, "annotations": names} if lines else {}


def section(phases: pd.DataFrame | None) -> str:
    """Return the table of phases with its heading as HTML; nothing where there are none.

    Args:
        phases: from `runs.phases.phases`, or None.
    """
    if phases is None or not len(phases):
        return ""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in _HEADINGS)
    body = "".join(_line(row) for row in records(phases))
    return (
        f"<h2>{words.heading(title(phases))}</h2>"
        '<p class="notes">Recovered: from when on, over 100 rounds and over the rest of the phase, reward is within 5 %'
        " of the phase's best model. Taken up: when the arriving model first holds a fifth of the calls, median over"
        " seeds.</p>"
        '<section><div class="scroll" tabindex="0" role="region" aria-label="Table of phases">'
        f'<table id="changes-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def title(phases: pd.DataFrame) -> str:
    """Return what became of the last change with the policy that earned most after it, as plain text."""
    last = phases[phases["phase"] == phases["phase"].max()]
    row = max(records(last), key=lambda r: r["reward"])
    if not row["phase"]:
        return "What changed, and what became of it"
    back = (
        f"recovers in {row['recovery']:,.0f} rounds" if math.isfinite(row["recovery"]) else "never recovers"
    )
    return f"What changed: {row['policy']} {back} after round {row['begins']:,} ({row['change']})"


def _line(row: Mapping[str, Any]) -> str:
    number = words.number
    span = (row["reward_lo"], row["reward_hi"])
    small = "" if math.isnan(span[0]) else f"<small>{number(span[0], 4)} to {number(span[1], 4)}</small>"
    arrives = bool(row["arrives"]) and row["arrives"] == row["arrives"]
    cells = [
        f"{row['begins']:,}",
        html.escape(str(row["change"])) if row["phase"] else "–",
        html.escape(str(row["best_model"])),
        number(row["best_reward"], 4),
        number(row["reward"], 4) + small,
        number(row["regret_oracle"], 1),
        number(row["regret_best_of_phase"], 1),
        _recovery(row) if row["phase"] else "–",
        _rounds(row["adoption"]) if arrives else "–",
        _rounds(row["adoption_pulls"]) if arrives else "–",
    ]
    name = f'<th scope="row">{html.escape(str(row["policy"]))}</th>'
    return f"<tr>{name}{''.join(f'<td>{words.minus(cell)}</td>' for cell in cells)}</tr>"


def _recovery(row: Mapping[str, Any]) -> str:
    low, high = row["recovery_lo"], row["recovery_hi"]
    small = "" if math.isnan(low) or low == high else f"<small>{_rounds(low)} to {_rounds(high)}</small>"
    return _rounds(row["recovery"]) + small


def _rounds(value: float) -> str:
    """Return a number of rounds; "never" where it did not happen."""
    return f"{value:,.0f}" if math.isfinite(value) else "never"

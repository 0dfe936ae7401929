"""A page of quantities with their intervals, a line each, and of the tables behind them; without a script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bandits.report.axes import even_ticks
from bandits.report.parts import own, policy, template
from bandits.report.styles import COLOURS, sheet
from bandits.report.words import minus
from bandits.rows import cut

WIDTH, LEFT, RIGHT, TOP, LINE = 820, 215, 620, 10, 22
_LONGEST = 30  # characters at the left of the drawing


class Line(NamedTuple):
    """A quantity and both ends of its interval, NaN where it has none.

    Attributes:
        group: stands at the left of the first of its lines.
        name: stands at the right; lines of one name share a colour.
        value, lo, hi: what is drawn.
        shown: whether it is shown to differ from 0: a filled point.
        told: what a pointer is told.
    """

    group: str
    name: str
    value: float
    lo: float
    hi: float
    shown: bool
    told: str


class Table(NamedTuple):
    """A table of a page.

    Attributes:
        title, note: above it, plain text.
        headings: one a column.
        rows: `name` of the first cell, `cells` of text and small print, and `note`, "" or what stands instead of cells.
    """

    title: str
    note: str
    headings: Sequence[str]
    rows: Sequence[Mapping[str, Any]]


def render(
    known: Mapping[str, Any],
    lines: Sequence[Line],
    tables: Sequence[Table],
    *,
    heading: str,
    axis: str,
    caption: str,
) -> str:
    """Return the page, self-contained and sealed by its policy of content.

    Args:
        known: `title`, `verdict` (a whole sentence), `label`, `notes`, `command`.
        lines: of the drawing; none: it is left out.
        tables: below it, in this order.
        heading, axis, caption: of the drawing, plain text.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    style = own("page.css") + own("drawing.css") + sheet()
    page = Environment(autoescape=True).from_string(template("forest.html"))
    return page.render(
        known,
        style=Markup(style),
        policy=policy(style),
        heading=heading,
        axis=axis,
        caption=caption,
        drawing=_drawing(lines) if lines else None,
        tables=tables,
    )


def _drawing(told: Sequence[Line]) -> dict[str, Any]:
    """Return where everything of the drawing stands: a line for each quantity, named at its right."""
    ends = [(line.value, line.value) if math.isnan(line.lo) else (line.lo, line.hi) for line in told]
    low, high = min(0.0, *(lo for lo, _ in ends)), max(0.0, *(hi for _, hi in ends))
    margin = 0.04 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def across(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (RIGHT - LEFT), 1)

    names = list(dict.fromkeys(line.name for line in told))
    lines, before = [], None
    for i, (line, (lo, hi)) in enumerate(zip(told, ends, strict=True)):
        lines.append(
            {
                "y": TOP + LINE * i + LINE // 2,
                "group": cut(line.group, _LONGEST) if line.group != before else "",
                "name": cut(line.name, _LONGEST),
                "colour": f"c{names.index(line.name) % len(COLOURS)}",
                "shown": line.shown,
                "x": across(line.value), "lo": across(lo), "hi": across(hi),
                "told": line.told,
            }
        )  # fmt: skip
        before = line.group
    bottom = TOP + LINE * len(told)
    ticks = [{"at": across(t), "text": minus(f"{t:g}")} for t in even_ticks(low, high)]
    return {
        "width": WIDTH, "height": bottom + 44, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": bottom,
        "zero": across(0.0), "ticks": ticks, "lines": lines, "middle": (LEFT + RIGHT) / 2,
    }  # fmt: skip

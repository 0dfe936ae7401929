"""Frontiers as a plain SVG drawing, made without a browser: the same text for the same points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from bandits.mmrbench.frontiers import Line

WIDTH, HEIGHT = 800, 500
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 576, 44, 432  # of the plot; the legend stands to its right
_INK, _MUTED, _GRID = "#1b1f24", "#59626d", "#e4e7eb"
_DASH = {"solid": "", "dash": ' stroke-dasharray="7 4"', "dot": ' stroke-dasharray="2 3"'}


class _Axis(NamedTuple):
    """Where numbers stand, in pixels: `low` at `begin`, `high` at `end`; logarithmic or linear."""

    low: float
    high: float
    begin: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.begin + (here - low) / ((high - low) or 1.0) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Return round numbers inside the axis: 1, 2 and 5 of each decade, or equal steps."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [float(f"{m}e{d}") for d in decades for m in (1, 2, 5)]
        else:
            rough = (self.high - self.low) / 6 or 1.0
            size = 10.0 ** math.floor(math.log10(rough))
            step = size * min(m for m in (1, 2, 5, 10) if m * size >= rough)
            found = [step * i for i in range(math.floor(self.low / step), math.ceil(self.high / step) + 1)]
        return [tick for tick in found if self.low <= tick <= self.high]


def drawing(lines: Sequence[Line], *, title: str, x: str, y: str, note: str) -> str:
    """Return the drawing: accuracy against mean cost, intervals over seeds, single models, and a legend.

    Args:
        lines: from `frontiers.lines`.
        title, x, y, note: what stands above, at both axes and below.
    """
    costs, utilities = (np.concatenate([line.points[c] for line in lines]) for c in ("cost", "utility"))
    log = bool((costs > 0).all())
    pad = 1.1 if log else 1.0
    across = _Axis(costs.min() / pad, costs.max() * pad, _LEFT, _RIGHT, log)
    room = 0.04 * (utilities.max() - utilities.min())
    up = _Axis(utilities.min() - room, utilities.max() + room, _BOTTOM, _TOP, False)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' role="img" font-family="system-ui, sans-serif" font-size="13" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 24, title, ' font-size="16" font-weight="600"'),
        *_axes(across, up, x, y),
        *(part for line in lines for part in _player(line, across, up)),
        *_legend(lines),
        _text(_LEFT, HEIGHT - 12, note, f' font-size="12" fill="{_MUTED}"'),
        "</svg>",
    ]
    return "\n".join(parts)


def _axes(across: _Axis, up: _Axis, x: str, y: str) -> list[str]:
    parts = []
    for tick in across.ticks():
        here = _px(across.at(tick))
        parts.append(f'<path d="M{here} {_TOP}V{_BOTTOM}" stroke="{_GRID}"/>')
        parts.append(_text(across.at(tick), _BOTTOM + 18, f"{tick:g}", ' text-anchor="middle"'))
    for tick in up.ticks():
        here = _px(up.at(tick))
        parts.append(f'<path d="M{_LEFT} {here}H{_RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, up.at(tick) + 4.5, f"{tick:g}", ' text-anchor="end"'))
    parts.append(f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="{_MUTED}"/>')
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, x, ' text-anchor="middle"'))
    middle = _px((_TOP + _BOTTOM) / 2)
    parts.append(
        _text(16, (_TOP + _BOTTOM) / 2, y, f' text-anchor="middle" transform="rotate(-90 16 {middle})"')
    )
    return parts


def _player(line: Line, across: _Axis, up: _Axis) -> list[str]:
    """Return a player's line, with points and intervals for a policy; the points alone for single models."""
    rows = line.points.to_dict("records")
    at = [(across.at(row["cost"]), up.at(row["utility"])) for row in rows]
    if line.kind == "model":
        return [
            f'<circle cx="{_px(h)}" cy="{_px(v)}" r="4" fill="none" stroke="{line.colour}" stroke-width="1.5">'
            f"<title>{escape(str(row['name']))}</title></circle>"
            for row, (h, v) in zip(rows, at, strict=True)
        ]
    drawn = " ".join(f"{_px(h)},{_px(v)}" for h, v in at)
    parts = [f'<polyline points="{drawn}" fill="none" stroke="{line.colour}" {_stroke(line)}/>']
    if line.kind != "policy":
        return parts
    for row, (h, v) in zip(rows, at, strict=True):
        if not math.isnan(row["utility_lo"]):
            ends = f"{_px(up.at(row['utility_lo']))}V{_px(up.at(row['utility_hi']))}"
            parts.append(f'<path d="M{_px(h)} {ends}" stroke="{line.colour}" stroke-width="1.5"/>')
        parts.append(f'<circle cx="{_px(h)}" cy="{_px(v)}" r="3.5" fill="{line.colour}"/>')
    return parts


def _legend(lines: Sequence[Line]) -> list[str]:
    parts = []
    for i, line in enumerate(lines):
        height = _TOP + 12 + 22 * i
        if line.kind == "model":
            key = f'<circle cx="606" cy="{height}" r="4" fill="none" stroke="{line.colour}" stroke-width="1.5"/>'
        else:
            key = f'<path d="M592 {height}H620" stroke="{line.colour}" {_stroke(line)}/>'
            if line.kind == "policy":
                key += f'<circle cx="606" cy="{height}" r="3.5" fill="{line.colour}"/>'
        name = line.name if len(line.name) <= 24 else f"{line.name[:23]}…"
        parts += [key, _text(628, height + 4.5, name, "")]
    return parts


def _stroke(line: Line) -> str:
    return f'stroke-width="{2.5 if line.kind == "policy" else 1.75}"{_DASH[line.dash]}'


def _text(x: float, y: float, said: str, style: str) -> str:
    return f'<text x="{_px(x)}" y="{_px(y)}"{style}>{escape(said)}</text>'


def _px(value: float) -> str:
    return f"{value:.1f}"

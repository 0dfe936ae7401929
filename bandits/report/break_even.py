"""Cascade less router over budgets, a line for each quality of the judge, as a plain SVG drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from bandits.report.styles import COLOURS

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 380, 60, 520, 40, 320
_INK, _GRID = "#1b1f24", "#e4e7eb"


def drawing(quality: Sequence[float], rows: Sequence[Mapping[str, Any]], *, unit: str, note: str) -> str:
    """Return the drawing; where a line crosses 0 its judge breaks even with the router.

    Args:
        quality: AUCs, rising.
        rows: of `sequential.words.break_even`, a row for each budget.
        unit: of the budgets.
        note: what stands below.
    """
    budgets = [float(row["budget"]) for row in rows]
    points = {q: [100 * float(row[f"auc_{q:g}"]) for row in rows] for q in quality}
    ends = [0.0, *(y for line in points.values() for y in line)]
    low, high = min(ends), max(ends)
    room = 0.06 * ((high - low) or 1.0)

    def x(budget: float) -> float:
        first, last = math.log(float(budgets[0])), math.log(float(budgets[-1]))
        return round(_LEFT + (math.log(budget) - first) / ((last - first) or 1.0) * (_RIGHT - _LEFT), 1)

    def y(points_: float) -> float:
        return round(_BOTTOM - (points_ - low + room) / (high - low + 2 * room) * (_BOTTOM - _TOP), 1)

    parts = [_text(_LEFT, 22, "Accuracy of the cascade less the router's at equal cost, points", "start")]
    for tick in _ticks(low, high):
        parts.append(f'<path d="M{_LEFT} {y(tick)}H{_RIGHT}" stroke="{_INK if tick == 0 else _GRID}"/>')
        parts.append(_text(_LEFT - 8, y(tick) + 4, f"{tick:g}", "end"))
    for budget in budgets[:: max(1, len(budgets) // 5)]:
        parts.append(_text(x(budget), _BOTTOM + 18, f"{budget:.2g}", "middle"))
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, f"budget, {unit}", "middle"))
    for i, (q, line) in enumerate(points.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x(b)},{y(d)}" for b, d in zip(budgets, line, strict=True))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<path d="M{_RIGHT + 16} {_TOP + 20 * i}h18" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(_RIGHT + 40, _TOP + 20 * i + 4, f"AUC {q:g}", "start"))
    parts.append(_text(_LEFT, _HEIGHT - 6, note, "start"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">'
        f'<title>Break-even quality of a judge</title><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from the lower to the upper end, 0 among them."""
    rough = max(high - low, 1e-9) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next((m for m in (1, 2, 5) if m * size >= rough), 10)
    return [round(step * i, 10) + 0.0 for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'

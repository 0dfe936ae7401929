"""Task graphs as a plain SVG drawing: SER over missing ratios, and what one bandit for each kind of step gains."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from bandits.report.styles import COLOURS

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 860, 400, 56, 316
_LEFT, _RIGHT = (62, 400), (560, 842)
_INK, _MUTED, _GRID = "#1b1f24", "#59626d", "#e4e7eb"
Rows = Sequence[Mapping[str, Any]]


def drawing(missing: Rows, online: Rows, *, note: str) -> str:
    """Return the drawing.

    Args:
        missing: of `graphs.robust.curves`; empty: the right half is drawn alone.
        online: of `graphs.play.rows`.
        note: what stands below: where the numbers are from.
    """
    left = 0 if missing else 420  # the right half alone where there are no curves
    said = textwrap.wrap(note, 130 if missing else 62)
    below = [
        _text(left + 12, _HEIGHT - 10 - 15 * (len(said) - 1 - i), one, "start", _MUTED)
        for i, one in enumerate(said)
    ]
    parts = [*_curves(missing), *_gains(online), *below]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left} 0 {_WIDTH - left} {_HEIGHT}"'
        f' width="{_WIDTH - left}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">'
        f'<title>Model selection on task graphs</title><rect x="{left}" width="{_WIDTH - left}" height="{_HEIGHT}"'
        ' fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _curves(rows: Rows) -> list[str]:
    if not rows:
        return []
    parts = [_text(_LEFT[0], 22, "Trained on labels: programs that succeed (SER)", "start", _INK, 600)]
    ratios = sorted({float(row["missing"]) for row in rows})
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    ends = [float(row[k]) for row in rows for k in ("ser", "ser_lo", "ser_hi") if not math.isnan(row[k])]
    y = _axis(min(ends), max(ends), _BOTTOM, _TOP)
    x = _axis(ratios[0], ratios[-1], *_LEFT, room=0.03)
    for tick in _ticks(min(ends), max(ends)):
        parts.append(f'<path d="M{_LEFT[0]} {y(tick)}H{_LEFT[1]}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT[0] - 8, y(tick) + 4, f"{tick:g}", "end"))
    parts += [_text(x(ratio), _BOTTOM + 18, f"{ratio:g}", "middle") for ratio in ratios]
    parts.append(
        _text(sum(_LEFT) / 2, _BOTTOM + 38, "share of the training labels that is missing", "middle")
    )
    placed: list[float] = []
    for method, colour in zip(methods, COLOURS, strict=False):
        own = sorted((row for row in rows if row["method"] == method), key=lambda row: float(row["missing"]))
        line = " ".join(f"{x(row['missing'])},{y(row['ser'])}" for row in own)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for row in own:
            parts.append(f'<circle cx="{x(row["missing"])}" cy="{y(row["ser"])}" r="3" fill="{colour}"/>')
            if not math.isnan(row["ser_lo"]):
                span = f"M{x(row['missing'])} {y(row['ser_lo'])}V{y(row['ser_hi'])}"
                parts.append(f'<path d="{span}" stroke="{colour}" stroke-width="1.5"/>')
        at = y(own[-1]["ser"]) + 4
        while any(abs(at - other) < 14 for other in placed):
            at += 1
        placed.append(at)
        parts.append(_text(_LEFT[1] + 6, at, method, "start", colour))
    return parts


def _gains(rows: Rows) -> list[str]:
    """Return the right half: a row for each compared learner and group of programs, with its interval."""
    parts = [_text(_RIGHT[0] - 70, 22, "Online: SER over one bandit for all assignments", "start", _INK, 600)]
    told = [row for row in rows if not math.isnan(row["over_flat"]) and row["way"] != "best fixed"]
    if not told:
        return parts
    ends = [0.0, *(float(row[k]) for row in told for k in ("lo", "hi") if not math.isnan(row[k]))]
    x = _axis(min(ends), max(ends), *_RIGHT, room=0.05)
    for tick in _ticks(min(ends), max(ends)):
        stroke = _INK if tick == 0 else _GRID
        parts.append(f'<path d="M{x(tick)} {_TOP - 8}V{_BOTTOM}" stroke="{stroke}"/>')
        parts.append(_text(x(tick), _BOTTOM + 18, f"{100 * tick:+g}", "middle"))
    parts.append(
        _text(sum(_RIGHT) / 2, _BOTTOM + 38, "points of SER; filled: shown by the one rule", "middle")
    )
    policies = list(dict.fromkeys(str(row["policy"]) for row in told))
    step = min(26.0, (_BOTTOM - _TOP) / (len(told) + len(policies)))
    lines: list[Any] = [
        line for name in policies for line in (name, *(r for r in told if str(r["policy"]) == name))
    ]
    for i, line in enumerate(lines):  # a policy's name, then a row for each group of programs
        at = round(_TOP + step * (i + 0.6), 1)
        if isinstance(line, str):
            parts.append(_text(_RIGHT[0] - 132, at + 4, line, "start", _MUTED, 600))
            continue
        parts.append(_text(_RIGHT[0] - 8, at + 4, str(line["programs"]), "end"))
        if not math.isnan(line["lo"]):
            span = f"M{x(line['lo'])} {at}H{x(line['hi'])}"
            parts.append(f'<path d="{span}" stroke="{COLOURS[1]}" stroke-width="2"/>')
        fill = COLOURS[1] if line["shown"] else "#ffffff"
        place = f'cx="{x(line["over_flat"])}" cy="{at}"'
        parts.append(f'<circle {place} r="4" fill="{fill}" stroke="{COLOURS[1]}"/>')
    return parts


def _axis(low: float, high: float, begin: float, end: float, room: float = 0.06) -> Any:
    """Return the place of a number between two ends, in pixels."""
    spare = room * ((high - low) or 1.0)

    def at(value: float) -> float:
        share = (float(value) - low + spare) / ((high - low) + 2 * spare)
        return round(begin + share * (end - begin), 1)

    return at


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from the lower to the upper end."""
    rough = max(high - low, 1e-9) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next((m for m in (1, 2, 5) if m * size >= rough), 10)
    return [round(step * i, 10) + 0.0 for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str, colour: str = _INK, weight: int = 400) -> str:
    style = f' font-weight="{weight}"' if weight != 400 else ""
    style += (
        ' paint-order="stroke" stroke="#ffffff" stroke-width="4"'  # a line behind a name does not cross it
    )
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}"{style}>{escape(text)}</text>'

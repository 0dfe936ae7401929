"""The page of an off-policy evaluation: plane, estimates, diagnostics, weights, verdict. It has no script."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.report.axes import even_ticks
from bandits.report.parts import own, policy, template
from bandits.report.styles import COLOURS, sheet
from bandits.report.words import heading, minus, number
from bandits.rows import counted

Row = Mapping[str, Any]
Floats = NDArray[np.float64]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 320, 52, 14, 14, 44
_EDGES = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, math.inf)
_QUANTITIES = ("utility", "cost", "reward")


def render(
    rows: Sequence[Row],
    diagnostics: Sequence[Row],
    warnings: Sequence[str],
    verdict: Sequence[str],
    weights: Mapping[str, Floats],
    known: Mapping[str, Any],
) -> str:
    """Return the page, self-contained; its policy of content allows no script and nothing from elsewhere.

    Args:
        rows: of `ask.answer`, narrow or wide.
        diagnostics, warnings, verdict: of the same.
        weights: `(n,)` of each target.
        known: `title`, `notes`, `command`, `cost_unit`.
    """
    points, style = _points(rows), own("page.css") + own("drawing.css") + sheet()
    told = verdict or ["One target, or no propensities: nothing is compared."]
    parts = {
        "title": _safe(known["title"]),
        "verdict": "".join(f"<p>{_safe(minus(line))}</p>" for line in told),
        "notes": _listed(known["notes"]),
        "warnings": _listed(warnings),
        "plane": _plane(points, str(known.get("cost_unit") or "")),
        "estimates": _table(rows, "estimates"),
        "diagnostics": _table(diagnostics, "diagnostics"),
        "weights": "".join(_histogram(name, w) for name, w in weights.items()),
        "command": _safe(known["command"]),
        "style": style,
        "policy": policy(style),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template("off_policy.html"))


def _safe(text: Any) -> str:
    return html.escape(str(text))


def _listed(lines: Sequence[str]) -> str:
    return "".join(f"<li>{_safe(line)}</li>" for line in lines)


def _points(rows: Sequence[Row]) -> list[dict[str, float | str]]:
    """Return name, utility and cost with intervals of each policy, by the first estimator of a wide table."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        point = found.setdefault(str(row["policy"]), {"policy": str(row["policy"])})
        if "quantity" not in row:
            point |= {k: v for k, v in row.items() if k.partition("_")[0] in ("utility", "cost")}
        elif row["quantity"] not in point:
            name = row["quantity"]
            point |= {name: row["mean"], f"{name}_lo": row["lo"], f"{name}_hi": row["hi"]}
            if "truth" in row:
                point[f"{name}_true"] = row["truth"]
    return list(found.values())


def _colours(points: Sequence[Row]) -> list[str]:
    """Return the class of a colour each; the first, the log's own policy, is grey."""
    return ["grey" if i == 0 else f"c{(i - 1) % len(COLOURS)}" for i in range(len(points))]


def _plane(points: Sequence[Row], unit: str) -> str:
    """Return the chart of utility against cost: a point each, a box for the 95 % intervals, a cross for the truth."""
    costly = all("cost" in p for p in points)
    label = "utility against cost" if costly else "utility"
    shown = [{"x": i + 1.0, "lo": i + 1.0, "hi": i + 1.0} for i in range(len(points))]
    if costly:
        shown = [{"x": p["cost"], "lo": p["cost_lo"], "hi": p["cost_hi"]} for p in points]
    across = _scale(
        [v for s in shown for v in s.values()] + [p["cost_true"] for p in points if "cost_true" in p]
    )
    ends = [p[k] for p in points for k in ("utility", "utility_lo", "utility_hi", "utility_true") if k in p]
    up = _scale(ends)
    drawn = [_axes(across, up, costly, unit)]
    for point, at, colour in zip(points, shown, _colours(points), strict=True):
        drawn.append(_region(point, at, colour, across, up))
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 10 10"><ellipse class="{colour}" cx="5" cy="5" rx="5" ry="5"/></svg>'
        f"{_safe(p['policy'])}</li>"
        for p, colour in zip(points, _colours(points), strict=True)
    )
    told = "; ".join(_said(p) for p in points)
    boxes = f"A box is the 95 % interval of {'each axis' if costly else 'utility'}; a cross, where known, the truth."
    caption = f"{boxes} Utility a query{' at cost a query' * costly}: {_safe(minus(told))}."
    return (
        f"<h2>{heading(_title(points))}</h2><figure>{_svg(''.join(drawn), label)}"
        f'<ul class="legend">{keys}</ul><figcaption>{caption}</figcaption></figure>'
    )


def _title(points: Sequence[Row]) -> str:
    """Return which target's estimate is the highest, as plain text; the log's own policy is none."""
    best = max(points[1:] or points, key=lambda p: p["utility"])
    of = f", of {counted(len(points) - 1, 'target')}" if len(points) > 2 else ""
    return minus(f"Highest estimate{of}: {best['policy']}, {number(best['utility'], 4)} utility a query")


def _said(p: Row) -> str:
    cost = f" at {number(p['cost'], 4)}" if "cost" in p else ""
    return f"{p['policy']} {number(p['utility'], 4)}{cost}"


def _scale(values: Sequence[Any]) -> tuple[float, float]:
    """Return the ends of an axis around what is finite, with a margin."""
    kept = [float(v) for v in values if math.isfinite(v)] or [0.0]
    low, high = min(kept), max(kept)
    margin = 0.07 * (high - low) or 0.5
    return low - margin, high + margin


def _place(value: float, ends: tuple[float, float], begin: float, end: float) -> float:
    return round(begin + (value - ends[0]) / (ends[1] - ends[0]) * (end - begin), 1)


def _x(value: float, ends: tuple[float, float]) -> float:
    return _place(value, ends, LEFT, WIDTH - RIGHT)


def _y(value: float, ends: tuple[float, float]) -> float:
    return _place(value, ends, HEIGHT - BOTTOM, TOP)


def _axes(across: tuple[float, float], up: tuple[float, float], costly: bool, unit: str) -> str:
    lines = []
    for value in even_ticks(*up):
        y = _y(value, up)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.4g}</text>')
    for value in even_ticks(*across) if costly else ():
        x = _x(value, across)
        lines.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        lines.append(
            f'<text class="tick" x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:.4g}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    words = f"mean cost ({unit})" if unit else "mean cost"
    label = words if costly else "policies, in the order of the table"
    lines.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{_safe(label)}</text>')
    tall = (TOP + HEIGHT - BOTTOM) / 2
    lines.append(f'<text transform="translate(12 {tall}) rotate(-90)" text-anchor="middle">utility</text>')
    return "".join(lines)


def _region(p: Row, at: Row, colour: str, across: tuple[float, float], up: tuple[float, float]) -> str:
    x, y = _x(at["x"], across), _y(p["utility"], up)
    made = f'<circle cx="{x}" cy="{y}" r="4.5" class="{colour}"><title>{_safe(_said(p))}</title></circle>'
    ends = at["lo"], at["hi"], p["utility_lo"], p["utility_hi"]
    if all(math.isfinite(v) for v in ends):
        left, right, low, high = _x(ends[0], across), _x(ends[1], across), _y(ends[2], up), _y(ends[3], up)
        wide, tall = round(max(right - left, 2), 1), round(max(low - high, 1), 1)
        box = f'x="{left - 1}" y="{high}" width="{wide}" height="{tall}"'
        made = f'<rect {box} class="box {colour}"/>' + made
    if "utility_true" in p:
        a, b = _x(p.get("cost_true", at["x"]), across), _y(p["utility_true"], up)
        made += f'<path d="M{a - 5} {b - 5}l10 10m-10 0l10 -10" class="true {colour}"/>'
    return made


def _svg(inside: str, label: str, height: int = HEIGHT) -> str:
    size = f'viewBox="0 0 {WIDTH} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_safe(label)}">{inside}</svg>'


def _histogram(name: str, weights: Floats) -> str:
    """Return the share of rounds whose weight lies in each of some ranges."""
    zero = float((weights == 0).mean())
    shares = [("0", zero)]
    for low, high in pairwise(_EDGES):
        inside = (weights > low) & (weights <= high)
        shares.append(
            (f"{low:g} to {high:g}" if math.isfinite(high) else f"over {low:g}", float(inside.mean()))
        )
    filled = [i for i, (_, share) in enumerate(shares) if share > 0]
    shares = shares[filled[0] : filled[-1] + 1]
    most, bars = max(share for _, share in shares) or 1.0, []
    for i, (label, share) in enumerate(shares):
        y, long = 8 + 22 * i, round(share / most * 260, 1)
        bars.append(f'<text class="tick" x="84" y="{y + 12}" text-anchor="end">{label}</text>')
        bars.append(f'<rect class="bar" x="92" y="{y}" width="{long}" height="16"/>')
        bars.append(f'<text class="tick" x="{98 + long}" y="{y + 12}">{100 * share:.2f} %</text>')
    drawn = _svg("".join(bars), f"weights of {name}", 14 + 22 * len(shares))
    return f"<figure><h3>{_safe(name)}</h3>{drawn}<figcaption>largest weight {weights.max():.4g}</figcaption></figure>"


def _table(rows: Sequence[Row], name: str) -> str:
    if not rows:
        return "<p>none: the log has no propensities</p>"
    names = [k for k in rows[-1] if not k.endswith(("_lo", "_hi"))]
    head = "".join(f'<th scope="col">{_safe(k.replace("_", " "))}</th>' for k in names)
    body = ""
    for row in rows:
        cells = "".join(f"<td>{_cell(row, k)}</td>" for k in names[1:])
        body += f'<tr><th scope="row">{_safe(row[names[0]])}</th>{cells}</tr>'
    return f'<table id="{name}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(row: Row, name: str) -> str:
    value = row.get(name, math.nan)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return _safe(value)
    text = "n/a" if math.isnan(value) else f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
    if f"{name}_lo" in row:
        text += f"<small>{row[f'{name}_lo']:.4g} to {row[f'{name}_hi']:.4g}</small>"
    return minus(text)

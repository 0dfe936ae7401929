"""Accuracy against cost as a picture without a script: where everything stands, in the units of the drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bandits.decision.figures import per_cent
from bandits.decision.worths import best_by_worth
from bandits.money import Money
from bandits.report.axes import log_ticks, short, sign

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 440, 58, 880, 16, 400
# Where a label may stand from its point, and its anchor: beside it, above and below it, then at its corners.
_PLACES = (
    (10, 4, "start"), (-10, 4, "end"), (0, -11, "middle"), (0, 21, "middle"),
    (6, -12, "start"), (-6, -12, "end"), (6, 22, "start"), (-6, 22, "end"),
)  # fmt: skip
_LETTER, _LINE = 7.2, 16  # width of a letter and height of a line of a label
_FLOOR = 1e-3  # share of the dearest cost below which a cost is drawn there: a logarithm has no 0


def plane(record: Mapping[str, Any], money: Money) -> dict[str, Any]:
    """Return ticks, points, labels and the hull of single models, cost on a logarithmic axis.

    Labelled are the recommended choices, the single models on the hull and the nearest policy; a label stands where it
    crosses no other and no point, else it is left to the table.
    """
    rows = record["choices"]
    top = max(row["cost_per_1000"] for row in rows)
    least = min((row["cost_per_1000"] for row in rows if row["cost_per_1000"] > 0), default=1.0)
    floor = max(least, _FLOOR * top / 100)

    def log(cost: float) -> float:
        return math.log10(max(cost, floor))

    low, high = log(floor) - 0.1, log(top) + 0.1
    bottom, ceiling = _span([row["accuracy"] for row in rows])

    def along(cost: float) -> float:
        return round(LEFT + (log(cost) - low) / (high - low) * (RIGHT - LEFT), 1)

    def height(accuracy: float) -> float:
        return round(BOTTOM - (accuracy - bottom) / (ceiling - bottom) * (BOTTOM - TOP), 1)

    def at(row: Mapping[str, Any]) -> tuple[float, float]:
        return along(row["cost_per_1000"]), height(row["accuracy"])

    chosen = {piece["choice"] for piece in record["by_worth"]}
    models = [row for row in rows if row["kind"] == "model"]
    best = best_by_worth([row["accuracy"] for row in models], [row["cost_per_1000"] for row in models])
    hull = [models[piece.choice] for piece in best]
    points = [_point(row, at(row), row["name"] in chosen, money) for row in rows]
    named = [*chosen, *(row["name"] for row in hull), (record["nearest"] or {}).get("name")]
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM,
        "x": [
            {"at": along(tick), "text": sign(money) + short(tick)} for tick in log_ticks(10**low, 10**high)
        ],
        "y": [
            {"at": height(tick), "text": f"{100 * tick:.0f} %"} for tick in _even(bottom, ceiling)
        ],
        "hull": " ".join(f"{along(cost)},{height(accuracy)}" for cost, accuracy in _mixtures(hull, floor)),
        "points": points,
        "labels": _labels(points, list(dict.fromkeys(filter(None, named)))),
        "caption": _caption(money, chosen, record),
    }  # fmt: skip


def _caption(money: Money, chosen: set[str], record: Mapping[str, Any]) -> str:
    listed = "; ".join(
        f"{row['name']} {per_cent(row['accuracy'])} at {money.shown(row['cost_per_1000'])}"
        for row in record["choices"]
        if row["name"] in chosen
    )
    return (
        f"Accuracy against cost in {money.per_1000}, on a logarithmic axis. Circles: single models; squares: policies;"
        f" filled: recommended ({listed}). Dashed: the best mixture of single models at each cost."
    )


def _mixtures(hull: Sequence[Mapping[str, Any]], floor: float) -> list[tuple[float, float]]:
    """Return costs and accuracies of mixtures of neighbours on the hull: curved on a logarithmic axis."""
    cost, accuracy = ([row[name] for row in hull] for name in ("cost_per_1000", "accuracy"))
    costs = np.geomspace(max(cost[0], floor), max(cost[-1], floor), 120)
    drawn = np.unique(np.concatenate([costs, np.maximum(cost, floor)]))
    return list(zip(drawn.tolist(), np.interp(drawn, cost, accuracy).tolist(), strict=True))


def _point(row: Mapping[str, Any], place: tuple[float, float], chosen: bool, money: Money) -> dict[str, Any]:
    told = f"{row['name']}: {per_cent(row['accuracy'])} at {money.shown(row['cost_per_1000'])}"
    return {
        "name": row["name"],
        "kind": row["kind"],
        "x": place[0],
        "y": place[1],
        "chosen": chosen,
        "told": told,
    }


def _span(values: Sequence[float]) -> tuple[float, float]:
    margin = max(0.04 * (max(values) - min(values)), 0.005)
    return max(min(values) - margin, 0.0), min(max(values) + margin, 1.0)


def _even(low: float, high: float) -> list[float]:
    """Return multiples of a round step, about six of them."""
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / s <= 7)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _labels(points: Sequence[Mapping[str, Any]], named: Sequence[str]) -> list[dict[str, Any]]:
    """Return the places of labels, the first names first: right, left, above or below their points."""
    taken = [(p["x"] - 7, p["y"] - 7, p["x"] + 7, p["y"] + 7) for p in points]
    found = []
    for name in named:
        point = next(p for p in points if p["name"] == name)
        x, y, width = point["x"], point["y"], _LETTER * len(name)
        for dx, dy, anchor in _PLACES:
            left = x + dx - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
            box = (left, y + dy - _LINE + 3, left + width, y + dy + 4)
            inside = box[0] >= LEFT and box[2] <= RIGHT and box[1] >= 0 and box[3] <= BOTTOM
            # The first place that is free; a label that would hide something is left to the table.
            if inside and not any(_cross(box, other) for other in taken):
                taken.append(box)
                found.append({"x": x + dx, "y": y + dy, "anchor": anchor, "text": name})
                break
    return found


def _cross(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

"""Where the names of points go in a drawing of fixed size: on a side where they cover no point and no other name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Box = tuple[float, float, float, float]
Point = tuple[float, float]
# Plotly's name of each side, and the direction from the point to the name.
_SIDES = {
    "top center": (0, -1), "bottom center": (0, 1), "middle right": (1, 0), "middle left": (-1, 0),
    "top right": (1, -1), "top left": (-1, -1), "bottom right": (1, 1), "bottom left": (-1, 1),
}  # fmt: skip


def sides(
    named: Sequence[tuple[str, float, float]],
    points: Sequence[Point],
    *,
    size: Point,
    log: bool = False,
    letters: float = 10.0,
    steps: Sequence[Point] = (),
) -> list[str]:
    """Return the side of each name, the one with the fewest overlaps, in the order given.

    Args:
        named: name, x and y of the points to be named.
        points: x and y of all points in the drawing, these included.
        size: width and height of the plotted area, in pixels.
        log: x is drawn on a logarithmic axis.
        letters: height of the letters, in pixels.
        steps: x and y along a line that goes to the right and then up or down, which no name should cross.
    """

    def scaled(x: float) -> float:
        return math.log(x) if log else x

    low, high = ([end(scaled(x) for x, _ in points), end(y for _, y in points)] for end in (min, max))

    def pixel(x: float, y: float) -> Point:
        return (
            (scaled(x) - low[0]) / ((high[0] - low[0]) or 1.0) * size[0],
            (high[1] - y) / ((high[1] - low[1]) or 1.0) * size[1],
        )

    taken: list[Box] = [(x - 8, y - 8, x + 8, y + 8) for x, y in (pixel(*point) for point in points)]
    for (x0, y0), (x1, y1) in pairwise(pixel(*point) for point in steps):
        taken += [(x0, y0 - 1, x1, y0 + 1), (x1 - 1, min(y0, y1), x1 + 1, max(y0, y1))]
    found = []
    for name, x, y in named:
        half, tall, (px, py) = len(name) * letters * 0.3, letters * 1.25, pixel(x, y)
        boxes = {side: _box(px, py, half, tall, *way) for side, way in _SIDES.items()}
        best = min(boxes, key=lambda side: _cost(boxes[side], taken, size[0]))
        taken.append(boxes[best])
        found.append(best)
    return found


def _box(x: float, y: float, half: float, tall: float, right: int, down: int) -> Box:
    x, y = x + right * (half + 9), y + down * (tall * 0.7 if right and down else tall / 2 + 9)
    return x - half, y - tall / 2, x + half, y + tall / 2


def _cost(box: Box, taken: Sequence[Box], width: float) -> int:
    over = sum(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in taken)
    return over + 2 * (box[0] < -width * 0.05 or box[2] > width * 1.05)

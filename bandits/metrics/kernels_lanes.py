"""The frontiers of a path under many weights at once (numba): lanes of weights beside each other in memory.

One pass over a path's changes serves `LANES` resamples: their sums are vectors. Few points can be on a frontier, and
those that are not worse than the last one found go, lane by lane, into a staircase that is kept in order.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from bandits.kernels import exact, lowest, part, pointer

Array = NDArray[Any]
LANES = 16
# Rows of `sums`: cost, what its sum lost to rounding, utility, the same, cost and utility where the lane stands.
ROWS = 6


@intrinsic
def _ahead(typing: Any, sums: Any) -> Any:
    """Return in which lanes the point is cheaper or better than where the lane stands: a bit each."""
    from llvmlite import ir  # type: ignore[import-untyped]

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        vector = ir.VectorType(ir.DoubleType(), LANES).as_pointer()

        def row(k: int) -> Any:
            start = builder.gep(given[0], [ir.Constant(ir.IntType(64), k * LANES)])
            return builder.load(builder.bitcast(start, vector), align=8)

        cost, utility = builder.fadd(row(0), row(1)), builder.fadd(row(2), row(3))
        cheaper, better = builder.fcmp_ordered("<", cost, row(4)), builder.fcmp_ordered(">", utility, row(5))
        bits = builder.bitcast(builder.or_(cheaper, better), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(sums), generate


ahead: Any = _ahead


@part
def add(sums: Any, weight: Any, dearer: float, better: float) -> None:
    """Add a change to every lane; the error of a sum is Knuth's TwoSum, the number that `kernels_curve` finds."""
    for lane in range(LANES):
        w = float(weight[lane])
        # A change of a query that is not drawn may be NaN.
        total, term = sums[lane], (w * dearer if w != 0 else 0.0)
        after = total + term
        own = after - term
        sums[lane] = after
        sums[LANES + lane] += (total - own) + (term - (after - own))
        total, term = sums[2 * LANES + lane], (w * better if w != 0 else 0.0)
        after = total + term
        own = after - term
        sums[2 * LANES + lane] = after
        sums[3 * LANES + lane] += (total - own) + (term - (after - own))


@part
def stand(cost: float, utility: float, stairs: Any, left: int, right: int, last: int) -> tuple[int, int]:
    """Put a point where it belongs on a staircase, unless it is beaten, and return the new ends of both its parts.

    Args:
        cost, utility: the point.
        stairs: cost and utility of one point after the other, both ascending. Below the gap they end with number
            `left`, above it they start with `right`; numbers 0 and `last` are no points, but -inf and inf.
        left, right, last: see there.
    """
    while stairs[2 * left] > cost:
        right -= 1
        stairs[2 * right], stairs[2 * right + 1] = stairs[2 * left], stairs[2 * left + 1]
        left -= 1
    while right < last and not stairs[2 * right] > cost:  # what has no cost (NaN) goes last
        left += 1
        stairs[2 * left], stairs[2 * left + 1] = stairs[2 * right], stairs[2 * right + 1]
        right += 1
    if utility > stairs[2 * left + 1]:
        while stairs[2 * right + 1] <= utility:
            right += 1
        if stairs[2 * left] != cost:
            left += 1
        stairs[2 * left], stairs[2 * left + 1] = cost, utility
    return left, right


@exact
def frontiers(
    first: Array,
    row: Array,
    step: Array,
    tested: Array,
    weight: Array,
    sums: Array,
    ends: Array,
    stairs: Array,
) -> None:
    """Fill `stairs` with each lane's frontier: sums of cost and utility, both ascending, with a gap between its parts.

    Args:
        first: `(n, 2)`, cost and utility of each query before any change.
        row: `(E,)` of the path.
        step: `(E, 2)`, by how much each change changes its query's cost and utility.
        tested: `(1 + E,)` whether the point before any change, and after each one, may be on a frontier.
        weight: `(n, LANES)` uint16, how often each query counts.
        sums: `(ROWS, LANES)`, zeros, the last two rows -inf.
        ends: `(2, LANES)` int64; last entry below the gap, first entry above it. At first 0 and S - 1.
        stairs: `(LANES, S, 2)`, room for the points that are tested, and -inf first and inf last.
    """
    s, held, where = pointer(sums, 0), pointer(ends, 0), pointer(stairs, 0)
    counts, rows, steps, begin = pointer(weight, 0), pointer(row, 0), pointer(step, 0), pointer(first, 0)
    size = stairs.shape[1]
    for i in range(first.shape[0]):
        add(s, pointer(counts, i * LANES), begin[2 * i], begin[2 * i + 1])
    for e in range(-1, row.size):
        if e >= 0:
            add(s, pointer(counts, rows[e] * LANES), steps[2 * e], steps[2 * e + 1])
        if not tested[e + 1]:
            continue
        bits = ahead(s)
        while bits:
            lane = lowest(bits)
            bits &= bits - 1
            cost, utility = s[lane] + s[LANES + lane], s[2 * LANES + lane] + s[3 * LANES + lane]
            own = pointer(where, 2 * lane * size)
            left, right = stand(cost, utility, own, held[lane], held[LANES + lane], size - 1)
            held[lane], held[LANES + lane] = left, right
            s[4 * LANES + lane], s[5 * LANES + lane] = own[2 * left], own[2 * left + 1]

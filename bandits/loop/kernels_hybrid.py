"""Hybrid LinUCB's rounds in blocks: exact, but for rounding, where posted prices stay as they are (numba).

Then `z_k = (x, p_k x)`, and `B_k = (A_k - ridge I) (I, p_k I)` stands in what `A_k` knows: `r_k = z_k - B_k'A_k^-1 x`
is `ridge (y, p_k y)` with `y = A_k^-1 x`, and its variance under the shared weights `ridge^2 y'E_k y` with a matrix
`E_k = S_11 + p_k (S_12 + S_21) + p_k^2 S_22` of `(d, d)`, `S = A_0^-1`. So a block's variances are two products of an
arm's `(d, d)` with its contexts, each as large as LinUCB's one, and `A_k^-1 B_k` is never looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import SPAN, along_rows, kernel, lower, part, pointer, product, reach, take_off
from bandits.loop.kernels_blocks import forecast, highest, settle
from bandits.loop.kernels_pulls import dot, less


def room(arms: int, dim: int, block: int) -> NDArray[np.float32]:
    """Return room for what `replay_hybrid` works out in a block."""
    by_round = 1 + arms * (dim + 2) + 5 * dim
    return np.zeros(by_round * block + dim * dim + arms + 6 * dim + 2 * SPAN, np.float32)


@part
def _joined(d: int, p: Any, square: Any, shared: Any, both: Any) -> None:
    """Fill `both (d, d)` with an arm's `ridge^2 E_k`, from `shared (2 d, 2 d)`."""
    for x in range(d):
        upper, lower, row = pointer(shared, 2 * x * d), pointer(shared, 2 * (d + x) * d), pointer(both, x * d)
        right, under = pointer(upper, d), pointer(lower, d)
        for y in range(d):
            row[y] = square * (upper[y] + p * (right[y] + lower[y] + p * under[y]))


@part
def _foretold(
    arms: int, d: int, block: int, size: int, ridge: Any, price: Any, shared: Any, beta: Any, both: Any, turned: Any,
    whole: Any, mean: Any, variance: Any,
) -> None:  # fmt: skip
    """Add to the `(K, B)` means and variances of a block what comes of the shared weights.

    Args:
        both, turned: `(d, d)` and `(d, B)` of room.
        whole: `(K d, B)`, the inverses times the contexts.
    """
    for k in range(arms):
        p, own = price[k], pointer(whole, k * d * block)
        _joined(d, p, ridge * ridge, shared, both)
        product(d, size, d, both, d, own, block, turned, block)
        wide, means = pointer(variance, k * block), pointer(mean, k * block)
        for q in range(d):
            step, y, a = (
                ridge * (beta[q] + p * beta[d + q]),
                pointer(own, q * block),
                pointer(turned, q * block),
            )
            for j in range(size):
                wide[j] += y[j] * a[j]
                means[j] += step * y[j]


@kernel
def replay_hybrid(
    contexts: Any, available: Any, reward: Any, price: Any, alpha: Any, ridge: Any, shared: Any, beta: Any,
    inverse: Any, weight: Any, room: Any, together: int, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed; `shared`, `beta`, `inverse`, `weight` and `called` are changed in place.

    Args:
        contexts: from `kernels_blocks.upright`.
        available: `(C, K)` uint8.
        reward: `(C, K)` float32, what each arm would teach.
        price: `(K,)` float32 in units of the cost scale, 0 where none is posted.
        alpha, ridge: float32, as in `hybrid`.
        shared, beta, inverse, weight: as in `Hybrid`.
        room: from `room`.
        together: as in `bandits.loop.kernels_blocks.replay_rounds`.
        called: `(C,)` int32, filled with the arms.
    """
    _, d, block = contexts.shape
    (rounds, arms), one = available.shape, np.float32(1.0)
    matrix, moved, inverses, weights = (
        pointer(shared, 0),
        pointer(beta, 0),
        pointer(inverse, 0),
        pointer(weight, 0),
    )
    prices = pointer(price, 0)
    none = pointer(room, 0)
    whole = pointer(none, block)
    mean = pointer(whole, arms * d * block)
    variance = pointer(mean, arms * block)
    turned = pointer(variance, arms * block)
    taken = pointer(turned, d * block)
    pulled = pointer(taken, 2 * d * block)
    own = pointer(pulled, d * block)
    both = pointer(own, d * block)
    index = pointer(both, d * d)
    y = pointer(index, arms)
    rest, along, part_of = pointer(y, d), pointer(y, 3 * d), pointer(y, 5 * d)
    told, own_told = pointer(y, 6 * d), pointer(y, 6 * d + SPAN)
    for start in range(0, rounds, block):
        size = block if rounds - start > block else rounds - start
        here, arm_of = pointer(contexts, start * d), pointer(called, start)
        forecast(arms, d, block, size, together, inverses, here, none, whole, variance)
        product(arms, size, d, weights, d, here, block, mean, block)
        _foretold(arms, d, block, size, ridge, prices, matrix, moved, both, turned, whole, mean, variance)
        for i in range(size):
            t = start + i
            for k in range(arms):
                wide = variance[k * block + i]
                index[k] = mean[k * block + i] + alpha * np.sqrt(wide if wide > 0 else np.float32(0.0))
            k = highest(arms, index, pointer(available, t * arms))
            arm_of[i] = k
            mine, learned, p = pointer(whole, k * d * block), pointer(weights, k * d), prices[k]
            length, guess, value = np.float32(0.0), np.float32(0.0), pointer(reward, t * arms)[k]
            for q in range(d):
                x, y[q] = here[q * block + i], mine[q * block + i]
                rest[q] = ridge * y[q]
                rest[d + q] = p * rest[q]
                length += x * y[q]
                guess += x * learned[q]
            along_rows(2 * d, 2 * d, rest, matrix, 2 * d, along)  # A_0^-1 r, as of now
            for b in range(i):
                before = pointer(taken, 2 * b * d)
                less(2 * d, dot(2 * d, before, rest), before, along)
            alone = one + length
            joint = alone + dot(2 * d, rest, along)
            gain, surprise = (value - mean[k * block + i]) / joint, (value - guess) / alone
            small, scale = one / np.sqrt(joint), one / np.sqrt(alone)
            # What the call tells of every arm at the contexts to come: its covariance with them.
            for first in range(i // SPAN * SPAN, size, SPAN):
                reach(d, block, y, pointer(here, first), own_told)
                for a in range(arms):
                    for q in range(d):
                        part_of[q] = ridge * (along[q] + prices[a] * along[d + q])
                    reach(d, block, part_of, pointer(whole, a * d * block + first), told)
                    share = one if a == k else np.float32(0.0)
                    wide, means = pointer(variance, a * block + first), pointer(mean, a * block + first)
                    for j in range(SPAN):
                        covered = told[j] + share * own_told[j]
                        scaled = small * covered
                        wide[j] -= scaled * scaled
                        means[j] += gain * covered
                for j in range(SPAN):
                    told[j] = own_told[j] / alone
                lower(d, block, y, told, pointer(mine, first))
            for q in range(d):
                learned[q] += surprise * y[q]
                pulled[i * d + q] = y[q] * scale
            for q in range(2 * d):
                moved[q] += gain * along[q]
                taken[2 * i * d + q] = along[q] * small
        take_off(size, 2 * d, taken, taken, matrix)
        settle(arms, d, size, arm_of, pulled, d, own, inverses)

"""Averaged ridges under the linear reward, in blocks of rounds: exact, but for rounding (numba).

As in `bandits.loop.kernels_blocks`, for the arms of all models: a call teaches its arm in each of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import SPAN, kernel, part, pointer, product, reach
from bandits.loop.kernels_blocks import forecast, highest, settle
from bandits.loop.kernels_pulls import less, narrow, shift

_CIRCLE = np.float32(2.0 * np.pi)


def room(models: int, arms: int, dim: int, block: int) -> NDArray[np.float32]:
    """Return room for what `replay_averaged` works out in a block."""
    by_arm, by_pull = models * arms * (dim + 2), models * (dim + block + 1)
    return np.zeros((1 + by_arm + by_pull + dim) * block + 2 * arms + models, np.float32)


@part
def _shares(many: int, evidence: Any, share: Any) -> None:
    """Fill `share (M,)` with the weights of the models, whose highest evidence is 0."""
    total = np.float32(0.0)
    for m in range(many):
        share[m] = np.exp(evidence[m])
        total += share[m]
    for m in range(many):
        share[m] /= total


@part
def _indices(
    many: int, arms: int, block: int, share: Any, mean: Any, spread: Any, square: Any, alpha: Any, expected: Any,
    index: Any,
) -> None:  # fmt: skip
    """Fill `index (K,)` for a round, whose means and spreads by model and arm are `block` numbers apart.

    Args:
        square: the noise's variance.
        expected: `(K,)`, what a call of each arm is expected to take off the utility.
    """
    for k in range(arms):
        middle = within = np.float32(0.0)
        for m in range(many):
            middle += share[m] * mean[(m * arms + k) * block]
        for m in range(many):
            wide, apart = spread[(m * arms + k) * block], mean[(m * arms + k) * block] - middle
            within += share[m] * (square * (wide if wide > 0 else np.float32(0.0)) + apart * apart)
        index[k] = middle - expected[k] + alpha * np.sqrt(within)


@kernel
def replay_averaged(
    contexts: Any, available: Any, utility: Any, cost: Any, price: Any, preference: Any, alpha: Any, square: Any,
    inverse: Any, weight: Any, heard: Any, evidence: Any, spent: Any, room: Any, together: int, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `averaged` under the linear reward.

    `inverse`, `weight`, `heard`, `evidence`, `spent` and `called` are changed in place.

    Args:
        contexts: from `kernels_blocks.upright`.
        available: `(C, K)` uint8.
        utility, cost: `(C, K)` float32, what each call gives; cost in units of the scale.
        price: `(C, K)` float32 in units of the scale, NaN where none is posted.
        preference: `(C,)` float32.
        alpha, square: float32, as in `averaged`; the square of the noise.
        inverse, weight: `(M K, d, d)` and `(M K, d)` float32.
        heard: `(K,)` float32, calls of each arm.
        evidence, spent: as in `Averaged`, the highest evidence 0.
        room: from `room`.
        together: as in `bandits.loop.kernels_blocks.replay_rounds`.
        called: `(C,)` int32, filled with the arms.
    """
    _, d, block = contexts.shape
    rounds, arms = available.shape
    many, one = len(evidence), np.float32(1.0)
    total, apart = many * arms, many * d
    inverses, weights = pointer(inverse, 0), pointer(weight, 0)
    weighed, paid, calls = pointer(evidence, 0), pointer(spent, 0), pointer(heard, 0)
    none = pointer(room, 0)
    whole = pointer(none, block)
    spread = pointer(whole, total * d * block)
    mean = pointer(spread, total * block)
    pulled = pointer(mean, total * block)
    own = pointer(pulled, apart * block)
    along = pointer(own, d * block)
    steps = pointer(along, many * block * block)
    index = pointer(steps, many * block)
    expected = pointer(index, arms)
    share = pointer(expected, arms)
    for start in range(0, rounds, block):
        size = block if rounds - start > block else rounds - start
        here, arm_of = pointer(contexts, start * d), pointer(called, start)
        forecast(total, d, block, size, together, inverses, here, none, whole, spread)
        product(total, size, d, weights, d, here, block, mean, block)
        for i in range(size):
            first, t = i // SPAN * SPAN, start + i
            asked, shown = pointer(price, t * arms), pointer(preference, t)[0]
            for k in range(arms):
                posted = asked[k]
                if np.isnan(posted):
                    posted = paid[k] / calls[k] if calls[k] > 0 else one
                expected[k] = shown * posted
            _shares(many, weighed, share)
            _indices(
                many, arms, block, share, pointer(mean, i), pointer(spread, i), square, alpha, expected, index
            )
            k = highest(arms, index, pointer(available, t * arms))
            arm_of[i] = k
            useful, taken = pointer(utility, t * arms)[k], pointer(cost, t * arms)[k]
            top = np.float32(-np.inf)
            for m in range(many):
                e, place = i * many + m, m * arms + k
                u, mine = pointer(pulled, e * d), pointer(whole, place * d * block + i)
                lain, means = pointer(spread, place * block), pointer(mean, place * block)
                square_root = np.sqrt(one / (one + lain[i]))
                for q in range(d):
                    u[q] = square_root * mine[q * block]
                for p in range(i):
                    if arm_of[p] == k:
                        other = p * many + m
                        less(d, square_root * along[other * block + i], pointer(pulled, other * d), u)
                error, variance = useful - means[i], square * (one + lain[i])
                step = error * square_root
                steps[e] = step
                learned = pointer(weights, place * d)
                for q in range(d):
                    learned[q] += step * u[q]
                weighed[m] -= np.float32(0.5) * (np.log(_CIRCLE * variance) + error * error / variance)
                top = weighed[m] if weighed[m] > top else top
                told = pointer(along, e * block + first)
                reach(d, block, u, pointer(here, first), told)
                narrow(0, SPAN, one, told, pointer(lain, first))
                shift(0, SPAN, step, told, pointer(means, first))
            for m in range(many):
                weighed[m] -= top
            paid[k] += np.float32(0.0) if np.isnan(taken) else taken
            calls[k] += one
            # What the calls of a span taught, for the rest of the block.
            edge = first + SPAN
            if i + 1 == edge and edge < size:
                pulls, after = SPAN * many, pointer(along, first * many * block + edge)
                rows = pointer(pulled, first * apart)
                product(pulls, size - edge, d, rows, d, pointer(here, edge), block, after, block)
                for p in range(first, edge):
                    for m in range(many):
                        e, place = p * many + m, (m * arms + arm_of[p]) * block
                        told = pointer(along, e * block)
                        narrow(edge, size, one, told, pointer(spread, place))
                        shift(edge, size, steps[e], told, pointer(mean, place))
        for m in range(many):
            settle(
                arms, d, size, arm_of, pointer(pulled, m * d), apart, own, pointer(inverses, m * arms * d * d)
            )

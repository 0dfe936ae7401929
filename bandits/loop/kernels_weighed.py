"""Rounds in blocks of ridges whose pulls have weights: SW-LinUCB and GLM-UCB (numba).

Each is as in `bandits.loop.kernels_blocks`, exact but for rounding: the inverses times a block's contexts are matrix
products, and a pull changes what is foretold of the rounds to come.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import SPAN, along_rows, kernel, part, pointer, product, reach
from bandits.loop.kernels_blocks import forecast, highest
from bandits.loop.kernels_pulls import dot, less, narrow, settle, shift


def room(arms: int, targets: int, pulls: int, dim: int, block: int) -> NDArray[np.float32]:
    """Return room for what a kernel works out in a block, in each of whose rounds there are so many pulls at most."""
    by_arm, by_pull = arms * (dim + 1 + targets), pulls * (3 * dim + block + 1 + targets)
    return np.zeros((1 + by_arm + by_pull) * block + arms, np.float32)


@kernel
def replay_windowed(
    contexts: Any, available: Any, reward: Any, alpha: Any, inverse: Any, weight: Any, past: Any, past_arm: Any,
    past_reward: Any, at: int, room: Any, where: Any, together: int, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `swlinucb`; its state and `called` are changed in place.

    Args:
        contexts: from `kernels_blocks.upright`.
        available: `(C, K)` uint8.
        reward: `(C, K)` float32, what each arm would teach.
        alpha: float32, as in `swlinucb`.
        inverse, weight: `(K, d, d)` and `(K, d)` float32.
        past, past_arm, past_reward: `context`, `arm` and `reward` of `Window`.
        at: the place in it that the first round takes.
        room: from `room`, for one target and two pulls a round: its own, and that which leaves the window.
        where: `(2 B,)` int32 of room.
        together: as in `bandits.loop.kernels_blocks.replay_rounds`.
        called: `(C,)` int32, filled with the arms.
    """
    _, d, block = contexts.shape
    (rounds, arms), one = available.shape, np.float32(1.0)
    inverses, weights, arm_at = pointer(inverse, 0), pointer(weight, 0), pointer(where, 0)
    kept, kept_arm, kept_reward = pointer(past, 0), pointer(past_arm, 0), pointer(past_reward, 0)
    none = pointer(room, 0)
    whole = pointer(none, block)
    spread = pointer(whole, arms * d * block)
    mean = pointer(spread, arms * block)
    pulled = pointer(mean, arms * block)
    left = pointer(pulled, 2 * d * block)
    right = pointer(left, 2 * d * block)
    along = pointer(right, 2 * d * block)
    factor = pointer(along, 2 * block * block)
    steps = pointer(factor, 2 * block)
    index = pointer(steps, 2 * block)
    for start in range(0, rounds, block):
        size, events, begun = block if rounds - start > block else rounds - start, 0, 0
        here = pointer(contexts, start * d)
        forecast(arms, d, block, size, together, inverses, here, none, whole, spread)
        product(arms, size, d, weights, d, here, block, mean, block)
        for i in range(size):
            first, t = i // SPAN * SPAN, start + i
            for k in range(arms):
                wide = spread[k * block + i]
                index[k] = mean[k * block + i] + alpha * np.sqrt(wide if wide > 0 else np.float32(0.0))
            new, old = highest(arms, index, pointer(available, t * arms)), kept_arm[at]
            pointer(called, t)[0] = new
            row, gained = pointer(kept, at * d), pointer(reward, t * arms)[new]
            # First in, then out: the precision never falls below the ridge in between.
            for leaves in range(1 if old < 0 else 2):
                k = old if leaves else new
                u, learned = pointer(pulled, events * d), pointer(weights, k * d)
                if leaves:
                    along_rows(d, d, row, pointer(inverses, k * d * d), d, u)
                    for p in range(events):
                        if arm_at[p] == k:
                            other = pointer(pulled, p * d)
                            less(d, factor[p] * dot(d, other, row), other, u)
                    grown = one - dot(d, u, row)
                    sign = -one if grown > 0 else one
                    error = sign * (kept_reward[at] - dot(d, learned, row))
                else:
                    mine = pointer(whole, k * d * block + i)
                    for q in range(d):
                        u[q] = mine[q * block]
                    for p in range(events):
                        if arm_at[p] == k:
                            less(d, factor[p] * along[p * block + i], pointer(pulled, p * d), u)
                    grown, sign = one + spread[k * block + i], one
                    error = gained - mean[k * block + i]
                scale = one / np.sqrt(abs(grown))
                step = error * scale
                for q in range(d):
                    u[q] *= scale
                    learned[q] += step * u[q]
                arm_at[events], factor[events], steps[events] = k, sign, step
                told = pointer(along, events * block + first)
                reach(d, block, u, pointer(here, first), told)
                narrow(0, SPAN, sign, told, pointer(spread, k * block + first))
                shift(0, SPAN, step, told, pointer(mean, k * block + first))
                events += 1
            for q in range(d):
                row[q] = here[q * block + i]
            kept_arm[at], kept_reward[at] = new, gained
            at = at + 1 if at + 1 < len(past_arm) else 0
            edge = first + SPAN
            if i + 1 == edge and edge < size:
                after = pointer(along, begun * block + edge)
                rows = pointer(pulled, begun * d)
                product(events - begun, size - edge, d, rows, d, pointer(here, edge), block, after, block)
                for p in range(begun, events):
                    k, told = arm_at[p] * block, pointer(along, p * block)
                    narrow(edge, size, factor[p], told, pointer(spread, k))
                    shift(edge, size, steps[p], told, pointer(mean, k))
                begun = events
        settle(arms, d, events, arm_at, factor, pulled, left, right, inverses)


@part
def _sigmoid(x: Any) -> Any:
    """Return the logistic function of a float32 number, exactly 0 or 1 far out."""
    small = np.exp(-abs(x))
    return (np.float32(1.0) if x >= 0 else small) / (np.float32(1.0) + small)


@kernel
def replay_logistic(
    contexts: Any, available: Any, utility: Any, cost: Any, preference: Any, alpha: Any, inverse: Any,
    weight: Any, room: Any, together: int, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `glm` under the linear reward; its state and `called` are changed in place.

    Args:
        contexts: from `kernels_blocks.upright`.
        available: `(C, K)` uint8.
        utility, cost: `(C, K)` float32, what each call gives; cost in units of the scale.
        preference: `(C,)` float32.
        alpha: float32, as in `glm`.
        inverse, weight: `(K, d, d)` and `(K, 2, d)` float32.
        room: from `room`, for two targets and one pull a round.
        together: as in `bandits.loop.kernels_blocks.replay_rounds`.
        called: `(C,)` int32, filled with the arms.
    """
    _, d, block = contexts.shape
    (rounds, arms), one = available.shape, np.float32(1.0)
    inverses, weights = pointer(inverse, 0), pointer(weight, 0)
    none = pointer(room, 0)
    whole = pointer(none, block)
    spread = pointer(whole, arms * d * block)
    mean = pointer(spread, arms * block)
    pulled = pointer(mean, 2 * arms * block)
    left = pointer(pulled, d * block)
    right = pointer(left, d * block)
    along = pointer(right, d * block)
    factor = pointer(along, block * block)
    steps = pointer(factor, block)
    index = pointer(steps, 2 * block)
    for start in range(0, rounds, block):
        size = block if rounds - start > block else rounds - start
        here, arm_of = pointer(contexts, start * d), pointer(called, start)
        forecast(arms, d, block, size, together, inverses, here, none, whole, spread)
        product(2 * arms, size, d, weights, d, here, block, mean, block)
        for i in range(size):
            first, t, edge = i // SPAN * SPAN, start + i, (i // SPAN + 1) * SPAN
            shown = pointer(preference, t)[0]
            for k in range(arms):
                wide = spread[k * block + i]
                chance = _sigmoid(mean[2 * k * block + i])
                bound = chance + alpha * np.sqrt(wide if wide > 0 else np.float32(0.0))
                index[k] = (bound if bound < one else one) - shown * mean[(2 * k + 1) * block + i]
            k = highest(arms, index, pointer(available, t * arms))
            arm_of[i] = k
            u, mine, wide = pointer(pulled, i * d), pointer(whole, k * d * block + i), spread[k * block + i]
            useful, taken = pointer(utility, t * arms)[k], pointer(cost, t * arms)[k]
            means = pointer(mean, 2 * k * block)
            chance = _sigmoid(means[i])
            curved = chance * (one - chance)
            scale = one / np.sqrt(one + curved * wide)
            for q in range(d):
                u[q] = scale * mine[q * block]
            for p in range(i):
                if arm_of[p] == k:
                    less(d, scale * factor[p] * along[p * block + i], pointer(pulled, p * d), u)
            factor[i], steps[2 * i] = curved, (useful - chance) * scale
            steps[2 * i + 1] = curved * (taken - means[block + i]) * scale
            told = pointer(along, i * block + first)
            reach(d, block, u, pointer(here, first), told)
            narrow(0, SPAN, curved, told, pointer(spread, k * block + first))
            for f in range(2):
                learned, step = pointer(weights, (2 * k + f) * d), steps[2 * i + f]
                for q in range(d):
                    learned[q] += step * u[q]
                shift(0, SPAN, step, told, pointer(means, f * block + first))
            if i + 1 == edge and edge < size:
                after = pointer(along, first * block + edge)
                rows = pointer(pulled, first * d)
                product(SPAN, size - edge, d, rows, d, pointer(here, edge), block, after, block)
                for p in range(first, edge):
                    k, told = arm_of[p], pointer(along, p * block)
                    narrow(edge, size, factor[p], told, pointer(spread, k * block))
                    for f in range(2):
                        shift(edge, size, steps[2 * p + f], told, pointer(mean, (2 * k + f) * block))
        settle(arms, d, size, arm_of, factor, pulled, left, right, inverses)

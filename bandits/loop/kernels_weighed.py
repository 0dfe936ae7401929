"""Rounds in blocks of ridges whose pulls have weights: SW-LinUCB, averaged ridges and GLM-UCB (numba).

Each is as in `bandits.loop.kernels_blocks`, exact but for rounding: the inverses times a block's contexts are matrix
products, and a pull changes what is foretold of the rounds to come.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import kernel, pointer
from bandits.loop.kernels_blocks import forecast
from bandits.loop.kernels_pulls import current, dot, highest, matvec, reach, settle


@kernel
def _pull(
    u: Any, weight: Any, step: Any, scale: Any, sign: Any, upright: Any, first: int, spread: Any, mean: Any, told: Any
) -> None:  # fmt: skip
    """Let an arm learn: its weights move, and what is foretold of the rounds from `first` on.

    Args:
        u: `(d,)`, `A^-1 x` before, times `scale` after, which is `1 / sqrt|1 + c x'A^-1 x|`.
        weight, step: `(m, d)` and `(m,)`: the weights move by `step u`.
        scale, sign: of `u`, and of `u u'` in `A^-1 -= sign u u'`.
        upright: `(d, B)`.
        first: the first round to come.
        spread, mean: `(B,)` and `(m, B)` of the arm.
        told: `(B,)` of room.
    """
    d, size = upright.shape
    for q in range(d):
        u[q] *= scale
    reach(u, upright, first, told)
    for j in range(first, size):
        spread[j] -= sign * told[j] * told[j]
    for f in range(len(step)):
        for j in range(first, size):
            mean[f, j] += step[f] * told[j]
        for q in range(d):
            weight[f, q] += step[f] * u[q]


@kernel
def _foretold(
    many: int, together: int, flat: Any, upright: Any, none: Any, product: Any, spread: Any
) -> None:
    """Fill `product (K d, B)` and `spread (K, B)` as `forecast` does, for contexts `(d, B)`."""
    d, size = upright.shape
    room, wide = pointer(product, 0), pointer(spread, 0)
    forecast(
        many, d, size, size, together, pointer(flat, 0), pointer(upright, 0), pointer(none, 0), room, wide
    )


@kernel
def _settled(inverse: Any, pulled: Any, factor: Any, pulls_of: Any, count: Any) -> None:
    """Take a block's pulls off the inverses of the arms that had any."""
    for k in range(len(inverse)):
        if count[k] > 0:
            own = pulls_of[k, : count[k]]
            settle(inverse[k], pulled[own], factor[own])


@kernel
def replay_windowed(
    context: Any, available: Any, reward: Any, alpha: float, arms: Any, window: Any, at: int, block: int,
    together: int, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `swlinucb`; `arms`, `window` and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        reward: `(C, K)` float32, what each arm would teach.
        alpha: as in `swlinucb`.
        arms: `inverse (K, d, d)`, `weight (K, 1, d)` and `pulls (K,)`.
        window: `context`, `arm` and `reward` of `Window`.
        at: the place in it that the first round takes.
        block, together: as in `bandits.loop.kernels_blocks.replay_rounds`.
        called: `(C,)` int32, filled with the arms.
    """
    inverse, weight, pulls = arms
    past, past_arm, past_reward = window
    (rounds, d), n_arms, one = context.shape, len(inverse), np.float32(1.0)
    flat, flat_weight = inverse.reshape(n_arms * d, d), weight.reshape(n_arms, d)
    # A round has up to two pulls: its own, and that which leaves the window.
    pulled, factor = np.empty((2 * block, d), np.float32), np.empty(2 * block, np.float32)
    pulls_of, count = np.empty((n_arms, 2 * block), np.int64), np.zeros(n_arms, np.int64)
    index, told, step = np.empty(n_arms, np.float32), np.empty(block, np.float32), np.empty(1, np.float32)
    none = np.zeros(block, np.float32)
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        upright = np.ascontiguousarray(context[start : start + size].T)
        product, spread = np.empty((n_arms * d, size), np.float32), np.empty((n_arms, size), np.float32)
        _foretold(n_arms, together, flat, upright, none, product, spread)
        mean = np.dot(flat_weight, upright).reshape(n_arms, 1, size)
        count[:] = 0
        for i in range(size):
            t = start + i
            for k in range(n_arms):
                index[k] = mean[k, 0, i] + np.float32(alpha) * np.sqrt(max(spread[k, i], np.float32(0.0)))
            k = called[t] = highest(index, available[t])
            x, u = context[t], pulled[2 * i]
            u[:] = product[k * d : (k + 1) * d, i]
            along = current(u, x, pulled, factor, pulls_of[k], count[k])
            scale, factor[2 * i] = one / np.sqrt(one + along), one
            step[0] = (reward[t, k] - mean[k, 0, i]) * scale
            _pull(u, weight[k], step, scale, one, upright, i + 1, spread[k], mean[k], told)
            pulls_of[k, count[k]] = 2 * i
            count[k] += 1
            pulls[k] += 1
            old = past_arm[at]
            if old >= 0:
                left, u = past[at], pulled[2 * i + 1]
                matvec(inverse[old], left, u)
                along = current(u, left, pulled, factor, pulls_of[old], count[old])
                factor[2 * i + 1] = -one if along < one else one
                scale = one / np.sqrt(abs(one - along))
                step[0] = (past_reward[at] - dot(weight[old, 0], left)) * scale * factor[2 * i + 1]
                _pull(
                    u,
                    weight[old],
                    step,
                    scale,
                    factor[2 * i + 1],
                    upright,
                    i + 1,
                    spread[old],
                    mean[old],
                    told,
                )
                pulls_of[old, count[old]] = 2 * i + 1
                count[old] += 1
            past[at], past_arm[at], past_reward[at] = x, k, reward[t, k]
            at = (at + 1) % len(past_arm)
        _settled(inverse, pulled, factor, pulls_of, count)


@kernel
def replay_averaged(
    context: Any, available: Any, utility: Any, cost: Any, price: Any, preference: Any, alpha: float, noise: float,
    models: Any, evidence: Any, spent: Any, block: int, together: int, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `averaged` under the linear reward; its state and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        utility, cost: `(C, K)` float32, what each call gives; cost in units of the scale.
        price: `(C, K)` float32 in units of the scale, NaN where none is posted.
        preference: `(C,)` float32.
        alpha, noise: as in `averaged`.
        models: `inverse (M K, d, d)`, `weight (M K, 1, d)` and `pulls (M, K)`.
        evidence, spent: as in `Averaged`.
        block, together: as in `bandits.loop.kernels_blocks.replay_rounds`.
        called: `(C,)` int32, filled with the arms.
    """
    inverse, weight, pulls = models
    (rounds, d), (many, arms), total = context.shape, pulls.shape, len(inverse)
    one, square = np.float32(1.0), np.float32(noise) * np.float32(noise)
    flat, flat_weight = inverse.reshape(total * d, d), weight.reshape(total, d)
    pulled, factor = np.empty((many, block, d), np.float32), np.ones(block, np.float32)
    pulls_of, count = np.empty((arms, block), np.int64), np.zeros(arms, np.int64)
    index, told, step = np.empty(arms, np.float32), np.empty(block, np.float32), np.empty(1, np.float32)
    share = np.empty(many, np.float32)
    none = np.zeros(block, np.float32)
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        upright = np.ascontiguousarray(context[start : start + size].T)
        product, spread = np.empty((total * d, size), np.float32), np.empty((total, size), np.float32)
        _foretold(total, together, flat, upright, none, product, spread)
        mean = np.dot(flat_weight, upright).reshape(total, 1, size)
        count[:] = 0
        for i in range(size):
            t, top = start + i, evidence.max()
            for m in range(many):
                share[m] = np.exp(evidence[m] - top)
            share /= share.sum()
            for k in range(arms):
                middle = within = np.float32(0.0)
                for m in range(many):
                    middle += share[m] * mean[m * arms + k, 0, i]
                for m in range(many):
                    apart = mean[m * arms + k, 0, i] - middle
                    within += share[m] * (
                        square * max(spread[m * arms + k, i], np.float32(0.0)) + apart * apart
                    )
                expected = price[t, k]
                if np.isnan(expected):
                    expected = spent[k] / pulls[0, k] if pulls[0, k] > 0 else one
                index[k] = middle - preference[t] * expected + np.float32(alpha) * np.sqrt(within)
            k = called[t] = highest(index, available[t])
            x = context[t]
            for m in range(many):
                own, u = m * arms + k, pulled[m, i]
                u[:] = product[own * d : (own + 1) * d, i]
                along = current(u, x, pulled[m], factor, pulls_of[k], count[k])
                error, scale = utility[t, k] - mean[own, 0, i], one / np.sqrt(one + along)
                step[0] = error * scale
                _pull(u, weight[own], step, scale, one, upright, i + 1, spread[own], mean[own], told)
                variance = square * (one + along)
                evidence[m] -= np.float32(0.5) * (
                    np.log(np.float32(2.0 * np.pi) * variance) + error * error / variance
                )
                pulls[m, k] += 1
            evidence -= evidence.max()
            spent[k] += np.float32(0.0) if np.isnan(cost[t, k]) else cost[t, k]
            pulls_of[k, count[k]] = i
            count[k] += 1
        for m in range(many):
            _settled(inverse[m * arms : (m + 1) * arms], pulled[m], factor, pulls_of, count)


@kernel
def _sigmoid(x: Any) -> Any:
    """Return the logistic function of a float32 number, exactly 0 or 1 far out."""
    small = np.exp(-abs(x))
    return (np.float32(1.0) if x >= 0 else small) / (np.float32(1.0) + small)


@kernel
def replay_logistic(
    context: Any, available: Any, utility: Any, cost: Any, preference: Any, alpha: float, arms: Any, block: int,
    together: int, called: Any,
) -> None:  # fmt: skip
    """Play `C` rounds of one seed of `glm` under the linear reward; `arms` and `called` are changed in place.

    Args:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        utility, cost: `(C, K)` float32, what each call gives; cost in units of the scale.
        preference: `(C,)` float32.
        alpha: as in `glm`.
        arms: `inverse (K, d, d)`, `weight (K, 2, d)` and `pulls (K,)`.
        block, together: as in `bandits.loop.kernels_blocks.replay_rounds`.
        called: `(C,)` int32, filled with the arms.
    """
    inverse, weight, pulls = arms
    (rounds, d), n_arms, one = context.shape, len(inverse), np.float32(1.0)
    flat, flat_weight = inverse.reshape(n_arms * d, d), weight.reshape(n_arms * 2, d)
    pulled, factor = np.empty((block, d), np.float32), np.empty(block, np.float32)
    pulls_of, count = np.empty((n_arms, block), np.int64), np.zeros(n_arms, np.int64)
    index, told, step = np.empty(n_arms, np.float32), np.empty(block, np.float32), np.empty(2, np.float32)
    none = np.zeros(block, np.float32)
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        upright = np.ascontiguousarray(context[start : start + size].T)
        product, spread = np.empty((n_arms * d, size), np.float32), np.empty((n_arms, size), np.float32)
        _foretold(n_arms, together, flat, upright, none, product, spread)
        mean = np.dot(flat_weight, upright).reshape(n_arms, 2, size)
        count[:] = 0
        for i in range(size):
            t = start + i
            for k in range(n_arms):
                width = np.float32(alpha) * np.sqrt(max(spread[k, i], np.float32(0.0)))
                index[k] = min(_sigmoid(mean[k, 0, i]) + width, one) - preference[t] * mean[k, 1, i]
            k = called[t] = highest(index, available[t])
            x, u = context[t], pulled[i]
            u[:] = product[k * d : (k + 1) * d, i]
            along = current(u, x, pulled, factor, pulls_of[k], count[k])
            chance = _sigmoid(mean[k, 0, i])
            factor[i] = curved = chance * (one - chance)
            scale = one / np.sqrt(one + curved * along)
            step[0] = (utility[t, k] - chance) * scale
            step[1] = curved * (cost[t, k] - mean[k, 1, i]) * scale
            _pull(u, weight[k], step, scale, curved, upright, i + 1, spread[k], mean[k], told)
            pulls_of[k, count[k]] = i
            count[k] += 1
            pulls[k] += 1
        _settled(inverse, pulled, factor, pulls_of, count)

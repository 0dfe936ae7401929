"""A linear policy's rounds in blocks: exact, but for rounding (numba).

A block knows its contexts `X` (B x d). `X A_k^-1` for all arms is one matrix product; inside the block a pull of arm
`k` at `x_i` changes only `A_k^-1`, by rank one (Sherman and Morrison 1950), so what the block needs of it is
`A_k^-1 x_i`, had from the product and the block's earlier pulls of `k`, and its products with the contexts to come.
After the block all pulls of an arm are taken off its inverse as one product. Each matrix is thus read once a block and
not once a round, and at the speed of a matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import SPAN, along_rows, kernel, part, pointer, product, take_off


def upright(context: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Return contexts `(C, d)` as `(blocks, d, B)`, each block's as columns; what fills the last one up is 0."""
    rounds, dim = context.shape
    out = np.zeros((-(-rounds // block), dim, block), np.float32)
    whole = rounds // block
    out[:whole] = context[: whole * block].reshape(whole, block, dim).transpose(0, 2, 1)
    if rounds % block:
        out[whole, :, : rounds % block] = context[whole * block :].T
    return out


def room(arms: int, targets: int, dim: int, block: int) -> NDArray[np.float32]:
    """Return room for what `replay_rounds` works out in a block."""
    return np.zeros((1 + (dim + 1 + targets) * arms + 2 * dim + targets + block) * block + arms, np.float32)


@part
def forecast(
    arms: int,
    d: int,
    block: int,
    size: int,
    together: int,
    inverse: Any,
    here: Any,
    none: Any,
    whole: Any,
    spread: Any,
) -> None:
    """Fill `whole (K d, B)` with the inverses times a block's contexts, and `spread (K, B)` with x' A^-1 x.

    The inverses go before the contexts, which suits BLAS better than the other way round, `together` of them at a time.

    Args:
        inverse: `(K d, d)`.
        here: `(d, B)`, of which the first `size` columns count.
        none: `(B,)` of 0.
    """
    for k in range(arms):
        if k % together == 0:
            rows = (arms - k if arms - k < together else together) * d
            product(
                rows,
                size,
                d,
                pointer(inverse, k * d * d),
                d,
                here,
                block,
                pointer(whole, k * d * block),
                block,
            )
        own = pointer(spread, k * block)
        for j in range(size):
            own[j] = np.float32(0.0)
        for q in range(0, d, 4):  # four rows at a time, since the sum is read and written once for all
            x0, p0 = pointer(here, q * block), pointer(whole, (k * d + q) * block)
            x1, p1 = (pointer(x0, block), pointer(p0, block)) if q + 1 < d else (none, none)
            x2, p2 = (pointer(x1, block), pointer(p1, block)) if q + 2 < d else (none, none)
            x3, p3 = (pointer(x2, block), pointer(p2, block)) if q + 3 < d else (none, none)
            for j in range(size):
                own[j] += p0[j] * x0[j] + p1[j] * x1[j] + p2[j] * x2[j] + p3[j] * x3[j]


@part
def highest(arms: int, index: Any, available: Any) -> int:
    """Return what `bandits.base.choose` returns: the lowest arm within a relative 1e-5 of the best available one."""
    best = np.float32(-np.inf)
    for k in range(arms):
        if available[k] and index[k] > best:
            best = index[k]
    least, found = best - np.float32(1e-5) * abs(best), 0
    for k in range(arms - 1, -1, -1):
        if available[k] and (index[k] >= least or index[k] == best):  # an infinite one has no least
            found = k
    return found


@part
def _gaps(arms: int, index: Any, available: Any, rate: Any) -> None:
    """Replace the index by the logarithm of `bandits.policies.linear.affine.gap_weights`."""
    best, others, total = highest(arms, index, available), 0, np.float32(0.0)
    for k in range(arms):
        others += available[k] != 0
    top = index[best]
    for k in range(arms):
        if available[k] and k != best:
            gap = top - index[k]
            share = np.float32(1.0) / (others + rate * (gap if gap > 0 else np.float32(0.0)))
            total += share
            index[k] = np.log(share)
    index[best] = np.log(np.float32(1.0) - total)


@part
def settle(arms: int, d: int, size: int, called: Any, pulled: Any, lead: int, own: Any, inverse: Any) -> None:
    """Take a block's pulls, `lead` numbers apart, off the inverses: `A^-1 -= U'U`, an arm's pulls as rows of `U`."""
    for k in range(arms):
        count = 0
        for p in range(size):
            if called[p] == k:
                u, row = pointer(pulled, p * lead), pointer(own, count * d)
                for q in range(d):
                    row[q] = u[q]
                count += 1
        if count > 0:
            take_off(count, d, own, own, pointer(inverse, k * d * d))


@kernel
def replay_rounds(
    contexts: Any,
    available: Any,
    of_mean: Any,
    of_width: Any,
    plus: Any,
    rate: Any,
    target: Any,
    inverse: Any,
    weight: Any,
    room: Any,
    together: int,
    called: Any,
) -> None:
    """Play `C` rounds of one seed; `inverse`, `weight` and `called` are changed in place.

    Args:
        contexts: from `upright`.
        available: `(C, K)` uint8.
        of_mean, of_width, plus, rate: `(C, K, m)`, `(C, K)`, `(C, K)`, `(C,)` float32, as in `Weights`; `rate` may be
            None.
        target: `(C, K, m)` float32, what each arm would teach.
        inverse, weight: `(K, d, d)` and `(K, m, d)` float32.
        room: from `room`.
        together: arms whose inverses are multiplied by the contexts as one matrix.
        called: `(C,)` int32, filled with the arms.
    """
    _, d, block = contexts.shape
    rounds, arms, targets = target.shape
    inverses, weights = pointer(inverse, 0), pointer(weight, 0)
    none = pointer(room, 0)
    whole = pointer(none, block)
    spread = pointer(whole, arms * d * block)
    mean = pointer(spread, arms * block)
    pulled = pointer(mean, arms * targets * block)
    own = pointer(pulled, d * block)
    steps = pointer(own, d * block)
    along = pointer(steps, targets * block)
    index = pointer(along, block * block)
    for start in range(0, rounds, block):
        size = block if rounds - start > block else rounds - start
        here, arm_of = pointer(contexts, start * d), pointer(called, start)
        forecast(arms, d, block, size, together, inverses, here, none, whole, spread)
        product(arms * targets, size, d, weights, d, here, block, mean, block)
        for i in range(size):
            first, t, edge = i // SPAN * SPAN, start + i, (i // SPAN + 1) * SPAN
            edge = edge if edge < size else size
            can, width, bonus = (
                pointer(available, t * arms),
                pointer(of_width, t * arms),
                pointer(plus, t * arms),
            )
            factor, wanted = pointer(of_mean, t * arms * targets), pointer(target, t * arms * targets)
            for k in range(arms):
                wide = spread[k * block + i]
                total = width[k] * np.sqrt(wide if wide > 0 else np.float32(0.0))
                for f in range(k * targets, (k + 1) * targets):
                    total += factor[f] * mean[f * block + i]
                if rate is None:
                    total += bonus[k]
                index[k] = total
            if rate is not None:
                _gaps(arms, index, can, rate[t])
                for k in range(arms):
                    index[k] += bonus[k]
            k = highest(arms, index, can)
            arm_of[i] = k
            # The pull as the vector u with A^-1 - u u' the new inverse: first A^-1 x_i as it is now.
            u, mine = pointer(pulled, i * d), pointer(whole, k * d * block + i)
            root = np.sqrt(np.float32(1.0) / (np.float32(1.0) + spread[k * block + i]))
            for q in range(d):
                u[q] = root * mine[q * block]
            for p in range(i):
                if arm_of[p] == k:
                    r, share = pointer(pulled, p * d), root * along[p * block + i]
                    for q in range(d):
                        u[q] -= share * r[q]
            for f in range(targets):
                learned = pointer(weights, (k * targets + f) * d)
                step = (wanted[k * targets + f] - mean[(k * targets + f) * block + i]) * root
                steps[i * targets + f] = step
                for q in range(d):
                    learned[q] += step * u[q]
            # What the pull taught for the rest of its span; after the last one what all of them did for the block's.
            if i + 1 < edge:
                first, last = i, edge
                along_rows(d, edge - i - 1, u, pointer(here, i + 1), block, pointer(along, i * block + i + 1))
            else:
                last = size
                if edge < size:
                    product(
                        edge - first,
                        size - edge,
                        d,
                        pointer(pulled, first * d),
                        d,
                        pointer(here, edge),
                        block,
                        pointer(along, first * block + edge),
                        block,
                    )
            for p in range(first, i + 1):
                k, told = arm_of[p], pointer(along, p * block)
                lain = pointer(spread, k * block)
                for j in range(i + 1, last):
                    lain[j] -= told[j] * told[j]
                for f in range(targets):
                    means, step = pointer(mean, (k * targets + f) * block), steps[p * targets + f]
                    for j in range(i + 1, last):
                        means[j] += step * told[j]
        settle(arms, d, size, arm_of, pulled, d, own, inverses)

"""Passes over the rounds and the rows of a window: what every player got, added up; compiled once, cached on disk.

Letters: `n` rows, `K` models, `P` policies, `D` data sets, `m` rounds, `J` stops. Players are the policies, the three
references that call, the reference of chance, and the fixed choices of the `K` models, in this order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import exact

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Arms = NDArray[np.int32]


@exact
def add_up(
    outcome: Floats, chance: Floats, code: Ints, best: Arms, other: Arms, place: Ints, rows: Arms, arms: Arms,
    plan: Floats, stops: Ints, share_at: Ints, first: int, before: Floats, own: Floats, sums: Floats, calls: Ints,
    rounds: Ints, answered: Ints, lines: Floats, kept: Floats, kept_calls: Ints, kept_parts: Ints, kept_rounds: Ints,
) -> int:  # fmt: skip
    """Add up one seed's rounds of a window; everything from `own` on is changed in place.

    Args:
        outcome: `(n, K, 3)` reward, accuracy and cost, NaN where unavailable.
        chance: `(n, 3)` the mean of these over the models that can be called.
        code: `(n,)` data set.
        best: `(n, 3)` what each reference calls.
        other: `(n,)` what stands in for a model that cannot be called.
        place: `(n,)` of the query in `own`.
        rows, arms: `(m,)` and `(P, m)`, -1 for no call.
        plan: `(m,)` what the best plan of a budget earns; empty: no budget.
        stops: `(J,)` ascending rounds of the window, from 1, at which lines are kept.
        share_at: `(J,)` place among the stops of shares by data set, -1 where a stop is none.
        first: place of the first of these stops among all of the run.
        before: `(L,)` the lines up to this window.
        own: `(P, places, 3)`.
        sums: `(players, D, 3)`.
        calls: `(P + 3, D, K)`.
        rounds: `(D,)`.
        answered: `(K,)` rounds in which each model could be called.
        lines: `(L,)` reward and cost of policies and references, by which the oracle is ahead of each fixed choice, and
            what the plan earned.
        kept, kept_calls: `(stops, L)` and `(P, stops, K)`, at all stops of the run.
        kept_parts, kept_rounds: `(P, J', D, K)` and `(J', D)`, at those of shares.
    Returns:
        -1, or the first round in which a policy called a model that is not available.
    """
    n_arms, policies = outcome.shape[1], arms.shape[0]
    drawn, stop = policies + 4, 0
    for t in range(len(rows)):
        row = rows[t]
        d = code[row]
        rounds[d] += 1
        for p in range(drawn):
            arm = 0 if p == drawn - 1 else arms[p, t] if p < policies else best[row, p - policies]
            if arm < 0:
                continue
            if p < drawn - 1:
                if np.isnan(outcome[row, arm, 0]):
                    return t
                calls[p, d, arm] += 1
            for q in range(3):
                got = chance[row, q] if p == drawn - 1 else outcome[row, arm, q]
                sums[p, d, q] += got
                if p < policies:
                    own[p, place[row], q] += got
                if q != 1:
                    lines[2 * p + q // 2] += got
        ahead = outcome[row, best[row, 0], 0]
        for k in range(n_arms):
            there = not np.isnan(outcome[row, k, 0])
            answered[k] += there
            arm = k if there else other[row]
            for q in range(3):
                sums[drawn + k, d, q] += outcome[row, arm, q]
            lines[2 * drawn + k] += ahead - outcome[row, arm, 0]
        if len(plan):
            lines[-1] += plan[t]
        while stop < len(stops) and stops[stop] == t + 1:
            j, share = first + stop, share_at[stop]
            for i in range(len(lines)):
                kept[j, i] = before[i] + lines[i]
            for d in range(calls.shape[1]):
                if share >= 0:
                    kept_rounds[share, d] += rounds[d]
                for p in range(policies):
                    for k in range(n_arms):
                        kept_calls[p, j, k] += calls[p, d, k]
                        if share >= 0:
                            kept_parts[p, share, d, k] += calls[p, d, k]
            stop += 1
    return -1


@exact
def add_known(
    outcome: Floats, chance: Floats, best: Arms, other: Arms, often: Ints, place: Ints, sums: Floats
) -> None:
    """Add up by query what the references and the fixed choices get with the rows of a window.

    Args:
        outcome, chance, best, other, place: as in `add_up`.
        often: `(n,)` rounds of each row.
        sums: `(4 + K, places, 3)`, changed in place.
    """
    n_arms = outcome.shape[1]
    for row in range(len(often)):
        if often[row] == 0:
            continue
        for q in range(3):
            for i in range(3):
                sums[i, place[row], q] += often[row] * outcome[row, best[row, i], q]
            sums[3, place[row], q] += often[row] * chance[row, q]
            for k in range(n_arms):
                arm = other[row] if np.isnan(outcome[row, k, 0]) else k
                sums[4 + k, place[row], q] += often[row] * outcome[row, arm, q]

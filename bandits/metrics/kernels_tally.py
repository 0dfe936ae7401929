"""Passes over the rounds and the rows of a window: what every player got, added up; compiled once, cached on disk.

Letters: `n` rows, `K` models, `P` policies, `D` data sets, `m` rounds, `J` stops. Players are the policies, the three
references that call, the reference of chance, and the fixed choices of the `K` models, in this order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import exact, pointer

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
    (policies, m), (_, n_data, models), places = arms.shape, calls.shape, own.shape[1]
    drawn, stop, n_lines, n_stops = policies + 4, 0, len(lines), len(stops)
    all_stops, shares, planned = len(kept), len(kept_rounds), len(plan)
    called, asked, line, keep = pointer(arms, 0), pointer(rows, 0), pointer(lines, 0), pointer(kept, 0)
    held, parts = pointer(kept_calls, 0), pointer(kept_parts, 0)
    for t in range(m):
        row = asked[t]
        d, at = pointer(code, row)[0], pointer(place, row)[0]
        met, refer = pointer(outcome, row * models * 3), pointer(best, row * 3)
        pointer(rounds, d)[0] += 1
        for p in range(drawn):
            by_chance = p == drawn - 1
            arm = 0
            if p < policies:
                arm = called[p * m + t]
            elif not by_chance:
                arm = refer[p - policies]
            if arm < 0:
                continue
            if not by_chance:
                if np.isnan(met[arm * 3]):
                    return t
                pointer(calls, (p * n_data + d) * models + arm)[0] += 1
            got = pointer(chance, row * 3) if by_chance else pointer(met, arm * 3)
            total = pointer(sums, (p * n_data + d) * 3)
            for q in range(3):
                total[q] += got[q]
            if p < policies:
                mine = pointer(own, (p * places + at) * 3)
                for q in range(3):
                    mine[q] += got[q]
            line[2 * p] += got[0]
            line[2 * p + 1] += got[2]
        ahead = met[refer[0] * 3]
        for k in range(models):
            there = not np.isnan(met[k * 3])
            pointer(answered, k)[0] += there
            got = pointer(met, (k if there else pointer(other, row)[0]) * 3)
            total = pointer(sums, ((drawn + k) * n_data + d) * 3)
            for q in range(3):
                total[q] += got[q]
            line[2 * drawn + k] += ahead - got[0]
        if planned:
            line[n_lines - 1] += pointer(plan, t)[0]
        while stop < n_stops and pointer(stops, stop)[0] == t + 1:
            j, share = first + stop, pointer(share_at, stop)[0]
            for i in range(n_lines):
                keep[j * n_lines + i] = pointer(before, i)[0] + line[i]
            for d in range(n_data):
                if share >= 0:
                    pointer(kept_rounds, share * n_data + d)[0] += pointer(rounds, d)[0]
                for p in range(policies):
                    told = pointer(calls, (p * n_data + d) * models)
                    part = pointer(parts, ((p * shares + share) * n_data + d) * models)
                    for k in range(models):
                        held[(p * all_stops + j) * models + k] += told[k]
                        if share >= 0:
                            part[k] += told[k]
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
    n, n_arms, places = len(often), outcome.shape[1], sums.shape[1]
    for row in range(n):
        times, at = pointer(often, row)[0], pointer(place, row)[0]
        if times == 0:
            continue
        met, refer, instead = (
            pointer(outcome, row * n_arms * 3),
            pointer(best, row * 3),
            pointer(other, row)[0],
        )
        for i in range(4 + n_arms):
            if i == 3:
                got = pointer(chance, row * 3)
            elif i < 3:
                got = pointer(met, refer[i] * 3)
            else:
                got = pointer(met, (instead if np.isnan(met[(i - 4) * 3]) else i - 4) * 3)
            total = pointer(sums, (i * places + at) * 3)
            for q in range(3):
                total[q] += times * got[q]

"""Searches for cascades on tables: the golden figures, a slow direct form of each search, and real data."""

from __future__ import annotations

import json
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from bandits.metrics import judges
from bandits.sequential import automix, chains, estimates, frugal, pairs, supermodels, voting
from bandits.sequential.chains import Chain, Judged

LLAMA = ("llama3.2-1b", "llama3.2-3b", "llama3.1-8b", "llama3.1-70b", "llama3.1-405b")


@pytest.fixture(scope="module")
def llama(shared: Path) -> dict[str, Judged]:
    """The chain's table by `dataset/split`, scores as natural logs."""
    import pandas as pd

    path = shared / "outcomes" / "cascade_llama.csv.gz"
    if not path.is_file():
        pytest.skip("no cascade_llama.csv.gz in ../shared/outcomes")
    frame = pd.read_csv(path)
    columns = [[f"{m}_{part}" for m in LLAMA] for part in ("correct", "cost", "conf")]
    return {
        f"{name}/{split}": Judged(*(part[c].to_numpy(float) for c in columns))
        for (name, split), part in frame.groupby(["dataset", "split"])
    }


def cheapest_right(judged: chains.Judged) -> chains.Ran:
    """Return what hindsight gives: the cheapest model that is right, and the cheapest of all where none is."""
    best = judged.utility.max(axis=1, keepdims=True)
    price = np.where(
        (judged.utility >= best) & (best > 0), judged.cost, np.where(best > 0, np.inf, judged.cost)
    )
    arm = price.argmin(axis=1)
    rows = np.arange(len(arm))
    return chains.Ran(np.zeros(len(arm), np.int64), judged.utility[rows, arm], judged.cost[rows, arm])


def random_table(seed: int, n: int = 30, k: int = 3) -> Judged:
    rng = np.random.default_rng(seed)
    utility = (rng.random((n, k)) < rng.uniform(0.3, 0.9, k)).astype(float)
    score = np.clip(0.3 * utility + 0.7 * rng.random((n, k)), 0, 1)
    return Judged(utility, rng.lognormal(0, 0.3, (n, k)) * (1 + np.arange(k)), score)


def test_golden_cascades(llama: dict[str, Judged], shared: Path) -> None:
    """Every figure of golden/cascade/expected.json that is of the llama chain: accuracy, cost, AUROC, escalations."""
    told = json.loads((shared / "golden" / "cascade" / "expected.json").read_text())
    checked = 0
    for name, table in llama.items():
        want = told[f"llama/{name}"]
        assert len(table.utility) == want["n"]
        np.testing.assert_allclose(table.utility.mean(axis=0), want["accuracy"], atol=5e-7)
        np.testing.assert_allclose(table.cost.mean(axis=0), want["cost_usd"], rtol=1e-5)
        found = [judges.auroc(table.score[:, k], table.utility[:, k]) for k in range(5)]
        np.testing.assert_allclose(found, want["auroc_conf"], atol=5.1e-5)
        right = cheapest_right(table)
        assert right.utility.mean() == pytest.approx(want["oracle_accuracy"], abs=5e-6)
        assert right.cost.mean() == pytest.approx(want["oracle_cost"], rel=1e-4)
        for model, by_level in want["cascade_first_to_last"].items():
            first = LLAMA.index(model)
            for level, figures in by_level.items():
                cut = float(np.quantile(table.score[:, first], float(level)))
                ran = chains.play(table, Chain((first, 4), (cut,)))
                assert ran.stopped.mean() == pytest.approx(figures["escalated"], abs=5e-7)
                assert ran.utility.mean() == pytest.approx(figures["accuracy"], abs=5e-7)
                assert ran.cost.mean() == pytest.approx(figures["cost"], rel=1e-5)
                checked += 1
    assert checked == 12 * len(llama)


def test_automix_on_mmlu(llama: dict[str, Judged]) -> None:
    """8B to 405B with its confidence as the verifier: the gates and lifts of the released search."""

    def pair(table: Judged) -> automix.Pair:
        return automix.Pair(
            table.utility[:, 2],
            table.utility[:, 4],
            np.exp(table.score[:, 2]),
            (table.cost[:, 2], table.cost[:, 4]),
        )

    train, test = pair(llama["mmlu/train"]), pair(llama["mmlu/test"])
    gate, got = automix.fit(train, "threshold")
    after = automix.value(test, automix.retry(gate, test.verified))
    assert gate.spans == ((0.0, 0.625),)
    assert (round(got.lift, 3), round(after.lift, 4), round(after.utility, 4)) == (0.517, 0.4855, 0.7864)
    assert after.cost == pytest.approx(2.912e-4, abs=5e-8)
    gate, got = automix.fit(train, "double")
    after = automix.value(test, automix.retry(gate, test.verified))
    assert gate.spans == ((0.375, 0.5),)
    assert (round(got.lift, 3), round(after.lift, 4), round(after.utility, 4)) == (0.732, 0.7033, 0.7113)
    lower = test.verified < np.median(test.verified)
    assert round(automix.value(test, lower).lift, 4) == 0.4355


@pytest.mark.parametrize(
    ("name", "share", "accuracy", "cost"),
    [
        ("mmlu", 0.1, 0.6492, 4.98e-5),
        ("mmlu", 0.25, 0.7903, 1.40e-4),
        ("mmlu", 0.5, 0.8361, 2.72e-4),
        ("triviaqa", 0.1, 0.8310, 8.03e-5),
        ("triviaqa", 0.25, 0.9310, 2.11e-4),
        # 24 chains tie in training at .9633; the cheapest of them there is that of the facts.
        ("triviaqa", 0.5, 0.9390, 4.24e-4),
    ],
)
def test_the_exact_grid_on_real_chains(llama, name: str, share: float, accuracy: float, cost: float) -> None:
    train, test = llama[f"{name}/train"], llama[f"{name}/test"]
    chain = frugal.grid(train, share * train.cost[:, 4].mean())
    ran = chains.play(test, chain)
    assert ran.utility.mean() == pytest.approx(accuracy, abs=1e-4)
    assert ran.cost.mean() == pytest.approx(cost, abs=1e-6)


def test_a_budget_met_in_training_is_broken_by_a_tenth(llama: dict[str, Judged]) -> None:
    """TriviaQA at half of 405B's cost: what 300 rows promised."""
    train, test = llama["triviaqa/train"], llama["triviaqa/test"]
    found = frugal.grid(train, train.cost[:, 4].mean() / 2)
    assert chains.play(train, found).utility.mean() == pytest.approx(0.9633, abs=5e-5)
    promised, paid = chains.play(train, found).cost.mean(), chains.play(test, found).cost.mean()
    assert 1.08 < paid / promised < 1.12


def released(judged: Judged, order: tuple[int, ...], budget: float, points: int) -> tuple[float, np.ndarray]:
    """The released optimiser, row by row, with scipy.optimize.brute as it calls it."""
    distance = 1 - judged.score[:, list(order)]
    gain, cost = judged.utility[:, list(order)], np.cumsum(judged.cost[:, list(order)], axis=1)

    def cuts(levels):
        going, found = np.ones(len(distance), bool), np.ones(len(order))
        for i, level in enumerate(np.atleast_1d(levels)):
            found[i] = np.quantile(distance[going, i], 1 - max(min(level, 1), 0)) if going.any() else 0.0
            going &= distance[:, i] >= found[i]
        return found

    def objective(levels):
        if not np.all(np.diff(np.atleast_1d(levels)) >= 0):
            return 10000
        at, total, spent = cuts(levels), 0.0, 0.0
        for row in range(len(distance)):
            place = next((j for j in range(len(order) - 1) if distance[row, j] < at[j]), len(order) - 1)
            total, spent = total + gain[row, place], spent + cost[row, place]
        return 10000 if spent > budget * len(distance) else -total

    ranges = [(1e-5, 1 - 1e-5)] * (len(order) - 1)
    at, value, *_ = optimize.brute(objective, ranges, full_output=True, finish=optimize.fmin, Ns=points)
    return float(value), cuts(at)[:-1]


@pytest.mark.parametrize("seed", range(50))
def test_frugal_thresholds_are_those_of_the_released_search(seed: int, capsys) -> None:
    """50 random small tables, chains of two (every fifth: of three)."""
    length, points = (3, 7) if seed % 5 == 0 else (2, 12)
    judged = random_table(seed)
    budget = float(np.quantile(judged.cost.mean(axis=0), 0.7)) * (1.6 if seed % 2 else 1.2)
    best: tuple[float, tuple[int, ...], np.ndarray] | None = None
    for order in permutations(range(3), length):
        if judged.cost[:, order[0]].mean() <= budget:
            value, at = released(judged, order, budget, points)
            if value < 0 and (best is None or value < best[0]):
                best = value, order, at
    found = frugal.search(judged, budget, length=length, points=points)
    assert (found is None) == (best is None)
    if found is not None and best is not None:
        assert found[0].order == best[1]
        np.testing.assert_allclose(found[0].thresholds, 1 - best[2], rtol=1e-12)
        ran = chains.play(judged, found[0])
        assert ran.utility.sum() == pytest.approx(-best[0]) and ran.cost.mean() <= budget * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(50))
def test_automix_gates_are_those_of_a_loop_over_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    small, large = (rng.random(25) < 0.5) * 1.0, (rng.random(25) < 0.8) * 1.0
    verified = rng.integers(0, 9, 25) / 8
    pair = automix.Pair(small, large, verified, (1.0, 50.0), 1.0)
    base = (large.mean() - small.mean()) / 49
    if base <= 0:
        pytest.skip("the large model is no better on these rows")

    def lift(again):
        spent = sum(51 if a else 1 for a in again) / 25 + 1
        earned = sum(b if a else s for a, s, b in zip(again, small, large, strict=True)) / 25
        return ((earned - small.mean()) / (spent - 1) - base) / base

    tried = {(j / 8,): [p <= j / 8 for p in verified] for j in range(9)}
    best = max((c for c in tried if any(tried[c])), key=lambda c: lift(tried[c]))
    assert automix.fit(pair, "threshold")[0].spans == ((0.0, best[0]),)
    tried = {
        (i / 8, j / 8): [i / 8 <= p <= j / 8 for p in verified] for i in range(8) for j in range(i + 1, 8)
    }
    best = max((c for c in tried if any(tried[c])), key=lambda c: lift(tried[c]))
    assert automix.fit(pair, "double")[0].spans == (best,)


def smoothed(values: list[float]) -> list[float]:
    """SciPy's Gaussian filter of sigma 2 by its definition: 8 on either side, ends mirrored."""
    weight = [np.exp(-(d**2) / 8) for d in range(-8, 9)]
    mirrored = [*values, *values[::-1]]
    around = range(-8, 9)
    return [
        sum(w * mirrored[(i + d) % len(mirrored)] for w, d in zip(weight, around, strict=True)) / sum(weight)
        for i in range(len(values))
    ]


def slow_gates(small, large, verified) -> dict[str, set[tuple[int, ...]]]:
    """Which answers each candidate of a method tries again, `(N,)` flags, with loops over rows and bins."""
    rows, bins = range(len(small)), range(9)
    triples = ((i, j, k) for i in range(8) for j in range(i + 1, 8) for k in range(j + 1, 8))
    tried = {
        "triple": {tuple(int(p <= i / 8 or j / 8 <= p <= k / 8) for p in verified) for i, j, k in triples}
    }
    low = [np.quantile(u, 0.1) for u in (small, large)]
    kinds = []
    for s, b in zip(small, large, strict=True):
        kinds.append("N" if s < b else "G" if s == b != 0 else "H" if s <= low[0] and b <= low[1] else "")
    place = [round(p * 8) for p in verified]
    share = {}
    for i in bins:
        mine = [kinds[n] for n in rows if place[n] == i]
        share[i] = [mine.count(kind) / len(mine) if mine else 0.0 for kind in "NGH"]
    found = set()
    for r in range(5000):
        again = [
            -100 * needy - 100 * good - (r + 100) * lost > -r * needy - (r + 1) * lost
            for needy, good, lost in share.values()
        ]
        found.add(tuple(int(again[i]) for i in place))
    tried["pomdp"] = found
    gain = []
    for i in bins:
        mine = [large[n] - small[n] for n in rows if place[n] == i]
        gain.append(sum(mine) / len(mine) if mine else 0.0)
    gain = smoothed(gain)
    order = sorted(bins, key=lambda i: -gain[i])
    tried["greedy"] = {tuple(int(i in order[: n + 1]) for i in place) for n in bins}
    return tried


@pytest.mark.parametrize("seed", range(50))
def test_automix_searches_are_those_of_loops(seed: int) -> None:
    """Triple thresholds, the POMDP and the greedy order on 50 random tables: the best lift, and a gate that has it."""
    rng = np.random.default_rng(seed)
    small, large = (rng.random(25) < 0.5) * 1.0, (rng.random(25) < 0.8) * 1.0
    verified = rng.integers(0, 9, 25) / 8
    pair = automix.Pair(small, large, verified, (1.0, 50.0), 1.0)
    if large.mean() <= small.mean():
        pytest.skip("the large model is no better on these rows")
    for method, tried in slow_gates(small, large, verified).items():
        lifts = {}
        for flags in tried:
            spent = sum(50 if again else 0 for again in flags) / 25 + 1
            earned = sum(b - s for again, s, b in zip(flags, small, large, strict=True) if again) / 25
            base = (large.mean() - small.mean()) / 49
            if any(flags):
                lifts[flags] = (earned / spent - base) / base
        if not lifts:
            continue
        gate, got = automix.fit(pair, method)
        flags = tuple(int(again) for again in automix.retry(gate, verified))
        assert got.lift == pytest.approx(max(lifts.values()), abs=1e-9)
        assert lifts[flags] == pytest.approx(got.lift, abs=1e-9)


def test_automix_pomdp_by_hand() -> None:
    """Bins whose answers are all needy are tried again at small rewards of keeping, all good ones never."""
    verified = np.repeat([0.0, 1.0], 20)
    small, large = np.repeat([0.0, 1.0], 20), np.ones(40)
    found = {g.actions for g in automix.gates(automix.Pair(small, large, verified, (1.0, 50.0)), "pomdp")}
    assert found == {(0,) * 9, (1, *[0] * 8)}
    union = automix.gates(automix.Pair(small, large, verified, (1.0, 50.0)), "union")
    assert len(union) == len(found) + 9 + 28 + 9


@pytest.mark.parametrize("seed", range(10))
def test_the_grid_is_a_search_through_everything(seed: int) -> None:
    judged, levels = random_table(seed), 5
    budget = float(judged.cost.mean()) * 1.2
    cuts = np.quantile(judged.score, np.linspace(0, 1, levels), axis=0)
    ran = [
        chains.play(judged, Chain(order, tuple(float(cuts[i, m]) for i, m in zip(at, order, strict=False))))
        for size in (1, 2, 3)
        for order in permutations(range(3), size)
        for at in product(range(levels), repeat=size - 1)
    ]
    within = [(r.utility.mean(), -r.cost.mean()) for r in ran if r.cost.mean() <= budget + 1e-12]
    found = chains.play(judged, frugal.grid(judged, budget, length=3, levels=levels))
    assert (found.utility.mean(), -found.cost.mean()) == pytest.approx(max(within), abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_the_best_pair_is_a_search_through_every_cut(seed: int) -> None:
    judged, weight = random_table(seed), 0.05
    every = [
        chains.play(judged, Chain((a, b), (float(t),)))
        for a, b in permutations(range(3), 2)
        for t in (*(judged.score[:, a] + 1e-9), -np.inf, np.inf)
    ]
    found = chains.play(judged, pairs.best(judged, weight=weight))
    top = max(r.utility.mean() - weight * r.cost.mean() for r in every)
    assert found.utility.mean() - weight * found.cost.mean() == pytest.approx(top, abs=1e-12)
    budget = float(judged.cost.mean()) * 1.1
    found = chains.play(judged, pairs.best(judged, budget=budget))
    assert found.utility.mean() == pytest.approx(
        max(r.utility.mean() for r in every if r.cost.mean() <= budget + 1e-12), abs=1e-12
    )


def test_random_escalation_is_a_mean_over_coins() -> None:
    judged, shares = random_table(1, n=40), np.array([0.3, 0.6])
    got = chains.at_random(judged, Chain((1, 0, 2)), shares)
    rng, total = np.random.default_rng(0), np.zeros((2, 40))
    for _ in range(20_000):
        first, second = rng.random(40) < 0.3, rng.random(40) < 0.6
        arm = np.where(first, np.where(second, 2, 0), 1)
        cost = judged.cost[:, 1] + first * (judged.cost[:, 0] + second * judged.cost[:, 2])
        total += np.stack([judged.utility[np.arange(40), arm], cost])
    np.testing.assert_allclose(total / 20_000, [got.utility, got.cost], atol=0.06)
    assert abs((total / 20_000).mean(axis=1) - [got.utility.mean(), got.cost.mean()]).max() < 0.005


def test_auroc_is_that_of_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(0)
    score, right = rng.integers(0, 5, 200) / 4, (rng.random(200) < 0.4) * 1.0
    assert judges.auroc(score, right) == pytest.approx(roc_auc_score(right, score), abs=1e-12)
    assert np.isnan(judges.auroc(score, np.ones(200)))


def test_adaptive_consistency_stops_where_the_paper_does() -> None:
    told = {(3, 0): 0.9375, (4, 0): 0.9688, (4, 1): 0.8906, (5, 1): 0.9375, (6, 1): 0.9648, (7, 2): 0.9453}
    for (first, second), chance in told.items():
        assert voting.settled(first, second) == pytest.approx(chance, abs=5e-5)
        assert voting.settled(first, second) == pytest.approx(beta.sf(0.5, first + 1, second + 1), abs=1e-12)
    voted = voting.vote(np.array([[7, 7, 7, 7, 1, 1], [1, 7, 7, 7, 7, 7], [1, 2, 3, 4, 5, 6]]))
    assert voted.drawn.tolist() == [4, 6, 6]
    assert voted.place.tolist() == [0, 1, 0]


def routed(quality, cost, weight, depth):
    """Supermodels query by query and set by set, in plain Python."""
    count, arms, spent = len(cost), [], []
    for q in quality:
        ran: tuple[int, ...] = ()
        while True:
            sets = [
                tuple(sorted({*ran, *more}))
                for size in range(count + 1)
                for more in permutations([k for k in range(count) if not ran or k > max(ran)], size)
                if 0 < len({*ran, *more}) <= depth
            ]
            best = max(
                sets,
                key=lambda m: (
                    round(max(q[list(m)]) - weight * sum(cost[k] for k in m), 8),
                    -sum(cost[k] for k in m),
                ),
            )
            then = [k for k in best if k not in ran]
            if not then:
                break
            ran = (*ran, then[0])
        arms.append(max(ran, key=lambda k: q[k]))
        spent.append(ran)
    return arms, spent


@pytest.mark.parametrize("prune", [True, False])
def test_supermodels_are_those_of_a_loop(prune: bool) -> None:
    """With estimates that hearing does not change; pruning changes nothing."""
    judged, cost = random_table(3, n=25, k=4), np.array([0.1, 0.2, 0.4, 0.9])
    quality = np.random.default_rng(3).random((25, 4))
    rule = supermodels.Rule(0.3, depth=3, prune=prune)
    got = supermodels.play(judged, cost, lambda ran, rows: quality[rows], rule)
    arms, ran = routed(quality, cost, 0.3, 3)
    assert got.arm.tolist() == arms
    assert [tuple(np.flatnonzero(r)) for r in got.run] == ran


def test_cascade_routing_spends_its_budget_in_training() -> None:
    """Depth 1 is argmax of q - lambda c; gamma makes up what a step of lambda leaves, in expectation over its coins."""
    judged, rng = random_table(5, n=400), np.random.default_rng(5)
    judged = judged._replace(utility=(rng.random((400, 3)) < [0.2, 0.6, 0.9]) * 1.0)
    cost, context = judged.cost.mean(axis=0), rng.normal(size=(400, 2))
    estimate = estimates.Estimator(estimates.Fitted(context, judged), context, judged)
    budget = float(cost[1:].mean())
    rule = supermodels.fit(judged, cost, estimate, budget, supermodels.Rule(0.0, depth=1))
    got = supermodels.play(judged, cost, estimate, rule._replace(gamma=0.0))
    quality = estimate(np.zeros(3, bool))
    worth = quality - rule.weight * cost
    np.testing.assert_allclose(worth[np.arange(400), got.arm], worth.max(axis=1), atol=1e-8)
    assert got.cost.mean() <= budget
    constant = estimates.Estimator(estimates.Fitted(np.ones((400, 1)), judged), np.ones((400, 1)), judged)
    rule = supermodels.fit(judged, cost, constant, budget, supermodels.Rule(0.0, depth=1))
    drawn = [supermodels.play(judged, cost, constant, rule, seed=s).cost.mean() for s in range(40)]
    assert 0 < rule.gamma < 1 and np.mean(drawn) == pytest.approx(budget, rel=0.02)


def test_the_expected_best_of_uncertain_models() -> None:
    """Of two independent standard normals the expected maximum is 1 / sqrt(pi)."""
    got = supermodels.best_of(np.zeros((1, 2)), np.array([[True, True], [True, False]]), 1.0, draws=20_000)
    np.testing.assert_allclose(got[0], [1 / np.sqrt(np.pi), 0.0], atol=0.02)

"""Sets under a limit of tokens: the knapsack against every subset, the learner in the loop, the synthetic stream."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

from bandits.base import check
from bandits.contests import sets as contest
from bandits.loop import slots
from bandits.policies.sequential.c2ucb import c2ucb
from bandits.rewards import accuracy
from bandits.sequential import sets
from envs import passages
from simulate import answer


@pytest.mark.parametrize("seed", range(30))
def test_the_optimum_is_the_best_of_all_subsets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    worth, size = rng.random(8) * (rng.random(8) < 0.8), rng.integers(1, 40, 8)
    limit = int(rng.integers(5, 120))
    every = [np.array(s) for s in product([0, 1], repeat=8) if np.dot(s, size) <= limit]
    best = max(float(s @ worth) for s in every)
    found = sets.exact(worth, size, limit)
    assert worth[found].sum() == pytest.approx(best) and size[found].sum() <= limit
    bound = sets.dantzig(worth, size, limit)
    relaxed = linprog(-worth, A_ub=size[None], b_ub=[limit], bounds=(0, 1))
    assert bound == pytest.approx(-relaxed.fun, abs=1e-9) and bound >= best - 1e-12
    half = max(worth[sets.by_density(worth, size, limit)].sum(), worth[size <= limit].max(initial=0.0))
    assert best / 2 - 1e-12 <= half <= best + 1e-12
    assert worth[sets.by_worth(worth, size, limit)].sum() <= best + 1e-12


def test_order_by_worth_and_by_density_are_not_the_same() -> None:
    """A long passage of high worth keeps two short ones out, which are worth more together."""
    worth, size = np.array([0.6, 0.5, 0.5]), np.array([100, 50, 50])
    assert sets.by_worth(worth, size, 100).tolist() == [True, False, False]
    assert sets.by_density(worth, size, 100).tolist() == [False, True, True]


def test_the_stream_is_what_its_laws_say() -> None:
    stream, limit = passages.passages(3000, items=20, limit=200, seed=3), 200.0
    gold = stream.utility > 0
    np.testing.assert_allclose(stream.utility.sum(axis=1), 1.0)
    assert np.bincount(gold.sum(axis=1))[2:] / 3000 == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
    told = dict(zip(passages.FEATURES, np.moveaxis(stream.several.features, 2, 0), strict=True))
    assert told["retrieval"][gold].mean() - told["retrieval"][~gold].mean() == pytest.approx(1.2, abs=0.05)
    assert told["tag"][gold].mean() == pytest.approx(0.85, abs=0.02)
    assert np.median(stream.tokens) == pytest.approx(58, abs=1) and stream.several.calls.room[2] == limit
    assert stream.outcomes.label.startswith("synthetic")
    again = passages.passages(3000, items=20, limit=200, seed=3)
    assert np.array_equal(again.utility, stream.utility)


@pytest.fixture(scope="module")
def played():
    stream = passages.passages(300, items=8, limit=150, seed=1)
    policy = c2ucb(8, 1, features=7, alpha=0.2)
    return stream, slots.replay(policy, stream, accuracy, seeds=1, preference=0.0)


def test_c2ucb_is_that_of_a_numpy_loop(played) -> None:
    """Scores from the regression of the rounds before, filled by density; what was chosen is learned from."""
    stream, trace = played
    precision, moment, same = np.eye(6), np.zeros(6), 0
    for row, arms in zip(trace.order[0], trace.arms[0], strict=True):
        told = stream.several.features[row].astype(float)
        x, inverse = told[:, 1:], np.linalg.inv(precision)
        worth = x @ inverse @ moment + 0.2 * np.sqrt(np.einsum("ke,ef,kf->k", x, inverse, x))
        want, got = sets.by_density(worth, told[:, 0], 150), arms[arms >= 0]
        same += set(np.flatnonzero(want)) == set(got)
        assert stream.tokens[row, got].sum() <= 150 and len(set(got)) == len(got)
        for k in got:
            precision += np.outer(x[k], x[k])
            moment += x[k] * stream.utility[row, k]
    assert same >= 297  # near ties fall either way in float32


def test_learning_beats_a_static_filter(played) -> None:
    stream = passages.passages(600, items=12, limit=150, seed=2)
    found, order = contest.rules(stream, passages.FEATURES, seeds=2)
    by_name = {rule.name: rule for rule in found}
    gap = contest.over(by_name["learned, by density"], by_name[contest.BASE], order)
    assert gap.lo > 0.02
    worth = {name: rule.worth.mean() for name, rule in by_name.items()}
    assert worth["random"] < worth[contest.BASE] < worth["optimum"] <= worth["Dantzig's bound"]
    assert max(rule.tokens.max() for rule in found[:-1]) <= 150
    rows = {row["rule"]: row for row in contest.rows(found, order)}
    assert rows["optimum"]["of_optimum"] == 1 and rows["learned, by worth"]["of_optimum"] < 1
    assert "shown" in contest.verdict(found, order)[0]


def test_contract() -> None:
    check(c2ucb(3, 1, features=4), 3, 1)
    check(c2ucb(3, 1, by="worth"), 3, 1)


def test_the_command_sets() -> None:
    small = ["sets", "--queries", "40", "--items", "6", "--seeds", "1", "--format", "csv"]
    assert answer(small) == (0, "")
    for given, message in (
        (["--items", "4"], "passages need items >= 5, got 4"),
        (["--seeds", "0"], "--seeds needs at least 1, got 0"),
        (["--limit", "0"], "passages need limit >= 1, got 0"),
        (["--alpha", "-1"], "c2ucb needs alpha >= 0"),
    ):
        code, said = answer([*small, *given])
        assert code == 2 and message in said and "\n" not in said

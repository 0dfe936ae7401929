"""Arms that are pairs: parts from names, one ridge over them in float64, and what sharing is worth."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

import bandits
from bandits.experiment.lineup import build
from bandits.loop.replay import replay
from bandits.metrics.intervals import clustered, paired
from bandits.metrics.verdict import judge
from bandits.policies.linear.paired import parts_of
from bandits.rewards import accuracy, linear, reward_table
from envs.outcomes import Outcomes
from envs.stream import Stream

MODELS = ("a@0", "a@5", "b@0", "b@5")


def test_parts_are_the_model_the_setting_and_its_logarithm() -> None:
    np.testing.assert_allclose(
        parts_of(MODELS),
        [[1, 0, 1, 0, 0], [1, 0, 0, 1, 1], [0, 1, 1, 0, 0], [0, 1, 0, 1, 1]],
    )
    words = parts_of(("a@low", "a@high", "b@low", "plain", "x@y@low"), own=0.5)
    assert words.shape == (5, 4 + 2 + 5)  # a, b, plain and x@y; low and high; no number
    np.testing.assert_allclose(words[3], [0, 0, 1, 0, 0, 0, 0, 0, 0, 0.5, 0])
    np.testing.assert_allclose(parts_of(("a@1", "a@3"))[:, -1], np.log([2, 4]) / np.log(4))
    for names in (("a@-1", "a@2"), ("a@0",), ("a@0", "b@0"), ("a@nan", "a@1"), ("a", "b")):
        assert set(parts_of(names).ravel().tolist()) <= {0.0, 1.0}, names  # no column of logarithms


def test_choices_are_those_of_one_ridge_over_stacked_features_in_float64(patchy) -> None:
    """In every round the arm called has the highest float64 index to 1e-3, from solved normal equations."""
    stream = replace(patchy, outcomes=replace(patchy.outcomes, models=MODELS))
    table, alpha, own, ridge = reward_table(linear, stream), 0.4, 0.7, 2.0
    policy = build(f"paired,alpha={alpha},own={own},ridge={ridge}", stream, linear)
    rounds = 250
    trace = replay(policy, stream, table, seeds=1, rounds=rounds)
    ones = np.array([[1, 0, 1, 0, 0], [1, 0, 0, 1, 1], [0, 1, 1, 0, 0], [0, 1, 0, 1, 1]], float)
    parts = np.hstack([ones, own * np.eye(4)])
    a, b, worst = ridge * np.eye(parts.shape[1] * 6), np.zeros(parts.shape[1] * 6), 0.0
    for row, arm in zip(trace.order[0], trace.arms[0], strict=True):
        x = stream.context[row].astype(np.float64)
        z = [np.concatenate([value * x for value in parts[k]]) for k in range(4)]
        index = np.array([v @ np.linalg.solve(a, b) + alpha * np.sqrt(v @ np.linalg.solve(a, v)) for v in z])
        index[~stream.available[row]] = -np.inf
        worst = max(worst, index.max() - index[arm])
        a += np.outer(z[arm], z[arm])
        b += table[row, arm] * z[arm]
    assert worst < 1e-3


def test_without_pairs_and_without_own_it_is_linucb(known) -> None:
    table = reward_table(linear, known)
    one, other = (
        replay(policy, known, table, seeds=2, rounds=300).arms
        for policy in (bandits.paired(4, 6, alpha=0.5, own=0), bandits.linucb(4, 6, alpha=0.5))
    )
    assert (one == other).mean() > 0.95  # equal but for near ties in float32, after which they part


def pairs(seed: int, *, own: float = 0.0, rows: int = 800) -> Stream:
    """Return a stream of 5 models at 4 settings whose chances add up over both parts, with a share of the pair's own.

    Utility does not rise with the setting: its part is drawn like the model's.
    """
    rng = np.random.default_rng([seed, 9])
    x = np.c_[rng.standard_normal((rows, 3)) / np.sqrt(3), np.ones(rows)]
    of_model, of_setting = rng.normal(0, 0.2, (5, 1, 4)), rng.normal(0, 0.2, (1, 4, 4))
    weight = (of_model + of_setting + own * rng.normal(0, 0.2, (5, 4, 4))).reshape(20, 4)
    utility = (rng.random((rows, 20)) < np.clip(0.5 + x @ weight.T, 0.02, 0.98)).astype(float)
    names = tuple(f"model{m}@{n}" for m in range(5) for n in (0, 1, 3, 5))
    ids = np.array([f"q{i}" for i in range(rows)], object)
    return Stream("pairs", Outcomes(names, utility, np.zeros_like(utility), ids), x.astype(np.float32))


def test_it_beats_the_flat_policy_where_arms_share() -> None:
    """Paired over seeds and queries, by the one rule; on a stream whose settings no one looked at."""
    stream = pairs(3)
    table = reward_table(accuracy, stream)
    flat, factored = (
        replay(build(spec, stream, accuracy), stream, table, seeds=4, seed=1)
        for spec in ("linucb,alpha=0.3", "paired,alpha=0.3")
    )
    gap = table[factored.order, factored.arms] - table[flat.order, flat.arms]
    of_query = np.bincount(factored.order.ravel(), gap.ravel())
    seeds = paired(gap.mean(axis=1), np.zeros(4))
    verdict = judge(seeds, clustered(of_query, np.full(len(stream), 4)), seeds=4, queries=len(stream))
    assert bool(verdict.shown) and seeds.mean > 0.02


def test_a_run_takes_the_names_of_the_table() -> None:
    stream = pairs(0, rows=40)
    policy = build("paired,alpha=0", stream, accuracy)
    assert policy.init(jax.random.key(0)).weight.shape == ((5 + 4 + 1 + 20) * 4,)
    assert build("paired,own=0", stream, accuracy).init(jax.random.key(0)).weight.shape == (10 * 4,)


def test_what_is_out_of_range_is_refused() -> None:
    for bad, said in (({"own": -1}, "own"), ({"alpha": -1}, "alpha"), ({"ridge": 0}, "ridge")):
        with pytest.raises(ValueError, match=f"paired needs {said}"):
            bandits.paired(4, 6, **bad)
    with pytest.raises(ValueError, match=r"at most 3,000 weights, got 80 parts x 65 features"):
        partial(bandits.paired, 40, 65)()


def test_the_synthetic_documents_change_as_recorded_and_say_so(tmp_path, monkeypatch) -> None:
    from envs import read
    from simulate import answer

    monkeypatch.chdir(tmp_path)
    assert answer(["make-documents", "--queries", "20000", "--out", "d.parquet", "--seed", "4"]) == (0, "")
    table = read("d.parquet")
    assert "synthetic utilities" in table.label and table.cost_unit == "characters/query"
    assert table.models[:2] == ("minicpmv-vanilla@0", "minicpmv-vanilla@1") and len(table.models) == 16
    assert table.cost[0, :2].tolist() == [189.6, 1654.2]  # a recorded length, and one of 1,500 more
    # Answers change as often as recorded; a wrong one that stays wrong does not show, so utilities change less.
    moved = (table.utility[:, 1] != table.utility[:, 0]).mean()
    assert 0.2 < moved < 0.318
    much = table.utility[table.dataset == "needs much"].mean(axis=0)
    none = table.utility[table.dataset == "needs none"].mean(axis=0)
    assert much[1] > much[0] + 0.05 and much[3] < much[2] and none[3] < none[0] - 0.05
    for bad, said in ((["--queries", "0", "--out", "x.parquet"], "1 to"), (["--out", "x.csv"], ".parquet")):
        code, line = answer(["make-documents", *bad])
        assert code == 2 and said in line

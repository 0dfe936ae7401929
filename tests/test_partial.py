"""A warm start from a log with one call a query: the fit against a plain weighted ridge, the file and its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import bandits
import simulate
from bandits.experiment import logs
from bandits.policies.linear.ridge import estimate
from bandits.rewards import accuracy, linear, reward_table
from bandits.wrappers import budget, warm
from envs import load, logged, write
from envs.stream import Stream
from tests.conftest import make_stream


def called(stream: Stream, rng: np.random.Generator, *, skew: float = 3.0) -> tuple[Stream, np.ndarray]:
    """Return a log in which arm 0 is called where the first feature is large, and the propensities of all arms."""
    score = np.stack([skew * stream.context[:, 0], *np.zeros((stream.n_arms - 1, len(stream)))], axis=1)
    every = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    arm = (every.cumsum(axis=1) > rng.random((len(stream), 1))).argmax(axis=1)
    mask = np.arange(stream.n_arms) == arm[:, None]
    outcomes = replace(
        stream.outcomes,
        utility=np.where(mask, stream.utility, np.nan),
        cost=np.where(mask, stream.cost, np.nan),
    )
    return replace(stream, outcomes=outcomes, chance=every[np.arange(len(arm)), arm]), every


@pytest.mark.parametrize("n_eff", [None, 40.0])
def test_the_fit_is_a_weighted_ridge(n_eff: float | None) -> None:
    """Of each arm's calls, by scikit-learn in float64, with weights min(1 / p, 20) scaled to their effective number."""
    log, _ = called(make_stream(rows=500), np.random.default_rng(0))
    assert log.chance is not None
    assert (1 / log.chance > warm.CLIP).any()  # the clip matters
    table = reward_table(linear, log)
    prior = warm.fit(log, table, n_eff=n_eff, ridge=0.7)
    x = log.context.astype(np.float64)
    for k in range(log.n_arms):
        own = log.available[:, k]
        w = np.minimum(1 / log.chance[own], 20)
        w *= w.sum() / (w**2).sum()
        scale = 1.0 if n_eff is None else n_eff / w.sum()
        plain: Any = Ridge(alpha=0.7, fit_intercept=False, tol=1e-12)
        centre = plain.fit(x[own], table[own, k], sample_weight=w).coef_
        # b = s b_off + l0 theta_off: a ridge around `centre`, of what is left.
        rest: Any = Ridge(alpha=0.7, fit_intercept=False, tol=1e-12)
        rest.fit(x[own], table[own, k] - x[own] @ centre, sample_weight=scale * w)
        np.testing.assert_allclose(prior.weight["reward"][k], centre + rest.coef_, rtol=1e-8)
        precision = scale * (x[own] * w[:, None]).T @ x[own] + 0.7 * np.eye(x.shape[1])
        np.testing.assert_allclose(prior.inverse[k] @ precision, np.eye(x.shape[1]), atol=1e-8)
        np.testing.assert_allclose(prior.mean[k, 0], np.average(log.cost[own, k], weights=w))


def test_even_propensities_are_the_plain_fit_of_the_same_calls() -> None:
    log, _ = called(make_stream(rows=300), np.random.default_rng(1), skew=0.0)
    table = reward_table(linear, log)
    weighted, plain = warm.fit(log, table), warm.fit(replace(log, chance=None), table)
    np.testing.assert_allclose(weighted.weight["reward"], plain.weight["reward"], rtol=1e-9)
    assert weighted.n_eff == pytest.approx(plain.n_eff)


def test_weights_take_away_the_selection_of_the_logs_policy() -> None:
    """Arm 0 costs 1 + u and was called where u is large: the weighted mean is that of all queries, the plain is not."""
    stream = make_stream(rows=4000)
    cost = np.repeat(1 + np.maximum(stream.context[:, :1], 0).astype(np.float64), 4, axis=1)
    stream = replace(stream, outcomes=replace(stream.outcomes, cost=cost))
    log, _ = called(stream, np.random.default_rng(2), skew=1.0)
    table, truth = reward_table(linear, log), cost[:, 0].mean()
    weighted, plain = warm.fit(log, table), warm.fit(replace(log, chance=None), table)
    own = log.available[:, 0]
    error = cost[own, 0].std() / np.sqrt(own.sum())
    assert abs(weighted.mean[0, 0] - truth) < 4 * error < abs(plain.mean[0, 0] - truth)


def test_missing_propensities_are_estimated_and_said() -> None:
    stream = make_stream(rows=3000)
    log, _ = called(stream, np.random.default_rng(3), skew=1.0)
    assert log.chance is not None
    given = log.chance.copy()
    given[::2] = np.nan
    found, told = logs.weighed(replace(log, chance=given), stream)
    np.testing.assert_array_equal(found.chance[1::2], log.chance[1::2])
    assert np.abs(found.chance - log.chance).mean() < 0.05
    assert told.notes[-1].startswith("1,500 calls of the log have no propensity: estimated")
    assert logs.weighed(log, stream) == (log, stream)


def test_policies_of_every_kind_begin_with_the_log() -> None:
    """A ridge policy predicts what the prior says; a counting one has heard each call once; a pacer has a price."""
    log, _ = called(make_stream(rows=400), np.random.default_rng(4), skew=1.0)
    table = reward_table(accuracy, log)
    prior = warm.fit(log, table)
    state = warm.start(bandits.POLICIES["linucb"](4, 6), prior).init(jax.random.key(0))
    want = prior.weight["reward"] @ log.context[3]
    np.testing.assert_allclose(estimate(state, log.context[3]).mean, want, rtol=1e-4)
    counts = warm.hear(bandits.POLICIES["ucb1"](4, 6), log, table, 0.2).init(jax.random.key(0))
    assert counts.pulls.tolist() == log.answered.tolist()
    paced = budget.held(bandits.linucb(4, 6), log, pacing="primal_dual")
    past = warm.start(paced, prior).init(jax.random.key(0)).pacer.past
    spend = np.asarray(past.spend)[:, 0]  # a dearer price never spends more: the log has a choice
    assert (np.diff(spend) <= 1e-6).all() and spend[-1] < spend[0]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a table of 300 queries with questions and a log of one call for each of 100 of them."""
    monkeypatch.chdir(tmp_path)
    plain = make_stream(rows=300, arms=3).outcomes
    question = np.array([f"question {i} of kind {i % 7}" for i in range(300)], object)
    write(replace(plain, question=question), "table.parquet")
    rows, arm = np.arange(100), np.arange(100) % 3
    frame = pd.DataFrame(
        {"query_id": plain.query_id[rows], "question": question[rows], "model": np.array(plain.models)[arm],
         "utility": plain.utility[rows, arm], "cost": plain.cost[rows, arm], "propensity": 1 / 3}
    )  # fmt: skip
    frame.to_csv("log.csv", index=False)
    return tmp_path


def command(monkeypatch: Any, capsys: Any, *options: str) -> tuple[int, str]:
    given = ["--policy", "linucb", "--data", "table.parquet", "--seeds", "2", "--out", "run", *options]
    monkeypatch.setattr("sys.argv", ["simulate.py", *given])
    with pytest.raises(SystemExit) as left:
        simulate.main()
    return int(left.value.code or 0), capsys.readouterr().err


def test_a_log_of_the_streams_queries_sets_them_aside(files: Path, monkeypatch: Any, capsys: Any) -> None:
    code, err = command(monkeypatch, capsys, "--warm-start", "log.csv")
    assert code == 0, err
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["rounds"] == 200
    assert any("its 100 queries are not evaluated" in note for note in manifest["notes"])
    stream = load(data="table.parquet")
    log, rest = logged.beside(stream, "log.csv")
    assert not set(log.outcomes.query_id) & set(rest.outcomes.query_id)
    np.testing.assert_array_equal(log.context, stream.context[:100])
    assert rest.cost_scale == stream.cost_scale == log.cost_scale
    np.testing.assert_allclose(log.chance, 1 / 3)


def test_a_log_of_other_queries_goes_through_the_streams_pipeline(files: Path) -> None:
    frame = pd.read_csv("log.csv").assign(query_id=[f"other{i}" for i in range(100)])
    frame.loc[0, "query_id"] = "q0"  # one is evaluated: it leaves the log
    frame.drop(columns="propensity").to_csv("other.csv", index=False)
    stream = load(data="table.parquet")
    log, rest = logged.beside(stream, "other.csv")
    assert len(log) == 99 and len(rest) == 300
    np.testing.assert_allclose(log.context, stream.context[1:100], atol=2e-5)
    assert np.isnan(log.chance).all()
    assert "1 calls that are evaluated too were left out" in rest.notes[-1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda f: f.assign(propensity=0),
            "row 1, column 'propensity' needs a probability in (0, 1], found 0",
        ),
        (lambda f: f.assign(propensity=1.5), "needs a probability in (0, 1], found 1.5"),
        (lambda f: f.assign(model="a"), "needs calls of at least 2 models, found 1"),
        (lambda f: f.assign(model=f.model.replace("model-2", "z")), "it lacks model-2"),
        (lambda f: f.drop(columns="cost"), "needs costs where the stream has them"),
        (lambda f: f.assign(cost=[np.nan, *f.cost[1:]]), "row 1 needs a cost, as other rows have one"),
        (lambda f: f.assign(utility=np.nan), "no score recorded"),
    ],
)
def test_a_bad_log_is_one_line(files: Path, monkeypatch: Any, capsys: Any, change: Any, says: str) -> None:
    change(pd.read_csv("log.csv")).to_csv("log.csv", index=False)
    code, err = command(monkeypatch, capsys, "--warm-start", "log.csv")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not Path("run").exists()


def test_a_log_of_every_query_leaves_nothing(files: Path, monkeypatch: Any, capsys: Any) -> None:
    frame = pd.read_csv("log.csv")
    stream = load(data="table.parquet")
    whole = pd.concat([frame, frame, frame]).assign(
        query_id=stream.query_id, question=stream.outcomes.question
    )
    whole.to_csv("log.csv", index=False)
    code, err = command(monkeypatch, capsys, "--warm-start", "log.csv")
    assert code == 2 and "needs to leave queries to evaluate; it has all 300 of them" in err

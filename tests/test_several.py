"""Runs with several calls a query: from options to tables, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bandits.experiment import sequences, several
from bandits.experiment.ask import Ask
from bandits.experiment.play import finish
from bandits.metrics import judges
from bandits.sequential import chains, frugal
from bandits.sequential.chains import Chain, Judged
from envs import judges as simulated
from envs import load
from envs.calls import Answers, vote
from simulate import answer
from tests.conftest import make_stream

COUNT, SEEDS = 120, 2
CHAIN = "cascade,order=small>large>huge,thresholds=0.7>0.6"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide table of three models with a judge in logarithms, predictions and the cost of judging."""
    rng, frame = np.random.default_rng(0), {"id": [f"q{i}" for i in range(COUNT)], "dataset": ["d"] * COUNT}
    frame["split"] = np.where(np.arange(COUNT) < 40, "train", "test")
    for k, model in enumerate(("small", "large", "huge")):
        right = rng.random(COUNT) < 0.5 + 0.15 * k
        frame[f"{model}_correct"] = right * 1
        frame[f"{model}_cost"] = rng.uniform(1, 2, COUNT).round(3) * 4**k
        frame[f"{model}_conf"] = np.log(np.clip(0.4 * right + 0.6 * rng.random(COUNT), 1e-3, 1)).round(5)
        frame[f"{model}_judge_cost"] = 0.25
        frame[f"{model}_prediction"] = np.where(right, "A", rng.choice(["B", "C"], COUNT))
    path = tmp_path_factory.mktemp("several") / "judged.csv"
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def played(path: Path, *policies: str, **given):
    ask = Ask(policies, seeds=SEEDS, calls=3, preference="0.1", **given)
    stream = several.judged(load(data=str(path)), ask, str(path))
    return stream, next(finish(stream, ask))


def test_a_cascade_in_a_run_is_the_chain_on_the_table(table: Path) -> None:
    """Calls, accuracy and cost of the run are those of the offline chain; single-call policies make one call."""
    stream, run = played(table, CHAIN, "always,model=large")
    judged = Judged(stream.utility, stream.cost + 0.25, stream.several.scores)
    ran = chains.play(judged, Chain((0, 1, 2), (0.7, 0.6)))
    trace = run.traces[CHAIN]
    np.testing.assert_allclose(run.stream.utility[trace.order, trace.arms], ran.utility[trace.order])
    np.testing.assert_allclose(run.stream.cost[trace.order, trace.arms], ran.cost[trace.order])
    (row,) = run.calls
    assert row["calls"] == pytest.approx(ran.calls.mean())
    assert [row[f"stopped_{m}"] for m in (1, 2, 3)] == pytest.approx(
        [(ran.calls == m).mean() for m in (1, 2, 3)]
    )
    assert sum(row[f"added_{m}"] for m in (1, 2, 3)) == pytest.approx(ran.utility.mean())
    assert row["paid"] == pytest.approx(ran.cost.mean())
    learned = np.arange(COUNT) < 40
    assert row["promised"] == pytest.approx(ran.cost[learned].mean())
    assert row["paid_test"] == pytest.approx(ran.cost[~learned].mean())
    assert row["over_promise"] == pytest.approx(row["paid_test"] / row["promised"] - 1)
    assert (run.traces["always,model=large"].arms == 1).all()
    arms = np.full((SEEDS, COUNT, 3), -1)
    arms[:, ::2, 0] = 0  # half of the queries go unanswered: they count for no cost
    told = sequences.as_sequences(
        stream, {CHAIN: trace._replace(arms=arms)}, run.judged.worth, run.judged.preference
    ).calls[0]
    rows = trace.order[:, ::2].ravel()
    assert told["promised"] == pytest.approx(judged.cost[rows[learned[rows]], 0].mean())
    assert told["paid_test"] == pytest.approx(judged.cost[rows[~learned[rows]], 0].mean())
    assert run.stream.models[:3] == ("small", "large", "huge")
    assert set(run.stream.models[3:]) == {"small (judged)", "small>large", "small>large>huge"}
    assert run.table[:, 1] == pytest.approx(
        stream.utility[:, 1] - 0.1 * stream.cost[:, 1] / stream.cost_scale
    )


def test_a_room_and_a_vote(table: Path) -> None:
    """Of three answers the majority's is delivered; a query's own limit ends its calls."""
    stream, run = played(table, "cascade,order=small>large>huge,thresholds=2>2", deliver="vote")
    trace = run.traces["cascade,order=small>large>huge,thresholds=2>2"]
    votes, right = stream.several.votes, stream.utility
    for row in range(COUNT):
        most = max(range(3), key=lambda k: ((votes[row] == votes[row, k]).sum(), -k))
        column = run.stream.models.index("small>large>huge")
        assert run.stream.utility[row, column] == right[row, most]
    assert (trace.arms == run.stream.models.index("small>large>huge")).all()
    stream, run = played(table, "cascade,order=small>large>huge,thresholds=2>2", within_query="cost=7.5")
    spent = (stream.cost + 0.25)[:, :2].sum(axis=1)
    expected = np.where(spent >= 7.5, 2, 3)
    assert run.calls[0]["calls"] == pytest.approx(expected.mean())
    assert 2 < run.calls[0]["calls"] < 3


def test_votes_by_hand() -> None:
    answers = Answers(np.array([0.0, 1.0, 0.5]), np.ones((3, 1)), np.array([4, 7, 7]))
    assert vote(np.array([0, 1, 2]), None, answers)[:2] == (1.0, [3.0])
    assert vote(np.array([0, 1, -1]), None, answers)[:2] == (0.0, [2.0])
    none = answers._replace(votes=np.array([-1, -1, -1]))
    assert vote(np.array([1, 0, -1]), None, none)[:2] == (1.0, [2.0])


@pytest.mark.parametrize("auc", [0.35, 0.5, 0.8, 0.95])
def test_a_simulated_judge_has_the_quality_that_is_stated(auc: float) -> None:
    """Its AUC, by ranks, and its probabilities hold; an AUC below 1/2 misleads."""
    utility = (np.random.default_rng(1).random((40_000, 2)) < [0.3, 0.8]) * 1.0
    score = simulated.simulated(simulated.parse(f"auc={auc}"), utility, ("a", "b"), seed=4)
    for k in range(2):
        found = judges.quality(score[:, k], utility[:, k])
        assert found.auroc == pytest.approx(auc, abs=0.01)
        assert found.calibration < (0.015 if auc >= 0.5 else 1.0)
    if auc < 0.5:
        assert judges.quality(score[:, 0], utility[:, 0]).calibration > 0.05
    several_ = simulated.simulated(simulated.parse("auc=0.6/0.9"), utility, ("a", "b"), seed=4)
    assert judges.auroc(several_[:, 1], utility[:, 1]) == pytest.approx(0.9, abs=0.01)


def test_the_command_ends_in_a_summary_with_calls(table: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    with runner.isolation() as streams:
        code, message = answer(
            ["--data", str(table), "--policy", CHAIN, "--policy", "greedy", "--calls", "3", "--seeds", "2", "--out",
             str(tmp_path / "run")]
        )  # fmt: skip
        said = streams[0].getvalue().decode()
    assert (code, message) == (0, "")
    assert "auroc" in said and "stops %" in said and "paid" in said
    calls = pd.read_csv(tmp_path / "run" / "calls.csv")
    assert calls["policy"][calls["kind"] == "policy"].tolist() == [CHAIN] and 1 < calls["calls"][0] < 3
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["calls"] == 3 and "small>large" in manifest["models"]
    assert answer(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")])[0] == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--stream", "ocr", "--calls", "2"], "needs something to hear after the first"),
        (["--calls", "4"], "--calls needs 1 to 3, as many as there are models, got 4"),
        (["--judge", "auc=0.8"], "--judge needs --calls 2 or more"),
        (["--calls", "2", "--judge", "auc=1.5"], "--judge needs auc=A or auc=A/B"),
        (["--calls", "2", "--judge", "auc=0.5/0.6"], "--judge auc needs 1 number or 3, one for each model, got 2"),
        (["--calls", "2", "--judge-column", "cost"], "needs a probability in [0, 1], found"),
        (["--calls", "2", "--judge-column", "no"], "no column 'small_no'"),
        (["--calls", "2", "--judge", "auc=0.8", "--judge-column", "conf"], "give one of them"),
        (["--calls", "2", "--policy", CHAIN], "order names 3 models, --calls is 2"),
        (["--calls", "2", "--policy", "cascade,order=small>small,thresholds=0.5"], "names 'small' twice"),
        (["--calls", "2", "--judge-cost", "-1"], "--judge-cost needs a number >= 0, got -1"),
        (["--calls", "2", "--within-query", "dollars=1"], "--within-query needs cost=N"),
        (["--calls", "2", "--hard"], "--pacing and --hard need a --budget"),
        (["--calls", "2", "--fit", "warm"], "--fit warm needs a --warm-start"),
        (["--calls", "2", "--feedback", "full"], "--feedback full cannot be combined with --calls 2: the calls of"),
        (["--calls", "2", "--feedback", "dueling"], "--feedback dueling cannot be combined with --calls 2: a duel"),
        (["--calls", "2", "--parallel", "--within-query", "cost=3"], "--within-query cannot be combined with --para"),
        (["--calls", "0"], "--calls needs 1 to 3, as many as there are models, got 0"),
        (["--calls", "2", "--abstain", "2"], "--abstain needs a score of the judge from 0 to 1, got 2"),
        (["--abstain", "0.5"], "--abstain needs --calls 2 or more"),
        (["--parallel"], "--parallel needs --calls 2 or more"),
        (["--calls", "3", "--policy", CHAIN, "--budget", "10%", "--pacing", "lp"], "needs a policy with an index"),
        (["--calls", "2", "--policy", "cascade,order=small>none,thresholds=0.5"], "no model 'none'"),
        (["--calls", "2", "--policy", "cascade,order=small>large"], "cascade of 2 models needs 1 thresholds"),
        (["--calls", "3", "--policy", f"restart({CHAIN})"], "may call again for a query"),
        (["--policy", CHAIN], "may call again for a query: it needs a run with --calls 2 or more"),
    ],
)  # fmt: skip
def test_refusals_are_one_line(given: list[str], message: str, table: Path, tmp_path: Path) -> None:
    data = [] if "--stream" in given else ["--data", str(table)]
    policy = [] if "--policy" in given else ["--policy", "greedy"]
    code, said = answer(
        [*data, *policy, *given, "--seeds", "2", "--rounds", "20", "--out", str(tmp_path / "x")]
    )
    assert code == 2 and message in said and "\n" not in said
    assert not (tmp_path / "x").exists()


def test_a_vote_without_predictions_is_refused(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame = frame.drop(columns=[c for c in frame if c.endswith("_prediction")])
    frame.to_csv(tmp_path / "bare.csv", index=False)
    code, said = answer(
        ["--data", str(tmp_path / "bare.csv"), "--policy", "greedy", "--calls", "2", "--deliver", "vote"]
    )
    assert code == 2 and "--deliver vote needs the models' answers" in said
    frame.loc[7, "large_conf"] = 0.5
    frame.to_csv(tmp_path / "bare.csv", index=False)
    code, said = answer(["--data", str(tmp_path / "bare.csv"), "--policy", "greedy", "--calls", "2"])
    assert code == 2 and "row 8, column 'large_conf' needs log-probabilities <= 0" in said


@pytest.mark.parametrize("ending", ["judge_cost", "prediction"])
def test_a_model_without_a_column_that_others_have_is_named(ending: str, table: Path, tmp_path: Path) -> None:
    pd.read_csv(table).drop(columns=f"huge_{ending}").to_csv(tmp_path / "part.csv", index=False)
    code, said = answer(["--data", str(tmp_path / "part.csv"), "--policy", "greedy", "--calls", "2"])
    assert code == 2 and f"needs a column huge_{ending} too, found none" in said and "\n" not in said


def test_graded_answers_take_noise_not_auc() -> None:
    stream = make_stream(rows=30)
    utility = np.where(stream.utility == 1, 0.7, 0.0)
    with pytest.raises(ValueError, match=r"needs answers that are right or wrong, model '.*' has 0.7"):
        simulated.simulated(simulated.parse("auc=0.8"), utility, stream.models)
    score = simulated.simulated(simulated.parse("noise=0.1"), utility, stream.models)
    assert ((score >= 0) & (score <= 1)).all() and np.corrcoef(score.ravel(), utility.ravel())[0, 1] > 0.9


def test_a_policy_fitted_on_the_tables_own_split(table: Path, tmp_path: Path) -> None:
    """`--warm-start split`: fitted on what the table calls train, played on the rows that it calls test."""
    spec = "frugal,length=2,budget=0.9,points=6"
    stream, run = played(table, spec, "always,model=huge", warm_start="split")
    learn = np.arange(COUNT) < 40
    judged = Judged(stream.utility, stream.cost + 0.25, np.float32(stream.several.scores).astype(float))
    limit = 0.9 * judged.cost[learn].mean(axis=0).max()
    chain, _ = frugal.search(judged.take(learn), limit, length=2, points=6)
    ran = chains.play(judged.take(~learn), chain)
    (row,) = (row for row in run.calls if row["policy"] == spec)
    assert row["calls"] == pytest.approx(ran.calls.mean()) and row["paid"] == pytest.approx(ran.cost.mean())
    assert run.traces[spec].order.shape == (SEEDS, COUNT - 40)
    frame = pd.read_csv(table).drop(columns="split")
    frame.to_csv(tmp_path / "bare.csv", index=False)
    given = ["--data", str(tmp_path / "bare.csv"), "--policy", spec, "--calls", "2", "--warm-start", "split"]
    code, said = answer([*given, "--out", str(tmp_path / "x")])
    assert code == 2 and "--warm-start split needs --calls and a table with a column split" in said
    code, said = answer([*given[:-2], "--out", str(tmp_path / "x")])
    assert (
        code == 2
        and "frugal needs logged outcomes to be fitted on, got none; give --warm-start SHARE" in said
    )

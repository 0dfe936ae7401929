"""Outcomes that are never heard, another judge's utilities, and what both cost a policy against itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits.experiment import worlds
from bandits.experiment.lineup import Posed, lineup, run
from bandits.rewards import accuracy, linear, reward_table
from bandits.sweeps.scenarios import MARGIN, OWN, compare, survivors
from envs.stream import Stream
from simulate import answer

PLAYED = {"seeds": 3, "seed": 2, "rounds": 150}


def table_of(stream: Stream, path: Path, utility: np.ndarray) -> str:
    """Write a wide table with these utilities."""
    frame = pd.DataFrame({"query_id": stream.query_id, "dataset": stream.dataset})
    for k, name in enumerate(stream.models):
        frame[f"{name}_score"], frame[f"{name}_cost"] = utility[:, k], stream.cost[:, k]
    frame.to_csv(path, index=False)
    return str(path)


def test_a_censored_policy_learns_from_what_is_heard_and_from_nothing_else(known: Stream) -> None:
    """LinUCB of one ridge a model, in a plain float64 loop that skips what is not heard."""
    world = worlds.changed(known, ("censor,share=0.6,when=right",), **PLAYED)
    silent = world.world.silent
    assert not silent[world.utility < 0.5].any() and 0.5 < silent[world.utility >= 0.5].mean() < 0.7
    table = reward_table(linear, world, 0.2)
    told = worlds.heard(world, table, linear, 0.2)
    assert np.array_equal(np.isnan(told[1]), silent)
    policy = lineup(world, ["linucb,alpha=0.5,prior=0"], linear)
    [trace] = run(world, policy, {"one": Posed(table, told, 0.2)}, **PLAYED)["one"].values()
    k, d = known.n_arms, known.dim
    for s in range(3):
        a, b = np.stack([np.eye(d)] * k), np.zeros((k, d))
        for t in range(150):
            row = trace.order[s, t]
            x = world.context[row].astype(float)
            inverse = np.linalg.inv(a)
            index = (inverse @ b[..., None])[..., 0] @ x
            index += 0.5 * np.sqrt(np.einsum("i,kij,j->k", x, inverse, x))
            arm = trace.arms[s, t]
            assert index[arm] >= index.max() - 1e-4 * abs(index.max())
            if not silent[row, arm]:
                a[arm] += np.outer(x, x)
                b[arm] += table[row, arm] * x


def test_censoring_changes_nothing_else_and_all_of_it_leaves_the_first_model(known: Stream) -> None:
    world = worlds.changed(known, ("censor,model=model-1,share=1,at=0.5",), **PLAYED)
    late = np.tile(np.arange(150) >= 75, 3)
    assert np.array_equal(world.world.silent, late[:, None] & (np.arange(known.n_arms) == 1))
    assert np.array_equal(world.utility, known.utility[world.world.row])
    mute = worlds.changed(known, ("censor,share=1",), **PLAYED)
    table = reward_table(accuracy, mute)
    told = worlds.heard(mute, table, accuracy, 0.2)
    built = lineup(mute, ["linucb"], accuracy)
    [trace] = run(mute, built, {"one": Posed(table, told, 0.2)}, **PLAYED)["one"].values()
    first = lineup(known, ["linucb"], accuracy)["linucb"]
    assert first is built["linucb"] and len(np.unique(trace.arms)) == 1  # all estimates stay what they were


def test_another_judge_is_heard_while_the_first_one_is_the_truth(known: Stream, tmp_path: Path) -> None:
    other = 1 - known.utility
    other[0] = np.nan
    path = table_of(known, tmp_path / "other.csv", other)
    world = worlds.changed(known, (f"judge,file={path},at=0.5",), **PLAYED)
    row, late = world.world.row, np.tile(np.arange(150) >= 75, 3)
    want = np.where((late & (row != 0))[:, None], 1 - known.utility[row], known.utility[row])
    np.testing.assert_array_equal(world.world.judged, want)
    np.testing.assert_array_equal(world.world.silent, np.tile((late & (row == 0))[:, None], known.n_arms))
    np.testing.assert_array_equal(world.utility, known.utility[row])
    strange = replace(known.outcomes, query_id=np.array([f"z{i}" for i in range(len(known))], object))
    with pytest.raises(ValueError, match="needs the query ids of known, such as 'z0'"):
        worlds.changed(replace(known, outcomes=strange), (f"judge,file={path}",), **PLAYED)


def test_what_is_synthetic_or_unheard_is_said_of_the_stream(known: Stream, tmp_path: Path) -> None:
    path = table_of(known, tmp_path / "other.csv", known.utility)
    frame = pd.read_csv(path)
    frame[:-7].to_csv(path, index=False)
    changes = ["censor,share=0.5", "noise,sd=0.1", f"judge,file={path}", "arrive,merge=@best+@second"]
    label, notes = worlds.told(known, ["price-cut"], [*changes, "poison,model=@best"], **PLAYED)
    for said in ("which outcomes are unheard is", "the judge's errors are", "false reports are", ") is"):
        assert f"{said} synthetic" in label
    lacking = f"7 of {len(known)} queries are not in {path}: their outcomes go unheard"
    assert notes == (*known.notes, lacking)
    with pytest.raises(ValueError, match="'censor' twice"):
        worlds.told(known, [], ["censor", "censor"], **PLAYED)


def test_a_judge_on_another_scale_states_its_range_in_the_change(known: Stream, tmp_path: Path) -> None:
    path = table_of(known, tmp_path / "other.csv", 1 + 9 * known.utility)
    world = worlds.changed(known, (f"judge,file={path},low=1,high=10",), **PLAYED)
    np.testing.assert_allclose(world.world.judged, known.utility[world.world.row], atol=1e-12)
    with pytest.raises(ValueError, match="low=LOW,high=HIGH in the change") as told:
        worlds.changed(known, (f"judge,file={path}",), **PLAYED)
    assert "--scale" not in str(told.value)
    with pytest.raises(ValueError, match="low below high"):
        worlds.changed(known, (f"judge,file={path},low=3,high=1",), **PLAYED)


def test_what_a_user_types_is_refused_before_anything_is_played() -> None:
    given = ["scenarios", "--policy", "uniform", "--stream", "RealWorldQA", "--seeds", "1", "--rounds", "5"]
    for change, said in (("nosuch", "nosuch"), ("judge,file=nowhere.csv", "nowhere.csv")):
        code, message = answer([*given, "--change", change])
        assert code == 2 and said in message and "\n" not in message


def test_a_run_says_what_was_synthetic_in_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = ["--policy", "uniform", "--stream", "RealWorldQA", "--seeds", "1", "--rounds", "5"]
    code, _ = answer([*given, "--change", "poison,model=@best", "--out", str(tmp_path / "out")])
    assert code == 0 and "false reports are synthetic" in capsys.readouterr().err


def test_what_is_heard_costs_a_policy_against_itself(known: Stream) -> None:
    own = ["linucb", "always,model=model-3"]
    given = {**PLAYED, "preference": 0.0, "rounds": 300}
    rows = compare(
        known,
        own,
        linear,
        scenarios=["stationary"],
        changes=["noise,sensitivity=0.1,specificity=0.1"],
        **given,
    )
    clean, _, lied, fixed = rows
    assert "own" not in clean and fixed["own"] == 0.0 and fixed["survives"]
    assert lied["own"] == pytest.approx(lied["regret"] - clean["regret"])
    assert lied["own_verdict"] == OWN[0] and not lied["survives"] and lied["own_lo"] > MARGIN * 300
    assert "survived by always,model=model-3; shown to cost regret: linucb" in survivors(rows)
    assert survivors(rows[:2]) == ""


def test_judges_that_disagree_on_recorded_answers(shared: Path, tmp_path: Path) -> None:
    place = shared / "outcomes"
    given = [
        "scenarios",
        "--data",
        str(place / "judge_r1.csv.gz"),
        "--policy",
        "linucb,alpha=0.3,prior=1",
        "-q",
    ]
    given += [
        "--change",
        f"judge,file={place / 'judge_gpt_mini.csv.gz'}",
        "--preference",
        "0.02",
        "--seeds",
        "3",
    ]
    assert answer([*given, "--out", str(tmp_path)]) == (0, "")
    frame = pd.read_csv(tmp_path / "scenarios.csv")
    clean, other = frame["regret"]
    assert frame["own"][1] == pytest.approx(other - clean) and clean < other
    both = [pd.read_csv(place / f"judge_{name}.csv.gz").filter(like="_score") for name in ("r1", "gpt_mini")]
    assert stats.pearsonr(*(b.to_numpy().ravel() for b in both))[0] == pytest.approx(0.691, abs=5e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("censor,share=1.2", "needs share in [0, 1]"),
        ("censor,when=late", "when=any, right, wrong, got 0.5 and late"),
        ("censor,model=nothing", "no model 'nothing'"),
        ("judge,file=nowhere.csv", "nowhere.csv"),
        ("judge", "file"),
    ],
)
def test_what_cannot_be_heard_is_said_in_one_line(change: str, said: str) -> None:
    given = [
        "--policy",
        "uniform",
        "--stream",
        "RealWorldQA",
        "--rounds",
        "5",
        "--seeds",
        "1",
        "--change",
        change,
    ]
    code, message = answer(given)
    assert code == 2 and said in message and "\n" not in message


def test_several_calls_a_query_and_what_is_never_heard_do_not_go_together() -> None:
    given = ["--policy", "pandora", "--calls", "2", "--judge", "auc=0.8", "--stream", "RealWorldQA"]
    code, said = answer([*given, "--rounds", "5", "--seeds", "1", "--change", "censor,share=0.5"])
    assert code == 2 and "they go without outcomes that are never heard" in said and "\n" not in said

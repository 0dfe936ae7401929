"""Finished runs put together from their files alone: the same numbers as one run, and a refusal where they differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bandits.experiment import ask as runs
from bandits.experiment.play import finish
from bandits.folders import read as compare
from bandits.folders import write as artefacts
from bandits.results.differences import scores
from simulate import cli
from tests.conftest import make_stream

KNOWN = {"command": "simulate.py", "context": {"dim": 32}, "data": "made", "seconds": 1.0}


def finished(folder: Path, *policies: str, rows: int = 300, **asked: object) -> Path:
    """Run and publish; seven seeds, 200 rounds."""
    ask = runs.Ask(policies=policies, **{"seeds": 7, "rounds": 200, **asked})  # type: ignore[arg-type]
    for run in finish(make_stream(rows=rows), ask):
        artefacts.publish(folder, run, ask, KNOWN)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("runs")
    return {
        "both": finished(place / "both", "ucb1", "uniform"),
        "one": finished(place / "one", "ucb1"),
        "other": finished(place / "other", "uniform"),
        "dear": finished(place / "dear", "ucb1", preference="1"),
    }


def test_one_run_is_rebuilt_to_the_byte(made) -> None:
    assert compare.page([made["both"]]) == (made["both"] / "report.html").read_text(encoding="utf-8")


def test_two_runs_are_as_one_with_all_policies(made) -> None:
    """The policies met the same queries, so it does not matter that they were run one after the other."""
    merged = compare.merge([compare.read(made[name]) for name in ("one", "other")])
    whole = compare.read(made["both"])
    assert merged.summary["policy"].tolist() == whole.summary["policy"].tolist()
    numbers = whole.summary.select_dtypes("number").columns
    pd.testing.assert_frame_equal(merged.summary[numbers], whole.summary[numbers], rtol=1e-9, atol=1e-9)
    assert merged.manifest["policies"] == ["ucb1", "uniform"] and merged.manifest["comparable"]
    assert "2 runs on known" in compare.page([made["one"], made["other"]])


def test_a_policy_of_two_runs_is_named_by_what_sets_them_apart(made) -> None:
    merged = compare.merge([compare.read(made[name]) for name in ("one", "dear")])
    policies = merged.summary.loc[merged.summary["kind"] == "policy", "policy"].tolist()
    assert policies == ["ucb1 [preference=0.2]", "ucb1 [preference=1]"]
    assert merged.summary["lag"].isna().all() and not merged.manifest["comparable"]
    oracles = merged.summary.set_index("policy").filter(like="oracle", axis=0)["regret_oracle"]
    assert list(oracles.index) == ["oracle [preference=0.2]", "oracle [preference=1]"]
    page = compare.page([made["one"], made["dear"]])
    assert "so accuracy and cost are what can be compared" in page and "ucb1, all runs" in page


def test_the_same_settings_twice_are_named_by_folder(made) -> None:
    merged = compare.merge([compare.read(made[name]) for name in ("one", "both")])
    policies = merged.summary.loc[merged.summary["kind"] == "policy", "policy"].tolist()
    assert policies == [f"ucb1 [{made['one']}]", f"ucb1 [{made['both']}]", "uniform"]
    rewards = merged.summary.set_index("policy")["reward_mean"]
    assert rewards[policies[0]] == rewards[policies[1]]  # the same seeds: the same run


def test_a_difference_is_paired_with_the_same_policy_or_with_the_best(made) -> None:
    frame = compare.difference(compare.read(made["one"]), compare.read(made["both"]))
    assert frame["measure"].unique().tolist() == ["reward", "accuracy", "cost"]
    reward = frame[frame["measure"] == "reward"].set_index("policy")
    assert reward.loc["ucb1 [second]", "against"] == "ucb1 [first]"
    assert reward.loc["ucb1 [second]", "difference"] == 0 and not reward.loc["ucb1 [second]", "shown"]
    assert reward.loc["uniform", "against"] == "ucb1 [first]"
    got = [scores(compare.read(made[name]).by_dataset) for name in ("both", "one")]
    gap = got[0].of("reward", "uniform")[:, 0] - got[1].of("reward", "ucb1")[:, 0]
    assert reward.loc["uniform", "difference"] == pytest.approx(gap.mean())
    every = compare.difference(compare.read(made["one"]), compare.read(made["both"]), datasets=True)
    assert len(every) == 4 * len(frame)  # three datasets, and all together


def test_rewards_that_differ_in_kind_are_not_subtracted(made) -> None:
    frame = compare.difference(compare.read(made["one"]), compare.read(made["dear"]))
    assert frame["measure"].tolist() == ["accuracy", "cost"]


def test_runs_on_other_queries_are_refused(made, tmp_path) -> None:
    first = compare.read(made["one"])
    with pytest.raises(ValueError, match=r"same table and stream to be compared; .*one is on 'known'"):
        compare.merge([first, compare.read(finished(tmp_path / "rows", "ucb1", rows=301))])
    with pytest.raises(ValueError, match=r"same seed to be compared; .* has 0, .* has 5"):
        compare.merge([first, compare.read(finished(tmp_path / "seed", "ucb1", seed=5))])
    with pytest.raises(ValueError, match="at least one finished run"):
        compare.merge([])


def test_a_folder_that_is_no_run_is_refused_in_one_line(made, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"finished run; it has no manifest\.json"):
        compare.read(tmp_path)
    manifest = json.loads((made["one"] / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"it has no summary\.csv"):
        compare.read(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="needs to be the folder of a finished run"):
        compare.read(tmp_path)


def test_names_that_look_like_numbers_or_missing_values_survive_the_files(made, tmp_path) -> None:
    run = compare.read(made["one"])
    renamed = run.by_dataset.assign(
        dataset=run.by_dataset["dataset"].map({"topic0": "7", "topic1": "NA"}.get)
    )
    tables = {"summary": run.summary, "curves": run.curves, "by_dataset": renamed.dropna(subset="dataset")}
    for name, frame in tables.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "manifest.json").write_text(json.dumps(dict(run.manifest)))
    assert set(compare.read(tmp_path).by_dataset["dataset"]) == {"7", "NA"}
    assert np.isfinite(compare.read(tmp_path).summary["reward_mean"]).all()


def test_the_commands_report_and_diff(made, tmp_path) -> None:
    target = tmp_path / "page.html"
    done = CliRunner().invoke(cli, ["report", str(made["one"]), str(made["other"]), "--out", str(target)])
    assert done.exit_code == 0 and done.output == f"report: {target}\n"
    assert "2 runs on known" in target.read_text(encoding="utf-8")
    done = CliRunner().invoke(cli, ["diff", str(made["one"]), str(made["dear"]), "--format", "csv"])
    assert done.exit_code == 0
    assert done.output.splitlines()[0] == (
        "policy,against,dataset,measure,difference,lo,hi,queries_lo,queries_hi,p,p_holm,queries,shown,why"
    )
    assert done.output.splitlines()[1].startswith(
        "ucb1 [preference=1],ucb1 [preference=0.2],all datasets,accuracy"
    )

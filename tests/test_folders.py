"""Is anything of the user's ever deleted or executed, and does damage in a run's folder end in one line?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import simulate
from envs.tables import formats
from tests.conftest import make_stream

SMALL = ("--seeds", "2", "--dim", "4", "--policy", "linucb")


def run(*words: object) -> BaseException | None:
    """Run a command in this process, and return what it raised."""
    return CliRunner().invoke(simulate.cli, [str(word) for word in words]).exception


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    formats.write(make_stream(rows=80).outcomes, str(path))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "done"
    assert run(*SMALL, "--data", table, "--out", folder) is None
    return folder


def test_a_foreign_manifest_is_no_earlier_run(table, tmp_path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "important.txt").write_text("x")
    error = run(*SMALL, "--data", table, "--out", tmp_path)
    assert isinstance(error, ValueError) and "holds other files" in str(error)
    assert {p.name for p in tmp_path.iterdir()} == {"manifest.json", "important.txt"}


def test_notes_stay_and_a_dot_a_slash_and_a_link_work(table, done, tmp_path, monkeypatch) -> None:
    place = tmp_path / "real"
    shutil.copytree(done, place)
    (place / "notes.txt").write_text("mine")
    (place / "sub").mkdir()
    (tmp_path / "link").symlink_to(place)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    monkeypatch.chdir(place)
    for out in (".", f"{place}/", tmp_path / "link", tmp_path / "dangling"):
        assert run(*SMALL, "--data", table, "--out", out) is None
        assert Path("notes.txt").read_text() == "mine" and Path("sub").is_dir()
        assert Path("summary.csv").read_text() == (done / "summary.csv").read_text()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "new" / "summary.csv").is_file()
    (tmp_path / "file").symlink_to(place / "notes.txt")
    for out in (tmp_path / "file", place / "notes.txt" / "below"):
        assert isinstance(run(*SMALL, "--data", table, "--out", out), ValueError)


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--stream", "topic1"),
        ("--warm-start", "50%"),
        ("--preference", "0.7"),
        ("--budget", "50%", "--pacing", "primal_dual"),
    ],
)
def test_the_summary_follows_from_the_trace_and_the_file_alone(table, tmp_path, more) -> None:
    """Plain NumPy on the file's own columns: reward u - preference c / scale, scale the dearest model's mean cost."""
    place = tmp_path / "run"
    assert run(*SMALL, "--data", table, *more, "--out", place) is None
    calls, file = pq.read_table(place / "trace.parquet").to_pandas(), pd.read_csv(table)
    models = [f"model-{k}" for k in range(4)]
    utility, cost = (file[[f"{m}{end}" for m in models]].to_numpy() for end in _ends(file))
    assert (file["query_id"].to_numpy()[calls["file_row"]] == calls["query_id"]).all()
    rows = np.unique(calls["file_row"])
    if "--warm-start" in more:
        split = pd.read_csv(place / "split.csv")
        assert len(split) == 80 and set(split["file_row"][split["part"] == "evaluated"]) == set(rows)
    preference = 0.7 if "0.7" in more else 0.2
    worth = utility - preference * cost / cost[rows].mean(axis=0).max()
    row, arm = calls["file_row"].to_numpy(), calls["arm"].to_numpy()
    called = arm >= 0
    got = {n: np.where(called, s[row, arm], 0.0) for n, s in (("r", worth), ("u", utility), ("c", cost))}
    summary = pd.read_csv(place / "summary.csv").set_index("policy").loc["linucb"]
    assert summary.reward_mean == pytest.approx(got["r"].mean())
    assert summary.accuracy == pytest.approx(got["u"].mean())
    assert summary.cost_mean == pytest.approx(got["c"].mean())
    assert summary.cost_total == pytest.approx(got["c"].sum() / 2)
    if "--budget" not in more:
        assert summary.regret_oracle == pytest.approx((worth[row].max(axis=1) - got["r"]).sum() / 2)


def _ends(file: pd.DataFrame) -> tuple[str, str]:
    """Return what follows a model's name in the columns of utility and of cost."""
    ends = [c.removeprefix("model-0") for c in file.columns if c.startswith("model-0")]
    return next(e for e in ends if "cost" not in e), next(e for e in ends if "cost" in e)


def test_a_list_of_budgets_with_uniform_is_one_report(table, tmp_path) -> None:
    words = (
        "--seeds",
        2,
        "--policy",
        "uniform",
        "--policy",
        "linucb",
        "--budget",
        "30%,60%",
        "--data",
        table,
    )
    assert run(*words, "--out", tmp_path / "many") is None
    page = (tmp_path / "many/report.html").read_text()
    # The leader over both runs is compared with what is chosen at random within its own budget.
    reward = {
        name: pd.read_csv(tmp_path / "many" / name / "summary.csv").set_index("policy")["reward_mean"]
        for name in ("budget=30%", "budget=60%")
    }
    best = max(reward.values(), key=lambda mean: mean["linucb"])
    gaps = [best["linucb"] - mean["uniform"] for mean in reward.values()]
    assert abs(gaps[0] - gaps[1]) > 0.001
    own = best["linucb"] - best["uniform"]
    assert f"choosing at random: {own:.4f} reward a query" in " ".join(page.split())


def test_a_run_without_a_random_policy_keeps_its_own_reference(table, tmp_path) -> None:
    """One run plays uniform within a budget, the other has it as an unlimited reference: neither stands for both."""
    plain = (*SMALL, "--data", table)
    assert run(*plain, "--policy", "uniform", "--budget", "30%", "--out", tmp_path / "paced") is None
    assert run(*plain, "--out", tmp_path / "free") is None
    from bandits.folders import read as compare
    from bandits.report import styles

    merged = compare.merge([compare.read(tmp_path / name) for name in ("paced", "free")]).summary
    rows = merged.to_dict("records")
    leader = {r["run"]: r for r in rows if str(r["policy"]).startswith("linucb")}
    for folder in ("paced", "free"):
        alone = compare.read(tmp_path / folder).summary.set_index("policy")
        mine = next(r for r in leader.values() if r["reward_mean"] == alone.loc["linucb", "reward_mean"])
        reference = styles.own(rows, "uniform", mine)
        assert reference is not None and reference["reward_mean"] == alone.loc["uniform", "reward_mean"]


def test_nothing_that_a_manifest_names_is_executed(done, tmp_path) -> None:
    evil, marker, place = tmp_path / "evil.py", tmp_path / "marker", tmp_path / "run"
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    evil.write_text(f"{code}def f(outcome, preference): return outcome.utility\n")
    shutil.copytree(done, place)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["reward"] = f"{evil}:f"
    manifest["policies"].append(f"{evil}:f")
    (place / "manifest.json").write_text(json.dumps(manifest))
    words = ("--out", tmp_path / "p.npz")
    assert "give --reward" in str(run("export", place, "--policy", "linucb", *words))
    assert isinstance(run("export", place, "--policy", f"{evil}:f", *words), ValueError)
    run("report", place, "--out", tmp_path / "r.html")
    run("diff", place, done)
    assert not marker.exists()
    assert run("export", place, "--policy", "linucb", "--reward", f"{evil}:f", *words) is None
    assert marker.exists()  # asked for by name, it is

"""The command: what it prints and writes, and one line with exit code 2 for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import simulate
from bandits.loop.replay import Trace
from bandits.metrics.regret import cumulative_regret
from bandits.rewards import linear, preferences, reward_table
from envs import load, write
from tests.conftest import make_stream

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call the command in-process, in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simulate.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            simulate.main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


@pytest.fixture
def table(tmp_path):
    """A small table on disk, 300 queries and 3 models, with costs."""
    path = tmp_path / "table.parquet"
    write(make_stream(rows=300, arms=3, features=2, seed=3).outcomes, path)
    return path


SMALL = ("--seeds", 3, "--rounds", 250)


def test_a_run_prints_a_summary_and_writes_its_files(run, table) -> None:
    code, out, err = run(
        "--policy", "linucb", "--policy", "uniform", "--data", table, *SMALL, "--out", "done"
    )
    assert code == 0 and "Traceback" not in err
    assert "linucb" in out and "best_fixed" in out and "done/report.html" in out
    assert "recorded answers" in err
    folder = Path("done")
    names = {"summary.csv", "curves.csv", "by_dataset.csv", "trace.parquet", "manifest.json", "report.html"}
    assert {p.name for p in folder.iterdir()} == names
    summary = pd.read_csv(folder / "summary.csv")
    needed = (
        "policy,stream,seeds,rounds,reward_mean,reward_lo,reward_hi,accuracy,cost_mean,cost_total,regret_oracle,"
        "regret_best_fixed,regret_best_per_dataset,regret_lo,regret_hi"
    )
    assert ",".join(summary.columns).startswith(needed + ",")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest["data"]["sha256"]) == 64 and manifest["seed"] == 0 and manifest["seeds"] == 3
    assert "jax" in manifest["versions"] and manifest["policies"] == ["linucb", "uniform"]


def test_the_summary_follows_from_the_trace(run, table) -> None:
    """Whoever has the trace and the table gets the summary's numbers: nothing is stored that cannot be recomputed."""
    assert run("--policy", "thompson", "--data", table, *SMALL, "--out", "done")[0] == 0
    calls = pq.read_table("done/trace.parquet").to_pandas()
    assert list(calls.columns) == ["policy", "seed", "round", "row", "arm"] and len(calls) == 3 * 250
    order, arms = (calls[c].to_numpy().reshape(3, 250) for c in ("row", "arm"))
    stream = load(str(table))
    worth = reward_table(linear, stream, 0.2)
    regret = cumulative_regret(worth, Trace(order, arms), "oracle")[:, -1].mean()
    row = pd.read_csv("done/summary.csv").set_index("policy").loc["thompson"]
    assert row.regret_oracle == pytest.approx(regret)
    assert row.accuracy == pytest.approx(stream.utility[order, arms].mean())
    assert row.cost_total == pytest.approx(stream.cost[order, arms].sum(axis=1).mean())


def test_formats_carry_the_same_numbers(run, table) -> None:
    given = ("--policy", "greedy", "--data", table, *SMALL)
    as_csv = run(*given, "--format", "csv")[1]
    as_json = run(*given, "--format", "json")[1]
    rows = json.loads(as_json)
    first = as_csv.splitlines()[1].split(",")
    assert first[0] == rows[0]["policy"] == "greedy"
    assert float(first[4]) == rows[0]["reward_mean"]


def test_the_default_folder_is_named_after_the_stream_and_a_rerun_replaces_it(run, table) -> None:
    for seed in (0, 1):
        assert run("--policy", "uniform", "--data", table, *SMALL, "--seed", seed)[0] == 0
        manifest = json.loads(Path("runs/table.parquet-all/manifest.json").read_text())
        assert manifest["seed"] == seed
    assert [p.name for p in Path("runs").iterdir()] == ["table.parquet-all"]


def test_own_policy_and_own_reward_need_no_registration(run, table) -> None:
    Path("mine.py").write_text(
        "import jax.numpy as jnp\nfrom bandits import Policy, choose\n\n"
        "def cheapest(n_arms, dim, *, tilt=1.0):\n"
        '    """Call the cheapest model by posted price."""\n'
        "    init = lambda key: jnp.zeros(())\n"
        "    act = lambda key, state, o: choose(-tilt * o.price, o.available)\n"
        "    update = lambda key, state, o, arm, heard: state\n"
        "    return Policy(init, act, update)\n\n"
        "def thrifty(outcome, preference, *, power=2.0):\n"
        "    return outcome.utility - preference * (outcome.cost / outcome.cost_scale) ** power\n"
    )
    given = ("--policy", "mine.py:cheapest,tilt=2", "--reward", "mine.py:thrifty,power=3", "--data", table)
    code, out, _ = run(*given, *SMALL, "--format", "json")
    assert code == 0
    row = json.loads(out)[0]
    stream = load(str(table))
    assert row["accuracy"] == pytest.approx(stream.utility[:, 0].mean(), abs=0.1)
    worth = stream.utility - 0.2 * (stream.cost / stream.cost_scale) ** 3.0
    assert row["regret_oracle"] > 0 and row["reward_mean"] == pytest.approx(worth[:, 0].mean(), abs=0.1)


def test_a_list_of_preferences_is_one_run_each(run, table) -> None:
    given = ("--policy", "linucb", "--data", table, *SMALL, "--out", "sweep", "--format", "json")
    code, out, _ = run(*given, "--preference", "0,0.5")
    rows = [row for row in json.loads(out) if row["policy"] == "linucb"]
    assert code == 0 and [row["preference"] for row in rows] == ["0", "0.5"]
    assert rows[0]["reward_mean"] == pytest.approx(rows[0]["accuracy"])
    for text in ("0", "0.5"):
        assert json.loads(Path(f"sweep/preference={text}/manifest.json").read_text())["preference"] == text


def test_drawn_preferences_are_shown_to_the_policy(run, table) -> None:
    given = (
        "--policy",
        "preference",
        "--data",
        table,
        *SMALL,
        "--format",
        "json",
        "--preference",
        "uniform(0,2)",
    )
    code, out, _ = run(*given)
    assert code == 0 and json.loads(out)[0]["preference"] == "uniform(0,2)"
    stream = load(str(table))
    drawn = preferences("uniform(0,2)", len(stream), 0)["uniform(0,2)"]
    assert drawn.shape == (300,) and 0 <= drawn.min() < 0.1 and 1.9 < drawn.max() <= 2
    oracle = np.nanmax(reward_table(linear, stream, drawn), axis=1)
    row = next(r for r in json.loads(out) if r["policy"] == "oracle")
    assert row["reward_mean"] == pytest.approx(oracle.mean(), abs=0.05)


def test_always_takes_a_model_by_name(run, table) -> None:
    code, out, _ = run(
        "--policy", "always,model=model-2", "--data", table, *SMALL, "--rounds", 300, "--format", "json"
    )
    assert code == 0
    stream = load(str(table))
    assert json.loads(out)[0]["accuracy"] == pytest.approx(stream.utility[:, 2].mean())


def test_inspect_describes_and_writes(run, table) -> None:
    code, out, _ = run("inspect", table, "--format", "json", "--write", "copy.csv")
    assert code == 0
    told = json.loads(out)
    stream = load(str(table))
    assert told["queries"] == 300 and told["models"] == 3
    assert told["oracle_accuracy"] == pytest.approx(np.nanmax(stream.utility, axis=1).mean())
    frame = pd.read_csv("copy.csv")
    np.testing.assert_allclose(frame["model-1_utility"], stream.utility[:, 1])
    np.testing.assert_allclose(frame["model-1_cost"], stream.cost[:, 1])
    assert run("inspect", "copy.csv")[0] == 0


def test_mmrbench_scores_routers_by_the_published_names(run) -> None:
    given = (
        "mmrbench",
        "--router",
        "knn,k=25",
        "--router",
        "oracle",
        "--dataset",
        "mathverse",
        "--format",
        "json",
    )
    code, out, err = run(*given, "--out", "rows.csv")
    assert code == 0 and "calibrated twin" in err
    rows = json.loads(out)
    named = {
        "dataset",
        "mode",
        "split",
        "router",
        "n_train",
        "n_test",
        "nAUC",
        "Ps",
        "QNC",
        "n_pareto",
        "best_single",
    }
    assert len(rows) == 2 and all(named <= set(row) for row in rows)
    assert rows[0]["n_train"] + rows[0]["n_test"] == 788
    assert pd.read_csv("rows.csv")["Ps"].tolist() == pytest.approx([row["Ps"] for row in rows])


def test_a_changing_world_runs_from_the_command(run, table) -> None:
    given = ("--policy", "linucb", "--policy", "restart(linucb)", "--data", table, *SMALL, "--format", "json")
    code, out, err = run(*given, "--scenario", "silent-regression", "--delay", "20", "--batch", 5)
    assert code == 0, err
    assert [row["policy"] for row in json.loads(out)][:2] == ["linucb", "restart(linucb)"]
    code, out, err = run(
        "scenarios", "--policy", "linucb", "--data", table, "--scenario", "price-cut", "--rounds", 200
    )
    assert code == 0 and "price-cut" in out, err


def test_list_names_everything(run) -> None:
    from bandits import POLICIES
    from bandits.rewards import REWARDS

    code, out, _ = run("list", "--format", "json")
    named = {(row["kind"], row["name"]) for row in json.loads(out)}
    assert code == 0
    assert named >= {("policy", p) for p in POLICIES} | {("reward", r) for r in REWARDS}
    assert named >= {("stream", s) for s in ("all", "ocr", "vqa", "math")}
    assert named >= {("reference", r) for r in ("oracle", "best_fixed", "best_per_dataset")}


MISTAKES = {
    "no policy": ((), "--policy is needed"),
    "unknown policy": (("--policy", "linucbb"), "no policy 'linucbb'; did you mean linucb"),
    "unknown key": (("--policy", "linucb,alfa=1"), "no hyperparameter 'alfa'; did you mean alpha"),
    "no value": (("--policy", "linucb,alpha"), "needs key=value after the name, got 'alpha'"),
    "out of range": (("--policy", "linucb,alpha=-1"), "linucb needs alpha >= 0, got alpha=-1"),
    "twice": (("--policy", "linucb", "--policy", "linucb"), "'linucb' is given twice"),
    "unknown stream": (("--policy", "linucb", "--stream", "vqq"), "no stream 'vqq'"),
    "unknown model": (("--policy", "linucb", "--models", "gpt-6,gpt-5-2025-08-07"), "gpt-6"),
    "always whom": (("--policy", "always"), "needs model=NAME"),
    "always nobody": (("--policy", "always,model=gpt-5"), "no model 'gpt-5'; did you mean gpt-5"),
    "unknown reward": (("--policy", "linucb", "--reward", "linar"), "no reward 'linar'; did you mean linear"),
    "unknown option": (("--policee", "linucb"), "--policee"),
    "unknown modality": (("--policy", "linucb", "--modality", "sound"), "sound"),
    "unknown fusion": (("--policy", "linucb", "--fusion", "glue"), "glue"),
    "no dimensions": (("--policy", "linucb", "--dim", 0), "dim"),
    "unknown order": (("--policy", "linucb", "--order", "up"), "got 'up'"),
    "senseless preference": (
        ("--policy", "linucb", "--preference", "0,-1"),
        "preference needs a number >= 0",
    ),
    "unknown scenario": (("--policy", "linucb", "--scenario", "price-cutt"), "no scenario 'price-cutt'"),
    "unknown change": (("--policy", "linucb", "--change", "prise,at=0.5"), "prise"),
    "senseless delay": (("--policy", "linucb", "--delay", "soon"), "soon"),
    "senseless batch": (("--policy", "linucb", "--batch", 0), "--batch"),
    "unknown feedback": (("--policy", "linucb", "--feedback", "none"), "--feedback"),
    "hard without budget": (("--policy", "linucb", "--hard"), "need a --budget"),
    "no money": (("--policy", "linucb", "--budget", "0"), "needs an amount > 0"),
    "too little": (("--policy", "linucb", "--budget", "1e-9"), "pays for no call"),
    "unknown resource": (("--policy", "linucb", "--budget", "power=3"), "no resource 'power'"),
    "resource not recorded": (("--policy", "linucb", "--budget", "latency=3"), "a table that records it"),
    "unknown pacing": (("--policy", "linucb", "--budget", "9", "--pacing", "lpp"), "no pacing 'lpp'"),
    "senseless cap": (("--policy", "linucb", "--cap", -1), "cap needs limit > 0"),
    "senseless warm start": (
        ("--policy", "linucb", "--warm-start", "200%"),
        "needs to leave rows on both sides",
    ),
    "no seeds": (("--policy", "linucb", "--seeds", 0), "seeds=0"),
    "no rounds": (("--policy", "linucb", "--rounds", 0), "rounds=0"),
    "seeds in words": (("--policy", "linucb", "--seeds", "ten"), "'ten'"),
    "no such file": (("--policy", "linucb", "--data", "nowhere.csv"), "nowhere.csv"),
    "no such price file": (("--policy", "linucb", "--prices", "nowhere.csv"), "nowhere.csv"),
    "no such policy file": (
        (
            "--policy",
            "nowhere.py:mine",
        ),
        "no file 'nowhere.py'",
    ),
    "encoder without questions": (("--policy", "linucb", "--embed", "nowhere"), "question"),
    "unknown router": (("mmrbench", "--router", "knnn"), "no router 'knnn'; did you mean knn"),
    "unknown mode": (("mmrbench", "--router", "knn", "--mode", "24"), "mode"),
    "unknown split": (("mmrbench", "--router", "knn", "--split", "sideways"), "sideways"),
    "senseless share": (("mmrbench", "--router", "knn", "--train-share", 2), "train-share"),
    "odd file": (("mmrbench", "--router", "knn", "--out", "x.pdf"), "ends in .csv or .json"),
    "unknown source": (("get", "imagenet", "--dest", "x"), "imagenet"),
    "unknown command": (("inspekt",), "inspekt"),
    "fidelity of a part": (("inspect", "vqa", "--fidelity"), "--fidelity compares the whole twin"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(run, mistake: str, tmp_path) -> None:
    arguments, message = MISTAKES[mistake]
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert message in err and err.count("\n") == 1 and err.startswith("simulate: ")
    assert list(tmp_path.iterdir()) == []


OWN = {
    "raises": ("def mine(n_arms, dim):\n    return 1 / 0\n", r"mine.py:2) raised ZeroDivisionError"),
    "no policy": ("def mine(n_arms, dim):\n    return 3\n", "needs to return a bandits.Policy"),
    "not python": ("def mine(:\n", "SyntaxError"),
    "other name": ("def mein(n_arms, dim):\n    return 3\n", "no function 'mine'; did you mean mein"),
    "broken act": (
        "import bandits\n\ndef mine(n_arms, dim):\n    p = bandits.uniform(n_arms, dim)\n"
        "    def act(key, state, observation):\n        return observation.nothing\n"
        "    return p._replace(act=act)\n",
        "mine.py:6) raised AttributeError",
    ),
}


@pytest.mark.parametrize("mistake", OWN)
def test_a_broken_own_policy_is_named_with_its_line(run, table, mistake: str) -> None:
    text, message = OWN[mistake]
    Path("mine.py").write_text(text)
    code, _, err = run("--policy", "mine.py:mine", "--data", table, *SMALL)
    assert code == 2 and message in err and err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_broken_own_reward_is_named_with_its_line(run, table) -> None:
    Path("mine.py").write_text("def mine(outcome, preference):\n    x = 1\n    return outcome.happiness\n")
    code, _, err = run("--policy", "linucb", "--reward", "mine.py:mine", "--data", table, *SMALL)
    assert code == 2 and "mine.py:3) raised AttributeError" in err and err.count("\n") == 1


def test_a_folder_of_other_things_is_not_touched(run, table) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    code, _, err = run("--policy", "uniform", "--data", table, *SMALL, "--out", "mine")
    assert code == 2 and "holds other files" in err
    assert Path("mine/thesis.txt").read_text() == "years of work"
    code, _, err = run("--policy", "uniform", "--data", table, *SMALL, "--out", "mine/thesis.txt")
    assert code == 2 and "is a file" in err
    code, _, err = run("--policy", "uniform", "--data", table, *SMALL, "--out", "/proc/nowhere/run")
    assert code == 2 and "cannot be written" in err


def test_a_run_that_fails_while_saving_keeps_the_earlier_one(run, table, monkeypatch) -> None:
    from bandits.runs import artefacts

    assert run("--policy", "uniform", "--data", table, *SMALL, "--out", "done")[0] == 0
    before = Path("done/manifest.json").read_text()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artefacts, "_write_trace", full)
    code, _, err = run("--policy", "uniform", "--data", table, *SMALL, "--seed", 7, "--out", "done")
    assert code == 2 and "No space left" in err and err.count("\n") == 1
    assert Path("done/manifest.json").read_text() == before
    assert sorted(p.name for p in Path().iterdir()) == ["done", "table.parquet"]


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; sys.argv=['simulate.py','-h'];\nimport simulate\ntry: simulate.main()\nexcept SystemExit: pass\n"
        "heavy = {'jax','pandas','plotly','numba','numpy','sklearn'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--policy" in done.stdout


def test_budgets_are_kept_and_accounted_for(run, table) -> None:
    given = (
        "--policy",
        "linucb",
        "--policy",
        "oracle",
        "--data",
        table,
        *SMALL,
        "--format",
        "json",
        "--out",
        "spent",
    )
    code, out, err = run(*given, "--budget", "20%,50%", "--pacing", "lp", "--hard")
    assert code == 0, err
    rows = [row for row in json.loads(out) if row["policy"] == "linucb"]
    assert [row["budget"] for row in rows] == ["20%", "50%"]
    assert all(0 < row["spent_most"] <= 1 + 1e-6 for row in rows)
    assert rows[0]["within"] < rows[1]["within"]
    for text in ("20%", "50%"):
        curves = pd.read_csv(f"spent/budget={text}/curves.csv")
        left = curves[curves["quantity"] == "left:cost"]
        assert left["mean"].is_monotonic_decreasing and left["mean"].iloc[-1] >= -1e-6
        assert pd.read_csv(f"spent/budget={text}/budget.csv")["policy"].tolist() == ["linucb"]


def test_a_cap_holds_calls_to_it(run, table) -> None:
    code, out, _ = run("--policy", "uniform", "--data", table, *SMALL, "--cap", 1.5, "--format", "json")
    assert code == 0
    # Posted prices are 1, 2 and 3: only the first model may be called.
    assert json.loads(out)[0]["accuracy"] == pytest.approx(load(str(table)).utility[:, 0].mean(), abs=0.06)


@pytest.mark.parametrize("policy", ["linucb", "preference", "ucb1", "uniform"])
def test_a_warm_start_sets_the_log_aside(run, table, policy: str) -> None:
    code, out, _ = run(
        "--policy",
        policy,
        "--data",
        table,
        "--seeds",
        2,
        "--warm-start",
        100,
        "--format",
        "json",
        "--out",
        "warm",
    )
    assert code == 0 and json.loads(out)[0]["rounds"] == 200
    manifest = json.loads(Path("warm/manifest.json").read_text())
    assert manifest["warm_start"] == "100"

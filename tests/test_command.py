"""The command: what it prints and writes, and one line with exit code 2 for every mistake."""

from __future__ import annotations

import io
import json
import os
import shlex
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
    tables = {"summary.csv", "curves.csv", "by_dataset.csv", "by_query.parquet"}
    assert {p.name for p in folder.iterdir()} == tables | {"trace.parquet", "manifest.json", "report.html"}
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
    assert (
        list(calls.columns)
        == [
            "policy",
            "seed",
            "round",
            "row",
            "arm",
            "query_id",
            "file_row",
        ]
        and len(calls) == 3 * 250
    )
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


def test_mmrbench_says_its_verdict_first_and_sets_tables_for_papers(run) -> None:
    given = (
        "mmrbench",
        "--router",
        "knn,k=25",
        "--router",
        "oracle",
        "--dataset",
        "mathverse",
        "--resamples",
        50,
    )
    code, out, _ = run(*given)
    assert code == 0 and out.startswith("No router is shown to beat gpt-5-2025-08-07, the best single model")
    code, latex, _ = run(*given, "--format", "latex")
    assert latex.startswith("% No router is shown") and "knn,k=25" in latex and "n\\_test" in latex
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == 1
    code, markdown, _ = run(*given, "--format", "markdown")
    lines = markdown.splitlines()
    assert lines[2].startswith("| dataset | mode |") and lines[3].startswith("|---|")
    assert {line.count("|") for line in lines[2:]} == {lines[2].count("|")} and len(lines) == 6


@pytest.mark.parametrize(
    "absurd", [("--seeds", 10**8), ("--resamples", 10**8), ("--online", "linucb", "--seeds", 10**8)]
)
def test_mmrbench_refuses_what_does_not_fit_in_memory(run, table, absurd) -> None:
    code, out, err = run("mmrbench", "--data", table, "--router", "knn", *absurd)
    assert code == 2 and out == "" and "Traceback" not in err
    assert "GiB are free" in err or "at most 100,000" in err


def test_a_changing_world_runs_from_the_command(run, table) -> None:
    given = ("--policy", "linucb", "--policy", "restart(linucb)", "--data", table, *SMALL, "--format", "json")
    code, out, err = run(*given, "--scenario", "silent-regression", "--delay", "20", "--batch", 5)
    assert code == 0, err
    assert [row["policy"] for row in json.loads(out)][:2] == ["linucb", "restart(linucb)"]
    code, out, err = run(
        "scenarios", "--policy", "linucb", "--data", table, "--scenario", "price-cut", "--rounds", 200,
        "--out", "worlds",
    )  # fmt: skip
    assert code == 0 and "price-cut" in out and "worlds/scenarios.html" in out, err
    written = pd.read_csv("worlds/scenarios.csv")
    assert list(written["scenario"]) == ["price-cut"] and f"{written['regret'][0]:,.1f}" in Path(
        "worlds/scenarios.html"
    ).read_text(encoding="utf-8")
    Path("file").write_text("mine")
    code, _, err = run("scenarios", "--policy", "linucb", "--data", table, "--out", "file")
    assert code == 2 and "--out needs a folder, file is a file" in err and Path("file").read_text() == "mine"


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
    "open bracket": (("--policy", "restart(linucb"), "needs a ) for every ("),
    "no value": (("--policy", "linucb,alpha"), "needs key=value after the name, got 'alpha'"),
    "out of range": (("--policy", "linucb,alpha=-1"), "linucb needs alpha >= 0, got alpha=-1"),
    "twice": (("--policy", "linucb", "--policy", "linucb"), "'linucb' is given twice"),
    "unknown stream": (("--policy", "linucb", "--stream", "vqq"), "no stream 'vqq'"),
    "unknown model": (("--policy", "linucb", "--models", "gpt-6,gpt-5-2025-08-07"), "gpt-6"),
    "always whom": (("--policy", "always"), "needs model=NAME"),
    "always nobody": (("--policy", "always,model=gpt-5"), "no model 'gpt-5'; did you mean gpt-5"),
    "unknown reward": (("--policy", "linucb", "--reward", "linar"), "no reward 'linar'; did you mean linear"),
    "unknown option": (("--policee", "linucb"), "no option '--policee'; did you mean --policy"),
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
    "unknown command": (("inspekt",), "no command 'inspekt'; did you mean inspect"),
    "negative seed": (
        ("--policy", "linucb", "--seed", -1),
        "'--seed': -1 is not in the range 0<=x<=4294967295",
    ),
    "no folder": (("--policy", "linucb", "--out", ""), "--out needs a value, got ''"),
    "no models": (("--policy", "linucb", "--models", ""), "--models needs a value, got ''"),
    "budget twice": (("--policy", "linucb", "--budget", "30%,30%"), "'budget=30%' is asked for twice"),
    "prior of nothing": (("--policy", "linucb", "--n-eff", 3), "--n-eff needs a --warm-start"),
    "figures of another kind": (("--policy", "linucb", "--plots", "png,gif"), "joined by commas, got 'gif'"),
    "no config file": (("--config", "nowhere.toml"), "--config needs a TOML file; nowhere.toml"),
    "unknown option of a command": (
        ("list", "--fromat", "csv"),
        "no option '--fromat'; did you mean --format?",
    ),
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
    from bandits.folders import trace

    assert run("--policy", "uniform", "--data", table, *SMALL, "--out", "done")[0] == 0
    before = Path("done/manifest.json").read_text()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trace, "written", full)
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


def test_a_config_file_says_what_options_say_and_what_is_typed_wins(run, table) -> None:
    Path("run.toml").write_text(
        f'policy = ["linucb", "thompson,v=0.1"]\ndata = "{table}"\nseeds = 3\nrounds = 250\npreference = [0, 0.5]\n'
        'hard = false\nwarm_start = "10%"\n'
    )
    code, _, err = run("--config", "run.toml", "--preference", "0.5", "--out", "filed")
    assert code == 0, err
    filed = json.loads(Path("filed/manifest.json").read_text())
    typed = ("--policy", "linucb", "--policy", "thompson,v=0.1", "--data", table, *SMALL)
    assert run(*typed, "--warm-start", "10%", "--preference", "0.5", "--out", "typed")[0] == 0
    assert filed["asked"] == json.loads(Path("typed/manifest.json").read_text())["asked"]
    assert Path("filed/summary.csv").read_text() == Path("typed/summary.csv").read_text()


def test_the_command_in_the_manifest_repeats_the_run(run, table, monkeypatch) -> None:
    """Options from a file are written out, and what a shell would read is quoted."""
    Path("run.toml").write_text(f'policy = "linucb"\ndata = "{table}"\nseeds = 2\n')
    assert run("--config", "run.toml", "--preference", "uniform(0,2)", "--out", "first")[0] == 0
    command = json.loads(Path("first/manifest.json").read_text())["command"]
    assert "'uniform(0,2)'" in command and "--config" not in command
    before = Path("first/summary.csv").read_text()
    _, *words = shlex.split(command)
    assert run(*words)[0] == 0 and Path("first/summary.csv").read_text() == before


CONFIGS = {
    "unknown key": ('polcy = "linucb"', "has no option 'polcy' to set; did you mean policy?"),
    "a table": ('[run]\npolicy = "linucb"', "has no option 'run' to set"),
    "not TOML": ("policy = [", "is not TOML"),
    "a flag in words": ('hard = "yes"', "hard needs true or false, got 'yes'"),
    "a list for one": ("seeds = [1, 2]", "seeds needs one value, got 2"),
    "a date": ("seed = 2026-01-01", "seed needs a plain value"),
    "true for a value": ("stream = true", "stream needs a value, got true"),
}


@pytest.mark.parametrize("mistake", CONFIGS)
def test_a_mistake_in_a_config_file_is_one_line(run, mistake: str) -> None:
    text, message = CONFIGS[mistake]
    Path("run.toml").write_text(text)
    code, out, err = run("--config", "run.toml")
    assert code == 2 and out == "" and message in err and "run.toml" in err and err.count("\n") == 1


def test_a_dry_run_says_its_size_and_writes_nothing(run, table, tmp_path) -> None:
    given = (
        "--policy",
        "linucb",
        "--policy",
        "oracle",
        "--data",
        table,
        "--seeds",
        3,
        "--preference",
        "0,0.5",
    )
    code, out, err = run(*given, "--rounds", 5000, "--dry-run", "--format", "json")
    assert code == 0, err
    linucb, oracle = json.loads(out)
    assert linucb["in_all"] == linucb["runs"] * linucb["seeds"] * linucb["rounds"] == 2 * 3 * 5000
    assert linucb["seconds"] >= linucb["in_all"] / linucb["rounds_per_s"] - 0.005  # rounded to a hundredth
    assert oracle["seconds"] == 0  # a reference is looked up, not run
    code, out, err = run(*given, "--dry-run", "--out", "there")
    assert code == 0 and "2 policies x 2 runs x 3 seeds x 300 rounds" in out and "there/preference=0.5" in out
    assert "measured just now" in err
    assert [p.name for p in tmp_path.iterdir()] == ["table.parquet"]


def test_quiet_says_nothing_and_verbose_more(run, table) -> None:
    given = ("--policy", "uniform", "--data", table, *SMALL)
    told = {flag: run(*given, *flag) for flag in ((), ("-q",), ("-v",))}
    assert told[("-q",)][2] == "" and told[("-q",)][1] == told[()][1]
    assert "750 rounds" in told[("-v",)][2] and "750 rounds" not in told[()][2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_only_on_a_terminal_and_without_no_color(monkeypatch) -> None:
    from commands.terminal import coloured

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Terminal()) and not coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured(Terminal())


def test_progress_counts_every_run_of_a_policy_from_its_start(monkeypatch) -> None:
    """Two runs of 100 rounds with one name: the bar stands at 200 of 200, with a rate and the time left before."""
    from commands import terminal

    watched = Terminal()
    monkeypatch.setattr(sys, "stderr", watched)
    with terminal.progress(200) as told:
        for rounds in (40, 100, 40, 100):
            told("linucb", rounds)
    shown = watched.getvalue()
    assert "linucb" in shown and "rounds/s" in shown and "100%" in shown
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with terminal.progress(200) as told:
        assert told is None


def test_help_is_by_topic_and_ends_in_examples_and_exit_codes(run) -> None:
    code, out, _ = run("-h")
    assert code == 0
    titles = (
        "Policies, stream, reward",
        "Budgets",
        "A world",
        "How much",
        "What comes",
        "Everywhere",
        "Commands",
        "Examples",
    )
    topics = [out.index(f"\n{title}") for title in (*titles, "Exit codes")]
    assert topics == sorted(topics)
    assert all(name in out[topics[-1] :] for name in ("0 ", "2 ", "130"))
    for command in simulate.cli.commands:
        code, out, _ = run(command, "-h")
        assert code == 0 and "Exit codes" in out


def test_options_before_a_command_that_ignores_them_are_refused(run) -> None:
    code, _, err = run("--seeds", 3, "list")
    assert code == 2 and "--seeds belongs to a run; options of list come after its name" in err


def completion(where: dict[str, str]) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "simulate.py"]
    return subprocess.run(given, cwd=ROOT, env=where, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_complete(shell: str) -> None:
    where = {**os.environ, "_SIMULATE_COMPLETE": f"{shell}_source"}
    done = subprocess.run(
        [sys.executable, "simulate.py"], cwd=ROOT, env=where, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and f"{shell}_complete" in done.stdout and done.stderr == ""


def test_the_shell_completes_options_and_commands() -> None:
    for typed, offered in (("simulate --pol", "--policy"), ("simulate scen", "scenarios")):
        asked = {"COMP_WORDS": typed, "COMP_CWORD": "1", "_SIMULATE_COMPLETE": "bash_complete"}
        done = subprocess.run(
            [sys.executable, "simulate.py"],
            cwd=ROOT,
            env=os.environ | asked,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.splitlines() == [f"plain,{offered}"]


@pytest.mark.parametrize("budget", [(), ("--budget", "50%", "--pacing", "primal_dual")])
def test_a_stop_keeps_what_finished_and_the_same_command_goes_on(run, table, monkeypatch, budget) -> None:
    """Ctrl-C in the second policy: the first is there, is not run again, and the end is as if nothing had happened."""
    from bandits.experiment import lineup as experiment

    given = ("--policy", "ucb1", "--policy", "klucb", "--data", table, *SMALL, *budget)
    assert run(*given, "--out", "whole")[0] == 0
    replay, ran = experiment.replays, []

    def stopped(policy, *rest, **options):
        ran.append(policy)
        if len(ran) == 2:
            raise KeyboardInterrupt
        return replay(policy, *rest, **options)

    monkeypatch.setattr(experiment, "replays", stopped)
    code, out, err = run(*given, "--out", "stopped")
    assert (
        code == 130 and out == "" and "what had finished is in stopped" in err and "goes on from there" in err
    )
    manifest = json.loads(Path("stopped/manifest.json").read_text())
    assert manifest["policies"] == ["ucb1"] and manifest["unfinished"] == ["klucb"]
    assert "stopped before klucb had finished" in Path("stopped/report.html").read_text()
    code, _, err = run(*given, "--out", "stopped")
    assert code == 0 and "ucb1: taken up from stopped" in err and len(ran) == 3
    for name in ("summary.csv", "curves.csv", "by_dataset.csv"):
        assert Path("stopped", name).read_text() == Path("whole", name).read_text()
    assert not Path("stopped/probed.npz").exists()
    assert run(*given, "--out", "stopped")[0] == 0 and len(ran) == 5  # a finished one is run anew


def test_a_stopped_run_of_other_words_is_not_taken_up(run, table, monkeypatch) -> None:
    from bandits.experiment import lineup as experiment

    given = ("--policy", "uniform", "--policy", "ucb1", "--data", table, *SMALL, "--out", "done")
    replay, ran = experiment.replays, []

    def stopped(policy, *rest, **options):
        ran.append(policy)
        if len(ran) == 2:
            raise KeyboardInterrupt
        return replay(policy, *rest, **options)

    monkeypatch.setattr(experiment, "replays", stopped)
    assert run(*given)[0] == 130
    code, _, err = run(*given, "--seed", 1)
    assert code == 0 and "taken up" not in err and len(ran) == 4


def test_a_stop_before_any_policy_has_finished_writes_nothing(run, table, monkeypatch) -> None:
    from bandits.experiment import lineup as experiment

    def stopped(*rest, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "replays", stopped)
    code, _, err = run("--policy", "linucb", "--data", table, *SMALL, "--out", "done")
    assert code == 130 and "no policy had finished, nothing was written" in err and not Path("done").exists()


def test_several_preferences_end_in_one_report_of_all(run, table) -> None:
    given = ("--policy", "linucb", "--data", table, *SMALL, "--preference", "0,1", "--out", "sweep")
    code, out, _ = run(*given)
    assert code == 0 and "all runs in one report: sweep/report.html" in out
    page = Path("sweep/report.html").read_text()
    assert "linucb [preference=0]" in page and "linucb, all runs" in page  # the sweep is a curve in the plane

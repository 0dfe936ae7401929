"""The API in a notebook: what it shows is what the command says, and the example runs from top to bottom."""

from __future__ import annotations

import io
import pydoc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import bandits
import envs
from bandits.publish.compared import Comparison
from simulate import cli

ROOT = Path(__file__).resolve().parents[1]
SPECS = ("linucb,alpha=0.3", "ucb1")


@pytest.fixture(scope="module")
def stream() -> Any:
    return envs.load("RealWorldQA")


@pytest.fixture(scope="module")
def compared(stream: Any) -> Comparison:
    return bandits.compare(stream, [*SPECS, "oracle"], seeds=3, rounds=80)


def test_the_verdict_and_the_tables_are_the_commands(compared: Comparison, tmp_path: Path) -> None:
    given = ["--policy", SPECS[0], "--policy", SPECS[1], "--stream", "RealWorldQA", "--seeds", "3"]
    done = CliRunner().invoke(cli, [*given, "--rounds", "80", "--out", f"{tmp_path}/run"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.partition("\n\n")[0].split())
    assert compared.verdict() == said
    import pandas as pd

    written = pd.read_csv(tmp_path / "run" / "summary.csv").set_index("policy")
    ours = compared.frame().set_index("policy")
    for column in ("reward_mean", "accuracy", "regret_best_fixed"):
        np.testing.assert_allclose(ours.loc[list(SPECS), column], written.loc[list(SPECS), column], rtol=1e-6)
    assert set(compared.curves()["policy"]) >= set(SPECS)
    html = compared._repr_html_()
    assert html.count("<tr>") == html.count("</tr>") > 10 and "calibrated twin" in html


def test_charts_are_plotlys_and_named(compared: Comparison) -> None:
    import plotly.graph_objects as go

    assert isinstance(compared.plot(), go.Figure) and isinstance(compared.plot("plane"), go.Figure)
    with pytest.raises(ValueError, match=r"plot needs one of regret, reward, plane, .*, got 'pie'"):
        compared.plot("pie")


def test_a_trace_as_a_frame_is_what_each_call_gave(compared: Comparison, stream: Any) -> None:
    trace = compared.traces["ucb1"]
    frame = trace.to_frame(stream)
    assert len(frame) == trace.arms.size and (frame["round"].max(), frame["seed"].max()) == (79, 2)
    row = frame.iloc[100]
    assert row["model"] == stream.models[trace.arms[1, 20]]
    assert row["utility"] == stream.utility[trace.order[1, 20], trace.arms[1, 20]]
    none = trace._replace(arms=np.full_like(trace.arms, -1)).to_frame(stream)
    assert (none["model"] == "").all() and none["cost"].isna().all()
    with pytest.raises(ValueError, match="to_frame needs the stream that was replayed"):
        trace._replace(order=trace.order + 10**6).to_frame(stream)


def test_everything_shows_itself_in_one_line_and_a_table(compared: Comparison, stream: Any) -> None:
    shown = {
        stream: "Stream(RealWorldQA: 765 queries x 10 models, 33 features; calibrated twin, not recorded answers)",
        stream.outcomes: "Outcomes(765 queries x 10 models, 1 dataset, 1e-3 USD/query; calibrated twin, not recorded"
        " answers)",
        compared: "Comparison(linucb,alpha=0.3, ucb1, oracle on RealWorldQA, 3 seeds of 80 rounds)",
    }
    for one, line in shown.items():
        assert repr(one) == line and "<table" in one._repr_html_()
    trace = compared.traces["ucb1"]
    assert repr(trace) == "Trace(3 seeds of 80 rounds)" and "<table" in trace._repr_html_()


def test_what_cannot_be_compared_is_refused_in_one_line(stream: Any) -> None:
    for wrong, message in (
        ("linucb", "compare needs a list of policies"),
        ([], "compare needs at least one policy"),
        (["linucb", "linucb"], "compare needs each policy once, got 'linucb' twice"),
        ([3], "compare needs a spec, a Policy or a factory, got int"),
        (["linnucb"], "no policy 'linnucb'; did you mean"),
    ):
        with pytest.raises(ValueError, match=message):
            bandits.compare(stream, wrong, seeds=1, rounds=5)  # type: ignore[arg-type]


def test_help_lists_functions_and_options() -> None:
    told = io.StringIO()
    pydoc.Helper(output=told).help(bandits)
    text = pydoc.plain(told.getvalue())
    for line in ("compare(", "linucb(", "load(", "replay(", "reward_table("):
        assert f"    {line}" in text
    assert "order: 'str' = 'shuffle'" in text and "options" not in text.partition("    replay(")[2][:600]


def test_the_example_notebook_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    book = nbformat.read(ROOT / "examples" / "compare.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells)  # kept without what a run gave
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [out for cell in book.cells for out in cell.get("outputs", ())]
    kinds = {kind for out in shown for kind in out.get("data", {})}
    assert {"text/html", "application/vnd.plotly.v1+json"} <= kinds
    assert any("best single model" in out.get("text", "") or "beat" in out.get("text", "") for out in shown)
    assert not list(tmp_path.iterdir())


def test_a_run_is_handed_to_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its local store, read by its own client; in a process of its own, for MLflow changes logging and warnings."""
    import os
    import subprocess
    import sys

    pytest.importorskip("mlflow", reason='needs pip install "routebandit[mlflow]"')
    words = [
        sys.executable,
        str(ROOT / "simulate.py"),
        "--policy",
        SPECS[1],
        "--policy",
        SPECS[0],
        "--stream",
    ]
    words += ["RealWorldQA", "--seeds", "3", "--rounds", "80", "--out", "run", "--track", "mlflow", "-q"]
    words += ["--label", "ucb1=UCB1"]
    store = f"file://{tmp_path}/store"
    env = {
        **os.environ,
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": store,
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    assert "UCB1" in done.stdout.partition("\n\n")[2]
    code = """
import mlflow
for run in mlflow.search_runs(experiment_names=["routebandit RealWorldQA"], output_format="list"):
    files = [f.path for f in mlflow.MlflowClient().list_artifacts(run.info.run_id)]
    print(run.info.run_name, run.data.params["seeds"], repr(run.data.metrics["accuracy"]), len(files))
"""
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    rows = {line.split()[0]: line.split()[1:] for line in told.stdout.splitlines()}
    import pandas as pd

    summary = pd.read_csv(tmp_path / "run" / "summary.csv").set_index("policy")
    assert rows["UCB1"][:2] == ["3", repr(float(summary.loc["ucb1", "accuracy"]))]
    counts = sorted(int(row[2]) for row in rows.values())
    assert counts[0] == 0 and counts[1] == len([p for p in (tmp_path / "run").iterdir() if p.is_file()])

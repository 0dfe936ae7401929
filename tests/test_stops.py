"""Does a stop, at whatever moment it comes, lose anything that had finished, and does the same command go on?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import simulate
from bandits import late, report
from bandits.experiment import lineup
from bandits.folders import (
    export,  # binds `build` before a test takes it away, not while it is away
    trace,
)
from commands.run import Stopped
from envs.tables import formats
from tests.conftest import make_stream
from tests.test_folders import SMALL, done, run, table  # noqa: F401  (fixtures)

ROOT = Path(__file__).resolve().parents[1]
assert export.build is lineup.build
TABLES = ("summary.csv", "curves.csv", "by_dataset.csv", "trace.parquet")
WAIT = 400.0  # seconds after which a test gives up

# The command of a user, held at the place where a page is drawn, once it has said that it is there.
HELD = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the parent ignores it, as under nohup
import simulate
from bandits import report

def held(*given):
    pathlib.Path("there").touch()
    time.sleep(600)

report.render = held
sys.argv[0] = "simulate.py"
simulate.main()
"""


def stopped(*given: object, **more: object) -> Any:
    raise KeyboardInterrupt


def same(one: Path, other: Path, names: tuple[str, ...] = TABLES) -> None:
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_while_the_page_is_drawn_keeps_every_call(table, done, tmp_path, monkeypatch, number):  # noqa: F811
    words = [*SMALL, "--data", str(table), "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + WAIT
    while not (tmp_path / "there").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    assert "what had finished is in run (linucb); the same command goes on from there" in err
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"trace.parquet", "manifest.json"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lineup, "replays", stopped)  # nothing is played again
    assert run(*words) is None
    same(tmp_path / "run", done)


def test_ctrl_c_while_calls_are_written_waits_for_those_of_every_run(table, tmp_path, monkeypatch):  # noqa: F811
    """Three budgets have been played when the first one's calls are written."""
    words = (*SMALL, "--data", table, "--budget", "30%,50%,70%")
    assert run(*words, "--out", tmp_path / "whole") is None
    written = trace.written

    def interrupted(*given: Any) -> bytes:
        if not (tmp_path / "run").exists():
            os.kill(os.getpid(), signal.SIGINT)
        return written(*given)

    with monkeypatch.context() as patched:
        patched.setattr(trace, "written", interrupted)
        patched.setattr(signal, "getsignal", lambda name: signal.default_int_handler)
        error = run(*words, "--out", tmp_path / "run")
    assert isinstance(error, Stopped) and str(error).count("(linucb)") == 3
    monkeypatch.setattr(lineup, "replays", stopped)
    assert run(*words, "--out", tmp_path / "run") is None
    for name in ("budget=30%", "budget=50%", "budget=70%"):
        same(tmp_path / "whole" / name, tmp_path / "run" / name, (*TABLES, "budget.csv"))


OPTIONS = [
    (),
    ("--preference", "uniform(0,1)"),
    ("--preference", "0,1"),
    ("--budget", "50%", "--pacing", "primal_dual"),
    ("--warm-start", "50%"),
    ("--warm-start", "LOG"),
    ("--scenario", "outage"),
    ("--feedback", "dueling", "--policy", "fgts"),
    ("--rounds", "200", "--delay", "3"),
]


@pytest.mark.parametrize("more", OPTIONS, ids=lambda more: " ".join(more) or "plain")
def test_report_finishes_what_was_stopped(table, tmp_path, monkeypatch, more):  # noqa: F811
    log = make_stream(rows=60, seed=5).outcomes
    formats.write(
        replace(log, query_id=np.array([f"log{i}" for i in range(60)], object)), tmp_path / "log.csv"
    )
    given = [str(tmp_path / "log.csv") if word == "LOG" else word for word in more]
    words = [*(SMALL if "fgts" not in more else SMALL[:4]), "--data", table, *given]
    assert run(*words, "--out", tmp_path / "whole") is None
    with monkeypatch.context() as patched:
        patched.setattr(report, "render", stopped)
        assert isinstance(run(*words, "--out", tmp_path / "run"), Stopped)
    monkeypatch.setattr(lineup, "replays", stopped)
    monkeypatch.setattr(lineup, "build", stopped)
    places = sorted(p.parent for p in (tmp_path / "run").rglob("manifest.json"))
    assert len(places) == 1 + (more == ("--preference", "0,1"))
    for place in places:
        assert not (place / "summary.csv").exists()
        assert run("report", place, "--out", tmp_path / "page.html") is None
        whole = tmp_path / "whole" / place.relative_to(tmp_path / "run")
        assert {p.name for p in place.iterdir()} == {p.name for p in whole.iterdir()} - {"report.html"} | {
            "report.html"
        }
        same(place, whole)
        first, second = (json.loads((folder / "manifest.json").read_text()) for folder in (place, whole))
        for free in ("time", "seconds", "command"):
            first.pop(free), second.pop(free)
        assert first == second


def test_report_executes_nothing_of_the_users_to_finish_a_run(table, tmp_path, monkeypatch):  # noqa: F811
    own, marker = tmp_path / "own.py", tmp_path / "marker"
    own.write_text(
        f"open({str(marker)!r}, 'w').close()\n"
        "from bandits import linucb\n"
        "def worth(outcome, preference): return outcome.utility\n"
        "def mine(n_arms, dim): return linucb(n_arms, dim)\n"
    )

    def left(name: str, *words: object) -> Path:
        with monkeypatch.context() as patched:
            patched.setattr(report, "render", stopped)
            assert isinstance(run(*SMALL, "--data", table, *words, "--out", tmp_path / name), Stopped)
        marker.unlink()
        return tmp_path / name

    reward, policy = left("reward", "--reward", f"{own}:worth"), left("policy", "--policy", f"{own}:mine")
    error = run("report", reward, "--out", tmp_path / "x.html")
    assert isinstance(error, ValueError) and "own.py:worth" in str(error) and "go on with: " in str(error)
    assert run("report", policy, "--out", tmp_path / "x.html") is None
    assert "own.py:mine" in (policy / "summary.csv").read_text()
    manifest = json.loads((reward / "manifest.json").read_text())
    manifest |= {"reward": "linear", "asked": manifest["asked"] | {"reward": "linear"}}
    manifest["policies"].append(f"{own}:mine")  # of which there is no trace
    (reward / "manifest.json").write_text(json.dumps(manifest))
    assert "damaged or of other queries" in str(run("report", reward, "--out", tmp_path / "x.html"))
    assert not marker.exists()


def test_report_finishes_a_run_on_its_own_data_only(table, tmp_path, monkeypatch):  # noqa: F811
    mine = tmp_path / "mine.csv"
    mine.write_bytes(table.read_bytes())
    with monkeypatch.context() as patched:
        patched.setattr(report, "render", stopped)
        run(*SMALL, "--data", mine, "--out", tmp_path / "run")
    lines = mine.read_text().splitlines()
    mine.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    error = run("report", tmp_path / "run", "--out", tmp_path / "x.html")
    assert "it has changed since" in str(error) and not (tmp_path / "run" / "summary.csv").exists()


@pytest.fixture
def _heard() -> Iterator[None]:
    """Ctrl-C is heard, also where the parent ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heard")
def test_a_stop_that_python_could_not_pass_on_comes_again() -> None:
    lost = SimpleNamespace(exc_type=KeyboardInterrupt, exc_value=None, exc_traceback=None)
    with pytest.raises(KeyboardInterrupt):
        simulate._raised_again(lost)
        time.sleep(5)


@pytest.mark.usefixtures("_heard")
def test_a_stop_waits_until_an_extension_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def load(name: str) -> None:
        signal.raise_signal(signal.SIGINT)
        found.append(name)  # reached in spite of it

    monkeypatch.setattr(late.importlib, "import_module", load)
    with pytest.raises(KeyboardInterrupt):
        late._loaded("jaxlib")
    assert found == ["jaxlib"]

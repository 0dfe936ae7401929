"""Sweeps: the same bytes wherever they are computed, whatever dies on the way, and a ranking that follows from them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import simulate
from bandits import replay, reward_table
from bandits.metrics.regret import cumulative_regret, rewards
from bandits.rewards import linear
from bandits.runs import experiment
from bandits.sweeps import engines, grid, plan, ranking, results
from envs import load, write
from tests.conftest import make_stream

ROOT = Path(__file__).resolve().parents[1]
WAIT = 240.0  # seconds after which a test gives up


# --- 500 jobs, undisturbed, on another engine, with workers killed, stopped and gone on with -------------------------

MANY = """
streams = ["table.csv"]
seeds = 2
policies = [
    "oracle",
    "best_fixed",
    "best_per_dataset",
    "uniform",
    {name = "ucb1", alpha = [0.1, 0.4, 1.6]},
    {name = "linucb", alpha = [0.1, 0.4, 1.6]},
]
[[rewards]]
name = "log_cost"
floor = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01]
ceiling = [1.0, 2.0, 3.0, 4.0, 5.0]
"""


class Typed:
    """`simulate.py` as typed in a folder of its own, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cache = {"ROUTEBANDIT_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")} | cache

    def start(self, *arguments: object, module: str | None = None) -> subprocess.Popen[str]:
        program = ["-m", module] if module else [str(ROOT / "simulate.py")]
        return subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=WAIT)
        return process.returncode, out, err

    def bytes(self, out: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / out).iterdir()}


@pytest.fixture(scope="module")
def typed(tmp_path_factory) -> Typed:
    folder = tmp_path_factory.mktemp("sweep")
    write(make_stream(rows=200, arms=3, features=2, seed=3).outcomes, folder / "table.csv")
    (folder / "many.toml").write_text(MANY)
    return Typed(folder)


@pytest.fixture(scope="module")
def undisturbed(typed) -> dict[str, bytes]:
    """The results of the 500 jobs on two local processes."""
    code, out, err = typed("sweep", "many.toml", "--workers", 2, "--out", "undisturbed")
    assert code == 0 and "500 jobs: 0 were done, 500 computed, 0 failed" in out, err
    assert err == "numbers are from: recorded answers\n"  # silent where nobody watches
    return typed.bytes("undisturbed")


def wait_for(folder: Path, count: int, process: subprocess.Popen[str]) -> int:
    """Wait until so many results are there; return how many there are then."""
    deadline = time.monotonic() + WAIT
    while (found := len(list(folder.glob("*.json")))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{found} of {count} results"
        time.sleep(0.05)
    return found


def kill_one(process: subprocess.Popen[str], named: str) -> None:
    """Kill the first process under `process` that works: its command line has this in it."""
    family = psutil.Process(process.pid).children(recursive=True)
    next(p for p in family if any(named in part for part in p.cmdline())).kill()


def test_every_job_is_one_file_and_a_rerun_computes_nothing(typed, undisturbed) -> None:
    assert len(undisturbed) == 500
    places = list((typed.folder / "undisturbed").iterdir())
    before = {path.name: path.stat().st_mtime_ns for path in places}
    code, out, _ = typed("sweep", "many.toml", "--out", "undisturbed")
    assert code == 0 and "500 jobs: 500 were done, 0 computed, 0 failed" in out
    assert {path.name: path.stat().st_mtime_ns for path in places} == before
    assert (
        "500 jobs, 500 done, 0 to do" in typed("sweep", "many.toml", "--out", "undisturbed", "--dry-run")[1]
    )


@contextmanager
def cluster(typed: Typed):
    """A Dask scheduler and two workers; gives the address and the two processes that mind the workers."""
    address, started = typed.folder / "scheduler.json", []
    options = ("--scheduler-file", address, "--no-dashboard")
    try:
        started.append(
            typed.start(*options, "--host", "127.0.0.1", "--port", 0, module="distributed.cli.dask_scheduler")
        )
        for number in range(2):
            where = ("--nthreads", 1, "--local-directory", typed.folder / f"worker{number}")
            started.append(typed.start(*options, *where, module="distributed.cli.dask_worker"))
        deadline = time.monotonic() + WAIT
        while not (address.is_file() and address.stat().st_size):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield json.loads(address.read_text())["address"], started[1:]
    finally:
        for process in reversed(started):
            process.terminate()
            process.communicate(timeout=30)


def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bytes(typed, undisturbed) -> None:
    with cluster(typed) as (address, minders):
        process = typed.start(
            "sweep", "many.toml", "--engine", "dask", "--address", address, "--out", "cluster"
        )
        wait_for(typed.folder / "cluster", 150, process)
        kill_one(minders[0], "spawn_main")
        out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0 and "500 computed, 0 failed" in out, err
    assert typed.bytes("cluster") == undisturbed


def test_a_killed_process_and_ctrl_c_change_nothing(typed, undisturbed) -> None:
    arguments = ("sweep", "many.toml", "--workers", 2, "--out", "stopped")
    process = typed.start(*arguments)
    wait_for(typed.folder / "stopped", 80, process)
    kill_one(process, "popen_loky_posix")
    seen = wait_for(typed.folder / "stopped", 200, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=WAIT)
    kept = typed.bytes("stopped")
    assert process.returncode == 130 and out == ""
    assert err == (
        f"simulate: stopped; {len(kept)} of 500 jobs are done and kept in stopped; the same command goes on\n"
    )
    assert seen <= len(kept) < 500 and kept.items() <= undisturbed.items()
    code, out, err = typed(*arguments)
    assert code == 0 and f"500 jobs: {len(kept)} were done, {500 - len(kept)} computed, 0 failed" in out, err
    assert typed.bytes("stopped") == undisturbed

"""Sweeps: the same bytes wherever they are computed, whatever dies on the way, and a ranking that follows from them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from scipy import stats

import simulate
from bandits import linucb, replay, reward_table
from bandits.experiment.lineup import build
from bandits.metrics.regret import comparator
from bandits.rewards import linear
from bandits.rows import WIDTH
from bandits.sweeps import engines, grid, plan
from bandits.wrappers.budget import held
from envs import load, write
from tests.conftest import make_stream

ROOT = Path(__file__).resolve().parents[1]
WAIT = 600.0  # seconds after which a test gives up


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
        users = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
        self.environment = users | {"PYTHONPATH": str(ROOT)}

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
        return {path.name: path.read_bytes() for path in (self.folder / out).glob("*.json")}


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


# --- what is asked for ----------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call the command in-process, in a folder with a table; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    write(make_stream(rows=150, arms=3, features=2, seed=3).outcomes, "table.parquet")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simulate.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            simulate.main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


def asked(text: str, name: str = "sweep.toml") -> str:
    Path(name).write_text('streams = "table.parquet"\nseeds = 3\n' + text)
    return name


def test_lists_multiply(run) -> None:
    found = grid.read(
        asked(
            'policies = ["greedy", {name = "linucb", alpha = [0.3, 1.0], prior = [0, 1, 2]}]\n'
            'rewards = ["linear", {name = "log_cost", floor = [1e-4, 1e-3]}]\n'
            'preferences = [0, 0.5, "uniform(0,2)"]\nbudgets = ["none", "30%", 12.5]\npacings = ["stop", "lp"]\n'
        )
    )
    linear_grid = [f"linucb,alpha={a},prior={p}" for a, p in itertools.product((0.3, 1.0), (0, 1, 2))]
    assert found.policies == ("greedy", *linear_grid)
    assert found.rewards == ("linear", "log_cost,floor=0.0001", "log_cost,floor=0.001")
    jobs = plan.jobs("sweep.toml")
    # A job holds all numeric preferences; drawn ones are another. Budgets share a job, which a pacing sets apart.
    assert len(jobs) == len({job.digest for job in jobs}) == 7 * 3 * 2 * (1 + 2)
    spent = [job.ask for job in jobs if job.ask["budget"]]
    assert {ask["budget"] for ask in spent} == {("30%", "12.5")} and {a["pacing"] for a in spent} == {
        "stop",
        "lp",
    }
    assert {job.ask["preference"] for job in jobs} == {"0,0.5", "uniform(0,2)"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('polices = ["uniform"]', "no key 'polices'; did you mean policies?"),
        ('policies = ["linucbb"]', "no policy 'linucbb'; did you mean linucb"),
        ('policies = [{name = "linucb", alpha = [1.0, -1.0]}]', "linucb needs alpha >= 0, got alpha=-1"),
        ('policies = [{name = "linucb", alfa = 1.0}]', "did you mean alpha?"),
        ("policies = [{alpha = 1.0}]", 'tables such as {name = "linucb", alpha = [0.3, 1]}'),
        ('policies = ["uniform", "uniform"]', "policies names 'uniform' twice"),
        ("policies = []", "policies needs at least one entry"),
        ("seeds = 3", "sweep.toml needs to be TOML"),
        ("", "policies needs at least one entry"),
        ('policies = ["uniform"]\nrounds = "many"', "rounds: Expected `int | null`, got `str`"),
        ('policies = ["uniform"]\nrewards = ["cubic"]', "no reward 'cubic'"),
        ('policies = ["uniform"]\npreferences = [-1]', "preference needs a number >= 0"),
        ('policies = ["uniform"]\nbudgets = ["1e-9"]', "pays for no call"),
        ('policies = ["uniform"]\nbudgets = ["30%"]\npacings = ["slow"]', "no pacing 'slow'"),
        ('policies = ["uniform"]\npacings = ["lp"]', "pacings and hard need budgets"),
        ('policies = ["uniform"]\nscenario = "no-such"', "no scenario 'no-such'"),
        ('policies = ["mine.py:own"]', "no file 'mine.py'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_runs(run, text, told) -> None:
    code, out, err = run("sweep", asked(text))
    assert code == 2 and out == "" and told in err and err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_mistake_in_a_stream_is_named(run) -> None:
    Path("sweep.toml").write_text('policies = "uniform"\nstreams = [{name = "ocr", dims = [8, 16]}]')
    code, _, err = run("sweep", "sweep.toml")
    assert code == 2 and "no key 'dims'; did you mean dim?" in err
    assert run("sweep", "sweep.toml", "--engine", "dask")[0] == 2
    assert "is a file" in run("sweep", asked('policies = "oracle"'), "--out", "table.parquet")[2]


# --- what a result holds --------------------------------------------------------------------------------------------


def test_a_result_holds_what_a_plain_loop_over_the_trace_gives(run) -> None:
    text = 'policies = {name = "linucb", alpha = 0.5}\npreferences = [0, 0.5]\nbudgets = ["40%", "60%"]\npacings = "lp"'
    assert run("sweep", asked(text), "--workers", 2)[0] == 0
    (path,) = Path("runs/sweeps").iterdir()
    found = {(one["preference"], one["budget"]): one for one in json.loads(path.read_text())["runs"]}
    assert list(found) == list(itertools.product(("0", "0.5"), ("40%", "60%")))
    stream = load("table.parquet")
    policy = held(linucb(stream.n_arms, stream.dim, alpha=0.5), stream, pacing="lp")
    dearest = stream.cost[:, stream.utility.mean(axis=0).argmax()].sum()
    for (preference, budget), one in found.items():
        table = reward_table(linear, stream, float(preference))
        limits = np.array([float(budget.rstrip("%")) / 100 * dearest, np.inf, np.inf])
        trace = replay(policy, stream, table, seeds=3, preference=float(preference), budget=limits)
        best = comparator(table, "best_fixed")
        for s in range(3):
            calls = list(zip(trace.order[s], trace.arms[s], strict=True))
            earned = sum(table[row, arm] for row, arm in calls if arm >= 0)
            paid = sum(stream.cost[row, arm] for row, arm in calls if arm >= 0)
            assert one["reward"][s] == pytest.approx(earned / len(calls))
            assert one["spent_cost"][s] == pytest.approx(paid) == pytest.approx(one["cost"][s] * len(calls))
            assert one["accuracy"][s] == pytest.approx(
                sum(stream.utility[row, arm] for row, arm in calls if arm >= 0) / len(calls)
            )
            assert one["regret_best_fixed"][s] == pytest.approx(
                sum(table[r, best[r]] for r, _ in calls) - earned
            )
            assert one["regret_oracle"][s] == pytest.approx(sum(table[r].max() for r, _ in calls) - earned)
            assert one["unanswered"][s] == sum(arm < 0 for _, arm in calls)


def test_two_sweeps_share_results_and_whatever_determines_one_names_it(run) -> None:
    own = """
        import jax.numpy as jnp
        from bandits import Policy
        def last(n_arms, dim, *, shift=1):
            act = lambda key, state, seen: (n_arms - 1 - jnp.argmax(seen.available[::-1])).astype(jnp.int32)
            return Policy(lambda key: jnp.zeros(()), act, lambda key, state, *rest: state)
    """
    Path("mine.py").write_text("\n".join(line[8:] for line in own.splitlines()))
    first = asked('policies = ["oracle", "best_fixed", "mine.py:last"]')
    second = asked('policies = ["best_fixed", "best_per_dataset", "mine.py:last"]', "second.toml")
    assert "3 jobs: 0 were done, 3 computed" in run("sweep", first, "--workers", 2)[1]
    assert "3 jobs, 2 done, 1 to do" in run("sweep", second, "--dry-run")[1]
    Path("mine.py").write_text(Path("mine.py").read_text() + "# another file\n")
    assert "3 jobs, 1 done, 2 to do" in run("sweep", second, "--dry-run")[1]
    write(make_stream(rows=150, arms=3, features=2, seed=4).outcomes, "table.parquet")
    assert "3 jobs, 0 done, 3 to do" in run("sweep", first, "--dry-run")[1]
    assert "no job of sweep.toml has a result" in run("best", first)[2]


def test_numbers_are_said_to_be_what_was_played(run) -> None:
    """A change may make answers that were not recorded: the label of a sweep says so, as that of a run does."""
    change = "arrive,merge=@best+@second,between=0.8,at=0.3"
    file = asked(f'policies = ["ucb1"]\nchange = ["{change}"]\n')
    label = run("--policy", "ucb1", "--data", "table.parquet", "--seeds", 2, "--change", change)[
        2
    ].splitlines()[-1]
    assert label.endswith("is synthetic")
    for command in ("sweep", "best"):
        code, _, err = run(command, file)
        assert code == 0 and err.splitlines()[-1] == label
    (kept,) = Path("runs/sweeps").iterdir()
    assert label == f"numbers are from: {json.loads(kept.read_text())['label']}"


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_job_that_raises_is_named_and_the_others_are_kept(run) -> None:
    """The policy passes every check in this process and raises in any other."""
    Path("mine.py").write_text(
        "import os\nfrom bandits import uniform\n\n"
        "def moody(n_arms, dim, *, mood=1):\n"
        f"    if os.getpid() != {os.getpid()} and mood > 1:\n"
        "        raise RuntimeError('not today')\n"
        "    return uniform(n_arms, dim)\n"
    )
    file = asked('policies = ["oracle", {name = "mine.py:moody", mood = [1, 2]}]')
    code, out, err = run("sweep", file, "--workers", 2)
    assert code == 1 and "3 jobs: 0 were done, 2 computed, 1 failed" in out
    (line,) = (line for line in err.splitlines() if line.startswith("failed: "))
    assert "mine.py:moody,mood=2 on table.parquet:all, reward linear" in line and "not today" in line
    assert "3 jobs, 2 done, 1 to do" in run("sweep", file, "--dry-run")[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_kills_its_worker_is_named_and_the_others_are_done(workers) -> None:
    def work(name: str, deadly: bool) -> engines.Done:
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return name, "result", ""

    jobs = {"deadly": True, **{str(i): False for i in range(20)}}
    ended = {name: (text, error) for name, text, error in engines.local(work, jobs, workers=workers)}
    text, error = ended.pop("deadly")
    assert text == "" and "worker process" in error and "terminated" in error
    assert ended == dict.fromkeys(map(str, range(20)), ("result", ""))


def test_no_scheduler_is_one_line(run, monkeypatch) -> None:
    monkeypatch.setattr(engines, "_WAIT", 1.0)
    file = asked('policies = "oracle"')
    code, _, err = run("sweep", file, "--engine", "dask", "--address", "tcp://127.0.0.1:9")
    assert code == 2 and "no Dask scheduler answers" in err and err.count("\n") == 1


def test_workers_compute_on_one_thread() -> None:
    """Two pinned processes share two cores; with a thread a core each they were 2.5 times slower."""

    def work(name: str, job: None) -> engines.Done:
        from commands.sweep import prepare_worker

        prepare_worker()
        import jax.numpy as jnp

        def busy() -> dict[str, int]:
            stat = {
                p: (p / "stat").read_text().rsplit(")", 1)[1].split()
                for p in Path("/proc/self/task").iterdir()
            }
            return {p.name: int(fields[11]) + int(fields[12]) for p, fields in stat.items()}

        def spent(product: Any) -> list[int]:
            product()
            before = busy()
            for _ in range(20):
                product()
            return sorted(now - before.get(thread, 0) for thread, now in busy().items())

        plain, traced = np.ones((1200, 1200), np.float32), jnp.ones((1200, 1200))
        both = spent(lambda: plain @ plain), spent(lambda: (traced @ traced).block_until_ready())
        return name, json.dumps(both), ""

    for _, text, _ in list(engines.local(work, {"one": None, "two": None}, workers=2)):
        for *others, most in json.loads(text):
            # Ticks of 10 ms. Split over two threads, a product keeps both about as busy.
            assert most >= 10 and sum(others) <= 0.2 * most, (most, others)


# --- the ranking ----------------------------------------------------------------------------------------------------


def test_best_ranks_on_shared_seeds(run) -> None:
    """Means, differences and Holm's correction against a plain computation from the files."""
    file = asked('policies = ["oracle", "thompson", "uniform", "linucb", "ucb1"]\npreferences = [0, 0.5]\n')
    Path(file).write_text(Path(file).read_text().replace("seeds = 3", "seeds = 10"))
    assert run("sweep", file, "--workers", 2)[0] == 0
    code, out, _ = run("best", file, "--format", "json")
    frame = pd.DataFrame(json.loads(out))
    assert code == 0 and len(frame) == 2 * 5
    reward, over, queries = {}, {}, {}
    for path in Path("runs/sweeps").iterdir():
        kept = json.loads(path.read_text())
        for one in kept["runs"]:
            key = one["preference"], kept["ask"]["policies"][0]
            reward[key], queries[key] = one["reward"], one["over_fixed"]
            over[key] = -np.array(one["regret_best_fixed"]) / one["rounds"]
    for preference, part in frame.groupby("preference"):
        mean = {name: np.mean(got) for (which, name), got in reward.items() if which == preference}
        assert list(part["policy"]) == sorted(mean, key=lambda name: -mean[name])
        assert part["reward"].to_numpy() == pytest.approx([mean[name] for name in part["policy"]])
        leader = part["policy"].iloc[1]  # nothing is before the oracle, which does not compete
        gaps = [np.subtract(reward[preference, leader], reward[preference, n]) for n in part["policy"]]
        assert part["behind"].to_numpy() == pytest.approx(np.mean(gaps, axis=1))
        gains = [over[preference, name] for name in part["policy"]]
        assert part["over"].to_numpy() == pytest.approx(np.mean(gains, axis=1))
        tests = [stats.ttest_1samp(gain, 0) for gain in gains[1:]]  # the oracle's seeds are all the same draw
        span = [test.confidence_interval() for test in tests]
        assert part["over_lo"].to_numpy()[1:].astype(float) == pytest.approx([one.low for one in span])
        p = [
            max(t.pvalue, queries[preference, n]["p"]) for t, n in zip(tests, part["policy"][1:], strict=True)
        ]
        adjusted, highest = np.zeros(4), 0.0
        for place, which in enumerate(np.argsort(p, kind="stable")):
            highest = adjusted[which] = max(highest, min(1.0, (4 - place) * p[which]))
        assert part["p_holm"].to_numpy()[1:].astype(float) == pytest.approx(adjusted)
        sides = ["beats" if np.mean(gain) > 0 else "below" for gain in gains[1:]]
        verdicts = [
            f"{side} best_fixed" if q < 0.05 else "not shown" for side, q in zip(sides, adjusted, strict=True)
        ]
        assert list(part["verdict"]) == ["reference", *verdicts]
        assert part["rank"].isna().tolist() == [True, *[False] * 4] and list(part["rank"][1:]) == [1, 2, 3, 4]


def test_best_prints_a_table_for_each_question_and_says_what_it_stands_on(run) -> None:
    file = asked('policies = ["oracle", "greedy", "uniform"]\npreferences = [0, 0.5]')
    assert run("sweep", file, "--workers", 2)[0] == 0
    more = asked('policies = ["oracle", "greedy", "uniform", "linucb"]\npreferences = [0, 0.5]')
    code, out, err = run("best", more, "--top", 2)
    assert (
        code == 0 and "1 of 4 jobs has no result yet" in err and "numbers are from: recorded answers" in err
    )
    assert "table.parquet:all, reward linear, preference 0: 2 contenders, 3 seeds, 150 rounds" in " ".join(
        out.split()
    )
    assert out.count("\noracle ") == 2 and max(map(len, out.splitlines())) <= WIDTH
    wide = run("best", more, "--top", 2, "--wide")[1]
    assert "over_queries_lo" in wide and "over_queries_lo" not in out
    assert (
        out.count("of 2, ") == 2 and "over 3 seeds and " in " ".join(out.split()) and "Holm-adjusted" in out
    )


def test_a_named_policy_is_built_once() -> None:
    """So that jobs of one policy share its compiled programs; a user's file is read anew."""
    stream = make_stream(rows=50)
    assert build("linucb,alpha=0.7", stream, linear) is build(
        "linucb,alpha=0.7", make_stream(rows=60), linear
    )
    assert build("linucb,alpha=0.7", stream, linear) is not build("linucb,alpha=0.8", stream, linear)


def test_a_result_without_numbers_over_queries_has_no_verdict(run) -> None:
    """As written before they were kept: ranked by its means, and nothing is said to beat anything."""
    file = asked('policies = ["thompson", "uniform"]')
    assert run("sweep", file, "--workers", 1)[0] == 0
    for path in Path("runs/sweeps").iterdir():
        kept = json.loads(path.read_text())
        for one in kept["runs"]:
            del one["over_fixed"]
        path.write_text(json.dumps(kept))
    code, out, err = run("best", file, "--format", "json")
    assert code == 0 and "Traceback" not in err
    assert {row["verdict"] for row in json.loads(out)} == {"not shown"}

"""A run that is broken off and taken up again ends with the files of one that was not, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from bandits.experiment import ask as asks
from bandits.experiment import lineup as experiment
from bandits.folders import checkpoint
from bandits.loop.lanes import CHUNK
from bandits.publish import streamed
from envs.twin import generate
from envs.windows import big, survey

ROOT = Path(__file__).resolve().parents[1]
CONTEXT = {"modality": "both", "fusion": "concat", "dim": 32, "whiten": False}
KNOWN = {"command": "", "context": CONTEXT}
EXACT = ("summary.csv", "curves.csv", "by_dataset.csv", "by_query.parquet", "trace.parquet")


def same(one: Path, other: Path) -> None:
    """Check that two runs left the same files; of the manifest, all but when and how long and what was typed."""
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in other.iterdir())
    for name in EXACT:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    first, second = (json.loads((folder / "manifest.json").read_text()) for folder in (one, other))
    for free in ("time", "seconds", "command"):
        first.pop(free), second.pop(free)
    assert first == second


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A stream of 10,000 queries with contexts of length 6."""
    path = tmp_path_factory.mktemp("made") / "made.parquet"
    generate.make(path, 10_000, dim=6, seed=1)
    return path


@pytest.fixture
def small_windows(monkeypatch) -> None:
    """Three chunks a window: four windows, the last one not full. Policies are built once, to be compiled once."""
    monkeypatch.setattr(big, "WINDOW", 3 * CHUNK)
    built = experiment.lineup
    kept: dict[tuple[str, ...], object] = {}
    monkeypatch.setattr(
        experiment,
        "lineup",
        lambda table, specs, *a, **k: kept.setdefault(specs, built(table, specs, *a, **k)),
    )


POLICIES = ("thompson", "exp3")  # both draw at random in every round


def go(
    made: Path,
    folder: Path,
    *,
    after: int | None = None,
    crash: int | None = None,
    asked: dict | None = None,
    **options,
) -> None:
    """Run, and stop or crash after so many chunks; `asked` for more than the policies."""
    chunks = 0

    def stop() -> bool:
        nonlocal chunks
        chunks += 1
        if chunks == crash:
            raise MemoryError
        return chunks == after

    ask = asks.Ask(**{"policies": POLICIES, "seeds": 2, "seed": 4, **(asked or {})})
    streamed.run(survey.opened(made, **CONTEXT), ask, folder, KNOWN, stop=stop, **options)


def test_a_run_stopped_and_crashed_again_and_again_is_the_unbroken_run(made, tmp_path, small_windows) -> None:
    """Stops in the middle of a window and at its last chunk, then crashes: what was played since is played again."""
    go(made, tmp_path / "unbroken")
    for after in (2, 1):  # chunks 2 and 3: the first window is played, and not yet added up
        with pytest.raises(streamed.Interrupted, match=r"after [\d,]+ of 10,000 rounds"):
            go(made, tmp_path / "broken", after=after, resume=True)
        assert not (tmp_path / "broken").exists()
    for every, crash in ((2, 4), (1, 2)):  # chunk 7 crashes, 6 was saved; then 8 crashes, 7 was saved
        with pytest.raises(MemoryError):
            go(made, tmp_path / "broken", every=every, crash=crash, resume=True)
    go(made, tmp_path / "broken", resume=True)
    same(tmp_path / "unbroken", tmp_path / "broken")
    assert {p.name for p in tmp_path.iterdir()} == {"unbroken", "broken"}


def test_a_budget_is_spent_on_where_it_was_left(made, tmp_path, small_windows) -> None:
    """Stopped inside the first window and in the second, when the money is nearly gone."""
    asked = {"policies": ("thompson",), "budget": ("5%",), "pacing": "mirror,step=0.001"}
    go(made, tmp_path / "unbroken", asked=asked)
    for after in (2, 3):
        with pytest.raises(streamed.Interrupted):
            go(made, tmp_path / "broken", after=after, resume=True, asked=asked)
    go(made, tmp_path / "broken", resume=True, asked=asked)
    same(tmp_path / "unbroken", tmp_path / "broken")
    name = "budget.csv"
    assert (tmp_path / "unbroken" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    spent, curves = (pd.read_csv(tmp_path / "broken" / file) for file in (name, "curves.csv"))
    assert spent["spent_most"].between(0.5, 1.1).all()
    assert curves.loc[curves["quantity"] == "price:cost", "mean"].nunique() > 10


def test_what_is_waited_for_is_heard_after_a_stop(made, tmp_path, small_windows) -> None:
    """Waits of more than a window: on resuming, the rows of windows that were played before are read again."""
    asked = {"policies": ("exp3",), "delay": "uniform,least=0,most=4000", "batch": 5}
    go(made, tmp_path / "unbroken", asked=asked)
    with pytest.raises(streamed.Interrupted):
        go(made, tmp_path / "broken", after=8, asked=asked)
    go(made, tmp_path / "broken", resume=True, asked=asked)
    same(tmp_path / "unbroken", tmp_path / "broken")
    summary = pd.read_csv(tmp_path / "broken" / "summary.csv").set_index("policy")
    assert summary.loc["exp3", "outstanding"] > 1500


def test_only_the_run_that_was_stopped_is_taken_up(made, tmp_path, small_windows) -> None:
    with pytest.raises(streamed.Interrupted):
        go(made, tmp_path / "run", after=2)
    with pytest.raises(ValueError, match="--resume goes on with it"):
        go(made, tmp_path / "run")
    table, other = survey.opened(made, **CONTEXT), asks.Ask(POLICIES, seeds=2, seed=5)
    with pytest.raises(ValueError, match="its asked was") as error:
        streamed.run(table, other, tmp_path / "run", KNOWN, resume=True)
    assert "\n" not in str(error.value)
    generate.make(tmp_path / "other.parquet", 10_000, dim=6, seed=2)
    with pytest.raises(ValueError, match="sha256"):
        go(tmp_path / "other.parquet", tmp_path / "run", resume=True)


@pytest.mark.parametrize("every", [2, 1000], ids=["with a checkpoint", "with none"])
def test_a_stop_while_the_folder_appears_is_gone_on_from(
    made, tmp_path, small_windows, monkeypatch, every
) -> None:
    """Killed between two files: a checkpoint stands until the last one is there, and the manifest is that one."""
    go(made, tmp_path / "unbroken")
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if Path(target).name == "report.html":
            raise MemoryError
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(MemoryError):
            go(made, tmp_path / "broken", every=every)
    assert (tmp_path / "broken" / "trace.parquet").is_file()
    assert not (tmp_path / "broken" / "manifest.json").exists()
    if every == 2:
        with pytest.raises(ValueError, match="--resume goes on with it"):
            go(made, tmp_path / "broken")
    go(made, tmp_path / "broken", resume=every == 2)
    same(tmp_path / "unbroken", tmp_path / "broken")
    assert {p.name for p in tmp_path.iterdir()} == {"unbroken", "broken"}


def test_a_folder_of_the_users_in_the_place_of_a_stop_is_left_alone(made, tmp_path) -> None:
    mine = tmp_path / ".run.unfinished" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(ValueError, match="needs to hold only what a stopped run left"):
        go(made, tmp_path / "run")
    assert mine.read_text() == "mine" and len(list(tmp_path.rglob("*"))) == 2


def test_a_checkpoint_gives_back_any_state_bit_for_bit(tmp_path) -> None:
    """Keys, 16-bit floats, integers, empty arrays and None."""
    tree = {
        "key": jax.random.split(jax.random.key(3), 2),
        "half": jnp.arange(5, dtype=jnp.bfloat16) / 3,
        "deep": (jnp.float32(0.1), jnp.zeros((0, 4)), None, jnp.array([True, False])),
        "count": jnp.array([[1, -2]], jnp.int32),
    }
    checkpoint.save(tmp_path / "c.npz", checkpoint.packed(tree, "state"), {"done": 7})
    arrays, about = checkpoint.load(tmp_path / "c.npz")
    blank = jax.tree.map(
        lambda a: (
            jax.random.split(jax.random.key(0), 2)
            if jnp.issubdtype(a.dtype, jax.dtypes.prng_key)
            else jnp.zeros_like(a)
        ),
        tree,
    )
    back = checkpoint.unpacked(arrays, "state", blank)
    assert about == {"done": 7} and jax.tree.structure(back) == jax.tree.structure(tree)
    assert back["key"].dtype == tree["key"].dtype
    for one, other in zip(jax.tree.leaves(back), jax.tree.leaves(tree), strict=True):
        one, other = (
            jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
            for x in (one, other)
        )
        assert one.dtype == other.dtype and np.asarray(one).tobytes() == np.asarray(other).tobytes()
    with pytest.raises(ValueError, match="needs 8 bytes"):
        checkpoint.unpacked(arrays, "other", jnp.zeros(2))
    (tmp_path / "c.npz").write_bytes((tmp_path / "c.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        checkpoint.load(tmp_path / "c.npz")


def command(folder: Path, *more: str) -> list[str]:
    """Return a run of 200,000 rounds with four windows, on the command line."""
    words = ("--policy", "linucb", "--policy", "epsilon", "--seeds", "3", "--stream", "big.parquet")
    return [sys.executable, "-c", TYPED, str(ROOT / "simulate.py"), *words, "--out", str(folder), *more]


# A command as typed, which Ctrl-C interrupts even where the parent of the process ignores it, as under `nohup`.
TYPED = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].removesuffix("simulate.py"))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def begun(folder: Path, *more: str) -> subprocess.Popen[str]:
    """Start a run and return it once its first checkpoint stands."""
    process = subprocess.Popen(
        command(folder, *more),
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kept = folder.parent / f".{folder.name}.unfinished" / "checkpoint.npz"
    while not kept.is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    return process


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    """The folder of a whole run of the command, beside its stream."""
    place = tmp_path_factory.mktemp("command")
    generate.make(place / "big.parquet", 200_000, dim=12)
    subprocess.run(command(place / "unbroken"), cwd=place, check=True, capture_output=True)
    return place / "unbroken"


def test_a_killed_process_is_taken_up(unbroken) -> None:
    folder = unbroken.parent / "killed"
    process = begun(folder, "--checkpoint", "7")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not folder.exists()
    done = subprocess.run(
        command(folder, "--checkpoint", "7", "--resume"), cwd=folder.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    same(unbroken, folder)


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(unbroken) -> None:
    folder = unbroken.parent / "interrupted"
    process = begun(folder, "--checkpoint", "7")
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130 and not folder.exists()
    assert "of 200,000 rounds" in said and "--resume" in said and "Traceback" not in said
    done = subprocess.run(
        command(folder, "--checkpoint", "7", "--resume"), cwd=folder.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    same(unbroken, folder)
    for name in EXACT:
        assert (folder / name).stat().st_size > 0

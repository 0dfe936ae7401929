"""Does damage in a folder that a command reads end in one line, whatever the damage and whichever the command?

A seeded generator damages finished runs, stopped ones, results of sweeps and checkpoints; ROUTEBANDIT_FUZZ sets how
many cases are tried.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bandits import report
from bandits.sweeps import job, plan, results
from commands import streams
from envs.tables import formats
from envs.windows import big
from tests.conftest import make_stream
from tests.test_folders import SMALL, done, run, table  # noqa: F401  (fixtures)

CASES = int(os.environ.get("ROUTEBANDIT_FUZZ", "160"))
VALUES = [
    None,
    -1,
    0,
    10**30,
    1e308,
    float("nan"),
    "x" * 5000,
    "a\nb",
    "",
    [],
    {},
    [[1]],
    True,
    "\ud800",
    {"a": None},
]
FOREIGN = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"a,b\n1,2\n",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"PK\x03\x04",
    b"PAR1PAR1",
]
STREAMED = ("--policy", "uniform", "--seeds", "1", "--stream")


class Folders:
    """What is damaged: a folder of each kind, and the commands that read it."""

    def __init__(self, place: Path, table: Path, done: Path) -> None:  # noqa: F811
        self.place, self.table, self.done = place, table, done
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(big, "WINDOW", 1024)  # two windows and a half
            patched.setattr(streams, "stopping", after_chunks(2))
            run("make-stream", "--rounds", 2500, "--dim", 3, "--out", place / "s.parquet")
            run(*STREAMED, place / "s.parquet", "--out", place / "streamed" / "run")
            patched.setattr(report, "render", interrupted)
            run(
                *SMALL,
                "--data",
                table,
                "--budget",
                "50%",
                "--pacing",
                "primal_dual",
                "--out",
                place / "stopped",
            )
        assert run(*SMALL, "--data", table, "--scenario", "outage", "--out", place / "changing") is None
        known = make_stream(rows=80).outcomes
        seen = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
        formats.write(replace(known, text=seen), str(place / "seen.parquet"))
        assert run(*SMALL, "--data", place / "seen.parquet", "--out", place / "seen") is None
        self.sweep = place / "sweep.toml"
        self.sweep.write_text(
            f'streams = "{table}"\nseeds = 4\npolicies = ["uniform", "best_fixed", "greedy"]\npreferences = [0, 1]\n'
        )
        results.prepare(place / "results")
        for one in plan.jobs(self.sweep):
            results.keep(place / "results", one.digest, job.result(one))

    def commands(self, at: Path) -> list[tuple[Path, tuple[object, ...]]]:
        """Return folders to copy to `at` and damage there, each with a command that reads the copy."""
        out, done = at.parent / "out", self.done  # noqa: F811
        paced = ("--budget", "50%", "--pacing", "primal_dual")
        return [
            (done, ("report", at, "--out", out)),
            (done, ("report", at, done, "--out", out)),
            (done, ("diff", done, at)),
            (done, ("diff", at, at, "--datasets")),
            (self.place / "seen", ("export", at, "--policy", "linucb", "--out", out)),
            (self.place / "changing", ("report", at, "--out", out)),
            (self.place / "results", ("best", self.sweep, "--out", at)),
            (self.place / "results", ("best", self.sweep, "--out", at, "--format", "json")),
            (self.place / "stopped", ("report", at, "--out", out)),
            (self.place / "stopped", (*SMALL, "--data", self.table, *paced, "--out", at)),
            (self.place / "streamed", (*STREAMED, self.place / "s.parquet", "--out", at / "run", "--resume")),
        ]


@contextmanager
def _asked(chunks: int) -> Iterator[Callable[[], bool]]:
    left = iter(range(chunks - 1, -1, -1))
    yield lambda: next(left, 1) == 0


def after_chunks(chunks: int) -> Callable[[], Any]:
    """Return a stand-in for `stopping` that asks for a stop after so many chunks."""
    return lambda: _asked(chunks)


def interrupted(*given: object) -> str:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def folders(tmp_path_factory, table, done) -> Folders:  # noqa: F811
    return Folders(tmp_path_factory.mktemp("folders"), table, done)


def test_the_commands_do_their_work_where_nothing_is_damaged(folders, tmp_path, monkeypatch) -> None:
    """Or no damage would be noticed: they reach the end, the stopped ones by going on."""
    monkeypatch.setattr(big, "WINDOW", 1024)
    assert {p.name for p in (folders.place / "stopped").iterdir()} == {
        "trace.parquet",
        "manifest.json",
        "probed.npz",
    }
    left = folders.place / "streamed" / ".run.unfinished"
    assert (left / "checkpoint.npz").is_file() and len(list((left / "trace").iterdir())) == 1
    for number, (source, _) in enumerate(folders.commands(tmp_path)):
        at = tmp_path / str(number) / "copy"
        shutil.copytree(source, at)
        words = folders.commands(at)[number][1]
        assert run(*words) is None, words
    assert {"manifest.json", "trace.parquet"} <= {p.name for p in (at / "run").iterdir()}
    assert [p.name for p in at.iterdir()] == ["run"]


def damage(place: Path, rng: np.random.Generator) -> str:
    """Damage one file in a folder, and return what was done."""
    files = sorted(p for p in place.rglob("*") if p.is_file() and p.suffix != ".html")
    file = files[rng.integers(len(files))]
    data, kind = file.read_bytes(), int(rng.integers(12))
    if kind == 0:
        file.unlink()
    elif kind == 1:
        file.unlink()
        file.mkdir()
    elif kind == 2:
        file.write_bytes(data[: rng.integers(len(data))])
    elif kind == 3:
        file.write_bytes(FOREIGN[rng.integers(len(FOREIGN))])
    elif kind in (4, 5):
        flipped = bytearray(data)
        for at in rng.integers(len(data), size=3):
            flipped[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
    else:
        inside: dict[str, Callable[..., None]] = {
            ".csv": _table, ".json": _structure, ".parquet": _calls, ".npz": _arrays
        }  # fmt: skip
        inside[file.suffix](file, rng)
    return f"{file.name}, kind {kind}"


def _table(file: Path, rng: np.random.Generator) -> None:
    frame, kind = pd.read_csv(file).astype(object), int(rng.integers(7))
    column = str(rng.choice(frame.columns))
    value = [np.nan, 1e308, -1e308, np.inf, -1, 0, 2.5, "x" * 5000, "text", "a\nb", ""][rng.integers(11)]
    if kind == 0:
        frame = frame.drop(columns=column)
    elif kind == 1:
        frame[column] = value
    elif kind == 2:
        frame = frame.sample(frac=float(rng.random()), random_state=int(rng.integers(1000)))
    elif kind == 3:
        frame = pd.concat([frame, frame])
    elif kind == 4:
        frame = frame.rename(columns={column: str(rng.choice(frame.columns))})
    else:
        frame.iloc[rng.integers(len(frame)), frame.columns.get_loc(column)] = value
    frame.to_csv(file, index=False)


def _structure(file: Path, rng: np.random.Generator) -> None:
    """Replace or remove something at any depth."""
    whole = json.loads(file.read_bytes())
    inside = whole
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = keys[rng.integers(len(keys))]
        deeper = isinstance(inside[key], (dict, list)) and len(inside[key]) and rng.random() < 0.7
        if not deeper:
            break
        inside = inside[key]
    if rng.random() < 0.2:
        del inside[key]
    else:
        inside[key] = VALUES[rng.integers(len(VALUES))]
    file.write_text(json.dumps(whole))


def _calls(file: Path, rng: np.random.Generator) -> None:
    found, kind = pq.read_table(file), int(rng.integers(5))
    place = int(rng.integers(found.num_columns))
    name, column = found.column_names[place], found.column(place)
    if kind == 0:
        found = found.drop_columns([name])
    elif kind == 1:
        found = found.set_column(place, name, column.cast(pa.string()))
    elif kind == 2:
        found = found.slice(int(rng.integers(len(found))))
    elif kind == 3:
        found = pa.concat_tables([found, found])
    else:
        value = [None, -5, 2**31 - 1, 77][rng.integers(4)]
        column = pa.array([value] * len(found), pa.int32())
        found = found.set_column(place, name, column)
    pq.write_table(found, file)


def _arrays(file: Path, rng: np.random.Generator) -> None:
    with np.load(file) as stored:
        arrays = dict(stored)
    name = str(rng.choice(list(arrays)))
    value = arrays[name]
    changed = [
        value.ravel()[:-1],
        value[None],
        value.astype("U9"),
        np.zeros(0),
        np.zeros((9, 9)),
        np.array("{}"),
    ]
    arrays[name] = changed[rng.integers(len(changed))]
    if rng.random() < 0.2:
        del arrays[name]
    np.savez(file, **arrays)


def test_damaged_folders_end_in_one_line(folders, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(big, "WINDOW", 1024)
    wrong = []
    for case in range(CASES):
        rng = np.random.default_rng([13, case])
        place = tmp_path / str(case) / "damaged"
        commands = folders.commands(place)
        source, words = commands[case % len(commands)]
        shutil.copytree(source, place)
        what = damage(place, rng)
        error = run(*words)
        plain = error is None or isinstance(error, ValueError)
        if not plain or "\n" in str(error) or len(str(error)) > 1500:
            wrong.append((case, what, words[0], type(error).__name__, str(error)[:300]))
        shutil.rmtree(place.parent)
    assert not wrong

"""One table from memory and as windows of its file: the same files, byte for byte; and what needs memory."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bandits.experiment import ask as asks
from bandits.loop.lanes import CHUNK
from bandits.publish import asked
from commands import options, tracking
from envs.outcomes import Outcomes
from envs.tables.formats import write
from envs.windows import big
from tests.test_command import run  # noqa: F401  (a fixture)

ROWS = 2 * CHUNK + 300
TABLES = ("summary.csv", "curves.csv", "by_dataset.csv", "by_query.parquet")


def patchy(rows: int = ROWS) -> Outcomes:
    """Four models, three data sets that stand in no order, a quarter of the outcomes missing, some queries twice."""
    rng = np.random.default_rng(0)
    dataset = rng.integers(0, 3, rows)
    utility = (rng.random((rows, 4)) < 0.3 + 0.4 * (np.arange(4) == dataset[:, None])).astype(float)
    hidden = rng.random((rows, 4)) < 0.25
    hidden[np.arange(rows), rng.integers(0, 4, rows)] = False
    cost = rng.lognormal(0, 0.3, (rows, 4)) * (1 + np.arange(4))
    return Outcomes(
        models=tuple("abcd"),
        utility=np.where(hidden, np.nan, utility),
        cost=np.where(hidden, np.nan, cost),
        query_id=np.array([f"q{i}" for i in range(rows)], object),
        dataset=np.array(["x", "y", "z"], object)[dataset],
        group_id=np.array([f"pair {i % 500}" if i % 7 == 0 else "" for i in range(rows)], object),
        cost_unit="USD/query",
    )


def unsorted(path: Path) -> pd.DataFrame:
    """Return a table as text, but for what the best is that a budget buys, for which every call is sorted."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    apart = {"summary.csv": ["within"], "budget.csv": ["within", "gap_closed"]}.get(path.name, [])
    if path.parts[0] == "windows":
        assert (frame[apart] == "").all(axis=None)
    if "quantity" in frame:
        frame = frame[frame["quantity"] != "regret_best_within"]
    return frame.drop(columns=apart).reset_index(drop=True)


def heard(out: str, form: str) -> str:
    """Return what a run prints, but for what the best is that a budget buys."""
    if form == "table":
        assert "accuracy %" in out and "report: " in out
        return out
    frame = pd.read_csv(io.StringIO(out), dtype=str, keep_default_na=False)
    return str(frame.drop(columns="within", errors="ignore").to_csv())


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (CHUNK, "--policy linucb --policy ucb1 --preference 0,0.3 --order given"),
        (CHUNK, "--policy uniform --policy oracle --policy best_fixed --cap 1.2 --order given"),
        (CHUNK, "--policy linucb --preference uniform(0,1) --rounds 1500 --missing wrong --order given"),
        (1 << 16, "--policy linucb --policy exp3 --models d,c,b,a"),
        (
            CHUNK,
            "--policy linucb --policy ucb1 --budget 30% --pacing mirror --hard --cap 2.5 --order given"
            " --label linucb=LinUCB --track mlflow",
        ),
        (CHUNK, "--policy ucb1 --policy exp3 --delay geometric,mean=700,never=0.1 --batch 3 --order given"),
        (CHUNK, "--policy ucb1 --feedback full --delay 40 --cap 2.5 --order given --context dataset"),
        (CHUNK, "--policy linucb --policy oracle --budget 20%,0.9/query --rounds 1500 --order given"),
    ],
)
def test_windows_of_a_file_give_the_files_of_the_table_in_memory(
    run: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    window: int,
    words: str,
) -> None:
    """Contexts are indicators of the data set; three windows, the last one not full, or one."""
    write(patchy(), Path("t.parquet"))
    monkeypatch.setattr(big, "WINDOW", window)
    tracked: list[tuple[str | None, str]] = []
    monkeypatch.setattr(
        tracking, "track", lambda tracker, place, tables: tracked.append((tracker, place.name))
    )
    form = "table" if "--label" in words or "20%,0.9" in words else "csv"
    same, said = (*words.split(), "--data", "t.parquet", "--seeds", 2, "--format", form), []
    for place, more in (("memory", ()), ("windows", ("--checkpoint", 1))):
        code, out, err = run(*same, "--out", place, *more)
        assert code == 0, err
        said.append(out)
    folders = sorted(p.parent.relative_to("memory") for p in Path("memory").rglob("summary.csv"))
    assert len(folders) == (2 if "0,0.3" in words or "20%,0.9" in words else 1)
    for folder in folders:
        for name in (*TABLES, *["budget.csv"] * ("--budget" in words)):
            one, other = (Path(place) / folder / name for place in ("memory", "windows"))
            if "--budget" in words and name.endswith(".csv"):
                pd.testing.assert_frame_equal(unsorted(one), unsorted(other))
            else:
                assert one.read_bytes() == other.read_bytes(), (folder, name)
        streamed = [
            json.loads((Path(p) / folder / "manifest.json").read_text()) for p in ("memory", "windows")
        ]
        for name in ("title", "labels", "budget", "preference", "rounds", "policies"):
            assert streamed[0][name] == streamed[1][name], name
        assert [bool(m.get("streamed")) for m in streamed] == [False, True]
    assert heard(said[0], form) == heard(said[1].replace("windows/", "memory/"), form)
    assert {tracker for tracker, _ in tracked} == {"mlflow" if "mlflow" in words else None}
    assert len(tracked) == 2 * len(folders)


def test_every_setting_is_for_all_tables_or_says_why_it_is_not() -> None:
    """Each reason is of an option that there is, and what is not in the list is taken by a streamed run."""
    assert set(asked.WHOLE) & set(asks.Ask._fields) == set(asks.Ask._fields) - set(asked.FIELDS)
    given = {
        "warm_start": "10%", "n_eff": 3.0, "fit": "warm",
        "scenario": "price-cut", "change": ("price,model=a",), "feedback": "dueling",
        "calls": 2, "deliver": "vote", "judge": "auc=0.8", "judge_column": "x", "judge_cost": 0.1,
        "within_query": "cost=1", "parallel": True, "abstain": "0.5",
    }  # fmt: skip
    duel = asked.needs_memory(asks.Ask(("uniform",), feedback=given.pop("feedback")))
    assert duel is not None and duel[0] == "--feedback dueling"
    assert set(given) == set(asked.WHOLE) & set(asks.Ask._fields)
    for name, value in given.items():
        option, why = asked.needs_memory(asks.Ask(("uniform",), **{name: value}))
        assert option == f"--{name.replace('_', '-')}" and why == asked.WHOLE[name]
    others = set(asked.WHOLE) - set(given)
    assert all(asked.needs_memory(asks.Ask(("uniform",)), {name: True}) for name in others)
    assert (
        asked.needs_memory(asks.Ask(("uniform",), cap=1.0, preference="0,1", rounds=3, order="given")) is None
    )
    page = (Path(__file__).parents[1] / "docs" / "streams.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `--")]
    told = {name: why.strip() for _, names, why, _ in rows for name in names.strip().split(", ")}
    assert {n: told[f"`--{n.replace('_', '-')}`"] for n in asked.WHOLE} == asked.WHOLE
    assert others <= {"prices_per", "prices", "embed", "dry_run", *options.SCORED}

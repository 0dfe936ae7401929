"""Verdicts on tables larger than memory: as in memory while each query has its own sums, by batches beyond."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bandits.experiment import ask as asks
from bandits.folders import sheets
from bandits.publish import streamed
from bandits.report import narrow, opening
from bandits.results import cells
from bandits.results.differences import OVERALL, against, paired_differences, scores
from bandits.results.summary import summarise
from bandits.rewards import linear, reward_table
from envs.outcomes import Outcomes
from envs.stream import Stream, load
from envs.tables.formats import write
from envs.windows import alike, big, survey
from tests.test_streams import CONTEXT, patchy_table, played
from tests.test_streams import Trace as Called

ROWS, SEEDS = 4_000, 4
POLICIES = ("linucb", "uniform", "always,model=a")


@pytest.fixture(autouse=True)
def small_windows(monkeypatch) -> None:
    monkeypatch.setattr(big, "WINDOW", 1024)


def copied(rows: int) -> Outcomes:
    """A table with questions: one in five is a copy of an earlier one but for case; some rows have a group."""
    rng = np.random.default_rng(1)
    said = np.array([f"What is {row}?" for row in range(rows)], object)
    for row in rng.choice(np.arange(1, rows), rows // 5, replace=False):
        said[row] = said[rng.integers(row)].upper()
    group = np.where(rng.random(rows) < 0.1, np.char.add("g", rng.integers(0, 40, rows).astype(str)), "")
    return replace(patchy_table(rows), question=said, group_id=group.astype(object))


def both(tmp_path: Path, table: Outcomes, **options: object) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return the tables of a run of the same calls: of windows, and of the whole table in memory."""
    write(table, tmp_path / "t.parquet")
    opened = survey.opened(tmp_path / "t.parquet", **CONTEXT)
    trace = played(opened, tmp_path / "run", POLICIES, seeds=SEEDS, **options)
    whole = load(str(tmp_path / "t.parquet"))
    traces = {}
    for name in POLICIES:
        part = trace[trace["policy"] == name]
        rows, arms = (part[c].to_numpy().reshape(SEEDS, -1) for c in ("row", "arm"))
        traces[name] = Called(rows, arms)
    return sheets.read(tmp_path / "run", "by_query"), memory(whole, traces)


def memory(stream: Stream, traces: dict[str, Called]) -> dict[str, pd.DataFrame]:
    values = reward_table(linear, stream)
    return summarise(stream, values, traces)._asdict()


def differences(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    got = scores(tables["by_dataset"], tables["by_query"])
    frame = paired_differences(got, against(got, "best_fixed"))
    return frame.sort_values(["policy", "dataset", "measure"], ignore_index=True)


def test_windows_give_the_verdict_of_a_table_in_memory(tmp_path) -> None:
    """Copies and groups across windows included: the same words, and the same figures to rounding."""
    windowed, kept = both(tmp_path, copied(ROWS))
    run = {name: sheets.read(tmp_path / "run", name) for name in ("summary", "by_dataset", "by_query")}
    mine, theirs = differences(run), differences(kept)
    assert (theirs["queries"] < ROWS).all() and theirs["shown"].any() and not theirs["shown"].all()
    for column in theirs:
        if pd.api.types.is_float_dtype(theirs[column]):
            np.testing.assert_allclose(mine[column], theirs[column], rtol=1e-7, atol=1e-9, err_msg=column)
        else:
            assert (mine[column] == theirs[column]).all(), column
    assert opening.opened(run) == opening.opened(kept)
    assert opening.opened(run) in (tmp_path / "run" / "report.html").read_text().replace("&#x27;", "'")
    # The clusters are the same partition of the rows.
    pairs = set(zip(windowed["cluster"], kept["by_query"]["cluster"], strict=True))
    assert len(pairs) == windowed["cluster"].nunique() == kept["by_query"]["cluster"].nunique()


@pytest.mark.parametrize("most", [64, 1000])
def test_batches_of_queries_give_the_interval_of_all_of_them(tmp_path, monkeypatch, most) -> None:
    """Memory is bounded by `most`; the mean is the same, and the interval as wide but for `B` batches' own error.

    A width made of `B` batches has a standard error of `1 / sqrt(2 (B - 1))` of itself: four of them are allowed.
    """
    monkeypatch.setattr(cells, "MOST", most)
    windowed, kept = both(tmp_path, patchy_table(ROWS))
    datasets = 3
    batched = windowed[windowed["cluster"] < 0]
    assert len(windowed) - len(batched) == most and most / 2 < len(batched) <= datasets * (most // datasets)
    run = {name: sheets.read(tmp_path / "run", name) for name in ("summary", "by_dataset")}
    mine, theirs = differences(run | {"by_query": windowed}), differences(kept)
    np.testing.assert_allclose(mine["difference"], theirs["difference"], rtol=1e-9, atol=1e-12)
    batches = np.where(theirs["dataset"] == OVERALL, datasets, 1) * (most // datasets)
    plain = theirs["queries_hi"] - theirs["queries_lo"]
    width = ((mine["queries_hi"] - mine["queries_lo"]) / plain)[plain > 0]  # not of a model with itself
    batches = batches[plain > 0]
    centre = (mine["queries_hi"] + mine["queries_lo"] - theirs["queries_hi"] - theirs["queries_lo"]) / 2
    assert (
        len(width) > 20
        and (np.abs(width - 1) < 4 / np.sqrt(2 * (batches - 1))).all()
        and np.abs(centre).max() < 1e-9
    )
    assert "queries and batches of queries" in opening.opened(run | {"by_query": windowed})
    got, exact = (scores(run["by_dataset"], one) for one in (windowed, kept["by_query"]))
    row = next(r for r in run["summary"].to_dict("records") if r["kind"] == "model")
    ends = [[float(x) for x in re.findall(r"[\d.]+", narrow._accuracy(one, row))] for one in (got, exact)]
    assert len(ends[0]) == 3 and np.abs(np.subtract(*ends)).max() < 4  # points; batches are few here


def test_copies_of_a_query_share_a_batch(monkeypatch) -> None:
    monkeypatch.setattr(cells, "MOST", 8)
    held = cells.Cells(1, 2, 1000, most=cells.MOST)
    rng = np.random.default_rng(0)
    key, code = rng.integers(0, 2**63, 200).astype(np.uint64), rng.integers(0, 2, 200)
    first = held._places(key, code)
    assert sorted(first[:8]) == list(range(8)) and (first[8:] >= 8).all()
    assert np.array_equal(held._places(key, code), first)  # later windows find the same places
    assert (held._places(key, 1 - code) >= 8).all() and first.max() < 8 + 2 * 4
    assert set((first[8:] - 8) // 4) == {0, 1} and np.array_equal((first[8:] - 8) // 4, code[8:])


def test_templates_name_no_query() -> None:
    one = alike.keys([""] * 40, ["What is in the picture?"] * 40, [""] * 40, [b""] * 40, map(str, range(40)))
    assert not alike.named(one)
    two = alike.keys(["g", "g", "", ""], ["x", "y", "A  b", "a B"], [""] * 4, [b""] * 4, "1234")
    assert two[0] == two[1] and two[2] == two[3] != two[0] and alike.named(two)
    apart = alike.keys([""] * 3, ["x"] * 3, ["p", "q", "q"], [b"", b"", b"i"], "123")
    assert len(set(apart.tolist())) == 3


def test_a_stopped_run_goes_on_with_the_sums_of_its_queries(tmp_path) -> None:
    write(copied(3_000), tmp_path / "t.parquet")
    known = {"command": "", "context": CONTEXT}
    ask = asks.Ask(("uniform",), seeds=2)
    left = iter([False, True])
    with pytest.raises(streamed.Interrupted):
        streamed.run(
            survey.opened(tmp_path / "t.parquet", **CONTEXT),
            ask,
            tmp_path / "a",
            known,
            stop=lambda: next(left),
        )
    for place in ("a", "b"):
        streamed.run(
            survey.opened(tmp_path / "t.parquet", **CONTEXT),
            ask,
            tmp_path / place,
            known,
            resume=place == "a",
        )
    one, other = (tmp_path / place / sheets.file("by_query") for place in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()

"""The page above several runs: every point from the traces by a plain loop, every curve against its own solver."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

import simulate
from bandits.experiment import ask as runs
from bandits.folders import write as artefacts
from bandits.metrics.knapsack import best_mixture, best_within
from bandits.publish import overview
from bandits.report import budgets
from bandits.results.points import points
from envs import write
from tests.conftest import make_stream
from tests.test_browser import Opened, browser  # noqa: F401  # a fixture

KNOWN = {"command": "simulate.py", "context": {}, "data": "made", "seconds": 1.0}
ABOUT = {**KNOWN, "title": "two <policies>", "label": "made up", "cost_unit": "USD/query", "notes": ["a & b"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[runs.Run], pd.DataFrame]:
    """Two policies at two preferences and three budgets: the folder, the runs and the file above them."""
    folder = tmp_path_factory.mktemp("overview") / "many"
    ask = runs.Ask(
        policies=("ucb1", "linucb", "oracle"),
        seeds=4,
        rounds=200,
        budget=("20%,50%,90%",),
        pacing="mirror",
        preference="0,0.4",
    )
    done = list(runs.finish(make_stream(rows=300, seed=5), ask))
    for run in done:
        artefacts.publish(folder / run.name, run, ask, KNOWN)
    overview.publish(folder, [points(run) for run in done], ABOUT)
    return folder, done, pd.read_csv(folder / "reward_by_budget.csv", keep_default_na=False, na_values=[""])


def test_every_point_follows_from_its_trace(finished) -> None:
    _, done, frame = finished
    points = frame[frame.kind == "policy"]
    assert len(points) == 2 * 2 * 3 and "oracle" not in set(frame.name)
    for run in done:
        for name in ("ucb1", "linucb"):
            trace, told = run.traces[name], points[(points.run == run.name) & (points.name == name)].iloc[0]
            earned = spent = right = 0.0
            for row, arm in zip(trace.order.ravel(), trace.arms.ravel(), strict=True):
                if arm >= 0:
                    earned += run.table[row, arm]
                    spent += run.stream.cost[row, arm]
                    right += run.stream.utility[row, arm]
            found = [told.reward, told.spent, told.cost, told.accuracy]
            np.testing.assert_allclose(found, np.array([earned, spent, spent, right]) / 800)
            assert told.reward_lo <= told.reward <= told.reward_hi
            assert told.budget == pytest.approx(run.limits[0] / 200)


def test_hindsight_is_drawn_once_for_each_preference(finished) -> None:
    _, done, frame = finished
    assert frame.groupby("kind").size().to_dict() == {"policy": 12, "model": 8, "mixture": 200, "within": 200}
    for run in (done[0], done[-1]):
        for kind, buy in (("mixture", best_mixture), ("within", best_within)):
            curve = frame[(frame.kind == kind) & (frame.preference == float(run.preference))]
            i = 57
            bought = float(buy(run.table, run.stream.cost, curve.budget.iloc[i] * 300)) / 300
            assert curve.reward.iloc[i] == pytest.approx(bought)
        mean = run.stream.cost.mean(axis=0)
        assert curve.budget.iloc[0] < mean.min() and curve.budget.iloc[-1] > mean.max()


def test_the_page_draws_a_curve_for_each_policy_and_links_each_run(finished) -> None:
    folder, _, frame = finished
    page = (folder / "overview.html").read_text()
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])
    assert [f["title"] for f in figures] == [
        *(_earns_most(frame, preference) for preference in ("0", "0.4")),
        *(_most_accurate(frame, text) for text in ("20%", "50%", "90%")),
    ]
    lines = {d["name"]: d for d in figures[0]["views"][0]["data"]}
    assert set(lines) == {
        "best within the budget, in hindsight",
        "best fixed mixture of models",
        "ucb1",
        "linucb",
        "single models",
    }
    drawn = frame[(frame.name == "linucb") & (frame.preference == 0)].sort_values("budget")
    np.testing.assert_allclose(lines["linucb"]["y"], drawn.reward, rtol=1e-4)
    np.testing.assert_allclose(lines["linucb"]["lo"], drawn.reward_lo, rtol=1e-4)
    assert (
        "two &lt;policies&gt;" in page and "a &amp; b" in page and "http:" not in page.split('id="plotly"')[0]
    )
    links = re.findall(r'<a href="([^"]+)"', page)
    assert len(links) == 12 and all((folder / unquote(link)).is_file() for link in links)


def _earns_most(frame: pd.DataFrame, preference: str) -> str:
    """The title of a chart against budgets, by hand: who earns most at the largest."""
    told = frame[(frame.kind == "policy") & (frame.preference == float(preference))]
    top = told[told.budget == told.budget.max()].sort_values("reward").iloc[-1]
    return (
        f"At preference {preference} and ${1000 * top.budget:,.0f} per 1,000 queries, the largest budget, {top['name']}"
        f" earns {top.reward:,.4f} reward a query, the most of 2 policies"
    )


def _most_accurate(frame: pd.DataFrame, asked: str) -> str:
    """The title of a chart against costs, by hand: the span of the policy with the highest accuracy."""
    told = frame[(frame.kind == "policy") & (frame.asked == asked)]
    own = told[told["name"] == told.sort_values("accuracy").iloc[-1]["name"]]
    (low, high), costs = 100 * own.accuracy.agg(["min", "max"]), 1000 * own.cost.agg(["min", "max"])
    return (
        f"{own['name'].iloc[0]} under a budget of {asked} gives {low:.1f} to {high:.1f} % at ${costs.iloc[0]:,.0f} to"
        f" ${costs.iloc[1]:,.0f} per 1,000 queries by preference, the highest accuracy"
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_in_a_browser_without_a_network(browser, finished, width: int) -> None:  # noqa: F811
    shown = Opened(browser, finished[0] / "overview.html", width=width, scheme="dark")
    assert shown.said == []
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    names = [d["name"] for d in shown.shown("budgets-0") if d["name"]]
    assert "linucb" in names and "best fixed mixture of models" in names
    shown.context.close()


def test_budgets_on_another_resource_have_its_axis() -> None:
    from dataclasses import replace

    stream = make_stream(rows=80)
    outcomes = replace(stream.outcomes, latency=np.where(stream.available, 2.0 + np.arange(4), np.nan))
    ask = runs.Ask(policies=("ucb1",), seeds=2, budget=("latency=40%", "latency=80%"))
    done = list(runs.finish(replace(stream, outcomes=outcomes), ask))
    frame = pd.concat([points(run) for run in done])
    point = frame[frame.kind == "policy"].iloc[0]
    best = stream.utility.mean(axis=0).argmax()
    assert point.resource == "latency" and point.budget == pytest.approx(0.4 * (2 + best))
    figure = budgets.charts(frame, "USD/query")[0]
    assert figure["axes"]["x"] == "budget: seconds a query"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path) -> Any:
    """Call the command in-process, in an empty folder; gives (exit code, stderr)."""
    monkeypatch.chdir(tmp_path)
    write(make_stream(rows=120, arms=3, features=2, seed=3).outcomes, "table.parquet")

    def call(*arguments: object) -> tuple[int, str]:
        given = [
            "simulate.py",
            "--policy",
            "ucb1",
            "--data",
            "table.parquet",
            "--seeds",
            "2",
            "--out",
            "done",
        ]
        monkeypatch.setattr("sys.argv", [*given, *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            simulate.main()
        return int(left.value.code or 0), capsys.readouterr().err

    return call


def test_the_command_writes_the_page_above_the_runs(run) -> None:
    code, err = run("--budget", "30%,60%")
    assert code == 0 and "by budget and preference: done/overview.html" in err
    names = {"report.html", "overview.html", "reward_by_budget.csv", "budget=30%", "budget=60%"}
    assert {p.name for p in Path("done").iterdir()} == names
    assert run("--budget", "30%,90%")[0] == 0  # again, beside what is there
    assert {p.name for p in Path("done").iterdir()} == names | {"budget=90%"}
    assert set(pd.read_csv("done/reward_by_budget.csv").asked.dropna()) == {"30%", "90%"}
    assert run()[0] == 0  # one run stands beside earlier ones below it: nothing of theirs is removed
    assert Path("done/summary.csv").is_file() and Path("done/budget=30%/summary.csv").is_file()


def test_an_earlier_single_run_gives_way_and_other_files_do_not(run) -> None:
    assert run()[0] == 0 and Path("done/summary.csv").is_file()
    assert run("--preference", "0,1")[0] == 0
    assert {p.name for p in Path("done").iterdir()} == {
        "report.html", "overview.html", "reward_by_budget.csv", "preference=0", "preference=1",
    }  # fmt: skip
    Path("done/thesis.txt").write_text("years of work")
    assert run("--preference", "0,1")[0] == 0
    assert Path("done/thesis.txt").read_text() == "years of work"

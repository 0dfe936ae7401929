"""What a run shows of a changing world and of late feedback: phases, recovery, take-up, updates outstanding, marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bandits import report
from bandits.experiment import ask as runs
from bandits.experiment import worlds
from bandits.experiment.play import finish
from bandits.folders import read as compare
from bandits.folders import write as artefacts
from bandits.loop import feedback
from bandits.loop.orders import orders
from bandits.loop.replay import Trace
from bandits.metrics import changing
from bandits.report import changes
from bandits.results import phases
from bandits.rewards import accuracy, reward_table
from envs.changes import duels
from envs.stream import Stream
from tests import test_browser
from tests.conftest import make_stream
from tests.test_report import MANIFEST, NASTY, make_curves, make_parts, make_summary

browser = test_browser.browser  # the fixture: headless Chromium, or a skip
KNOWN = {"command": "simulate.py", "context": {}, "data": "made", "seconds": 1.0}
WORTH = np.array([0.9, 0.2, 0.3, 0.6])


@pytest.fixture(scope="module")
def scripted(known: Stream) -> tuple[Stream, np.ndarray, Trace]:
    """Two seeds of 600 rounds: model-0 joins at 200 and is called from 240 on, model-3, called before, goes at 400."""
    world = worlds.changed(known, ["arrive,model=model-0,at=200", "leave,model=model-3,at=400"], seeds=2)
    table = np.where(world.available, WORTH, np.nan)
    arms = np.where(np.arange(600) < 240, 3, 0) * np.ones((2, 1), int)
    return world, table, Trace(orders(world, seeds=2), arms.astype(np.int32))


def test_a_row_for_each_phase_says_what_was_earned_and_missed(scripted) -> None:
    world, table, trace = scripted
    rows = phases.phases(world, table, {"late": trace}).to_dict("records")
    assert [(r["phase"], r["begins"], r["change"]) for r in rows] == [
        (0, 1, ""), (1, 201, "model-0 arrives"), (2, 401, "model-3 leaves"),
    ]  # fmt: skip
    assert [r["best_model"] for r in rows] == ["model-3", "model-0", "model-0"]
    np.testing.assert_allclose([r["best_reward"] for r in rows], [0.6, 0.9, 0.9])
    # 40 of the 200 rounds of the second phase were still the .6 of model-3.
    np.testing.assert_allclose([r["reward"] for r in rows], [0.6, (40 * 0.6 + 160 * 0.9) / 200, 0.9])
    # All rows of a model are worth the same, so the oracle of the moment is the best model of the phase.
    for name in ("regret_oracle", "regret_best_of_phase"):
        np.testing.assert_allclose([r[name] for r in rows], [0.0, 40 * 0.3, 0.0], atol=1e-9)
    np.testing.assert_array_equal([r["recovery"] for r in rows], [np.nan, 25.0, 0.0])
    assert [r["arrives"] for r in rows] == ["", "model-0", ""]
    # Called from 40 rounds after its arrival on: n calls in 40 + n rounds are a fifth at n = 10.
    assert (rows[1]["adoption"], rows[1]["adoption_pulls"]) == (50.0, 10.0)
    assert np.isnan(rows[0]["adoption"]) and np.isnan(rows[2]["adoption"])


def test_phases_add_up_to_the_run(known) -> None:
    world = worlds.changed(
        known, ["quality,model=model-3,change=0.3,at=150", "leave,model=model-1,at=0.6"], seeds=3
    )
    table, order = reward_table(accuracy, world), orders(world, seeds=3)
    trace = Trace(order, np.where(world.available[order, 1], 1, 3).astype(np.int32))
    rows = phases.phases(world, table, {"p": trace})
    whole = phases.outcome(world, table, trace)
    assert rows["regret_best_of_phase"].sum() == pytest.approx(whole["regret_best_of_phase"])
    oracle = np.nanmax(table, axis=1)[order].sum() - table[order, trace.arms].sum()
    assert rows["regret_oracle"].sum() == pytest.approx(oracle / 3)
    ((of_run, curve),) = phases.added(world, table, {"p": trace}, None)
    assert curve["mean"].iloc[-1] == pytest.approx(of_run["regret_best_of_phase"][0])


def test_a_lucky_hundred_rounds_is_no_recovery(known) -> None:
    """Right in the first 150 rounds after the change, wrong from then on: near for a while, never back."""
    world = worlds.changed(known, ["price,model=model-0,at=300"], seeds=1)
    table = np.tile(WORTH, (600, 1))
    arms = np.zeros((1, 600), np.int32)
    arms[:, 450:] = 1
    trace = Trace(orders(world, seeds=1), arms)
    assert np.isnan(changing.recovery(world, table, trace)).all()
    arms[:, 450:] = 0
    arms[:, 300:360] = 1
    # Behind by .7 of .9 for 60 rounds: (60 - n) .7 / 100 <= .05 x .9 from n = 54 on, and the rest is nearer still.
    np.testing.assert_array_equal(changing.recovery(world, table, Trace(trace.order, arms)), [54.0])


def test_the_interval_of_recovery_is_over_resampled_seeds(known) -> None:
    world = worlds.changed(known, ["price,model=model-0,at=300"], seeds=4)
    table, order = np.tile(WORTH, (len(world), 1)), orders(world, seeds=4)
    arms = np.zeros((4, 600), np.int32)
    arms[:, 300:360] = 1
    low, high = changing.recovery_interval(world, table, Trace(order, arms))
    np.testing.assert_array_equal([low, high], [[54.0], [54.0]])  # all seeds alike: nothing to be unsure of
    arms[0, 300:] = 1  # one seed of four never comes back
    low, high = changing.recovery_interval(world, table, Trace(order, arms))
    # A quarter of the seeds behind by .7 is too far; (3/4)^4 = 32 % of the draws do not have it and recover at 54.
    np.testing.assert_array_equal([low, high], [[54.0], [np.inf]])
    alone = worlds.changed(known, ["price,model=model-0,at=300"], seeds=1)
    assert np.isnan(changing.recovery_interval(alone, table[:600], Trace(order[:1], arms[:1]))).all()


def test_the_ends_of_the_interval_of_recovery_are_those_of_the_resamples(known) -> None:
    """Six seeds come back after as many different rounds: every resample by itself, then sorted."""
    world = worlds.changed(known, ["price,model=model-0,at=300"], seeds=6)
    table, order = np.tile(WORTH, (len(world), 1)), orders(world, seeds=6)
    arms = np.zeros((6, 600), np.int32)
    for lane, lost in zip(arms, (3, 17, 40, 77, 101, 150), strict=True):
        lane[300 : 300 + lost] = 1
    apart = np.zeros(4, bool)
    for draws in range(8):
        drawn = np.random.default_rng(draws).integers(0, 6, (120, 6))
        found = sorted(
            changing.recovery(world, table, Trace(order[rows], arms[rows])).item() for rows in drawn
        )
        # 2.5 % of 119 steps is the third from either end.
        ends = changing.recovery_interval(world, table, Trace(order, arms), resamples=120, seed=draws)
        assert (ends[0].item(), ends[1].item()) == (found[2], found[-3])
        apart |= [found[a] != found[b] for a, b in ((1, 2), (2, 3), (-2, -3), (-3, -4))]
    assert apart.all()  # a neighbour would have been another number


def test_recovery_is_the_first_round_near_enough_by_plain_loops(known) -> None:
    """Random answers that grow better: near over the window and over all that is left, for windows up to the phase."""
    rng = np.random.default_rng(1)
    world = worlds.changed(known, ["price,model=model-0,at=560"], seeds=3)
    table, order = np.tile(WORTH, (len(world), 1)), orders(world, seeds=3)
    later = 0
    for window in (2, 5, 13, 39, 40, 41):
        for within in (0.05, 0.2):
            arms = np.zeros((3, 600), np.int32)
            arms[:, 560:] = np.where(rng.random((3, 40)) < np.linspace(0.9, 0.1, 40), 3, 0)
            gap = (0.9 - WORTH[arms[:, 560:]]).mean(axis=0)
            want = [
                n
                for n in range(40 - window + 1)
                if max(gap[n : n + window].mean(), gap[n:].mean()) <= 0.9 * within + 1e-12
            ]
            (found,) = changing.recovery(world, table, Trace(order, arms), window=window, within=within)
            np.testing.assert_equal(found, float(want[0]) if want else np.nan)
            near = [n for n in range(40 - window + 1) if gap[n : n + window].mean() <= 0.9 * within]
            later += bool(want and near[0] < want[0])
    assert later  # a window alone would have said so earlier


def test_a_newcomer_needs_its_share_and_a_fifth_of_the_window(known) -> None:
    """Called from its first round on: held after 20 of 100 rounds. Once in five rounds: exactly a fifth is enough."""
    arms = np.full((3, 400), 1, np.int32)
    arms[0, 100:] = 2
    arms[1, 104::5] = 2
    arms[2, 105::6] = 2
    trace = Trace(np.zeros_like(arms), arms)
    rounds, calls = changing.adoption(trace, 2, 100)
    np.testing.assert_array_equal(rounds, [20, 20, np.nan])
    np.testing.assert_array_equal(calls, [20, 4, np.nan])
    for window, least in ((50, 10), (54, 10), (55, 11)):  # whole fifths
        rounds, calls = changing.adoption(trace, 2, 100, share=0.5, window=window)
        np.testing.assert_array_equal(rounds, [least, np.nan, np.nan])


def test_who_arrives_is_found_among_models_and_among_pairs(known) -> None:
    world = worlds.changed(known, ["arrive,model=model-2,at=200", "outage,model=model-1"], seeds=1)
    ((name, at, columns),) = changing.arrivals(world)
    assert (name, at, columns.tolist()) == ("model-2", 200, [2])
    ((_, _, pairs),) = changing.arrivals(duels.pairs(world))
    first, second = duels.sides(4)
    np.testing.assert_array_equal(pairs, np.flatnonzero((first == 2) | (second == 2)))
    assert changing.arrivals(known) == []


def test_a_constant_delay_leaves_as_many_updates_outstanding(known) -> None:
    table, rounds, delay = reward_table(accuracy, known), 600, 50
    trace = Trace(orders(known, seeds=2), np.zeros((2, rounds), np.int32))
    ((columns, curve),) = phases.added(known, table, {"a": trace, "b": trace}, feedback.parse("50"))
    expected = np.minimum(np.arange(1, rounds + 1), delay)
    assert columns["policy"].tolist() == ["a", "b"]
    np.testing.assert_allclose(columns["outstanding"], expected.mean())
    np.testing.assert_array_equal(columns["never_heard"], delay)
    own = curve[curve["policy"] == "b"]
    np.testing.assert_array_equal(own["mean"], expected[own["round"] - 1])
    assert set(curve["quantity"]) == {"outstanding"}
    assert list(phases.added(known, table, {"a": trace}, None)) == []


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with a change, an arrival and late feedback, and another policy of its own in the same world."""
    place, found = tmp_path_factory.mktemp("changing"), {}
    for name in ("ucb1", "uniform"):
        ask = runs.Ask(
            policies=(name,),
            seeds=3,
            rounds=400,
            change=("arrive,model=model-0,at=0.5",),
            delay="20",
            batch=4,
        )
        found[name] = place / name
        for run in finish(make_stream(rows=200), ask):
            artefacts.publish(found[name], run, ask, KNOWN)
    return found


def test_a_run_writes_and_shows_what_changed(folders) -> None:
    folder = folders["ucb1"]
    written = pd.read_csv(folder / "changes.csv")
    assert written["begins"].tolist() == [1, 201] and written["arrives"].tolist()[1] == "model-0"
    marks = json.loads((folder / "manifest.json").read_text())["marks"]
    assert marks == [[201, "model-0 arrives"]]
    summary = pd.read_csv(folder / "summary.csv").set_index("policy")
    # Heard after rounds 4, 8, ...: called 20 rounds earlier at least.
    after = np.arange(1, 401)
    waiting = after - np.maximum((after // 4) * 4 - 20, 0)
    assert summary.loc["ucb1", "outstanding"] == pytest.approx(waiting.mean())
    assert np.isnan(summary.loc["oracle", "outstanding"])
    curves = pd.read_csv(folder / "curves.csv")
    assert {"regret_best_of_phase", "outstanding"} <= set(curves["quantity"])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "model-0 arrives" in page and "against best model of each phase" in page
    assert compare.page([folder]) == page  # rebuilt from the files alone, to the byte


def test_two_runs_in_one_world_are_shown_together(folders) -> None:
    merged = compare.merge([compare.read(folder) for folder in folders.values()])
    assert merged.changes is not None
    assert merged.changes["policy"].tolist() == ["ucb1", "ucb1", "uniform", "uniform"]
    assert 'id="changes-table"' in compare.page(list(folders.values()))


def test_a_world_that_stands_still_has_no_phases(tmp_path) -> None:
    ask = runs.Ask(policies=("uniform",), seeds=2, rounds=50)
    for run in finish(make_stream(rows=100), ask):
        artefacts.publish(tmp_path / "run", run, ask, KNOWN)
    assert not (tmp_path / "run/changes.csv").exists()
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    page = page.split("<script")[0]
    assert "changes-table" not in page and "best model of each phase" not in page
    assert "recovery" not in pd.read_csv(tmp_path / "run/summary.csv")


def test_marks_stand_in_every_chart_over_rounds_and_in_no_other() -> None:
    figures: list[dict[str, Any]] = [
        {"id": "regret", "axes": {"x": "round", "y": ""}}, {"id": "plane", "axes": {"x": "mean cost", "y": ""}},
    ]  # fmt: skip
    over, plane = changes.marked(figures, [(30, NASTY), (30, "b"), (10, "a")])
    assert [m["x"] for m in over["marks"]] == [10, 30] and "marks" not in plane
    assert "<" not in over["marks"][1]["label"] and over["marks"][1]["label"].endswith(", b")
    assert changes.marked(figures, []) == figures
    for loglog, place in (
        (False, 30),
        (True, np.log10(30)),
    ):  # text stands at the exponent, lines at the value
        paper = changes.on_paper(over, loglog=loglog)
        assert [line["x0"] for line in paper["shapes"]] == [10, 30]
        assert paper["annotations"][1]["x"] == pytest.approx(place)
    assert changes.on_paper(plane) == {}


def test_the_page_tells_the_phases_and_names_cannot_break_out() -> None:
    row = {
        "policy": NASTY, "phase": 1, "begins": 51, "change": NASTY, "best_model": NASTY, "best_reward": 0.5,
        "reward": 0.4, "reward_lo": 0.3, "reward_hi": 0.45, "regret_oracle": 3.0, "regret_best_of_phase": 2.0,
        "recovery": 12.0, "recovery_lo": 3.0, "recovery_hi": np.inf, "arrives": "", "adoption": np.nan,
        "adoption_pulls": np.nan,
    }  # fmt: skip
    summary = pd.DataFrame(make_summary())
    manifest = {**MANIFEST, "marks": [(51, NASTY)]}
    page = report.render(summary, make_curves(), make_parts(), manifest, pd.DataFrame([row]))
    assert "<img" not in page and "3 to never" in page
    for text in ("0.3000 to 0.4500", "What changed"):
        assert text in page


def test_marks_and_what_is_outstanding_are_drawn_in_a_browser(browser: Any, folders) -> None:
    on_screen = test_browser.Opened(browser, folders["ucb1"] / "report.html", width=1280, scheme="dark")
    page = on_screen.page

    def drawn(chart: str, what: str) -> Any:
        marks = "s => s.yref === 'paper' && s.xref !== 'paper'"  # not the names at the ends of lines, and of points
        return page.eval_on_selector(
            f"#{chart}",
            f"node => (node.layout.{what} ?? []).filter({marks}).map(s => [s.x ?? s.x0, s.text])",
        )

    for chart in ("regret", "reward", "shares-0"):
        assert drawn(chart, "shapes") == [[201, None]]
        assert drawn(chart, "annotations") == [[201, "model-0 arrives"]]
    assert drawn("plane", "shapes") == []
    page.get_by_role("button", name="log axes").click()
    ((at, _),) = drawn("regret", "annotations")
    assert at == pytest.approx(np.log10(201))  # on logarithmic axes Plotly places text by the exponent
    page.get_by_role("button", name="updates outstanding").click()
    waiting = next(trace for trace in on_screen.shown("reward") if trace.get("name") == "ucb1")
    assert max(waiting["y"]) == 23.0  # 20 rounds late, heard after every fourth
    page.get_by_role("button", name="against best model of each phase").click()
    assert any(str(trace.get("name")).startswith("ucb1") for trace in on_screen.shown("regret"))
    assert page.locator("#changes-table tbody tr").count() == 2
    assert on_screen.said == []
    on_screen.context.close()

"""Does every other table and chart show the column that its heading or axis names? test_figures has the main ones."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits.mmrbench import frontiers
from bandits.money import money
from bandits.report import budgets, calls, changes, datasets, over_time, plane, plots, tables, words
from bandits.report.styles import AREAS, OTHER_MODELS, model_colours
from bandits.results.by_dataset import CALLS
from bandits.results.differences import Scores
from tests.test_figures import Cells, summary_row
from tests.test_report import make_curves, make_summary, row


def number(text: str) -> float:
    """Return a cell's number, a percentage as a share."""
    share = text.strip().endswith("%")
    return float(text.replace(",", "").replace("\u2212", "-").rstrip("% ")) / (100 if share else 1)


def spanned(text: str) -> list[float]:
    """Return mean, low and high of a cell with an interval in small print."""
    mean, _, small = text.partition("|")
    return [number(mean), *(number(end) for end in small.split(" to "))]


def points() -> pd.DataFrame:
    """Two policies at two budgets of one preference, two models, and both curves of hindsight: no number twice."""
    rows = []
    for i, (name, asked) in enumerate((n, a) for n in ("ucb1", "linucb") for a in ("50%", "20%")):
        low = {"50%": 2.0, "20%": 1.0}[asked]
        rows.append(
            {"run": asked, "preference": "0.2", "asked": asked, "name": name, "kind": "policy", "resource": "cost",
             "budget": low, "spent": low * (0.91 - 0.1 * i), "reward": 0.5 + 0.011 * i, "reward_lo": 0.4 + 0.012 * i,
             "reward_hi": 0.6 + 0.013 * i, "accuracy": 0.7 + 0.014 * i, "accuracy_lo": 0.65 + 0.015 * i,
             "accuracy_hi": 0.75 + 0.016 * i, "cost": 1.7 + 0.17 * i}
        )  # fmt: skip
    for kind, level in (("model", 0.3), ("mixture", 0.4), ("within", 0.8)):
        for i in range(2):
            rows.append({**rows[0], "name": f"{kind}{i}", "kind": kind, "budget": 1.1 + i, "spent": 1.1 + i,
                         "reward": level + 0.1 * i, "accuracy": 0.1 + level + 0.1 * i, "cost": 1.3 + i})  # fmt: skip
    return pd.DataFrame(rows)


def test_the_page_above_the_runs_draws_reward_against_budget() -> None:
    frame = points()
    (figure,) = budgets.charts(frame, "USD")
    axes = figure["axes"]
    assert (axes["x"], axes["y"]) == ("budget: USD per 1,000 queries", "reward a query")
    drawn = {line["name"]: line for line in figure["views"][0]["data"]}
    wanted = {"ucb1": ("ucb1", "policy"), "linucb": ("linucb", "policy"), "single models": (None, "model"),
              **{budgets._HINDSIGHT[kind][0]: (None, kind) for kind in ("within", "mixture")}}  # fmt: skip
    assert drawn.keys() == wanted.keys()
    for label, (name, kind) in wanted.items():
        part = frame[(frame["kind"] == kind) & ((frame["name"] == name) | (name is None))].sort_values(
            "budget"
        )
        np.testing.assert_allclose(drawn[label]["x"], 1000 * part["budget"], rtol=1e-4)
        np.testing.assert_allclose(drawn[label]["y"], part["reward"], rtol=1e-4)
        if kind == "policy":
            np.testing.assert_allclose(drawn[label]["lo"], part["reward_lo"], rtol=1e-4)
            np.testing.assert_allclose(drawn[label]["hi"], part["reward_hi"], rtol=1e-4)


def test_the_page_above_the_runs_draws_accuracy_against_cost() -> None:
    frame = points()
    frame["preference"], frame["asked"] = frame["asked"], "30%"
    (figure,) = budgets.charts(frame, "USD")
    assert (figure["axes"]["x"], figure["axes"]["y"]) == ("cost, USD per 1,000 queries", "accuracy")
    for line in figure["views"][0]["data"]:
        of = "model" if line["name"] == "single models" else "policy"
        part = frame[frame["kind"] == of]
        part = part if of == "model" else part[part["name"] == line["name"]].sort_values("cost")
        np.testing.assert_allclose(line["x"], 1000 * part["cost"], rtol=1e-4)
        np.testing.assert_allclose(line["y"], 100 * part["accuracy"], rtol=1e-4)
        if of == "policy":
            np.testing.assert_allclose(line["lo"], 100 * part["accuracy_lo"], rtol=1e-4)
            np.testing.assert_allclose(line["hi"], 100 * part["accuracy_hi"], rtol=1e-4)


def test_the_table_of_runs_by_heading_and_who_earns_most() -> None:
    frame = points()
    head, *body = Cells(budgets._table(frame[frame["kind"] == "policy"], money("USD"))).rows
    for cells, told in zip(body, frame.to_dict("records"), strict=False):
        line = dict(zip(head, cells, strict=True))
        assert (line["policy"], line["preference"], line["budget"]) == (told["name"], "0.2", told["asked"])
        assert number(line["spent of it"]) == pytest.approx(told["spent"] / told["budget"], abs=6e-4)
        assert number(line["cost, USD per 1,000 queries"]) == pytest.approx(1000 * told["cost"], rel=1e-3)
        for heading, column, scale in (("reward a query", "reward", 1), ("accuracy, %", "accuracy", 100)):
            want = [scale * told[column], scale * told[f"{column}_lo"], scale * told[f"{column}_hi"]]
            assert spanned(line[heading]) == pytest.approx(want, abs=6e-2 if scale > 1 else 1e-4)
    assert "<code>linucb</code> earns most at 50% (0.5220 reward a query)" in budgets._headline(frame)
    assert "<code>linucb</code> earns most at 20% (0.5330 reward a query)" in budgets._headline(frame)


def test_the_table_of_phases_by_heading() -> None:
    frame = pd.DataFrame(
        [{"policy": "a", "phase": 1, "begins": 1201, "change": "m joins", "best_model": "m", "best_reward": 0.71,
          "reward": 0.52, "reward_lo": 0.48, "reward_hi": 0.57, "regret_oracle": 61.5, "regret_best_of_phase": 43.5,
          "recovery": 310.0, "recovery_lo": 250.0, "recovery_hi": 420.0, "arrives": "m", "adoption": 83.0,
          "adoption_pulls": 17.0}]
    )  # fmt: skip
    head, cells = Cells(changes.section(frame)).rows
    line = dict(zip(head, cells, strict=True))
    assert line == {
        "policy": "a", "from round": "1,201", "what changed": "m joins", "best model then": "m", "its reward": "0.7100",
        "reward a query": "0.5200|0.4800 to 0.5700", "regret, oracle": "61.5", "regret, best of phase": "43.5",
        "rounds to recover": "310|250 to 420", "rounds to take up": "83", "calls until then": "17",
    }  # fmt: skip
    never = frame.assign(recovery=np.nan, recovery_hi=np.inf, adoption=np.nan)
    line = dict(zip(head, Cells(changes.section(never)).rows[1], strict=True))
    assert (line["rounds to recover"], line["rounds to take up"]) == ("never|250 to never", "never")


def test_a_mark_lies_at_its_round_on_both_kinds_of_axes() -> None:
    figure = {"marks": [{"x": 200, "label": "m joins"}]}
    for loglog, at in ((False, 200), (True, math.log10(200))):
        drawn = changes.on_paper(figure, loglog=loglog)
        assert drawn["annotations"][0]["x"] == pytest.approx(at)
        assert (drawn["shapes"][0]["x0"], drawn["shapes"][0]["x1"]) == (200, 200)


def test_the_table_by_dataset_by_heading() -> None:
    rng = np.random.default_rng(0)
    value = {
        m: rng.random((5, 3, 2)) ** 3 for m in ("reward", "accuracy", "cost")
    }  # skewed: no mean is a median
    value["regret_oracle"] = 100 * rng.random((5, 3, 2)) ** 3
    got = Scores(("a", "oracle", "m"), ("policy", "reference", "model"), ("x", "y"), value)
    head, *body = Cells(datasets.table(got, ["a"], money("USD"))).rows
    place = ""
    seen = 0
    for cells in body:
        if len(cells) == 1:
            (place,) = cells
            continue
        line = dict(zip(head, cells, strict=True))
        p, d = got.players.index(line["player"]), got.datasets.index(place)
        for heading, measure, scale, least in (
            ("accuracy, %", "accuracy", 100, 0),
            ("cost, USD per 1,000 queries", "cost", 1000, 0),
            ("regret, oracle", "regret_oracle", 1, -np.inf),
        ):
            each = scale * value[measure][:, p, d]
            low, high = stats.t.interval(0.95, 4, each.mean(), stats.sem(each))
            want = [each.mean(), max(low, least), high]
            assert spanned(line[heading]) == pytest.approx(want, rel=1e-3, abs=6e-2)
            seen += 1
    assert seen == 2 * 2 * 3  # single models have no row


def test_shares_of_calls_are_sums_over_policies_and_the_last_ones_are_the_last() -> None:
    """Two policies, two data sets of unlike size; references call too, and do not count."""
    frame = pd.DataFrame(
        {
            "policy": ["a", "a", "b", "oracle"], "kind": ["policy"] * 3 + ["reference"],
            "dataset": ["x", "y", "x", "x"], "seed": 0, "rounds": [10, 90, 10, 10],
            f"{CALLS}m": [10, 0, 5, 0], f"{CALLS}n": [0, 90, 5, 10],
        }
    )  # fmt: skip
    assert calls.called(frame) == pytest.approx({"m": 15 / 110, "n": 95 / 110})
    share = calls.routed(frame)
    assert list(dict.fromkeys(share.index.get_level_values("dataset"))) == ["y", "x"]  # asked most first
    rows = [
        ("a", t, f"share:{m}", s)
        for t, each in ((1, (0.9, 0.1)), (50, (0.2, 0.8)))
        for m, s in zip("mn", each, strict=True)
    ]
    curves = pd.DataFrame(rows, columns=["policy", "round", "quantity", "mean"])
    drawn, colours, last = calls.shares([summary_row("a", "policy")], curves)
    assert last == [{"m": 0.2, "n": 0.8}]
    lines = {area["name"]: (area["x"], area["y"]) for area in drawn[0]["views"][0]["data"]}
    assert lines == {"m": ([1, 50], [90.0, 20.0]), "n": ([1, 50], [10.0, 80.0])} and set(colours) == {
        "m",
        "n",
    }
    assert words.shares_caption("a", last[0]) == "a in the last rounds: n 80 %, m 20 %."
    assert words.shares_caption("a", {"p": 0.1, "q": 0.4, "r": 0.3, "s": 0.2}).endswith(
        "q 40 %, r 30 %, s 20 %."
    )


def test_models_called_most_have_a_colour_and_the_others_are_added_up() -> None:
    totals = {f"m{i}": float(i) for i in range(len(AREAS) + 2)}
    colours = model_colours(totals)
    assert list(colours) == [*(f"m{i}" for i in range(len(AREAS) + 1, 1, -1)), OTHER_MODELS]
    rows = [("a", t, f"share:{m}", n / sum(totals.values())) for m, n in totals.items() for t in (1, 9)]
    curves = pd.DataFrame(rows, columns=["policy", "round", "quantity", "mean"])
    drawn, _, _ = calls.shares([summary_row("a", "policy")], curves)
    (other,) = [area for area in drawn[0]["views"][0]["data"] if area["name"] == OTHER_MODELS]
    assert other["y"][-1] == pytest.approx(100 / sum(totals.values()), rel=1e-3)  # those of 0 and 1


def meeting() -> Any:
    """Online frontiers beside offline ones in which no number stands twice."""
    scores = {
        "Ps": 0.81,
        "Ps_lo": 0.72,
        "Ps_hi": 0.93,
        "nAUC_fair": 0.64,
        "nAUC_fair_lo": 0.55,
        "nAUC_fair_hi": 0.77,
    }
    table = [
        {
            "name": "a",
            "kind": "policy",
            "outcomes": 4321.0,
            **scores,
            "QNC": 0.383,
            "hypervolume": 0.5678,
            "interval": "seeds",
        }
    ]
    table.append({**table[0], "name": "b", "QNC": math.inf})
    lines = {"name": ["a", "a"], "kind": "policy", "cost": [0.1, 0.4], "utility": [0.5, 0.7],
             "utility_lo": [0.45, 0.61], "utility_hi": [0.58, 0.74]}  # fmt: skip
    about = {"cost_unit": "USD", "dataset": "all", "n_test": 7, "n_train": 3, "seeds": 2, "label": "made"}
    return SimpleNamespace(points=pd.DataFrame(lines), table=table, about=about)


def test_frontiers_by_heading_and_axis() -> None:
    made = meeting()
    head, *body = Cells(frontiers._table(made)).rows
    line = dict(zip(head, body[0], strict=True))
    assert (line[""], line["outcomes learned from"], line["hypervolume"]) == ("a", "4,321", "0.5678")
    assert (
        line["peak, %"] == "81.0|72.0 to 93.0, seeds"
        and line["area, of 1"] == "0.6400|0.5500 to 0.7700, seeds"
    )
    assert (line["cost to match"], body[1][head.index("cost to match")]) == ("38.3 %", "never")
    (drawn,) = [frontiers._trace(one, money("USD")) for one in frontiers.lines(made) if one.kind == "policy"]
    assert (drawn["x"], drawn["y"]) == ([100.0, 400.0], [50.0, 70.0])
    assert drawn["error_y"]["array"] == pytest.approx([8.0, 4.0])
    assert drawn["error_y"]["arrayminus"] == pytest.approx([5.0, 9.0])
    assert (frontiers.titles(made)["x"], frontiers.titles(made)["y"]) == ("mean cost (USD)", "accuracy")


def test_a_band_goes_along_the_upper_end_and_back_along_the_lower() -> None:
    line = {
        "x": [1, 5, 9],
        "y": [2.0, 3.0, 4.0],
        "lo": [1.0, 2.5, 3.9],
        "hi": [2.5, 3.2, 4.4],
        "line": {"color": "red"},
    }
    band, own = plots._traces({**line, "name": "a"}, False)
    assert list(zip(band["x"], band["y"], strict=True)) == [
        (1, 2.5),
        (5, 3.2),
        (9, 4.4),
        (9, 3.9),
        (5, 2.5),
        (1, 1.0),
    ]
    assert own["y"] == line["y"] and "lo" not in own
    (heat,) = plots._traces({"type": "heatmap", "z": [[0.5]]}, False)
    assert (heat["zmin"], heat["zmax"]) == (0, 1)


def test_small_print_of_the_summary_by_heading() -> None:
    """Each interval is that of its own column, and shares of rounds are not turned round."""
    given = summary_row("a", "policy") | {"unanswered": 0.12}
    head, *body = Cells(
        tables.summary([given, summary_row("m", "model") | {"fell_back": 0.34}], money("USD"))
    ).rows
    cells = next(line for line in body if line[0].startswith("a"))
    assert cells[0] == "a|policy; no call in 12 % of rounds"
    assert any(line[0].startswith("m|single model; cannot be called in 34 % of rounds") for line in body)
    line = dict(zip(head, cells, strict=True))
    for heading, name, scale in (
        ("reward a query", "reward", 1), ("behind the best policy", "lag", 1), ("accuracy, %", "accuracy", 100),
        ("cost, USD per 1,000 queries", "cost", 1000), ("regret, oracle", "regret", 1),
    ):  # fmt: skip
        _, low, high = spanned(line[heading])
        assert low == pytest.approx(scale * given[f"{name}_lo"], rel=2e-3), heading
        assert high == pytest.approx(scale * given[f"{name}_hi"], rel=3e-3), heading


def test_a_dot_plot_has_each_accuracy_with_its_own_ends() -> None:
    spans = {"a": ("policy", 0.6, 0.52, 0.63), "m": ("model", 0.4, 0.39, 0.47)}
    rows = [
        row(name, kind, 0.5, 0.0, accuracy=mean, accuracy_lo=low, accuracy_hi=high, cost_mean=math.nan)
        for name, (kind, mean, low, high) in spans.items()
    ]
    figure, front = plane.plane(rows, "")
    assert front == [] and [d["name"] for d in figure["views"][0]["data"]] == ["m", "a"]  # lowest first
    first = figure["views"][0]["data"][1]
    assert first["x"] == [60.0] and first["error_x"]["array"] == pytest.approx([3.0])
    assert first["error_x"]["arrayminus"] == pytest.approx([8.0])


def test_over_time_axes_starts_and_growth() -> None:
    rows, curves = make_summary(), make_curves()
    many = [r | {"rounds": 1000} for r in rows]  # a window of 40 rounds: from round 10 on
    parts = [curves[curves["quantity"] == "reward"].assign(round=[1, 9, 10] * 6)]
    drawn = over_time.reward(many, pd.concat(parts), "USD")["views"][0]["data"]
    assert all(line["x"] == [10] for line in drawn)
    assert words.window(many) == 40 and words.window([{"rounds": 10}]) == 1
    own = curves[(curves["policy"] == "linucb") & (curves["quantity"] == "cost")]
    both = pd.concat([own.assign(quantity="left:cost"), own.assign(quantity="price:cost")])
    figure = over_time.budget(rows, both)
    assert figure is not None
    assert [(v["label"], v["y"]) for v in figure["views"]] == [
        ("left of the cost", "share of the budget left"), ("price of cost", "dual price, reward a unit"),
    ]  # fmt: skip
    grown = curves.assign(hi=curves["mean"] ** 3)
    assert {d["growth"] for d in over_time.regret(rows, grown)["views"][0]["data"]} == {1.0}

"""The field's scores against worked values, other libraries and plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial import ConvexHull

import envs
import simulate
from bandits.metrics import scores


def test_arena_scores_of_recorded_answers_are_the_known_ones(shared) -> None:
    stream = envs.load(data=shared / "outcomes" / "routerarena_sub10.csv.gz")
    found = {}
    for arm, model in enumerate(stream.models):
        accuracy, cost = np.nanmean(stream.utility[:, arm]), 1000 * np.nanmean(stream.cost[:, arm])
        found[model.split("-")[1] if "-" in model else model] = accuracy, cost, scores.arena(accuracy, cost)
    got = sorted(found.values())
    assert got[0] == pytest.approx((0.523397, 0.175992, 0.533197), abs=5e-7)
    assert got[1] == pytest.approx((0.690119, 0.047491, 0.697293), abs=5e-7)


def test_the_command_scores_a_table_and_a_finished_run(tmp_path, capsys) -> None:
    table = tmp_path / "table.csv"
    lines = ["query_id,a_utility,a_cost,b_utility,b_cost,c_utility,c_cost"]
    lines += [f"q{i},{i % 2},1,{int(i % 4 > 0)},2,1,4" for i in range(40)]
    table.write_text("\n".join(lines) + "\n")
    assert simulate.answer(["scores", str(table), "--format", "json"])[0] == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["b"]["rank_score"] == pytest.approx(1.1 * 0.75 * 0.5 / (0.075 + 0.5))
    assert found["b"]["gain_over_best"] == pytest.approx(-0.25)
    assert found["b"]["gain_over_random"] == pytest.approx(0)
    assert found["a"]["ies_ratio_of_means"] == pytest.approx(0.5 / 0.25)
    out = tmp_path / "runs"
    options = [
        "--policy",
        "ucb1",
        "--preference",
        "0,1",
        "--seeds",
        "2",
        "--data",
        str(table),
        "--out",
        str(out),
    ]
    assert simulate.answer(options)[0] == 0
    capsys.readouterr()
    assert simulate.answer(["scores", str(out), "--format", "json"])[0] == 0
    played = [row for row in json.loads(capsys.readouterr().out) if row["name"] == "ucb1"]
    assert all("ies_ratio_of_means" not in row for row in played)
    for row in played:
        assert row["ies_of_means"] == pytest.approx(row["accuracy"] / (row["cost_per_1000"] / 4000), rel=1e-6)
    assert sorted(row["setting"] for row in played) == ["preference=0", "preference=1"]
    for given in (["--alpha", "0.5"], ["--models", "a,b"], ["--data", str(table)]):
        code, message = simulate.answer(["scores", str(out), *given])
        assert code == 2 and f"{given[0]} is for a table, not for finished runs" in message
    code, message = simulate.answer(["scores", str(out), str(table)])
    assert code == 2 and "not both" in message
    code, message = simulate.answer(["scores", str(tmp_path / "missing.csv"), "--alpha", "2"])
    assert code == 2 and "--alpha needs a number in [0, 1], got 2" in message


def test_rank_score_at_its_bounds() -> None:
    assert scores.rank_score(0.7, 5.0, low=1.0, high=5.0) == 0  # the dearest counts nothing
    assert scores.rank_score(0.7, 9.0, low=1.0, high=5.0) == 0
    cheapest = scores.rank_score(0.7, 1.0, low=1.0, high=5.0)
    assert cheapest == pytest.approx(1.1 * 0.7 / 1.07) == scores.rank_score(0.7, 0.1, low=1.0, high=5.0)
    assert scores.rank_score(0.0, 5.0, low=1.0, high=5.0) == 0


def test_ies_in_its_two_ways() -> None:
    quality, cost = [1.0, 0.0, 1.0], [0.001, 0.5, 2.0]
    fast = scores.responsiveness([0.0, 2.0, 8.0], 4.0)
    assert fast.tolist() == [1.0, 0.5, 0.0]
    found = scores.ies(quality, fast, cost, alpha=0.75)
    value, paid = [1.0, 0.125, 0.75], [0.01, 0.5, 2.0]
    assert found.mean_of_ratios == pytest.approx(sum(v / c for v, c in zip(value, paid, strict=True)) / 3)
    assert found.ratio_of_means == pytest.approx(sum(value) / sum(paid))


def test_gap_recovered_is_one_half_on_the_straight_line_and_by_trapezoids_elsewhere() -> None:
    share = np.linspace(0, 1, 11)
    line = 0.4 + 0.3 * share
    ends = {"weak": 0.4, "strong": 0.7}
    assert scores.apgr(share, line, **ends) == pytest.approx(0.5)
    assert scores.cpt(share, line, **ends, recovered=0.5) == pytest.approx(0.5)
    # Two points inside: 0 -> .25 at .1, .8 at .5, 1 at 1.
    found = scores.apgr([0.5, 0.1], [0.64, 0.475], **ends)
    assert found == pytest.approx(0.1 * 0.125 + 0.4 * 0.525 + 0.5 * 0.9)
    assert scores.cpt([0.5, 0.1], [0.64, 0.475], **ends, recovered=0.8) == pytest.approx(0.5)
    assert scores.cpt([0.5, 0.1], [0.64, 0.475], **ends, recovered=0.525) == pytest.approx(0.3)


def test_aiq_is_the_area_under_scipys_hull() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        cost, quality = rng.random(9), rng.random(9)
        low, high = cost.min(), cost.max()
        # The hull of the points, what lies right of them at no less quality, and what lies below.
        more = np.column_stack([np.append(cost, high), np.append(quality, quality.max())])
        points = np.vstack([more, [[low, 0.0], [high, 0.0]]])
        corners = points[ConvexHull(points).vertices]
        at = np.linspace(low, high, 20_001)
        upper = np.full(len(at), -np.inf)
        for a in corners:
            for b in corners:
                if a[0] < b[0]:
                    inside = (at >= a[0]) & (at <= b[0])
                    upper[inside] = np.maximum(
                        upper[inside], a[1] + (b[1] - a[1]) * (at[inside] - a[0]) / (b[0] - a[0])
                    )
        expected = np.trapezoid(upper, at) / (high - low)
        assert scores.aiq(cost, quality) == pytest.approx(expected, abs=1e-4)
    assert scores.aiq([2.0, 2.0], [0.3, 0.6]) == 0.6


def test_what_llmrouterbench_counts() -> None:
    assert scores.gain(0.66, 0.6) == pytest.approx(0.1)
    cost, accuracy = [1.0, 2.0, 3.0], [0.5, 0.7, 0.8]
    assert scores.cost_save(cost, accuracy, best_cost=4.0, best_accuracy=0.7) == pytest.approx(0.5)
    assert np.isnan(scores.cost_save(cost, accuracy, best_cost=4.0, best_accuracy=0.9))
    away = scores.pareto_distance([0.0, 1.0, 1.0, 0.5], [0.0, 1.0, 0.0, 0.0])
    assert away.tolist() == [0, 0, 1, 0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scores.ies([1.0], [1.0], [1.0, 2.0]), "three arrays of one shape"),
        (lambda: scores.ies([1.0], [1.0], [1.0], alpha=2), "alpha in"),
        (lambda: scores.responsiveness([1.0], 0.0), "reference latency above 0"),
        (lambda: scores.rank_score(0.5, 1.0, low=2.0, high=1.0), "low < high"),
        (lambda: scores.rank_score(1.5, 1.0, low=0.5, high=1.0), "accuracy in"),
        (lambda: scores.apgr([0.5], [0.5], weak=0.6, strong=0.5), "higher accuracy"),
        (lambda: scores.apgr([1.5], [0.5], weak=0.4, strong=0.5), "shares in"),
        (lambda: scores.cpt([0.5], [0.45], weak=0.4, strong=0.5, recovered=1.2), "at most 1"),
        (lambda: scores.aiq([], []), "of one shape"),
        (lambda: scores.gain(0.5, 0.0), "above 0"),
        (lambda: scores.cost_save([1.0], [1.0], best_cost=0.0, best_accuracy=1.0), "costs something"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

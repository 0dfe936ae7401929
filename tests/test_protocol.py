"""MMR-Bench's protocol step by step: resamples, splits, what stands beside the paper, and what is learned from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bandits.metrics import curve
from bandits.mmrbench import calibrate, online, scores, splits, table2
from bandits.mmrbench.routers import kmeans
from bandits.mmrbench.routers.base import mean_where_seen
from tests.test_mmrbench import small_table


def test_a_resample_is_the_score_of_the_queries_that_it_draws() -> None:
    """With gaps: model means, ranges and the frontier of a table in which each query stands as often as drawn."""
    rng = np.random.default_rng(0)
    utility, cost = rng.integers(0, 3, (30, 4)) / 2, rng.lognormal(size=(30, 4))
    gone = rng.random((30, 4)) < 0.2
    gone[:, 0] = False
    utility[gone], cost[gone] = np.nan, np.nan
    seen = ~gone
    predicted = np.where(seen, rng.random((30, 4)), np.nan)
    walked = curve.path(predicted, rng.random((30, 4)), start=seen.argmax(axis=1))
    weights = rng.multinomial(30, np.full(30, 1 / 30), 5)
    found = scores.resample(walked, scores.truth(utility, cost), weights)
    for draw, got in zip(weights, found, strict=True):
        rows = np.repeat(np.arange(30), draw)
        again = scores.truth(utility[rows], cost[rows])
        points = curve.points(walked, np.nan_to_num(utility), np.nan_to_num(cost), draw)
        want = scores.of_frontier(*points, again)
        assert got == pytest.approx([want[name] for name in scores.RESAMPLED], rel=1e-9)


def test_the_range_that_areas_share_is_that_of_the_single_models() -> None:
    """Models of mean cost 1, 4 and 9; the frontier has one point of .5 at 2 and one of .8 at 6."""
    cost = np.array([[1.0, 4.0, 9.0]] * 2)
    true = scores.truth(np.array([[0.2, 0.7, 0.6]] * 2), cost)
    assert true.span == (1.0, 9.0) and true.best == 1
    told = scores.of_frontier(np.array([2.0, 6.0]), np.array([0.5, 0.8]), true)
    assert told["nAUC_fair"] == pytest.approx((1 * 0.5 + 4 * 0.65 + 3 * 0.8) / 8)
    assert told["hypervolume"] == pytest.approx((4 * 0.5 + 3 * 0.8) / 9)
    assert told["gain"] == pytest.approx(0.1) and told["QNC"] == pytest.approx(6 / 4)
    near = scores.of_frontier(np.array([2.0, 6.0]), np.array([0.695, 0.8]), true)
    assert (near["QNC_01"], near["QNC_99"], near["QNC"]) == (0.5, 0.5, 1.5)


@pytest.mark.parametrize(("share", "train"), [(0.2, 2), (0.29, 2), (0.3, 3), (0.95, 9)])
def test_so_many_queries_train(share: float, train: int) -> None:
    split = splits.make(small_table(10), "all", (), "in", share, 1)[0]
    assert (len(split.train), len(split.test)) == (train, 10 - train)
    assert sorted([*split.train, *split.test]) == list(range(10))


@pytest.mark.parametrize(("share", "names"), [(0.1, 1), (0.4, 2), (0.59, 2), (0.6, 3)])
def test_so_many_datasets_train(share: float, names: int) -> None:
    table = small_table(50)
    labels = np.array([f"d{i % 5}" for i in range(50)], object)
    table = replace(table, dataset=labels)
    order = ("d3", "d1", "d0", "d4", "d2")
    split = splits.make(table, "all", order, "out", share, 1)[0]
    assert set(labels[split.train]) == set(order[:names]) and set(labels[split.test]) == set(order[names:])


def test_what_stands_beside_the_paper_is_ours_less_theirs() -> None:
    row = {"n_test": 7, "label": "made", "Ps": 0.71, "Ps_lo": 0.69, "Ps_hi": 0.74, "nAUC": 0.5, "nAUC_lo": 0.4,
           "nAUC_hi": 0.6}  # fmt: skip
    told = table2._beside(row, {"Ps": 0.68, "nAUC": math.nan}, [math.nan, 0.04])
    assert told["Ps_difference"] == pytest.approx(0.03) and told["Ps_within"] is False
    assert told["nAUC_within"] is None and told["Ps_paper"] == 0.68
    same = table2._beside(row, {"Ps": 0.69, "nAUC": 0.5}, [0.05, 0.06])
    assert same["Ps_within"] and same["nAUC_within"]
    assert table2._digits(math.nan) == "–"


def test_policies_have_a_point_for_each_preference_and_routers_learn_from_all_models() -> None:
    """Two seeds, three preferences: means, ends and the order by cost; a router hears n_train x K outcomes."""
    cost = np.array([[3.0, 1.0, 2.0], [5.0, 2.0, 2.5]])
    utility = np.array([[0.81, 0.8, 0.4], [0.79, 0.6, 0.5]])
    frame = online._policy_points("p", (0.1, 1.0, 0.5), cost, utility)
    assert frame["preference"].tolist() == [1.0, 0.5, 0.1]
    np.testing.assert_allclose(frame["cost"], [1.5, 2.25, 4.0])
    np.testing.assert_allclose(frame["utility"], [0.7, 0.45, 0.8])
    half = 12.7062 * np.std([0.81, 0.79], ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(frame["utility_hi"].iloc[-1] - 0.8, half, rtol=1e-4)
    assert frame["utility_hi"].iloc[0] == 1.0  # where the t interval goes beyond what utility can be
    spans = {f"{s}_{end}": 0.5 for s in ("Ps", "nAUC_fair") for end in ("lo", "hi")}
    known = dict.fromkeys(("Ps", "nAUC_fair", "QNC", "QNC_01", "hypervolume", "n_pareto"), 0.5)
    row = {"router": "knn", "kind": "router", "n_train": 12, **known, **spans}
    assert online._router_row(row, 4)["outcomes"] == 48
    assert math.isnan(online._router_row({**row, "kind": "reference"}, 4)["outcomes"])


def test_bisection_halves_towards_the_crossing() -> None:
    assert calibrate.root(lambda x: x - 0.3, 0.0, 1.0, steps=20) == pytest.approx(0.3, abs=1e-5)
    assert calibrate.root(lambda x: x - 0.3, 0.0, 1.0, steps=1) == 0.25


def test_kmeans_foresees_the_means_of_its_cluster() -> None:
    """Two clusters far apart, gaps left out: utility and cost of each model, each from its own column."""
    rng = np.random.default_rng(2)
    label = np.arange(40) % 2
    context = 10.0 * label[:, None] + rng.normal(size=(40, 3))
    utility, cost = rng.random((40, 2)), 5 + rng.random((40, 2))
    utility[3, 0] = cost[3, 0] = np.nan
    believed, price = kmeans(clusters=2)(context, utility, cost)(context)
    for c in (0, 1):
        np.testing.assert_allclose(believed[label == c], [np.nanmean(utility[label == c], axis=0)] * 20)
        np.testing.assert_allclose(price[label == c], [np.nanmean(cost[label == c], axis=0)] * 20)


def test_means_are_over_what_is_recorded() -> None:
    values = np.array([[1.0, np.nan, 4.0], [3.0, np.nan, np.nan]])
    np.testing.assert_array_equal(mean_where_seen(values, axis=0), [2.0, np.nan, 4.0])
    np.testing.assert_array_equal(mean_where_seen(values, axis=1), [2.5, 3.0])

"""The curve kernel against its definition, and the scores against worked cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from bandits.metrics import curve

Array = NDArray[np.float64]


def direct(predicted_utility: Array, predicted_cost: Array, utility: Array, cost: Array) -> Array:
    """Return `(C, 3)` threshold, cost and utility by the definition: one argmax for each distinct predicted cost."""
    rows, points = np.arange(len(cost)), []
    for threshold in np.unique(predicted_cost):
        choice = np.where(predicted_cost <= threshold, predicted_utility, -np.inf).argmax(axis=1)
        points.append((threshold, cost[rows, choice].mean(), utility[rows, choice].mean()))
    return np.array(points)


def random_case(rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Return predictions with ties, and outcomes; every third case has continuous predictions."""
    shape = (int(rng.integers(1, 40)), int(rng.integers(2, 7)))
    levels = int(rng.choice([2, 4, 1000]))
    predicted = rng.integers(0, levels, (2, *shape)) / levels
    if rng.random() < 0.3:
        predicted = rng.standard_normal((2, *shape))
    return predicted[0], predicted[1], rng.random(shape), rng.lognormal(size=shape)


def test_equals_the_definition_on_500_cases() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        case = random_case(rng)
        np.testing.assert_allclose(
            np.stack(curve.curve(*case), axis=1), direct(*case), rtol=1e-12, atol=1e-12
        )


def test_a_weighted_path_is_the_path_of_repeated_queries() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        predicted_utility, predicted_cost, utility, cost = random_case(rng)
        weight = rng.multinomial(len(cost), np.full(len(cost), 1 / len(cost)))
        walked = curve.path(predicted_utility, predicted_cost)
        rows = np.repeat(np.arange(len(cost)), weight)
        repeated = curve.points(
            walked._replace(start=walked.start[rows], **_repeated(walked, rows)), utility[rows], cost[rows]
        )
        np.testing.assert_allclose(curve.points(walked, utility, cost, weight), repeated, rtol=1e-12)


def _repeated(walked: curve.Path, rows: NDArray[np.intp]) -> dict[str, NDArray[np.int32]]:
    """Return the changes of a path of which each query occurs as often as in `rows`."""
    pairs = [(e, i) for e, row in enumerate(walked.row) for i in np.flatnonzero(rows == row)]
    event, copy = np.array(pairs, int).reshape(-1, 2).T
    return {
        "row": copy.astype(np.int32),
        "arm": walked.arm[event].astype(np.int32),
        "point": walked.point[event].astype(np.int32),
    }


def test_summation_does_not_drift() -> None:
    rng = np.random.default_rng(2)
    shape = (8_000, 10)
    utility, cost = rng.random(shape), rng.lognormal(0, 3, shape)
    walked = curve.path(rng.random(shape), rng.random(shape))
    mean_cost, mean_utility = curve.points(walked, utility, cost)
    choice = walked.start.copy()
    choice[walked.row] = walked.arm  # a later change of the same query overwrites an earlier one
    last = np.arange(shape[0]), choice
    assert mean_cost[-1] == pytest.approx(math.fsum(cost[last]) / shape[0], rel=1e-15)
    assert mean_utility[-1] == pytest.approx(math.fsum(utility[last]) / shape[0], rel=1e-15)


def test_a_query_without_an_affordable_model_goes_to_the_start() -> None:
    predicted_utility, predicted_cost = np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([[5.0, 1.0], [6.0, 7.0]])
    cost = np.array([[1.0, 2.0], [3.0, 4.0]])
    first = curve.points(curve.path(predicted_utility, predicted_cost), cost, cost)[0][0]
    assert first == pytest.approx((2 + 3) / 2)  # query 0 can afford model 1; query 1 nothing, so index 0
    told = curve.path(predicted_utility, predicted_cost, start=np.array([0, 1]))
    assert curve.points(told, cost, cost)[0][0] == pytest.approx((2 + 4) / 2)


def test_predictions_that_are_not_finite_are_never_chosen() -> None:
    utility = np.array([[np.nan, 0.2, 0.1]])
    cost = np.array([[0.5, 1.0, np.inf]])
    assert list(curve.path(utility, cost, start=np.array([2])).arm) == [1]


def test_ties_go_to_the_lowest_index_or_to_the_cheapest() -> None:
    utility, cost = np.array([[1.0, 1.0, 1.0]]), np.array([[3.0, 2.0, 1.0]])
    assert list(curve.path(utility, cost).arm) == [2, 1, 0]
    assert list(curve.path(utility, cost, ties="cheapest").arm) == [2]
    for ties in ("lowest", "cheapest"):
        assert list(curve.path(utility, utility, ties=ties).arm) == [0]


def test_sequence_gives_the_means_of_each_assignment() -> None:
    rng = np.random.default_rng(3)
    choices, cost = rng.integers(0, 4, (6, 20)), rng.random((20, 4))
    mean_cost, _ = curve.points(curve.sequence(choices), cost, cost)
    np.testing.assert_allclose(mean_cost, [cost[np.arange(20), c].mean() for c in choices], rtol=1e-14)


def test_frontier_keeps_strictly_better_points_by_cost() -> None:
    cost = np.array([3.0, 1.0, 1.0, 2.0, 4.0])
    utility = np.array([0.9, 0.2, 0.5, 0.5, 0.9])
    assert list(curve.frontier(cost, utility)) == [2, 0]


def test_areas_of_a_worked_frontier() -> None:
    cost, utility = np.array([1.0, 3.0]), np.array([0.4, 0.8])
    assert curve.nauc(cost, utility) == pytest.approx(0.6)
    # constant 0.4 over [0, 1], mean 0.6 over [1, 3], constant 0.8 over [3, 4]
    assert curve.fair_nauc(cost, utility, 0, 4) == pytest.approx((0.4 + 1.2 + 0.8) / 4)
    assert curve.fair_nauc(cost, utility, 2, 3) == pytest.approx(0.7)
    assert math.isnan(curve.nauc(cost[:1], utility[:1]))
    assert math.isnan(curve.fair_nauc(cost, utility, 2, 2))


def test_qnc_is_the_first_point_that_reaches_the_best_single_model() -> None:
    cost, utility = np.array([1.0, 3.0]), np.array([0.4, 0.8])
    assert curve.qnc(cost, utility, 0.7, 6.0) == pytest.approx(0.5)
    assert curve.qnc(cost, utility, 0.9, 6.0) == math.inf
    assert curve.qnc(cost, utility, 0.7, 0.0) == math.inf


@pytest.mark.parametrize(
    ("utility", "cost", "ties", "word"),
    [
        (np.ones((2, 2)), np.ones((2, 3)), "lowest", "one shape"),
        (np.ones(2), np.ones(2), "lowest", "one shape"),
        (np.full((1, 2), np.nan), np.ones((1, 2)), "lowest", "finite"),
        (np.ones((1, 2)), np.ones((1, 2)), "dearest", "ties"),
    ],
)
def test_refuses_bad_predictions(utility: Array, cost: Array, ties: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        curve.path(utility, cost, ties=ties)

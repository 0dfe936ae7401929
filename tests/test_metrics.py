"""Metrics against NumPy one-liners, closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bandits import metrics
from bandits.loop.replay import Trace
from bandits.metrics import kernels
from bandits.metrics.intervals import AMOUNT, ANYTHING, SHARE, SHARES_APART
from bandits.metrics.regret import fall_back, slope

ROWS, MODELS, SEEDS, ROUNDS = 40, 4, 3, 90  # more rounds than rows: rows repeat


@pytest.fixture
def table() -> np.ndarray:
    """Rewards with holes, but never a row without any model."""
    rng = np.random.default_rng(0)
    values = rng.random((ROWS, MODELS))
    values[rng.random((ROWS, MODELS)) < 0.2] = np.nan
    values[:, 2] = rng.random(ROWS)
    return values


@pytest.fixture
def trace(table: np.ndarray) -> Trace:
    """Random available calls, one in ten of them not made."""
    rng = np.random.default_rng(1)
    order = rng.integers(0, ROWS, (SEEDS, ROUNDS)).astype(np.int32)
    arms = np.where(np.isnan(table[order]), -1.0, rng.random((*order.shape, MODELS))).argmax(axis=-1)
    return Trace(order, np.where(rng.random(order.shape) < 0.1, -1, arms).astype(np.int32))


def earned(table: np.ndarray, trace: Trace) -> np.ndarray:
    return np.where(trace.arms < 0, 0.0, table[trace.order, np.maximum(trace.arms, 0)])


def test_rewards_and_spend_are_table_look_ups(table: np.ndarray, trace: Trace) -> None:
    np.testing.assert_array_equal(metrics.rewards(table, trace), earned(table, trace))
    np.testing.assert_allclose(metrics.spend(table, trace), earned(table, trace).cumsum(axis=1), rtol=1e-12)


def test_cumulative_regret_is_the_running_sum_of_gaps(table: np.ndarray, trace: Trace) -> None:
    best = np.nanmax(table, axis=1)
    expected = np.cumsum(best[trace.order] - earned(table, trace), axis=1)
    np.testing.assert_allclose(metrics.cumulative_regret(table, trace), expected, rtol=1e-12)
    np.testing.assert_allclose(metrics.cumulative_regret(table, trace, best), expected, rtol=1e-12)


@pytest.mark.parametrize("baseline", ["oracle", "best_fixed", "best_per_dataset", 2])
def test_a_comparator_has_no_regret_against_itself(
    table: np.ndarray, trace: Trace, baseline: str | int
) -> None:
    dataset = np.array(["a", "b"], object)[np.arange(ROWS) % 2]
    arms = metrics.comparator(table, baseline, dataset=dataset)
    own = Trace(trace.order, arms[trace.order])
    regret = metrics.cumulative_regret(table, own, baseline, dataset=dataset)
    np.testing.assert_allclose(regret, 0.0, atol=1e-12)


def test_oracle_takes_the_cheapest_of_equals_and_then_the_first() -> None:
    table = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [np.nan, 0.5, 0.5]])
    cost = np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 3.0], [np.nan, 2.0, 1.0]])
    assert metrics.comparator(table, "oracle").tolist() == [0, 0, 1]
    assert metrics.comparator(table, "oracle", cost=cost).tolist() == [1, 0, 2]


def test_a_fixed_choice_falls_back_where_its_model_cannot_be_called() -> None:
    """Over the same rows for all: .9, .6, .6 is more than .6 throughout, though model 0 answers one row of three."""
    table = np.array([[0.9, 0.6], [np.nan, 0.6], [np.nan, 0.6]])
    assert metrics.comparator(table, "best_fixed").tolist() == [0, 1, 1]
    assert metrics.comparator(table, 0).tolist() == [0, 1, 1]
    wide = np.array([[0.9, 0.6, 0.1], [np.nan, 0.6, 0.7], [0.9, 0.6, 0.1]])
    assert metrics.comparator(wide, "best_fixed").tolist() == [0, 1, 0]  # 2.4 of 3; 1.8 and .9 for the others
    labels = np.array(["x", "y", "x"], object)
    assert metrics.comparator(wide, "best_per_dataset", dataset=labels).tolist() == [0, 2, 0]


def test_the_model_that_can_be_called_most_often_stands_in() -> None:
    table = np.array([[np.nan, 0.2, 0.9], [np.nan, 0.2, np.nan], [1.0, 0.2, np.nan]])
    assert fall_back((~np.isnan(table)).sum(axis=0)).tolist() == [1, 0, 2]
    assert metrics.comparator(table, 0).tolist() == [1, 1, 0]


def test_best_fixed_is_the_best_of_the_rows_played() -> None:
    table = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert metrics.comparator(table, "best_fixed").tolist() == [1, 1, 1]
    assert metrics.comparator(table, "best_fixed", times=np.array([3, 1, 1])).tolist() == [0, 0, 0]


@given(
    cells=st.lists(
        st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=3, max_size=3), min_size=1, max_size=12
    ).filter(lambda rows: all(any(cell is not None for cell in row) for row in rows)),
    split=st.integers(1, 3),
)
def test_nothing_exceeds_the_oracle_and_no_fixed_choice_the_best(
    cells: list[list[float | None]], split: int
) -> None:
    table = np.array([[np.nan if cell is None else cell for cell in row] for row in cells])
    dataset = np.array([f"d{i % split}" for i in range(len(table))], object)
    names = ("oracle", "best_per_dataset", "best_fixed", 0, 1, 2)
    arms = [metrics.comparator(table, name, dataset=dataset) for name in names]
    earned = np.array([metrics.earned_by(table, called) for called in arms])
    assert (earned <= earned[0] + 1e-12).all()
    total = earned.sum(axis=1)
    assert total[1] >= total[2] - 1e-9 and total[2] == pytest.approx(total[3:].max())


def test_one_compiled_form_serves_every_dtype_and_layout(table: np.ndarray, trace: Trace) -> None:
    frozen = np.asfortranarray(table)
    frozen.flags.writeable = False
    wide = Trace(trace.order.astype(np.int64), trace.arms.astype(np.int64))
    for one in (trace, wide):
        metrics.rewards(frozen, one)
        metrics.cumulative_regret(frozen, one)
    for kernel in (kernels.gather, kernels.cumulative_gap):
        assert len(kernel.signatures) == 1


@pytest.mark.parametrize("power", [0.5, 2 / 3, 1.0])
def test_exponent_recovers_the_power_of_a_power_law(power: float) -> None:
    assert metrics.exponent(3.0 * np.arange(1, 5001) ** power) == pytest.approx(power, abs=1e-9)


def test_exponent_of_no_regret_is_unknown() -> None:
    assert np.isnan(metrics.exponent(np.zeros(1000)))
    for positive, known in ((9, False), (10, True)):  # of twenty rounds that are looked at
        rounds = np.arange(1, 21)
        line = np.where(rounds > 20 - positive, 2.0 * rounds**0.7, -1.0)
        assert np.isfinite(slope(rounds, line)) == known
    assert slope(rounds, line) == pytest.approx(0.7)


def test_pareto_agrees_with_comparing_all_pairs() -> None:
    rng = np.random.default_rng(2)
    cost, value = rng.integers(0, 8, 60) / 4, rng.integers(0, 8, 60) / 4  # coarse: many ties
    value[::7] = np.nan
    no_worse = (cost[:, None] <= cost) & (value[:, None] >= value)
    better = (cost[:, None] < cost) | (value[:, None] > value)
    dominated = (no_worse & better).any(axis=0)
    np.testing.assert_array_equal(metrics.pareto(cost, value), ~dominated & ~np.isnan(value))


def test_hypervolume_is_the_area_of_the_steps() -> None:
    cost, value = (
        [2.0, 1.0, 3.0, 5.0, 9.0],
        [0.8, 0.5, 0.7, 0.9, 1.0],
    )  # the third is dominated, the last two beyond the reference
    expected = (2 - 1) * 0.5 + (4 - 2) * 0.8
    assert metrics.hypervolume(cost, value, worst_cost=4.0) == pytest.approx(expected)
    assert metrics.hypervolume([], [], worst_cost=4.0) == 0.0


def test_hypervolume_of_points_in_order_is_that_of_the_points_in_any_order() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        cost, value = (
            np.cumsum(rng.integers(1, 4, 12)) / 4,
            np.cumsum(rng.integers(0, 2, 12)) / 8,
        )  # values tie
        worst, shuffled = cost[rng.integers(12)], rng.permutation(12)
        assert not (np.diff(cost[shuffled]) > 0).all()
        area = metrics.hypervolume(cost, value, worst_cost=worst)
        assert area == metrics.hypervolume(cost[shuffled], value[shuffled], worst_cost=worst)


def test_the_interval_is_students_of_scipy() -> None:
    values = np.random.default_rng(3).normal(size=(7, 4))
    low, high = metrics.student(values)
    expected = stats.t.interval(0.95, 6, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose([low, high], expected, rtol=1e-12)
    np.testing.assert_allclose(
        metrics.band(values, level=0.9), stats.ttest_1samp(values, 0).confidence_interval(0.9)
    )


def test_an_interval_ends_where_the_range_of_its_quantity_does() -> None:
    """Two seeds have a t quantile of 12.7, so an accuracy of 0.9 and 1 would reach from 0.31 to 1.59."""
    accuracy = np.array([[0.9, 0.02, 0.4], [1.0, 0.0, 0.41]])
    low, high = metrics.student(accuracy)
    assert high[0] > 1 and low[1] < 0 and 0 < low[2] < high[2] < 1
    np.testing.assert_array_equal(
        metrics.student(accuracy, within=SHARE), [[low[0], 0, low[2]], [1, high[1], high[2]]]
    )
    each = tuple(np.array([SHARE, AMOUNT, ANYTHING]).T)  # a range a column
    np.testing.assert_array_equal(metrics.band(accuracy, within=each)[1], [1, high[1], high[2]])
    gap = metrics.paired(accuracy, 1 - accuracy)
    cut = gap.within(SHARES_APART)
    assert gap.hi[0] > 1 == cut.hi[0] and cut.p is gap.p and cut.hi[2] == gap.hi[2]
    assert np.isnan(metrics.student(accuracy[:1], within=SHARE)).all()


def test_one_seed_has_no_interval_and_neither_have_seeds_that_are_one_draw() -> None:
    assert np.isnan(metrics.student(np.ones((1, 3)))).all() and np.isnan(metrics.band(np.ones((1, 3)))).all()
    alike = np.full((5, 2), 0.3) + np.array([0, 1e-16, 0, -1e-16, 0])[:, None]  # sums in another order
    assert np.isnan(metrics.student(alike)).all()
    np.testing.assert_allclose(metrics.band(alike), 0.3)
    gap = metrics.paired(alike, alike - 0.1)
    assert np.isnan([gap.lo, gap.hi, gap.p]).all() and gap.mean == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("level", [1.0, 1e6])
def test_seeds_that_differ_by_more_than_rounding_have_an_interval(level: float) -> None:
    """A millionth of a millionth is rounding; a thousand times more is a difference, as is one between clusters."""
    for share, alike in ((1e-12, True), (1e-9, False)):
        values = level * (1 + share * np.arange(5.0))[:, None]
        assert np.isnan(metrics.student(values)).all() == alike
        assert np.isnan(metrics.paired(values, np.zeros_like(values)).p).all() == alike
        assert np.isnan(metrics.clustered(values, np.ones(5)).p).all() == alike


def test_paired_is_scipys_paired_t_test() -> None:
    rng = np.random.default_rng(5)
    shared = rng.normal(scale=100.0, size=30)
    a, b = shared + rng.normal(size=30), shared
    found, expected = metrics.paired(a, b), stats.ttest_rel(a, b)
    assert float(found.p) == pytest.approx(expected.pvalue, rel=1e-9)
    span = expected.confidence_interval()
    np.testing.assert_allclose([found.lo, found.hi], [span.low, span.high], rtol=1e-9)


def test_clusters_of_one_query_are_a_plain_t_interval_and_copies_add_nothing() -> None:
    gap = np.random.default_rng(6).normal(size=(50, 2))
    found, plain = metrics.clustered(gap, np.ones(50)), stats.ttest_1samp(gap, 0)
    np.testing.assert_allclose(found.p, plain.pvalue, rtol=1e-9)
    np.testing.assert_allclose(found.lo, plain.confidence_interval().low, rtol=1e-9)
    twice = metrics.clustered(2 * gap, np.full(50, 2))  # every query twice, as one cluster
    np.testing.assert_allclose([twice.lo, twice.hi], [found.lo, found.hi], rtol=1e-12)


def test_messages_say_what_is_needed_and_what_was_found(table: np.ndarray, trace: Trace) -> None:
    with pytest.raises(
        ValueError, match="oracle, best_fixed, best_per_dataset or a model's index below 4, got 'best'"
    ):
        metrics.comparator(table, "best")
    with pytest.raises(ValueError, match="best_per_dataset needs dataset, one label for each of 40 rows"):
        metrics.comparator(table, "best_per_dataset")
    with pytest.raises(ValueError, match="rows 0 to 9, got 0 to 39"):
        metrics.rewards(table[:10], trace)
    with pytest.raises(ValueError, match="models -1 to 2, got -1 to 3"):
        metrics.rewards(table[:, :3], trace)
    with pytest.raises(ValueError, match="unavailable one at seed 0, round 0"):
        metrics.rewards(np.full_like(table, np.nan), Trace(trace.order, np.zeros_like(trace.arms)))
    with pytest.raises(ValueError, match="one shape"):
        metrics.paired(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="0 < level < 1, got 95"):
        metrics.band(np.ones(3), level=95)


def test_no_call_earns_nothing_and_the_smallest_trace_is_one() -> None:
    assert metrics.earned_by([[0.3, 0.7], [0.2, 0.9]], [-1, 1]).tolist() == [0.0, 0.9]
    one = Trace(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32))
    assert metrics.rewards([[0.3, 0.7]], one).tolist() == [[0.3]]
    for arms, message in ((-2, "models -1 to 1, got -2 to -2"), (2, "models -1 to 1, got 2 to 2")):
        with pytest.raises(ValueError, match=message):
            metrics.rewards([[0.3, 0.7]], one._replace(arms=np.full((1, 1), arms, np.int32)))

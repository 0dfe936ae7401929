"""Ends, ties and tolerances: does what is decided at an edge fall on the side that is written down?"""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

import bandits
from bandits import metrics
from bandits.folders import trace
from bandits.loop.replay import Trace
from bandits.metrics import curve
from bandits.metrics.knapsack import best_within, plan_within
from bandits.mmrbench import fidelity, scores
from bandits.report.words import number
from bandits.results import phases
from bandits.results.spending import account, burn_down
from bandits.results.summary import summarise
from bandits.rewards import accuracy, reward_table
from bandits.sweeps.ranking import ranking
from bandits.wrappers import budget, promise, warm
from envs.changes.world import arm
from envs.outcomes import Outcomes
from envs.stream import Stream
from envs.twin import published
from tests.test_router import FEATURES, served


def small(utility: Any, cost: Any, **more: Any) -> Outcomes:
    """Return a table of models a, b, c ..., one query a row."""
    utility = np.asarray(utility, float)
    return Outcomes(
        models=tuple("abcdef"[: utility.shape[1]]),
        utility=utility,
        cost=np.asarray(cost, float),
        query_id=np.array([f"q{i}" for i in range(len(utility))], object),
        cost_unit="made up",
        **more,
    )


def stream_of(outcomes: Outcomes) -> Stream:
    return Stream("small", outcomes, np.ones((len(outcomes), 1), np.float32))


def test_a_router_in_service_gives_ties_to_the_lowest_index() -> None:
    router, _ = served("greedy,prior=1")
    x = np.zeros(FEATURES)
    assert router.choose(x).arm == 0
    assert router.choose(x, available=["model-3", "model-1"]).arm == 1
    router.weight[2, 0, -1] *= 1 + 5e-6  # a tie up to the rounding of float32
    assert router.choose(x).arm == 0
    router.weight[2, 0, -1] *= 1 + 2e-5
    assert router.choose(x).arm == 2
    router.weight[0, 0, -1] -= 0.5  # the others tie above it
    router.weight[2, 0, -1] = 1.0
    assert router.choose(x).arm == 1


@pytest.mark.parametrize(
    ("quantity", "tolerance"),
    [("accuracy", 0.0005), ("best single model", 0.0005),
     ("best model of each dataset", 0.002), ("peak score", 0.01), ("nAUC", 0.02)],
)  # fmt: skip
@pytest.mark.parametrize("side", [-1, 1])
def test_fidelity_refuses_what_is_a_little_beyond_its_tolerance(
    quantity: str, tolerance: float, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every figure moved by .9 and by 1.1 of the tolerance that docs/twin.md states."""
    figures, table2 = published.figures(), published.table2()
    known = np.where(np.isnan(figures.accuracy), 0.0, figures.accuracy)

    def rows(by: float) -> list[dict[str, Any]]:
        if quantity in ("peak score", "nAUC"):
            named = {**fidelity.LEARNED, "oracle": "Oracle", "random": "Random"}
            moved = [
                {"router": r, **{q: table2["ALL", m][q] + by for q in ("Ps", "nAUC")}}
                for r, m in named.items()
            ]
            monkeypatch.setattr(fidelity, "evaluate", lambda *_, **__: moved)
            return fidelity._routers(None)  # type: ignore[arg-type]
        if quantity == "accuracy":
            cost = np.repeat(np.nan_to_num(figures.cost)[:, None], len(figures.datasets), axis=1)
            return fidelity._marginals(figures, figures.accuracy + by, cost)
        return fidelity._references(figures, known + by)

    for share, ok in ((0.9, True), (1.1, False)):
        found = [r for r in rows(side * share * tolerance) if r["quantity"] == quantity]
        found = [r for r in found if np.isfinite(r["twin"])]
        assert found and all(r["ok"] is ok for r in found), (share, found)


@pytest.mark.parametrize("side", [-1, 1])
def test_fidelity_allows_one_percent_of_a_mean_cost(side: int) -> None:
    figures = published.figures()
    for share, ok in ((0.9, True), (1.1, False)):
        mean = np.nan_to_num(figures.cost) * (1 + side * share * 0.01)
        cost = np.repeat(mean[:, None], len(figures.datasets), axis=1)
        rows = fidelity._marginals(figures, np.nan_to_num(figures.accuracy), cost)
        found = [row["ok"] for row in rows if row["quantity"] == "mean cost"]
        assert found and found == [ok] * len(found)


def test_fidelity_of_the_oracle_allows_half_a_point() -> None:
    """1,000 queries a data set, of which as many are answered as published, plus 4 or 6 of 1,000."""
    figures = published.figures()
    for more, ok in ((4, True), (6, False)):
        right = [np.arange(1000) < min(round(goal * 1000) + more, 1000) for goal in figures.oracle]
        outcomes = SimpleNamespace(
            utility=np.where(np.concatenate(right), 1.0, 0.5)[:, None],  # half right is not answered
            dataset=np.repeat(np.array(figures.datasets, object), 1000),
        )
        rows = fidelity._oracles(outcomes, figures)[:-1]  # type: ignore[arg-type]
        reachable = [goal < 0.99 for goal in figures.oracle]
        assert [row["ok"] for row, can in zip(rows, reachable, strict=True) if can] == [ok] * sum(reachable)


def test_best_ranks_by_reward_whatever_the_accuracy() -> None:
    def job(policy: str) -> Any:
        known = {"data": "d", "ask": {"policies": [policy], "reward": "linear"}}
        return SimpleNamespace(policy=policy, stream="s", known=known)

    def run(reward: float, right: float) -> dict[str, Any]:
        each = [reward, reward + 0.01, reward - 0.01]
        plain = {"accuracy": right, "cost": 1.0, "regret_oracle": 3.0, "unanswered": 0.0}
        return {"reward": each, "rounds": 10, "preference": 0.2, "budget": "", **plain,
                "regret_best_fixed": [1.0, 1.1, 0.9]}  # fmt: skip

    rows = [
        (job("greedy"), [run(0.3, 0.9)]),
        (job("linucb"), [run(0.7, 0.5)]),
        (job("ucb1"), [run(0.5, 0.1)]),
    ]
    frame = ranking(rows)
    assert list(frame["policy"]) == ["linucb", "ucb1", "greedy"] and list(frame["rank"]) == [1, 2, 3]
    assert list(frame["accuracy"]) == [0.5, 0.1, 0.9]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0345912, "0.03459"), (27.65071, "27.65"), (1934.27, "1,934"), (0.00251378, "0.002514"), (999.96, "1000")],
)  # fmt: skip
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_rounds_of_a_trace_are_counted_from_0() -> None:
    stream = stream_of(small([[1, 0], [0, 1], [1, 1]], np.ones((3, 2))))
    order = np.array([[2, 0, 1], [1, 2, 0]], np.int32)
    frame = pq.read_table(
        io.BytesIO(trace.written({"p": Trace(order, np.zeros_like(order))}, stream))
    ).to_pandas()
    assert frame["round"].tolist() == [0, 1, 2, 0, 1, 2] and frame["seed"].tolist() == [0, 0, 0, 1, 1, 1]
    assert frame["row"].tolist() == order.ravel().tolist()
    assert frame["query_id"].tolist() == ["q2", "q0", "q1", "q1", "q2", "q0"]


@pytest.mark.parametrize("utility", [1.005, 1.0000001, -0.001])
def test_a_utility_beyond_its_range_is_refused_not_clipped(utility: float) -> None:
    with pytest.raises(ValueError, match=r"number in \[0, 1\]"):
        small([[1.0, 0.5], [utility, 0.0]], np.ones((2, 2)))


def test_roles_of_models_by_hand() -> None:
    """a is the most accurate and dear; b earns most at .2: .7 - .2 * .1 against .8 - .2."""
    stream = stream_of(small([[0.8, 0.7, 0.1, 0.75]] * 2, [[10.0, 1.0, 0.5, 9.0]] * 2))
    roles = {"@best": 0, "@second": 3, "@dearest": 0, "@cheapest": 2, "@value": 1}
    assert {role: arm(stream, role, "price") for role in roles} == roles
    cheap = stream_of(small([[0.8, 0.75, 0.1]] * 2, [[1.0, 10.0, 0.5]] * 2))
    assert arm(cheap, "@value", "price") == 0 and arm(cheap, "b", "price") == 1


def test_a_warm_start_charges_posted_prices_and_means_where_none_are_posted(known: Stream) -> None:
    """A posted price counts as a mean of that size would; the mean counts where no price is posted."""
    logged, stream = warm.split(known, "200")
    prior = warm.fit(logged, reward_table(accuracy, logged))
    policy = budget.held(bandits.linucb(4, 6), stream, pacing="primal_dual")
    posted = np.array([4.0, 0.5, 2.0, 1.0])

    def spend(price: Any, mean: Any) -> np.ndarray:
        changed = prior.mean.copy()
        changed[:, 0] = mean
        begun = warm.start(policy, prior._replace(price=np.asarray(price, float), mean=changed))
        return np.asarray(begun.init(jax.random.key(0)).pacer.past.spend)

    none, mean = np.full(4, np.nan), prior.mean[:, 0]
    with_prices = spend(posted, mean)
    np.testing.assert_allclose(with_prices, spend(none, posted))
    assert not np.allclose(with_prices, spend(none, mean))
    partly = spend([4.0, np.nan, 2.0, np.nan], mean)
    np.testing.assert_allclose(partly, spend(none, [4.0, mean[1], 2.0, mean[3]]))


def test_hypervolume_counts_from_the_worst_value() -> None:
    cost, value = [1.0, 2.0, 0.5], [0.6, 0.9, 0.2]
    assert metrics.hypervolume(cost, value, worst_cost=4.0, worst_value=0.5) == pytest.approx(0.1 + 2 * 0.4)
    assert metrics.hypervolume(cost, value, worst_cost=4.0) == pytest.approx(0.5 * 0.2 + 0.6 + 2 * 0.9)
    assert metrics.hypervolume([4.0], [0.9], worst_cost=4.0) == 0.0


@pytest.mark.parametrize("percent", [30.0, 2.5, 250.0])
def test_a_percentage_is_of_what_the_most_accurate_model_uses(percent: float) -> None:
    """b is the most accurate (.9 where it answers) at a mean of 6 over its two queries; the dearest is c."""
    stream = stream_of(
        small([[0.5, 0.9, 0.1], [0.5, np.nan, 0.1], [0.5, 0.9, 0.1]], [[1, 4, 99], [0.1, 7, 99], [3, 8, 99]])
    )
    assert budget.parse(f"{percent}%", stream, 200)[0] == pytest.approx(percent / 100 * 6.0 * 200)


def test_the_worst_case_of_a_model_is_its_dearest_call_or_its_posted_price() -> None:
    outcomes = small(
        [[1, 1, 1], [1, np.nan, 0]],
        [[1.0, 3.0, 2.0], [5.0, 77.0, 2.5]],
        price=np.array([2.0, 4.0, np.nan]),
        latency=np.array([[1.0, 2.0, 3.0], [4.0, 50.0, 1.0]]),
    )
    np.testing.assert_array_equal(
        promise.worst_case(stream_of(outcomes)), [[5.0, 4.0, 0], [4.0, 2.0, 0], [2.5, 3.0, 0]]
    )


def test_a_part_of_a_table_keeps_each_querys_own_image_and_text() -> None:
    pictures, words = np.arange(12.0).reshape(4, 3), np.arange(8.0).reshape(4, 2)
    table = small(np.ones((4, 2)), np.ones((4, 2)), image=pictures, text=words)
    for rows in (np.array([3, 1]), np.array([False, True, False, True])):
        part = table.take(rows)
        np.testing.assert_array_equal(part.image, pictures[rows])
        np.testing.assert_array_equal(part.text, words[rows])
        assert part.query_id.tolist() == table.query_id[rows].tolist()


def test_curves_are_window_means_with_students_band() -> None:
    """The window of 500 rounds is 20; early points have as many rounds as there are."""
    rng = np.random.default_rng(0)
    stream = stream_of(small(rng.random((500, 2)), rng.random((500, 2))))
    order = np.stack([rng.permutation(500) for _ in range(4)]).astype(np.int32)
    arms = rng.integers(0, 2, order.shape).astype(np.int32)
    table = stream.utility
    curves = summarise(stream, table, {"p": Trace(order, arms)}).curves
    own = curves[curves["policy"] == "p"]
    earned = table[order, arms]
    for quantity, values in (
        ("reward", lambda t: earned[:, max(t - 20, 0) : t].mean(axis=1)),
        ("cost", lambda t: stream.cost[order, arms][:, :t].sum(axis=1)),
        ("regret_oracle", lambda t: (table.max(axis=1)[order] - earned)[:, :t].sum(axis=1)),
    ):
        part = own[own["quantity"] == quantity].set_index("round")
        for t in part.index[[0, 6, 18, 40, -1]].tolist():
            row, each = part.loc[t], values(t)
            span = stats.t.interval(0.95, 3, each.mean(), stats.sem(each))
            np.testing.assert_allclose(
                row[["mean", "lo", "hi"]].astype(float), [each.mean(), *span], rtol=1e-9
            )
    for k, name in enumerate(stream.models):
        part = own[own["quantity"] == f"share:{name}"].set_index("round")["mean"]
        for t in part.index[[0, 6, 18, 40, -1]].tolist():
            assert part.loc[t] == pytest.approx((arms[:, max(t - 20, 0) : t] == k).mean())


def test_a_warm_starts_draw_has_its_share_and_its_seed(known: Stream) -> None:
    logged = {seed: set(warm.split(known, "10%", seed=seed)[0].query_id) for seed in (0, 1)}
    assert [len(ids) for ids in logged.values()] == [60, 60] and logged[0] != logged[1]
    assert logged[0] == set(warm.split(known, "10%", seed=0)[0].query_id)
    for share, rows in (("25%", 150), ("2.5%", 15), ("90%", 540)):
        assert len(warm.split(known, share)[0]) == rows
    assert not pd.Index(sorted(logged[0])).equals(
        pd.Index([f"q{i}" for i in range(60)])
    )  # drawn, not the first


def test_a_share_is_drawn_evenly_over_the_rows(known: Stream) -> None:
    """400 draws of a tenth: each row is logged in .1 of them, standard error .015; five of them for 600 rows."""
    count = np.zeros(600)
    for seed in range(400):
        count[[int(name[1:]) for name in warm.split(known, "10%", seed=seed)[0].query_id]] += 1
    assert np.abs(count / 400 - 0.1).max() < 5 * np.sqrt(0.1 * 0.9 / 400)


def test_qnc_has_no_tolerance_of_its_own_and_its_kin_have_theirs() -> None:
    cost, utility = np.array([1.0, 2.0, 4.0]), np.array([0.689, 0.695, 0.7])
    assert curve.qnc(cost, utility, 0.7, 8.0) == 0.5
    assert curve.qnc(cost, utility, 0.7 + 1e-9, 8.0) == np.inf
    assert curve.qnc(cost, utility, 0.695, 8.0) == 0.25
    true = scores.truth(np.array([[0.7, 0.2]]), np.array([[8.0, 1.0]]))
    found = scores.of_frontier(cost, utility, true)
    assert (found["QNC"], found["QNC_99"], found["QNC_01"]) == (0.5, 0.25, 0.25)  # .7, .693, .69
    nearly = scores.of_frontier(cost, np.array([0.6901, 0.6929, 0.7]), true)
    assert (nearly["QNC_99"], nearly["QNC_01"]) == (0.5, 0.125)


def test_a_single_point_is_a_frontier_and_shapes_are_to_agree() -> None:
    assert metrics.pareto([1.0], [0.0]).tolist() == [True]
    assert metrics.pareto([np.nan, 1.0], [1.0, np.nan]).tolist() == [False, False]
    for cost, value in (([1.0], [1.0, 2.0]), (np.ones((2, 2)), np.ones((2, 2))), (1.0, 1.0)):
        with pytest.raises(ValueError, match="pareto needs cost and value"):
            metrics.pareto(cost, value)


def test_holm_takes_p_from_0_to_1_and_gives_no_more() -> None:
    np.testing.assert_allclose(metrics.holm([0.0, 1.0, 0.6]), [0.0, 1.0, 1.0])
    np.testing.assert_allclose(metrics.holm([0.01, np.nan, 0.04, 0.03]), [0.03, np.nan, 0.06, 0.06])
    for p in (-1e-9, 1 + 1e-9):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metrics.holm([0.5, p])


def test_three_seeds_and_thirty_queries_are_enough_for_a_verdict() -> None:
    rng = np.random.default_rng(0)
    for seeds, queries, shown in ((3, 30, True), (2, 30, False), (3, 29, False)):
        gap, each = 5 + rng.normal(scale=0.01, size=(seeds, 1)), 5 + rng.normal(size=(queries, 1))
        said = metrics.judge(
            metrics.paired(gap, np.zeros_like(gap)),
            metrics.clustered(each, np.ones(queries)),
            seeds=seeds,
            queries=queries,
        )
        assert bool(said.shown[0]) is shown


@pytest.mark.parametrize("seed", range(4))
def test_the_plan_of_a_budget_earns_what_the_budget_buys(seed: int) -> None:
    """Summed over queries, as often as each is asked, the plan is worth `best_within`; none earns above its best."""
    rng = np.random.default_rng(seed)
    value, cost = rng.random((12, 4)), rng.random((12, 4))
    value[rng.random(value.shape) < 0.2] = np.nan
    value[:, 0], cost[:3, 1], often = rng.random(12), 0.0, rng.integers(1, 4, 12)
    for budget_ in (0.0, 0.3, 1.0, 3.0, 1e6):
        for times in (None, often):
            plan = plan_within(value, cost, budget_, times=times)
            total = plan @ (np.ones(12) if times is None else times)
            assert total == pytest.approx(float(best_within(value, cost, budget_, times=times)), rel=1e-9)
            assert (plan <= np.nanmax(value, axis=1) + 1e-12).all() and (plan >= 0).all()
    by_hand = plan_within([[1.0, 3.0], [2.0, np.nan]], [[1.0, 2.0], [1.0, 9.0]], 2.0)
    np.testing.assert_allclose(
        by_hand, [1.5, 2.0]
    )  # 2 a unit first, then the other way up to 3 at 1.5 a unit


@pytest.mark.parametrize(
    ("p_seeds", "p_queries", "stands", "seeds", "why"),
    [
        (0.01, 0.049, 50, 5, ""),
        (0.05, 0.01, 50, 5, "the intervals over seeds and over queries do not both exclude 0"),
        (0.01, 0.05, 50, 5, "the intervals over seeds and over queries do not both exclude 0"),
        (0.01, np.nan, 50, 5, "there is no interval over queries"),
        (np.nan, 0.01, 50, 5, "all seeds are the same draw, so there is no interval over seeds"),
        (0.01, 0.01, 29, 5, "a verdict needs at least 30 queries that are not near copies"),
        (0.01, 0.01, 0, 5, "what each query got is not known, so there is no interval over queries"),
        (0.01, 0.01, 50, 2, "a verdict needs at least 3 seeds"),
        (0.05, 0.01, 30, 3, "the intervals over seeds and over queries do not both exclude 0"),
    ],
)
def test_a_verdict_gives_its_own_reason(
    p_seeds: float, p_queries: float, stands: int, seeds: int, why: str
) -> None:
    one = np.ones(1)
    over = [metrics.intervals.Estimate(one, one, one, np.array([p])) for p in (p_seeds, p_queries)]
    said = metrics.judge(*over, seeds=seeds, queries=stands)
    assert str(said.why[0]) == why and bool(said.shown[0]) is (why == "")
    if why == "":
        assert said.p[0] == 0.049 == said.p_holm[0]


def test_a_family_of_its_own_is_corrected_on_its_own() -> None:
    """p of .02 and .03 as one family: .04 and .04; .02 beside two of .03: .06, and not shown."""
    one = np.ones(4)
    over = metrics.intervals.Estimate(one, one, one, np.array([0.02, 0.03, 0.03, 0.02]))
    apart = metrics.judge(over, over, seeds=5, queries=50, family=np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(apart.p_holm, [0.06, 0.06, 0.06, 0.02])
    assert apart.shown.tolist() == [False, False, False, True]
    assert apart.why[0] == "not after Holm's correction for all that was compared"


def test_each_threshold_of_a_path_is_one_point() -> None:
    walked = curve.path(
        np.array([[0.1, 0.5, 0.9], [0.2, 0.6, 0.7]]), np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 4.0]])
    )
    assert walked.threshold.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert walked.point.tolist() == [0, 0, 1, 1, 2, 3]


def test_an_account_of_two_resources_by_hand() -> None:
    """Two seeds, two rounds: cost 1 + 4 and 4 + 4 of 10, latency 2 + 6 and 6 + 6 of 20; the cap is 1, then 4."""
    outcomes = small([[1, 0], [0, 1]], [[1, 4], [1, 4]], latency=np.array([[2.0, 6.0], [2.0, 6.0]]))
    stream = stream_of(outcomes)
    trace = Trace(np.array([[0, 1], [1, 0]], np.int32), np.array([[0, 1], [1, 1]], np.int32))
    limits = np.array([10.0, 20.0, np.inf])
    told = account(stream, stream.utility, {"p": trace}, limits, cap=1.0).iloc[0]
    assert told["spent_cost"] == pytest.approx((0.5 + 0.8) / 2)
    assert told["spent_latency"] == pytest.approx((0.4 + 0.6) / 2) and told["spent_most"] == pytest.approx(
        0.8
    )
    assert told["over_cap"] == 1.5 and np.isnan(told["out_at"])
    assert account(stream, stream.utility, {"p": trace}, limits, cap=4.0).iloc[0]["over_cap"] == 0
    # Both budgets buy everything: a for the first query, b for the second. A mixture earns .5 whatever it spends.
    assert told["within"] == 1.0 and told["mixture"] == pytest.approx(0.5)
    assert told["reward"] == 0.75 and told["over_mixture"] == pytest.approx(0.25)
    # Latency of 4 buys a's answer (2) and a third of b's (6), cost of 10 all: the least counts, (1 + 1/3) / 2.
    tight = account(stream, stream.utility, {"p": trace}, np.array([10.0, 4.0, np.inf])).iloc[0]
    assert tight["within"] == pytest.approx((1 + 1 / 3) / 2)


def test_what_is_left_is_what_is_not_spent_up_to_each_round() -> None:
    stream = stream_of(small([[1, 0], [0, 1]], [[1, 4], [1, 4]]))
    trace = Trace(np.array([[0, 1], [1, 0]], np.int32), np.array([[0, 1], [1, 1]], np.int32))
    down = burn_down(stream, {"p": trace}, np.array([10.0, np.inf, np.inf]))
    assert down["round"].tolist() == [1, 2] and set(down["quantity"]) == {"left:cost"}
    np.testing.assert_allclose(down["mean"], [1 - 2.5 / 10, 1 - 6.5 / 10])


def test_the_gap_closed_is_between_mixture_and_best_at_the_same_spend() -> None:
    """One call of two, cost 1: .5 a query. The mixture has .25 for it and the best .5; all of the 10 would buy 1."""
    stream = stream_of(small([[1, 0], [0, 1]], [[1, 4], [1, 4]]))
    trace = Trace(np.array([[0, 1], [0, 1]], np.int32), np.array([[0, -1], [0, -1]], np.int32))
    told = account(stream, stream.utility, {"p": trace}, np.array([10.0, np.inf, np.inf])).iloc[0]
    assert told["within"] == 1.0 and told["gap_closed"] == pytest.approx(1.0)


def test_a_price_over_time_is_that_of_the_limited_resource() -> None:
    stream = stream_of(small([[1, 0], [0, 1]], [[1, 4], [1, 4]], latency=np.array([[2.0, 6.0], [2.0, 6.0]])))
    probed = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    trace = Trace(np.array([[0, 1], [1, 0]], np.int32), np.zeros((2, 2), np.int32))._replace(probed=probed)
    down = burn_down(stream, {"p": trace}, np.array([np.inf, 20.0, np.inf]))
    price = down[down["quantity"] == "price:latency"]["mean"]
    np.testing.assert_allclose(price, probed[:, :, 1].mean(axis=0))


def test_never_is_longer_than_any_time() -> None:
    assert phases._middle(np.array([1.0, 3.0, np.nan])) == 3.0
    assert np.isnan(phases._middle(np.array([1.0, np.nan, np.nan])))

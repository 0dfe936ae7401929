"""The summary and the curves against direct recomputation from the table and the traces."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bandits import metrics
from bandits.loop.replay import Trace
from bandits.metrics.intervals import student
from bandits.metrics.kernels_tally import add_known, add_up
from bandits.money import money
from bandits.report import datasets, narrow
from bandits.results.differences import against, paired_differences, scores
from bandits.results.summary import Summary, summarise
from bandits.results.tally import prepare
from envs.outcomes import Outcomes
from envs.stream import Stream

ROWS, SEEDS = 120, 6
REQUIRED = [
    "policy", "stream", "seeds", "rounds", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean",
    "cost_total", "regret_oracle", "regret_best_fixed", "regret_best_per_dataset", "regret_lo", "regret_hi",
]  # fmt: skip


def make_stream(*, priced: bool = True, holes: bool = False) -> Stream:
    rng = np.random.default_rng(0)
    utility = (rng.random((ROWS, 3)) < (0.4, 0.6, 0.8)).astype(float)
    cost = rng.lognormal(size=(ROWS, 3)) * (0.1, 1.0, 3.0)
    if holes:
        utility[::5, 2] = np.nan
    outcomes = Outcomes(
        models=("small", "middle", "large"),
        utility=utility,
        cost=cost if priced else np.full_like(cost, np.nan),
        query_id=np.array([f"q{i}" for i in range(ROWS)], object),
        dataset=np.array(["a", "b"], object)[np.arange(ROWS) % 2],
    )
    return Stream("made", outcomes, np.ones((ROWS, 1), np.float32))


def make_table(stream: Stream) -> np.ndarray:
    return stream.utility - 0.2 * stream.cost / stream.cost_scale


def make_traces(stream: Stream) -> dict[str, Trace]:
    rng = np.random.default_rng(1)
    order = np.stack([rng.permutation(ROWS) for _ in range(SEEDS)]).astype(np.int32)
    arms = rng.integers(0, 2, order.shape).astype(np.int32)  # models that answer everything
    stopped = arms.copy()
    stopped[:, ROWS // 2 :] = -1
    return {"mixed": Trace(order, arms), "stopped": Trace(order, stopped)}


@pytest.fixture(scope="module")
def made() -> tuple[Stream, np.ndarray, dict[str, Trace], Summary]:
    stream = make_stream()
    table, traces = make_table(stream), make_traces(stream)
    return stream, table, traces, summarise(stream, table, traces)


def test_what_is_compiled_beside_a_first_run_is_what_it_calls(
    made: tuple[Stream, np.ndarray, dict[str, Trace], Summary],
) -> None:
    kernels = add_up, add_known
    called = [list(kernel.signatures) for kernel in kernels]
    assert [len(each) for each in called] == [1, 1]
    prepare()
    assert [list(kernel.signatures) for kernel in kernels] == called


def test_columns_and_rows(made: tuple[Stream, np.ndarray, dict[str, Trace], Summary]) -> None:
    frame = made[3].summary
    assert list(frame.columns[: len(REQUIRED)]) == REQUIRED
    players = [
        "mixed",
        "stopped",
        "oracle",
        "best_fixed",
        "best_per_dataset",
        "uniform",
        "small",
        "middle",
        "large",
    ]
    assert frame["policy"].tolist() == players
    assert frame["kind"].tolist() == ["policy"] * 2 + ["reference"] * 4 + ["model"] * 3
    assert (frame["seeds"] == SEEDS).all()
    assert (frame["rounds"] == ROWS).all()


def test_policies_are_as_recomputed(made: tuple[Stream, np.ndarray, dict[str, Trace], Summary]) -> None:
    stream, table, traces, (frame, *_) = made
    for name, trace in traces.items():
        row = frame.set_index("policy").loc[name]
        assert row["reward_mean"] == pytest.approx(metrics.rewards(table, trace).mean())
        assert row["accuracy"] == pytest.approx(metrics.rewards(stream.utility, trace).mean())
        assert row["cost_total"] == pytest.approx(metrics.spend(stream.cost, trace)[:, -1].mean())
        for baseline in ("oracle", "best_fixed", "best_per_dataset"):
            final = metrics.cumulative_regret(table, trace, baseline, dataset=stream.dataset)[:, -1]
            assert row[f"regret_{baseline}"] == pytest.approx(final.mean())
        low, high = metrics.student(metrics.cumulative_regret(table, trace)[:, -1])
        assert (row["regret_lo"], row["regret_hi"]) == (pytest.approx(low), pytest.approx(high))
    assert frame.set_index("policy")["unanswered"]["stopped"] == pytest.approx(0.5)


def test_references_are_means_over_the_table(
    made: tuple[Stream, np.ndarray, dict[str, Trace], Summary],
) -> None:
    _, table, _, (frame, *_) = made  # every seed asks every row once, so orders cannot matter
    reward = frame.set_index("policy")["reward_mean"]
    assert reward["uniform"] == pytest.approx(table.mean())
    assert reward["oracle"] == pytest.approx(table.max(axis=1).mean())
    assert reward["best_fixed"] == pytest.approx(table.mean(axis=0).max())
    per_dataset = np.mean([table[0::2].mean(axis=0).max(), table[1::2].mean(axis=0).max()])
    assert reward["best_per_dataset"] == pytest.approx(per_dataset)
    np.testing.assert_allclose(reward[["small", "middle", "large"]], table.mean(axis=0))
    gap = frame.set_index("policy")["gap_closed"]
    assert gap["oracle"] == pytest.approx(1.0)
    assert gap["best_fixed"] == pytest.approx(0.0)


def test_lag_is_the_paired_difference(made: tuple[Stream, np.ndarray, dict[str, Trace], Summary]) -> None:
    stream, table, traces, (frame, *_) = made
    leader = max(traces, key=lambda name: metrics.rewards(table, traces[name]).mean())
    other = next(name for name in traces if name != leader)
    got = scores(summarise(stream, table, traces).by_dataset)
    pair = paired_differences(got, against(got, leader), measures=("reward",)).iloc[0]
    row = frame.set_index("policy").loc[other]
    assert (pair["policy"], pair["against"]) == (other, leader)
    np.testing.assert_allclose(
        row[["lag", "lag_lo", "lag_hi"]].astype(float), -pair[["difference", "hi", "lo"]].astype(float)
    )
    expected = metrics.rewards(table, traces[other]).mean() - metrics.rewards(table, traces[leader]).mean()
    assert pair["difference"] == pytest.approx(expected)


def test_curves_end_at_the_summary(made: tuple[Stream, np.ndarray, dict[str, Trace], Summary]) -> None:
    _, _, traces, (frame, curves, *_) = made
    last = curves[curves["round"] == ROWS].set_index(["policy", "quantity"])["mean"]
    for name in traces:
        row = frame.set_index("policy").loc[name]
        for quantity in ("regret_oracle", "regret_best_fixed", "regret_best_per_dataset"):
            assert last[name, quantity] == pytest.approx(row[quantity])
        assert last[name, "cost"] == pytest.approx(row["cost_total"])
    shares = curves[(curves["policy"] == "mixed") & curves["quantity"].str.startswith("share:")]
    np.testing.assert_allclose(shares.groupby("round")["mean"].sum(), 1.0)


def test_curves_of_a_long_run_are_thinned() -> None:
    stream = make_stream()
    order = np.random.default_rng(2).integers(0, ROWS, (2, 5000)).astype(np.int32)
    curves = summarise(stream, make_table(stream), {"p": Trace(order, np.zeros_like(order))}).curves
    rounds = np.unique(curves["round"])
    assert len(rounds) <= 500
    assert rounds[0] == 1
    assert rounds[-1] == 5000


def test_a_model_with_holes_is_measured_over_all_rounds_with_its_fall_back() -> None:
    """`large` lacks every fifth row; `small`, the first of those that answer everything, stands in there."""
    stream = make_stream(holes=True)
    frame = summarise(stream, make_table(stream), make_traces(stream)).summary.set_index("policy")
    filled = stream.utility[:, 2].copy()
    filled[::5] = stream.utility[::5, 0]
    assert frame.loc["large", "accuracy"] == pytest.approx(filled.mean())
    assert frame.loc["large", "fell_back"] == pytest.approx(0.2) and frame.loc["small", "fell_back"] == 0
    assert frame["reward_mean"].max() == frame.loc["oracle", "reward_mean"]


def test_no_costs_stay_unknown() -> None:
    stream = make_stream(priced=False)
    frame, curves, *_ = summarise(stream, make_table(stream), make_traces(stream))
    assert frame[["cost_mean", "cost_total", "cost_lo", "cost_hi"]].isna().all().all()
    assert "cost" not in set(curves["quantity"])


def test_one_seed_has_no_intervals_and_a_run_reference_is_not_doubled() -> None:
    stream = make_stream()
    order = np.arange(ROWS, dtype=np.int32)[None]
    uniform = Trace(order, np.random.default_rng(3).integers(0, 3, order.shape).astype(np.int32))
    frame = summarise(stream, make_table(stream), {"uniform": uniform}).summary
    assert frame["reward_lo"].isna().all()
    assert frame["policy"].tolist().count("uniform") == 1
    assert frame.set_index("policy")["kind"]["uniform"] == "policy"


def test_traces_that_cannot_be_compared_are_refused() -> None:
    stream = make_stream()
    traces = make_traces(stream)
    traces["other"] = Trace(traces["mixed"].order[:, ::-1], traces["mixed"].arms)
    with pytest.raises(ValueError, match="mixed and other differ"):
        summarise(stream, make_table(stream), traces)
    with pytest.raises(ValueError, match="at least one trace"):
        summarise(stream, make_table(stream), {})


def test_regret_within_a_budget_is_counted_from_the_knapsack() -> None:
    """The plan's rewards add up to what `best_within` says the money buys, with rows asked several times or never."""
    from bandits.metrics.knapsack import best_within, plan_within

    stream = make_stream()
    table, traces = make_table(stream), make_traces(stream)
    order = next(iter(traces.values())).order
    limits = np.full(3, np.inf)
    limits[0] = 0.3 * np.nanmean(stream.cost) * order.shape[1]
    curves = summarise(stream, table, traces, limits=limits).curves
    last = curves[curves["round"] == order.shape[1]].set_index(["policy", "quantity"])["mean"]
    bought = []
    for rows in order:
        times = np.bincount(rows, minlength=len(table))
        plan = plan_within(table, stream.cost, limits[0], times=times)
        assert plan @ times == pytest.approx(float(best_within(table, stream.cost, limits[0], times=times)))
        bought.append(plan @ times)
    for name, trace in traces.items():
        earned = metrics.rewards(table, trace).sum(axis=1)
        assert last[name, "regret_best_within"] == pytest.approx(np.mean(bought - earned))
    assert "regret_best_within" not in set(summarise(stream, table, traces).curves["quantity"])


@pytest.mark.parametrize(("name", "played"), [("mixed", ROWS), ("stopped", ROWS), ("mixed", 9)])
def test_shares_by_dataset_are_counted_among_its_own_queries(name: str, played: int) -> None:
    """`stopped` calls nothing in the second half; a run of nine rounds has windows of one."""
    stream = make_stream()
    trace = make_traces(stream)[name]
    trace = Trace(trace.order[:, :played], trace.arms[:, :played])
    curves = summarise(stream, make_table(stream), {name: trace}).curves
    rounds = trace.order.shape[1]
    window = max(1, rounds // 10)
    datasets = sorted(set(stream.dataset.tolist()))
    assert len(datasets) > 1
    for dataset in datasets:
        for k, model in enumerate(stream.models):
            own = curves[curves["quantity"] == f"share@{dataset}:{model}"]
            assert own["round"].tolist() == sorted({round(x) for x in np.linspace(1, rounds, 40)})
            for at, share in zip(own["round"], own["mean"], strict=True):
                ahead = slice(max(0, at - window), at)
                here = stream.dataset[trace.order[:, ahead]] == dataset
                called = (trace.arms[:, ahead] == k) & here
                expected = called.sum() / here.sum() if here.sum() else np.nan
                assert share == pytest.approx(expected, nan_ok=True)


def test_of_many_datasets_those_asked_most_have_shares_of_their_own() -> None:
    """14 datasets of 2 to 15 queries: the two smallest are left out."""
    stream = make_stream()
    sizes = range(2, 16)
    names = np.repeat([f"d{n:02}" for n in sizes], sizes)[:ROWS]
    assert len(set(names)) == 14 and len(names) >= 119
    dataset = np.append(names, ["d15"] * (ROWS - len(names))).astype(object)
    stream = replace(stream, outcomes=replace(stream.outcomes, dataset=dataset))
    trace = make_traces(stream)["mixed"]
    curves = summarise(stream, make_table(stream), {"mixed": trace}).curves
    quantities = curves["quantity"][curves["quantity"].str.startswith("share@")]
    assert {q.removeprefix("share@").split(":")[0] for q in quantities} == {f"d{n:02}" for n in range(4, 16)}


def test_no_interval_of_two_seeds_passes_what_its_quantity_can_be() -> None:
    """Of the summary, the curves, the differences, and what a terminal and a page say of them."""
    stream = make_stream()
    rng = np.random.default_rng(3)
    order = np.stack([rng.permutation(ROWS)[:12] for _ in range(2)]).astype(np.int32)
    made = summarise(stream, make_table(stream), {"fixed": Trace(order, np.full(order.shape, 2, np.int32))})
    got = scores(made.by_dataset, made.by_query)
    frame, curves = made.summary, made.curves
    spread = student(got.value["accuracy"][:, :, 0])
    assert np.nanmin(spread[0]) < 0 and np.nanmax(spread[1]) > 1  # the seeds differ so much
    told = frame[["accuracy_lo", "accuracy_hi"]].dropna()
    assert len(told) and ((told >= 0) & (told <= 1)).all(axis=None)
    assert (frame["cost_lo"].dropna() >= 0).all() and (frame["cost_lo"] == 0).any()
    assert (curves[curves["quantity"] == "cost"]["lo"] >= 0).all()
    apart = paired_differences(got, against(got, "small"), measures=("accuracy",))
    assert (apart[["lo", "hi", "queries_lo", "queries_hi"]].abs().max() <= 1).all()
    _, lines = narrow.table([narrow.Told("", frame.to_dict("records"), got)], "USD/query")
    ends = [float(x) for line in lines for x in re.findall(r"(?<![0-9])-?[0-9.]+", line[1].partition("(")[2])]
    assert ends and min(ends) >= 0 and max(ends) <= 100
    page = datasets.table(got, ["fixed"], money("USD/query"))
    spans = re.findall(
        r"</th><td>[0-9.]+<small>(.*?) to (.*?)</small>", page
    )  # of accuracy, the first column
    assert spans and all(0 <= float(low) <= float(high) <= 100 for low, high in spans)

"""Every column of the summary and every line of `by_dataset`'s kin, by plain loops over a run in which none are alike.

A third of the rounds make no call, a model cannot be called in every fifth query, and not every query is asked.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits.experiment import worlds
from bandits.loop import feedback
from bandits.loop.orders import orders
from bandits.loop.replay import Trace
from bandits.metrics.knapsack import best_mixture
from bandits.results import phases
from bandits.results.players import planned
from bandits.results.points import _hindsight
from bandits.results.spending import account, burn_down
from bandits.results.summary import summarise
from bandits.results.tally import kept_rounds
from envs.outcomes import Outcomes
from envs.stream import Stream
from tests.test_summary import make_stream, make_table

ROUNDS, SEEDS = 90, 6


@pytest.fixture(scope="module")
def run():
    """The stream, its table, two traces (a third of one makes no call) and the summary by name."""
    stream = make_stream(holes=True)
    rng = np.random.default_rng(3)
    order = np.stack([rng.permutation(120)[:ROUNDS] for _ in range(SEEDS)]).astype(np.int32)
    arms = rng.integers(0, 2, order.shape).astype(np.int32)
    silent = arms.copy()
    silent[:, 60:] = -1
    traces = {"talks": Trace(order, arms), "silent": Trace(order, silent)}
    table = make_table(stream)
    return stream, table, traces, summarise(stream, table, traces).summary.set_index("policy")


def earned(sheet: np.ndarray, trace: Trace) -> np.ndarray:
    """Return `(S, T)`, 0 without a call."""
    return np.array(
        [
            [sheet[row, arm] if arm >= 0 else 0.0 for row, arm in zip(*lane, strict=True)]
            for lane in zip(trace.order.tolist(), trace.arms.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize(("name", "quiet"), [("talks", 0.0), ("silent", 1 / 3)])
def test_a_policys_row(run, name: str, quiet: float) -> None:
    stream, table, traces, summary = run
    trace, row = traces[name], summary.loc[name]
    reward, cost, right = (earned(sheet, trace) for sheet in (table, stream.cost, stream.utility))
    assert row["unanswered"] == pytest.approx(quiet) and np.isnan(row["fell_back"])
    assert (row["seeds"], row["rounds"], row["kind"]) == (SEEDS, ROUNDS, "policy")
    assert row["cost_total"] == pytest.approx(cost.sum(axis=1).mean())
    regret = np.cumsum(np.nanmax(table, axis=1)[trace.order] - reward, axis=1)
    per_seed = {
        "reward": reward.mean(axis=1),
        "accuracy": right.mean(axis=1),
        "cost": cost.mean(axis=1),
        "regret": regret[:, -1],
    }
    for quantity, each in per_seed.items():
        ends = stats.t.interval(0.95, SEEDS - 1, each.mean(), stats.sem(each))
        assert (row[f"{quantity}_lo"], row[f"{quantity}_hi"]) == pytest.approx(ends), quantity
    assert row["regret_oracle"] == pytest.approx(regret[:, -1].mean())
    # Growth: least squares on the logarithms, of the mean over seeds of the regret against the oracle.
    at = np.unique(np.geomspace(np.sqrt(ROUNDS), ROUNDS, 90).round().astype(int))
    mean = regret.mean(axis=0)[at - 1]
    assert row["exponent"] == pytest.approx(np.polyfit(np.log(at), np.log(mean), 1)[0])


def test_references_are_the_best_of_the_rows_that_were_asked(run) -> None:
    """Each fixed choice over the rows played, model 0 standing in where the third one has no outcome."""
    stream, table, traces, summary = run
    order = traces["talks"].order
    filled = np.where(np.isnan(table), table[:, [0]], table)
    fixed = filled[order].mean(axis=(0, 1))
    oracle = np.nanmax(table, axis=1)[order].mean()
    assert summary.loc["best_fixed", "reward_mean"] == pytest.approx(fixed.max())
    assert summary.loc["uniform", "reward_mean"] == pytest.approx(np.nanmean(table, axis=1)[order].mean())
    for model, value in zip(stream.models, fixed, strict=True):
        assert summary.loc[model, "reward_mean"] == pytest.approx(value)
    for name in ("talks", "silent"):
        mean = summary.loc[name, "reward_mean"]
        closed = (mean - fixed.max()) / (oracle - fixed.max())
        assert summary.loc[name, "gap_closed"] == pytest.approx(closed)
        assert summary.loc[name, "regret_best_fixed"] == pytest.approx(ROUNDS * (fixed.max() - mean))
    lacking = np.isnan(table[order, 2]).mean()
    assert summary.loc["large", "fell_back"] == pytest.approx(lacking) and 0 < lacking != 0.2
    assert summary.loc["small", "fell_back"] == 0


def test_curves_are_kept_at_even_and_at_evenly_growing_rounds() -> None:
    want = {round(x) for x in np.linspace(1, 100_000, 200)} | {round(x) for x in np.geomspace(1, 100_000, 50)}
    assert kept_rounds(100_000).tolist() == sorted(want)


def test_what_waits_is_counted_for_each_seed_and_by_the_runs_own_seed() -> None:
    """Random delays: what is outstanding after each round and what is lost, by a plain loop over the timetable."""
    stream = make_stream()
    order = np.zeros((3, 40), np.int32)
    late = feedback.parse("geometric,mean=9,never=0.1")
    traces = {"p": Trace(order, order)}
    means = []
    for seed in (0, 7):
        after = feedback.due(late, (3, 40), seed)
        left = np.array(
            [[sum(not 0 <= a <= t for a in row[: t + 1]) for t in range(40)] for row in after.tolist()]
        )
        ((columns, curve),) = phases.added(stream, make_table(stream), traces, late, seed=seed)
        assert columns["outstanding"].item() == pytest.approx(left.mean())
        assert columns["never_heard"].item() == pytest.approx(left[:, -1].mean())
        assert left[:, -1].max() != left[:, -1].mean() and left[0].mean() != left.mean()
        curve = curve.set_index("round")["mean"]
        pd.testing.assert_series_equal(
            curve,
            pd.Series(left.mean(axis=0), pd.RangeIndex(1, 41)),
            check_names=False,
            check_index_type=False,
        )
        means.append(left.mean())
    assert means[0] != means[1]


def test_two_changes_and_two_arrivals_in_one_row(known) -> None:
    """model-3 (.6) joins at 200 and is called from 240 on, model-0 (.9) at 400 and from 480 on; before, model-2 (.3).

    Behind by .3 for 40 rounds: (40 - n) .3 / 100 <= .05 x .6 from n = 30 on; for 80 rounds and .05 x .9, from 65 on.
    """
    world = worlds.changed(known, ["arrive,model=model-3,at=200", "arrive,model=model-0,at=400"], seeds=3)
    table = np.where(world.available, [0.9, 0.2, 0.3, 0.6], np.nan)
    clock = np.arange(600)
    arms = np.where(clock < 240, 2, np.where(clock < 480, 3, 0)) * np.ones((3, 1), int)
    trace = Trace(orders(world, seeds=3), arms.astype(np.int32))
    row = phases.outcome(world, table, trace)
    assert phases.marks(world) == [(201, "model-3 arrives"), (401, "model-0 arrives")]
    assert phases.marks(known) == []
    assert (row["recovery"], row["recovery_lo"], row["recovery_hi"]) == (65, 65, 65)
    assert (row["adoption"], row["adoption_pulls"]) == (50, 10)  # the first to arrive: 10 calls in 50 rounds
    assert row["regret_best_of_phase"] == pytest.approx(40 * 0.3 + 80 * 0.3)
    arms[:, 300:] = 2  # never back after the second change, nor in what is left of the first phase
    row = phases.outcome(world, table, trace._replace(arms=arms.astype(np.int32)))
    assert row["unrecovered"] == 2 and np.isnan(row["recovery"]) and row["recovery_hi"] == np.inf


def test_a_phases_interval_is_of_its_own_reward_a_round(known) -> None:
    world = worlds.changed(known, ["price,model=model-0,at=150"], seeds=4)
    order = orders(world, seeds=4)
    arms = np.random.default_rng(0).integers(0, 4, order.shape).astype(np.int32)
    table = np.random.default_rng(1).random(world.utility.shape)
    rows = phases.phases(world, table, {"p": Trace(order, arms)})
    got = table[order, arms]
    for row, part in zip(rows.to_dict("records"), (slice(0, 150), slice(150, 600)), strict=True):
        each = got[:, part].mean(axis=1)
        assert row["reward"] == pytest.approx(each.mean())
        ends = stats.t.interval(0.95, 3, each.mean(), stats.sem(each))
        assert (row["reward_lo"], row["reward_hi"]) == pytest.approx(ends)
        behind = (table.max(axis=1)[order] - got)[:, part].sum(axis=1).mean()
        assert row["regret_oracle"] == pytest.approx(behind)


def test_the_first_round_without_a_call_is_a_mean_over_the_seeds_that_had_one() -> None:
    """Three seeds: out after two rounds, after four, and never; silent in 4, 2 and 0 of six rounds."""
    stream = make_stream()
    order = np.stack([np.arange(6)] * 3).astype(np.int32)
    arms = np.zeros((3, 6), np.int32)
    arms[0, 2:], arms[1, 4:] = -1, -1
    told = account(stream, make_table(stream), {"p": Trace(order, arms)}, np.array([9.0, np.inf, np.inf]))
    assert told["out_at"].item() == (3 + 5) / 2 and told["unanswered"].item() == 2
    ends = stats.t.interval(0.95, 2, told["over_mixture"].item(), _error(stream, order, arms))
    assert (told["over_lo"].item(), told["over_hi"].item()) == pytest.approx(ends)
    down = burn_down(stream, {"p": Trace(order, arms)}, np.array([9.0, np.inf, np.inf]))
    assert list(down.columns) == ["policy", "round", "quantity", "mean", "lo", "hi"] and set(
        down["policy"]
    ) == {"p"}
    left = 1 - np.cumsum(np.where(arms >= 0, stream.cost[order, 0], 0.0), axis=1)[:, -1] / 9
    ends = stats.t.interval(0.95, 2, left.mean(), stats.sem(left))
    assert down[["mean", "lo", "hi"]].iloc[-1].tolist() == pytest.approx(
        [left.mean(), ends[0], 1.0]  # no more than all can be left
    )
    assert ends[1] > 1.0


def _error(stream: Stream, order: np.ndarray, arms: np.ndarray) -> float:
    """Return the standard error over seeds of what model 0 earns above the best mixture for the same money."""
    table = make_table(stream)
    over = []
    for rows, called in zip(order, arms, strict=True):
        made = called >= 0
        paid, times = stream.cost[rows[made], 0].sum(), np.bincount(rows, minlength=len(table))
        mixture = float(best_mixture(table, stream.cost, paid, times=times)) / len(rows)
        over.append(table[rows[made], 0].sum() / len(rows) - mixture)
    return float(stats.sem(over))


def test_the_best_fixed_model_is_that_of_the_rows_that_were_asked() -> None:
    """In the table the large model earns most; of the forty rows that are asked, the small one does."""
    stream = make_stream()
    table = np.tile([0.4, 0.2, 0.6], (120, 1))
    table[:40] = [0.5, 0.2, 0.1]
    order = np.stack([np.random.default_rng(s).permutation(40) for s in range(3)]).astype(np.int32)
    rows = summarise(stream, table, {"p": Trace(order, np.zeros_like(order))}).summary.set_index("policy")
    assert rows.loc["best_fixed", "reward_mean"] == pytest.approx(0.5)
    assert rows.loc["best_per_dataset", "reward_mean"] == pytest.approx(0.5)


def test_under_two_budgets_the_plan_is_that_of_the_one_that_buys_least() -> None:
    """Four rounds ask one query three times: cost 2 buys two answers, latency 9 all but one, over the rows asked."""
    table, cost = np.array([[1.0, 0.0], [0.5, 0.0]]), np.ones((2, 2))
    stream = Stream(
        "two",
        Outcomes(models=("m", "n"), utility=table, cost=cost, query_id=np.array(["a", "b"], object), cost_unit="USD",
                 latency=np.full((2, 2), 3.0)),
        np.ones((2, 1), np.float32),
    )  # fmt: skip
    order = np.array([[0, 0, 1, 0]], np.int32)
    for limits, want in (([2.0, np.inf], 2.0), ([np.inf, 9.0], 3.0), ([2.0, 9.0], 2.0), ([3.5, 6.0], 2.0)):
        plan = planned(stream, table, order, np.array([*limits, np.inf]))
        assert plan is not None and plan.sum() == pytest.approx(want)
    assert planned(stream, table, order, None) is None


def test_budgets_of_hindsight_span_what_the_models_use_where_they_answer() -> None:
    """From half of the cheapest mean to 5 % above the dearest; a cost beside a missing answer does not count."""
    table = np.array([[1.0, 0.5], [1.0, np.nan], [0.0, 0.5]])
    use = np.array([[1.0, 6.0], [2.0, 999.0], [3.0, 10.0]])
    frame = pd.DataFrame(_hindsight(table, use))
    for _, part in frame.groupby("kind"):
        assert len(part) == 100 and (part["budget"].iloc[0], part["budget"].iloc[-1]) == pytest.approx(
            (1.0, 8.4)
        )
        assert (part["spent"] == part["budget"]).all()
    # 8.4 a query buys everything: the first model twice, the second once.
    assert frame[frame["kind"] == "within"]["reward"].iloc[-1] == pytest.approx((1 + 1 + 0.5) / 3)

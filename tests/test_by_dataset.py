"""The rows by dataset and the paired tests, against plain loops and recomputation from the traces."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits import metrics
from bandits.loop.replay import Trace
from bandits.results.by_dataset import UNNAMED
from bandits.results.by_query import clusters
from bandits.results.differences import OVERALL, Scores, against, paired_differences, scores
from bandits.results.summary import summarise
from bandits.rewards import linear, reward_table
from bandits.sweeps.job import _over_fixed
from envs.stream import Stream
from tests.conftest import make_stream

SEEDS, ROUNDS = 6, 200


def make_traces(stream: Stream, *, better: float = 0.0) -> dict[str, Trace]:
    """Return two policies: `blind` draws models at random, `keen` calls the oracle's in a share `better` of rounds."""
    rng = np.random.default_rng(5)
    order = np.stack([rng.permutation(len(stream))[:ROUNDS] for _ in range(SEEDS)]).astype(np.int32)
    arms = {name: rng.integers(0, stream.n_arms, order.shape).astype(np.int32) for name in ("blind", "keen")}
    best = metrics.comparator(stream.utility, "oracle")[order]
    arms["keen"] = np.where(rng.random(order.shape) < better, best, arms["keen"]).astype(np.int32)
    return {name: Trace(order, called) for name, called in arms.items()}


@pytest.fixture(scope="module")
def made() -> tuple[Stream, np.ndarray, dict[str, Trace], pd.DataFrame]:
    stream = make_stream()
    table, traces = reward_table(linear, stream), make_traces(stream, better=0.8)
    return stream, table, traces, summarise(stream, table, traces).by_dataset


def test_rows_are_as_recomputed_round_by_round(made) -> None:
    stream, table, traces, frame = made
    at = frame.set_index(["policy", "dataset", "seed"])
    names = sorted(set(stream.dataset))
    regret = {b: metrics.comparator(table, b, dataset=stream.dataset) for b in ("oracle", "best_fixed")}
    for name, dataset, seed in itertools.product(traces, names, range(SEEDS)):
        rounds = [
            (q, k)
            for q, k in zip(traces[name].order[seed], traces[name].arms[seed], strict=True)
            if stream.dataset[q] == dataset
        ]
        row = at.loc[(name, dataset, seed)]
        assert row["rounds"] == len(rounds)
        assert row["reward"] == pytest.approx(np.mean([table[q, k] for q, k in rounds]))
        assert row["accuracy"] == pytest.approx(np.mean([stream.utility[q, k] for q, k in rounds]))
        assert row["cost"] == pytest.approx(np.mean([stream.cost[q, k] for q, k in rounds]))
        for baseline, arms in regret.items():
            behind = sum(table[q, arms[q]] - table[q, k] for q, k in rounds)
            assert row[f"regret_{baseline}"] == pytest.approx(behind)
        called = [sum(k == arm for _, k in rounds) for arm in range(stream.n_arms)]
        assert [row[f"calls:{model}"] for model in stream.models] == called


def test_the_datasets_together_are_the_summary(made) -> None:
    stream, table, traces, frame = made
    summary = summarise(stream, table, traces).summary
    got = scores(frame)
    assert got.datasets[0] == OVERALL
    assert list(got.players) == summary["policy"].tolist()
    for measure, column in (("reward", "reward_mean"), ("accuracy", "accuracy"), ("cost", "cost_mean")):
        np.testing.assert_allclose(got.value[measure][:, :, 0].mean(axis=0), summary[column])
    for measure in ("regret_oracle", "regret_best_fixed", "regret_best_per_dataset"):
        np.testing.assert_allclose(got.value[measure][:, :, 0].mean(axis=0), summary[measure], atol=1e-9)


def test_a_round_without_a_call_counts_and_so_does_one_that_falls_back(patchy: Stream) -> None:
    table = reward_table(linear, patchy)
    order = np.arange(len(patchy), dtype=np.int32)[None]
    frame = summarise(patchy, table, {"silent": Trace(order, np.full_like(order, -1))}).by_dataset
    silent, model = (frame[frame["policy"] == name] for name in ("silent", "model-1"))
    assert silent["rounds"].sum() == len(patchy)
    assert (silent["reward"] == 0).all() and (silent.filter(like="calls:") == 0).all(axis=None)
    assert model["rounds"].sum() == len(patchy)
    got = scores(frame).of("accuracy", "model-1")
    order_of_standing_in = np.argsort(-patchy.available.sum(axis=0), kind="stable")
    filled = [
        row[1] if there[1] else row[next(k for k in order_of_standing_in if there[k])]
        for row, there in zip(patchy.utility, patchy.available, strict=True)
    ]
    assert got[0, 0] == pytest.approx(np.mean(filled))


def test_queries_without_a_dataset_are_one_group() -> None:
    from dataclasses import replace

    stream = make_stream(rows=40)
    stream = replace(stream, outcomes=replace(stream.outcomes, dataset=np.full(40, "", object)))
    order = np.arange(40, dtype=np.int32)[None]
    frame = summarise(
        stream, reward_table(linear, stream), {"p": Trace(order, np.zeros_like(order))}
    ).by_dataset
    assert set(frame["dataset"]) == {UNNAMED}
    assert scores(frame).datasets == (UNNAMED,)


def test_rows_survive_a_csv_file(made, tmp_path) -> None:
    frame = made[3]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    again = scores(pd.read_csv(tmp_path / "rows.csv"))
    for measure, value in scores(frame).value.items():
        np.testing.assert_allclose(again.value[measure], value, rtol=1e-12)


def test_differences_are_paired_by_seed_and_by_query(made) -> None:
    """Both tests are SciPy's: over the six seeds, and over the queries, whose means are of all seeds together."""
    stream, table, traces, frame = made
    got = scores(frame, summarise(stream, table, traces).by_query)
    found = paired_differences(got, against(got, "blind")).set_index(["dataset", "measure"])
    gap = got.of("accuracy", "keen") - got.of("accuracy", "blind")
    for d, dataset in enumerate(got.datasets):
        row = found.loc[(dataset, "accuracy")]
        assert (row["policy"], row["against"]) == ("keen", "blind")
        assert row["difference"] == pytest.approx(gap[:, d].mean())
        plain = stats.ttest_1samp(gap[:, d], 0)
        assert (row["lo"], row["hi"]) == (pytest.approx(plain.confidence_interval()))
    row = found.loc[(OVERALL, "accuracy")]
    order = traces["keen"].order
    each = stream.utility[order, traces["keen"].arms] - stream.utility[order, traces["blind"].arms]
    rounds = np.bincount(order.ravel())
    sums = np.bincount(order.ravel(), each.ravel())[rounds > 0]
    rounds = rounds[rounds > 0]
    assert row["queries"] == len(rounds) and row["shown"] and row["why"] == ""
    # The delta method by hand: Var(sum D / sum n) = G / (G - 1) sum (D - d n)^2 / (sum n)^2.
    d = sums.sum() / rounds.sum()
    error = math.sqrt(len(rounds) / (len(rounds) - 1) * ((sums - d * rounds) ** 2).sum()) / rounds.sum()
    half = stats.t.ppf(0.975, len(rounds) - 1) * error
    assert (row["queries_lo"], row["queries_hi"]) == (pytest.approx(d - half), pytest.approx(d + half))
    over = 2 * stats.t.sf(d / error, len(rounds) - 1)
    assert row["p"] == pytest.approx(max(over, stats.ttest_1samp(gap[:, 0], 0).pvalue)) == row["p_holm"]


def test_near_copies_are_one_cluster_and_a_group_named_like_a_query_is_not() -> None:
    """The difference stands on clusters: groups of three rows are one query, by the delta method over the groups."""
    stream = make_stream(rows=120)
    group = np.array([f"g{i // 3}" if i < 60 else "" for i in range(120)], object)
    group[:3] = "q100"  # as another query is called
    stream = replace(stream, outcomes=replace(stream.outcomes, group_id=group))
    number = clusters(stream)
    assert len(set(number)) == 20 + 60 and number[0] == number[2] != number[100] and number[3] != number[2]
    rng = np.random.default_rng(2)
    order = np.stack([rng.permutation(120) for _ in range(4)]).astype(np.int32)
    arms = rng.integers(0, 4, (2, *order.shape)).astype(np.int32)
    traces = {"blind": Trace(order, arms[0]), "keen": Trace(order, arms[1])}
    table = reward_table(linear, stream)
    got = scores(*summarise(stream, table, traces)[2:])
    row = paired_differences(got, [("keen", "blind")], measures=("reward",)).iloc[0]
    each = np.zeros(120)
    np.add.at(each, order.ravel(), (table[order, arms[1]] - table[order, arms[0]]).ravel())
    sums = np.array([each[number == one].sum() for one in range(80)])
    size = np.array([4 * (number == one).sum() for one in range(80)])
    d = sums.sum() / size.sum()
    error = math.sqrt(80 / 79 * ((sums - d * size) ** 2).sum()) / size.sum()
    half = stats.t.ppf(0.975, 79) * error
    assert row["queries"] == 80
    assert (row["queries_lo"], row["queries_hi"]) == (pytest.approx(d - half), pytest.approx(d + half))


def test_a_sweep_keeps_the_interval_over_queries_of_the_same_clusters() -> None:
    """Queries asked one to four times, near copies together: `metrics.clustered` of sums that a loop has made."""
    stream = make_stream(rows=90)
    group = np.array([f"g{i // 2}" if i < 40 else "" for i in range(90)], object)
    stream = replace(stream, outcomes=replace(stream.outcomes, group_id=group))
    rng = np.random.default_rng(4)
    order = rng.integers(0, 80, (2, 150)).astype(np.int32)
    gap = rng.normal(0.1, 1.0, order.shape)
    sums: dict[str, float] = {}
    size: dict[str, int] = {}
    for row, one in zip(order.ravel().tolist(), gap.ravel().tolist(), strict=True):
        name = group[row] or f"q{row}"
        sums[name], size[name] = sums.get(name, 0.0) + one, size.get(name, 0) + 1
    want = metrics.clustered(np.array([*sums.values()]), np.array([*size.values()]))
    found = _over_fixed(SimpleNamespace(stream=stream), gap, order)  # type: ignore[arg-type]
    assert found["queries"] == len(sums) and len(set(size.values())) > 3
    assert [found["lo"], found["hi"], found["p"]] == pytest.approx(
        [float(want.lo), float(want.hi), float(want.p)]
    )


def test_all_data_sets_together_are_a_family_of_their_own(made) -> None:
    """Holm over three policies together, and over three policies by as many data sets."""
    stream, table, traces, _ = made
    third = Trace(traces["keen"].order, (traces["keen"].arms + 1) % 4)
    traces = {**traces, "third": third, "fourth": third._replace(arms=(third.arms + 1) % 4)}
    got = scores(*summarise(stream, table, traces)[2:])
    assert against(got, "blind") == [(name, "blind") for name in ("keen", "third", "fourth")]
    found = paired_differences(got, against(got, "blind"), measures=("accuracy",))
    whole = found["dataset"] == OVERALL
    for part in (whole, ~whole):
        np.testing.assert_allclose(found["p_holm"][part], plain_holm(found["p"][part].tolist()))
    assert not np.allclose(found["p_holm"][whole], plain_holm(found["p"].tolist())[:3])


def test_without_the_queries_own_numbers_nothing_is_shown(made) -> None:
    got = scores(made[3])
    row = paired_differences(got, against(got, "blind")).iloc[0]
    assert not row["shown"] and "what each query got is not known" in row["why"]


def test_an_unknown_player_and_a_missing_column_are_refused(made) -> None:
    with pytest.raises(ValueError, match="no player 'nobody' to compare with; there are blind"):
        against(scores(made[3]), "nobody")
    with pytest.raises(ValueError, match="by_dataset needs the column cost"):
        scores(made[3].drop(columns="cost"))


def plain_holm(p: list[float]) -> list[float]:
    """Return Holm's adjusted p-values as the paper has it: for each, the largest (m - j + 1) p_(j) up to its rank."""
    ranked = sorted(p)
    return [
        min(1.0, max((len(p) - j) * q for j, q in enumerate(ranked) if q <= own))  # j from 0
        for own in p
    ]


def test_holm_steps_down() -> None:
    p = np.random.default_rng(1).random((4, 5)) ** 3
    np.testing.assert_allclose(metrics.holm(p).ravel(), plain_holm(p.ravel().tolist()))
    np.testing.assert_allclose(metrics.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])  # a textbook's three
    np.testing.assert_allclose(metrics.holm([0.01, np.nan, 0.03]), [0.02, np.nan, 0.03])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        metrics.holm([1.2])


def test_scores_name_their_players(made) -> None:
    got = scores(made[3])
    assert isinstance(got, Scores)
    assert got.kinds == ("policy",) * 2 + ("reference",) * 4 + ("model",) * 4

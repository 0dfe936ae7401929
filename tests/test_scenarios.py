"""The table of all scenarios: its verdicts by the one rule, over seeds and over queries of the unchanged table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bandits import metrics
from bandits.experiment import worlds
from bandits.experiment.lineup import lineup
from bandits.loop.replay import replay
from bandits.results.by_query import clusters
from bandits.rewards import linear, reward_table
from bandits.sweeps.scenarios import VERDICTS, compare, verdict
from envs.stream import Stream

PLAYED = {"seeds": 6, "rounds": 400, "seed": 2}


@pytest.fixture
def doubled(known) -> Stream:
    """The table of which all is known, each two neighbouring rows being near copies."""
    group = np.array([f"pair {row // 2}" for row in range(len(known))], object)
    return replace(known, outcomes=replace(known.outcomes, group_id=group))


def specs(stream: Stream) -> list[str]:
    """The best model, the worst one, and any."""
    mean = reward_table(linear, stream, 0.2).mean(axis=0)
    return [f"always,model={stream.models[k]}" for k in (mean.argmax(), mean.argmin())] + ["linucb"]


def by_hand(stream: Stream, name: str, spec: str, first: str) -> dict[str, float]:
    """Both tests of a difference, seed by seed and cluster by cluster, in plain loops."""
    world = worlds.changed(stream, worlds.scenario(name).changes, **PLAYED)
    table = reward_table(linear, world, 0.2)
    built = lineup(world, [spec, first], linear)
    mine, theirs = (replay(built[s], world, table, **PLAYED) for s in (spec, first))
    gap = np.take_along_axis(table[theirs.order], theirs.arms[..., None], 2)[..., 0]
    gap = gap - np.take_along_axis(table[mine.order], mine.arms[..., None], 2)[..., 0]
    rows = mine.order if world.world is None else world.world.row[mine.order]
    each: dict[str, list[float]] = {}
    for s in range(gap.shape[0]):
        for t in range(gap.shape[1]):
            each.setdefault(stream.outcomes.group_id[rows[s, t]], []).append(gap[s, t])
    sums = np.array([sum(v) for v in each.values()])
    count = np.array([len(v) for v in each.values()])
    mean = sums.sum() / count.sum()
    groups = len(sums)
    error = np.sqrt(groups / (groups - 1) * ((sums - mean * count) ** 2).sum()) / count.sum()
    half = stats.t.ppf(0.975, groups - 1) * error
    return {
        "difference": gap.sum(axis=1).mean(),
        "p_seeds": stats.ttest_1samp(gap.sum(axis=1), 0).pvalue,
        "p_queries": 2 * stats.t.sf(abs(mean) / error, groups - 1),
        "lo": (mean - half) * gap.shape[1],
        "hi": (mean + half) * gap.shape[1],
        "queries": groups,
    }


def test_a_difference_is_judged_over_seeds_and_over_queries_of_the_unchanged_table(doubled) -> None:
    names, own = ["stationary", "price-cut"], specs(doubled)
    rows = [r for r in compare(doubled, own, linear, scenarios=names, **PLAYED) if "verdict" in r]
    assert [(r["scenario"], r["policy"]) for r in rows] == [(n, s) for n in names for s in own[1:]]
    known = [by_hand(doubled, r["scenario"], r["policy"], own[0]) for r in rows]
    assert all(k["queries"] <= len(doubled) // 2 for k in known)
    p = metrics.holm([max(k["p_seeds"], k["p_queries"]) for k in known])
    for row, want, adjusted in zip(rows, known, p, strict=True):
        got = [row[c] for c in ("difference", "queries_lo", "queries_hi", "queries", "p")]
        np.testing.assert_allclose(
            got, [want["difference"], want["lo"], want["hi"], want["queries"], adjusted], rtol=1e-6
        )
        side = VERDICTS[0] if want["difference"] < 0 else VERDICTS[1]
        assert row["verdict"] == (side if adjusted < 0.05 else VERDICTS[2])
        assert bool(row["why"]) == (row["verdict"] == VERDICTS[2])
    assert len({row["verdict"] for row in rows}) == 2, (
        "the test needs a difference that is shown, and one not"
    )


def test_what_seeds_alone_show_is_not_shown(known) -> None:
    """Twenty queries, asked over and over: the seeds agree, and say nothing of other queries."""
    few = known.outcomes.take(np.arange(len(known)) < 20)
    stream = replace(known, outcomes=few, context=known.context[:20])
    own = specs(stream)
    (row, *_) = [r for r in compare(stream, own, linear, scenarios=["price-cut"], **PLAYED) if "verdict" in r]
    assert row["queries"] == 20 and row["verdict"] == VERDICTS[2] and "at least 30 queries" in row["why"]
    assert np.isnan(row["p"])


def test_rounds_of_a_changed_stream_are_clusters_of_the_queries_before_any_change(known, doubled) -> None:
    for stream in (known, doubled):
        world = worlds.changed(stream, ("price,model=@best,at=.5,factor=.1",), seeds=3, rounds=900)
        assert np.array_equal(clusters(world), clusters(stream)[world.world.row])
    assert len(np.unique(clusters(world))) <= len(known) // 2


def row(policy: str, scenario: str, said: int, why: str = "") -> dict[str, str]:
    return {"policy": policy, "scenario": scenario, "verdict": VERDICTS[said], "why": why}


def test_the_verdict_in_words_names_what_is_shown_and_counts_what_is_not() -> None:
    assert verdict([{"policy": "a", "scenario": "x"}], "a") == ""
    one = verdict([row("b", "x", 2, "a reason")], "a")
    assert "for 1 comparison: not shown to differ from a: 1 of 1 (a reason)." in one
    many = [
        row("b", "x", 0),
        row("b", "y", 0),
        row("c", "x", 1),
        row("c", "y", 2, "r"),
        row("d", "y", 2, "r"),
    ]
    said = verdict(many, "a")
    assert "for 5 comparisons: shown to have less regret than a: b in x, y. " in said
    assert "shown to have more regret than a: c in x. not shown to differ from a: 2 of 5 (r)." in said

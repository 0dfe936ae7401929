"""What is said to beat what: coverage of the intervals and the rate of false claims, by simulation and at the ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandits import metrics
from bandits.metrics.verdict import FEWEST_QUERIES, FEWEST_SEEDS

MEANS = 20_000


@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
def test_the_interval_over_seeds_covers_what_it_says(seeds: int) -> None:
    """20,000 means of normal data: the share has a standard error of sqrt(.95 * .05 / 20000) = .0015; four of them."""
    values = np.random.default_rng(seeds).normal(size=(seeds, MEANS))
    low, high = metrics.student(values)
    covered = float(((low <= 0) & (high >= 0)).mean())
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / MEANS)) and covered >= 0.935


def judged(policies: int, seeds: int, runs: int, queries: int, seed: int, gain: float = 0.0) -> np.ndarray:
    """Return whether each run says that any of so many equal policies beats a fixed player, `(runs,)`.

    A policy's per-query differences share the queries' luck with those of the others, and each seed adds its own.
    """
    rng = np.random.default_rng(seed)
    found = np.empty(runs, bool)
    for run in range(runs):
        luck = rng.normal(size=(queries, 1)) + rng.normal(size=(queries, policies))
        own = rng.normal(scale=3.0, size=(seeds, policies))
        each = luck + own.mean(axis=0) + gain
        over_seeds = metrics.paired(luck.mean(axis=0) + own + gain, np.zeros((seeds, policies)))
        over_queries = metrics.clustered(each, np.ones(queries))
        said = metrics.judge(over_seeds, over_queries, seeds=seeds, queries=queries)
        found[run] = (said.shown & (over_seeds.mean > 0)).any()
    return found


@pytest.mark.parametrize("seeds", [5, 20])
@pytest.mark.parametrize("policies", [2, 5, 10])
def test_equal_policies_are_rarely_said_to_beat_anything(policies: int, seeds: int) -> None:
    """2,000 runs: a rate of .05 has a standard error of .0049. It is to be below .05, whatever the luck of four."""
    rate = judged(policies, seeds, 2000, 200, seed=policies * seeds).mean()
    assert rate + 4 * math.sqrt(max(rate, 1 / 2000) * (1 - rate) / 2000) < 0.05


def test_a_gain_that_seeds_and_queries_show_is_said() -> None:
    assert judged(5, 5, 20, 200, seed=1, gain=40.0).all()


def test_holm_over_two_thousand_cells_leaves_a_clear_difference() -> None:
    """One of 2,000 differences is fifty standard errors wide: its p times 2,000 is far below 5 %."""
    rng = np.random.default_rng(2)
    gap = rng.normal(scale=0.01, size=(20, 2000))
    gap[:, 7] -= 0.727
    queries = rng.normal(scale=0.1, size=(500, 2000))
    queries[:, 7] -= 0.727
    over_seeds, over_queries = (
        metrics.paired(gap, np.zeros_like(gap)),
        metrics.clustered(queries, np.ones(500)),
    )
    said = metrics.judge(over_seeds, over_queries, seeds=20, queries=500)
    assert said.shown[7] and said.p_holm[7] < 1e-6 and said.shown.sum() == 1


def judged_once(seeds: np.ndarray, queries: np.ndarray) -> tuple[bool, str]:
    other = np.zeros_like(seeds)
    over = metrics.clustered(queries[:, None], np.ones(len(queries)))
    said = metrics.judge(metrics.paired(seeds, other), over, seeds=len(seeds), queries=len(queries))
    return bool(said.shown[0]), str(said.why[0])


def test_few_queries_or_seeds_and_seeds_of_one_draw_have_no_verdict() -> None:
    rng = np.random.default_rng(3)
    seeds, queries = 5 + rng.normal(size=(9, 1)), 5 + rng.normal(size=90)
    assert judged_once(seeds, queries) == (True, "")
    assert f"at least {FEWEST_QUERIES} queries" in judged_once(seeds, queries[: FEWEST_QUERIES - 1])[1]
    assert f"at least {FEWEST_SEEDS} seeds" in judged_once(seeds[: FEWEST_SEEDS - 1], queries)[1]
    assert judged_once(np.full((9, 1), 5.0), queries) == (
        False,
        "all seeds are the same draw, so there is no interval over seeds",
    )
    assert not judged_once(seeds, queries - queries.mean())[0]  # the seeds alone do not do


def test_five_seeds_can_show_a_difference() -> None:
    rng = np.random.default_rng(4)
    assert judged_once(5 + rng.normal(scale=0.1, size=(5, 1)), 5 + rng.normal(size=90))[0]

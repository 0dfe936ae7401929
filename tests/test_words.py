"""The sentences of a report for every number of policies, seeds, queries and rounds: none, one and many."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from bandits.money import money
from bandits.report import datasets, opening, words
from bandits.results.differences import Scores, scores
from bandits.rows import counted

MEASURES = ("reward", "accuracy", "cost")
REGRETS = ("regret_oracle", "regret_best_fixed", "regret_best_per_dataset")


def made(gains: list[float], seeds: int = 5, queries: int = 40) -> tuple[list[dict[str, object]], Scores]:
    """A run of policies p0, p1, ... that earn so much more than `best_fixed` for every query, or just as much at 0."""
    rng = np.random.default_rng(0)
    names = {f"p{i}": gain for i, gain in enumerate(gains)} | {"best_fixed": 0.0}
    noise = {n: rng.normal(scale=1e-3, size=seeds) * (g != 0) for n, g in names.items()}
    parts = [
        {
            "policy": n,
            "kind": "policy" if n != "best_fixed" else "reference",
            "dataset": "d",
            "seed": s,
            "rounds": 9,
        }
        | dict.fromkeys(MEASURES, 0.5 + g + noise[n][s])
        | dict.fromkeys(REGRETS, 1.0)
        for n, g in names.items()
        for s in range(seeds)
    ]
    asked = pd.DataFrame({"row": range(queries), "cluster": range(queries), "dataset": "d", "rounds": 9})
    for n, g in names.items():
        each = 0.5 + g + rng.normal(scale=1e-3, size=queries) * (g != 0)
        asked = asked.assign(**{f"{m}:{n}": each for m in MEASURES})
    rows = [
        {
            "policy": n,
            "kind": "reference" if n == "best_fixed" else "policy",
            "reward_mean": 0.5 + g,
            "seeds": seeds,
        }
        | {
            "rounds": 9 * queries,
            "unanswered": 0.0,
            "reward_lo": np.nan,
            "reward_hi": np.nan,
            "accuracy": 0.5,
            "accuracy_lo": 0.4,
            "accuracy_hi": 0.6,
            "cost_mean": 0.0,
        }
        for n, g in names.items()
    ]
    return rows, scores(pd.DataFrame(parts), asked)


@pytest.mark.parametrize(
    ("gains", "ends"),
    [
        ([], "No policy was run, only references."),
        ([0.2], "40 queries 0.19"),
        ([0.2, -0.1], "40 queries 0.19"),
        ([0.2, 0.1], " So does the other policy."),
        ([0.2, 0.1, -0.1], " So does one of the 2 other policies."),
        ([0.3, 0.2, 0.1], " So do all 2 other policies."),
        ([0.3, 0.2, 0.1, -0.1, 0.0], " So do 2 of the 4 other policies."),
    ],
)
def test_how_many_others_beat_it_too(gains, ends) -> None:
    said = opening.verdict(*made(gains))
    assert said.endswith(ends) or (ends in said and "So do" not in said)
    if gains:
        assert said.startswith("p0 beats the best fixed choice by ")


@pytest.mark.parametrize(
    ("gains", "begins"),
    [
        ([-0.1], "p0 is not shown to beat the best fixed choice: it earns 0.10"),
        ([-0.1, -0.2], "No policy is shown to beat the best fixed choice: p0, the nearest, earns 0.10"),
        ([0.0], "p0 is not shown to beat the best fixed choice: it earns just as much ("),
        (
            [0.0, -0.2],
            "No policy is shown to beat the best fixed choice: p0, the nearest, earns just as much (",
        ),
    ],
)
def test_what_is_said_where_none_is_shown(gains, begins) -> None:
    said = opening.verdict(*made(gains))
    assert said.startswith(begins) and ("a query less" in said) == (max(gains) < 0)


@pytest.mark.parametrize(
    ("seeds", "queries", "told"),
    [
        (1, 40, "no interval over one seed, over 40 queries"),
        (2, 1, "over 2 seeds 0.1995 to 0.2"),
        (5, 1, "no interval over one query"),
        (5, 2, "over 2 queries 0."),
    ],
)
def test_one_seed_and_one_query_are_singular(seeds, queries, told) -> None:
    rows, got = made([0.2], seeds, queries)
    for said in (opening.verdict(rows, got), datasets.note(got)):
        assert not re.search(r"\b1 (seeds|queries|policies|rounds)\b|\b(one|1) \w+ies\b", said), said
    assert re.sub(r"0\.\d{4} to", "0.1995 to", told) in re.sub(
        r"0\.\d{4} to", "0.1995 to", opening.verdict(rows, got)
    )
    assert f"over {counted(seeds, 'seed')}; of a difference" in datasets.note(got)
    assert (
        f"stands on {counted(seeds, 'seed')} and {counted(queries, 'query', 'queries')}, and"
        in datasets.note(got)
    )


def test_a_run_of_one_round_is_singular() -> None:
    row = {"policy": "p", "kind": "policy", "rounds": 1, "seeds": 1, "regret_oracle": 0.5, "exponent": np.nan}
    row |= {"regret_lo": np.nan, "regret_hi": np.nan, "reward_mean": 0.5}
    final = [words.Final("p", "policy", 0.5, np.nan, np.nan, None)]
    assert "after one round, one seed, in reward: p 0.5." in words.regret_caption([row], "it", final)
    assert "mean of the last round at each point" in words.reward_caption([row], "reward", {}, money("USD"))
    many = row | {"rounds": 1000, "seeds": 2}
    assert "after 1,000 rounds, 95 % intervals over 2 seeds" in words.regret_caption([many], "it", final)
    assert "mean of the last 40 rounds at each point" in words.reward_caption(
        [many], "reward", {}, money("USD")
    )


def test_counting() -> None:
    assert [counted(n, "seed") for n in (0, 1, 2, 1000)] == ["0 seeds", "one seed", "2 seeds", "1,000 seeds"]
    assert [counted(n, "query", "queries") for n in (1, 2)] == ["one query", "2 queries"]


def test_one_run_that_cannot_be_compared_is_not_the_most_of_one() -> None:
    rows, got = made([0.2])
    assert "is right in this share of the rounds: 0.5000" in opening.apart(rows, got, "made up")
    assert "is right most often of 2: 0.5000" in opening.apart(*made([0.2, 0.1]), "made up")

"""Does what a report says in words follow from the numbers: the yardstick, the nearest, shares, and what is named?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits.money import money
from bandits.report import opening, words
from bandits.results.differences import Scores, scores
from tests.test_report import make_parts, make_queries, make_summary, row
from tests.test_report import words as said


def test_what_a_policy_is_measured_by_and_which_differences_are_told() -> None:
    models = [row("right", "model", 0.3, 0.0, accuracy=0.9), row("worth", "model", 0.6, 0.0, accuracy=0.5)]
    fixed = row("best_fixed", "reference", 0.6, 0.0)
    assert opening.yardstick([*models, fixed])["policy"] == "worth"
    for lacking, name in ((0.49, "worth"), (0.51, "best_fixed")):
        assert opening.yardstick([models[0], models[1] | {"fell_back": lacking}, fixed])["policy"] == name
    text = opening.verdict(
        [r | {"fell_back": 0.2} if r["kind"] == "model" else r for r in make_summary()],
        scores(make_parts()),
    )
    assert "cannot be called in 20 % of rounds" in text
    for silent, told in ((0.004, ""), (0.005, "a in 0 %"), (0.02, "a in 2 %")):
        assert told in opening.unanswered([row("a", "policy", 0.1, 0.0, unanswered=silent)])
    assert opening.unanswered([row("a", "policy", 0.1, 0.0, unanswered=0.004)]) == ""


def test_the_verdict_names_the_policy_that_is_nearest() -> None:
    """linucb is right .60 to .64, epsilon .50, the best model .40: without queries nothing is shown."""
    told = opening.verdict(make_summary(), scores(make_parts()))
    assert "linucb, the nearest, earns 0.2200 reward a query more" in told


def test_a_share_is_the_mean_of_each_seeds_own() -> None:
    mine, theirs = np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 5.0])
    got = Scores(
        ("a", "m"), ("policy", "model"), ("x",), {"cost": np.stack([mine, theirs], axis=1)[:, :, None]}
    )
    each = mine / theirs
    want = (each.mean(), *stats.t.interval(0.95, 2, each.mean(), stats.sem(each)))
    assert opening.share(got, "cost", "a", "m") == pytest.approx(want)


def test_captions_name_the_highest_and_in_the_right_unit() -> None:
    assert [words.per_cent(v) for v in (0.123, 1.5, 2.5, math.nan)] == ["12.3 %", "150 %", "2.5 times", "n/a"]
    rows = [row(f"p{i}", "policy", 0.5, 0.0, accuracy=0.1 * i) for i in range(1, 8)]
    told = words.plane_caption(rows, [], money("USD"))
    assert told.endswith("p7 70.0 %; p6 60.0 %; p5 50.0 %; p4 40.0 %; p3 30.0 %.")
    share = pd.DataFrame(
        {"m": [0.2, 0.7], "n": [0.8, 0.3]},
        pd.MultiIndex.from_product([["a"], ["x", "y"]], names=["policy", "dataset"]),
    )
    assert words.heat_caption(share).endswith("a sends most of x to n 80 %; y to m 70 %.")
    assert words.heat_title(share) in (
        "a calls m most in 1 of 2 data sets",
        "a calls n most in 1 of 2 data sets",
    )
    rest = share.rename(index={"y": "8 other datasets"})
    assert words.heat_title(rest) == "a calls n most in 1 of the 1 largest data sets"
    known = [row("a", "policy", 0.5, 0.0, spent_most=0.873, unanswered=0.04)]
    assert "a used at most 87.3 %, no call in 4 % of rounds." in words.budget_caption(known)
    assert words.budget_title(known) == "a used at most 87.3 % of its budget"
    final = words.Final("a", "policy", 31.0, 30.5, 31.5, 0.9)
    told = words.regret_caption([row("a", "policy", 0.5, 0.0)], "the per-query oracle", [final])
    assert "a 31.0 (30.5 to 31.5), growing as rounds to the power 0.90" in told and "5 seeds" in told
    others = [final._replace(name="b", mean=-2.0), final._replace(name="oracle", kind="reference", mean=-9.0)]
    title = words.regret_title("always calling m", [final, *others])
    assert (
        title == "Against always calling m, b ends with a regret of \u22122.0 reward, the least of 2 policies"
    )
    ranked = [row("a", "policy", 0.5, 0.0), row("b", "policy", 0.7, 0.0), row("m", "model", 0.9, 0.0)]
    assert words.reward_caption(ranked, "reward", {}, money("USD")).endswith("b 0.7000; a 0.5000.")
    last = {"a": 0.61, "b": 0.6}
    assert "a earns 0.6100 reward a query, the most of 2" in words.reward_title(
        ranked, "reward", last, money("USD")
    )
    assert words.reward_title(ranked, "cost", last, money("USD")).startswith("b has spent $0.6")


def test_what_is_shown_to_be_worse_is_not_shown_to_beat_anything() -> None:
    """linucb earns .2 less than all others, by seeds and queries: sure, and the other way round."""
    parts = make_parts()
    lower = parts["policy"] == "linucb"
    parts.loc[lower, "reward"] -= 0.4
    text = said(parts=parts, queries=make_queries(gain=-0.2))
    assert "It is not shown to beat choosing at random: -0.1800 reward a query" in text
    assert text.startswith("No policy is shown to beat always calling ")

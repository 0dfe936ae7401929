"""`decide` on a table with scores of answers: its cascades, recomputed by a plain loop over the file."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits.decision import cascades
from bandits.money import money
from bandits.results.by_query import clusters
from envs import load
from envs.tables.judged import heard
from tests.test_command import run

__all__ = ["run"]  # a fixture

USD = money("USD/query")
WORTH = 0.01


def answers(rows: int = 300, *, told: bool = True, seed: int = 0) -> pd.DataFrame:
    """Return answers of two models and what a judge says of them: it knows which are right, or nothing."""
    rng = np.random.default_rng(seed)
    right = rng.random((rows, 2)) < (0.6, 0.8)
    score = np.where(right, 0.9, 0.2) if told else np.full((rows, 2), 0.5)
    score = score + rng.uniform(-0.1, 0.1, (rows, 2))
    return pd.DataFrame({
        "id": [f"q{i}" for i in range(rows)],
        "dataset": "d",
        **{f"{m}_correct": right[:, k].astype(int) for k, m in enumerate(("little", "large"))},
        **{f"{m}_conf": score[:, k] for k, m in enumerate(("little", "large"))},
        "little_cost": 0.0002, "large_cost": 0.002,
    })  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    for name in ("told", "untold"):
        answers(told=name == "told").to_csv(folder / f"{name}.csv", index=False)
    bad = answers()
    bad.loc[3, "large_conf"] = 1.5
    bad.to_csv(folder / "bad.csv", index=False)
    answers().drop(columns=["little_cost", "large_cost"]).to_csv(folder / "free.csv", index=False)
    bare = answers().drop(columns=["little_conf", "large_conf"])
    bare.to_csv(folder / "bare.csv", index=False)
    return folder


def tried(path, worths, seed=0):
    stream = load(path)
    return stream, cascades.tried(stream, heard(path, stream.outcomes).score, worths, USD, seed=seed)


def by_hand(table: pd.DataFrame, learn: np.ndarray, worth: float):
    """Return the best cascade of the rows to learn on, and its lead on the others over each model: a plain search."""
    earned = {m: table[f"{m}_correct"] - table[f"{m}_cost"] / worth for m in ("little", "large")}
    found = []
    for first, second in (("little", "large"), ("large", "little")):
        both = table[f"{second}_correct"] - (table[f"{first}_cost"] + table[f"{second}_cost"]) / worth
        scores = np.unique(table.loc[learn, f"{first}_conf"])
        for cut in (scores[1:] + scores[:-1]) / 2:
            got = np.where(table[f"{first}_conf"] >= cut, earned[first], both)
            found.append((got[learn].mean(), got))
    got = max(found, key=lambda one: one[0])[1]
    return {m: (got - earned[m])[~learn] for m in earned}


def test_the_best_cascade_and_its_lead_are_those_of_a_plain_search(tables):
    stream, (row,) = tried(tables / "told.csv", [WORTH])
    table = pd.read_csv(tables / "told.csv")
    number = np.unique(clusters(stream), return_inverse=True)[1]
    learn = np.isin(number, np.random.default_rng(0).permutation(300)[:150])
    lead = by_hand(table, learn, WORTH)
    against = min(lead, key=lambda model: lead[model].mean())
    assert row["difference"] == pytest.approx(lead[against].mean())
    assert (row["against"], row["first"], row["second"]) == (against, "little", "large")
    p = max(stats.ttest_1samp(gap, 0.0).pvalue for gap in lead.values())
    assert row["p"] == pytest.approx(p, rel=1e-6) and row["shown"]
    interval = stats.ttest_1samp(lead[against], 0.0).confidence_interval()
    assert (row["difference_lo"], row["difference_hi"]) == pytest.approx(tuple(interval))
    assert row["learned"] == row["compared"] == 150
    kept = table[~learn]["little_conf"] >= row["threshold"]
    for name, scale, column in (("accuracy", 1, "correct"), ("cost_per_1000", 1000, "cost")):
        little, large = (table[~learn][f"{model}_{column}"] for model in ("little", "large"))
        got = scale * np.where(kept, little, large + (little if column == "cost" else 0))
        span = stats.ttest_1samp(got, 0.0).confidence_interval()
        assert row[name] == pytest.approx(got.mean())
        assert (row[f"{name}_lo"], row[f"{name}_hi"]) == pytest.approx(tuple(span))


def test_scores_that_know_nothing_show_nothing(tables):
    for seed in range(5):
        _, rows = tried(tables / "untold.csv", [math.inf, WORTH], seed)
        assert not any(row["shown"] for row in rows)


def test_decide_says_that_a_cascade_is_better_on_terminal_page_and_record(tables, run, tmp_path):
    told = ("--seeds", 3, "--worth", WORTH, "--unit", "USD", "--out", tmp_path / "out")
    _, out, err = run("decide", tables / "told.csv", *told)
    text, record = " ".join(out.split()), json.loads((tmp_path / "out" / "decision.json").read_text())
    (row,) = record["cascades"]["rows"]
    assert row["shown"] and "A cascade is shown to be better than each single model" in text, err
    assert f"{100 * row['difference']:.1f} points" in text and f"{100 * row['accuracy']:.1f} %" in text
    assert "no policy is shown to be better" not in text
    page = (tmp_path / "out" / "decision.html").read_text()
    assert "A cascade is shown to be better" in page
    name = f"little, then large below {row['threshold']:.3g}"
    assert name in page
    ends = f"({100 * row['accuracy_lo']:.1f}-{100 * row['accuracy_hi']:.1f})"
    (line,) = (line for line in out.splitlines() if ends in line)
    assert line.startswith(" little") and line.endswith(f"{100 * row['difference']:+.1f} shown")
    assert "on the 150 queries that they were not found on" in text
    assert max(len(line) for line in out.splitlines() if ": /" not in line) <= 80
    sheet = run("decide", tables / "told.csv", *told[:-2], "--format", "csv")[1]
    (kept,) = pd.read_csv(io.StringIO(sheet)).query("kind == 'cascade'").to_dict("records")
    assert kept["name"] == name and kept["accuracy"] == pytest.approx(row["accuracy"])
    assert kept["cost_per_1000_lo"] <= kept["cost_per_1000"] <= kept["cost_per_1000_hi"]


def test_nothing_is_said_without_scores_and_why_not_where_they_are_wrong_or_cost_nothing(tables):
    def said(name, **limits):
        found = cascades.of_table(load(tables / name), tables / name, [WORTH], **limits)
        return "".join(cascades.sentences(found, USD))

    assert said("bare.csv") == ""
    assert "cascades were not tried" in said("bad.csv") and "large_conf" in said("bad.csv")
    assert "needs costs" in said("free.csv")
    assert "limits" in said("told.csv", limits=("cost <= 1",))
    assert cascades.of_table(load(tables / "told.csv"), None, [WORTH]) is None


def test_fewer_queries_than_a_verdict_needs_on_a_side_are_said(tables):
    few = tables / "few.csv"
    answers(59).to_csv(few, index=False)
    (told,) = cascades.sentences(cascades.of_table(load(few), few, [WORTH]), USD)
    assert "not tried: a verdict needs at least 30 queries" in told

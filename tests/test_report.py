"""The report: what its words claim, that it is self-contained, and that names cannot break it."""

from __future__ import annotations

import html
import io
import itertools
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits import report
from bandits.report import datasets, opening, tables
from bandits.results.differences import scores

NASTY = 'bad</script><img src=x onerror="alert(1)">&'
MODELS = ["small", NASTY]


def row(name: str, kind: str, reward: float, lag: float, **changes: Any) -> dict[str, Any]:
    """One row of a summary, with intervals 0.01 wide each way."""
    base = {
        "policy": name, "stream": "made", "seeds": 5, "rounds": 100, "kind": kind, "accuracy": 0.5,
        "cost_mean": 0.1, "cost_total": 10.0, "regret_oracle": 30.0, "regret_best_fixed": 3.0,
        "regret_best_per_dataset": 4.0, "exponent": 0.9, "gap_closed": 0.5, "unanswered": 0.0,
    }  # fmt: skip
    means = {"reward": reward, "accuracy": 0.5, "cost": 0.1, "regret": 30.0, "lag": lag}
    spread = {f"{q}_{end}": m + d for q, m in means.items() for end, d in (("lo", -0.01), ("hi", 0.01))}
    return base | {"reward_mean": reward, "lag": lag} | spread | changes


def make_summary(
    *, lag_fixed: float = 0.1, lag_uniform: float = 0.2, lag_next: float = 0.05
) -> list[dict[str, Any]]:
    return [
        row("linucb", "policy", 0.6, 0.0, accuracy=0.6, cost_mean=0.05),
        row("epsilon", "policy", 0.6 - lag_next, lag_next),
        row("oracle", "reference", 0.9, -0.3, accuracy=0.95, cost_mean=0.01),
        row("best_fixed", "reference", 0.6 - lag_fixed, lag_fixed, accuracy=0.5, cost_mean=0.1),
        row("best_per_dataset", "reference", 0.55, 0.05),
        row("uniform", "reference", 0.6 - lag_uniform, lag_uniform, accuracy=0.4),
        row("small", "model", 0.3, 0.3, accuracy=0.3, cost_mean=0.002),
        row(NASTY, "model", 0.5, 0.1, accuracy=0.5, cost_mean=0.1),
    ]


def make_curves() -> pd.DataFrame:
    rounds = [1, 50, 100]
    quantities = ["regret_oracle", "regret_best_fixed", "regret_best_per_dataset", "reward", "cost"]
    rows = [
        (policy, t, quantity, t / 2, t / 2 - 0.1, t / 2 + 0.1)
        for policy in ("linucb", "epsilon", "oracle", "best_fixed", "best_per_dataset", "uniform")
        for quantity in quantities
        for t in rounds
    ]
    rows += [
        (policy, t, f"share:{model}", share, np.nan, np.nan)
        for policy in ("linucb", "epsilon")
        for model, share in zip(MODELS, (0.25, 0.75), strict=True)
        for t in rounds
    ]
    return pd.DataFrame(rows, columns=["policy", "round", "quantity", "mean", "lo", "hi"])


def make_parts() -> pd.DataFrame:
    """Rows by dataset: five seeds, two datasets; linucb is right 0.1 more often than epsilon in each, give or take."""
    kinds = {r["policy"]: r["kind"] for r in make_summary()}
    rows = []
    for policy, kind in kinds.items():
        for dataset, seed in itertools.product(("ocr", NASTY), range(5)):
            accuracy = {"linucb": 0.6, "epsilon": 0.5}.get(policy, 0.4) + 0.01 * seed * (policy == "linucb")
            regrets = {f"regret_{b}": 3.0 for b in ("oracle", "best_fixed", "best_per_dataset")}
            called = kind != "model" and policy != "uniform"
            counts = {f"calls:{m}": n if called else np.nan for m, n in zip(MODELS, (10, 40), strict=True)}
            known = {"policy": policy, "kind": kind, "dataset": dataset, "seed": seed, "rounds": 50}
            rows.append(known | {"reward": accuracy, "accuracy": accuracy, "cost": 0.1} | regrets | counts)
    return pd.DataFrame(rows)


MANIFEST = {
    "title": f"Run of {NASTY}", "label": "calibrated twin, not recorded answers", "notes": [NASTY],
    "command": f"simulate --policy linucb --stream '{NASTY}'", "cost_unit": "USD/query", "models": MODELS,
    "policies": ["linucb", "epsilon"], "stream": "made", "seeds": 5, "seed": 0, "rounds": 100, "reward": "linear",
    "preference": 0.2, "data": {"name": NASTY, "sha256": "ab" * 32, "source": "here", "licence": "CC0"},
    "versions": {"numpy": "2.0"}, "seconds": 1.5, "time": "2026-01-01T00:00:00Z",
}  # fmt: skip


@pytest.fixture(scope="module")
def page() -> str:
    return report.render(pd.DataFrame(make_summary()), make_curves(), make_parts(), MANIFEST)


class Elements(HTMLParser):
    """Collects start tags with their attributes and the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.text += data


def parsed(page: str) -> Elements:
    elements = Elements()
    elements.feed(page)
    return elements


def test_opens_offline_and_is_small_enough(page: str) -> None:
    assert len(page.encode()) < 3e6
    for tag, attributes in parsed(page).tags:
        assert tag not in ("link", "img", "iframe", "base")
        assert not {"src", "srcset"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")  # its own parts only


def test_names_cannot_break_out(page: str) -> None:
    elements = parsed(page)
    assert [tag for tag, _ in elements.tags].count("script") == 5
    assert not any("onerror" in attributes for _, attributes in elements.tags)
    assert NASTY in elements.text


def test_figures_are_json_with_escaped_names(page: str) -> None:
    block = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)
    assert block is not None
    figures = json.loads(block[1])
    assert [f["id"] for f in figures] == [
        "regret", "reward", "plane", "shares-0", "shares-1", "heat",
    ]  # fmt: skip
    keys = ("text", "name", "x", "y")
    texts = [str([d.get(k) for k in keys]) for f in figures for v in f["views"] for d in v["data"]]
    assert not any("<img" in text for text in texts)  # Plotly would read some tags in a name
    assert all(d["x"] for f in figures for v in f["views"] for d in v["data"])


def test_every_chart_has_a_heading_and_a_text_alternative(page: str) -> None:
    charts = [a for tag, a in parsed(page).tags if a.get("role") == "img"]
    assert len(charts) == 5
    assert all(len(a["aria-label"] or "") > 20 for a in charts)
    assert page.count("<figcaption ") == 5


def test_what_was_run_lists_what_was_asked_for_zero_included() -> None:
    text = tables.what_was_run(
        MANIFEST | {"seed": 0, "hard": False, "change": ["price,at=0.5"], "pacing": "stop"}
    )
    terms = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    assert terms["seed"] == "0" and terms["change"] == "price,at=0.5" and terms["licence"] == "CC0"
    assert "hard" not in terms and "pacing" not in terms  # nothing was budgeted


def test_a_table_without_costs_gets_a_dot_plot() -> None:
    free = {"cost_mean": np.nan, "cost_total": np.nan, "cost_lo": np.nan, "cost_hi": np.nan}
    summary = pd.DataFrame([r | free for r in make_summary()])
    curves = make_curves().query("quantity != 'cost'")
    text = parsed(
        report.render(summary, curves, make_parts().assign(cost=np.nan), MANIFEST | {"cost_unit": ""})
    ).text
    assert "The table has no costs. Highest accuracy of policies and single models: linucb 60.0 %" in text


def make_queries(n: int = 90, gain: float = 0.2) -> pd.DataFrame:
    """Rows by query: linucb earns `gain` more than all others in the mean, epsilon as much as they, give or take."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {"row": range(n), "cluster": range(n), "rounds": 5}
    columns["dataset"] = [("ocr", NASTY)[i % 2] for i in range(n)]
    for r, measure in itertools.product(make_summary(), ("reward", "accuracy", "cost")):
        noise = rng.normal(scale=0.1, size=n)
        mean = 0.4 + gain * (r["policy"] == "linucb")
        columns[f"{measure}:{r['policy']}"] = mean + (noise - noise.mean()) * (r["kind"] == "policy")
    return pd.DataFrame(columns)


def words(
    rows: list[dict[str, Any]] | None = None,
    parts: pd.DataFrame | None = None,
    queries: pd.DataFrame | None = None,
) -> str:
    chosen = make_summary() if rows is None else rows
    got = scores(make_parts() if parts is None else parts, make_queries() if queries is None else queries)
    return html.unescape(
        re.sub(r"<[^>]+>", "", opening.headline(chosen, got, "recorded answers", preference="0.2"))
    )


def test_headline_begins_with_a_verdict_that_names_both_intervals() -> None:
    """linucb earns .60 to .64 over five seeds, the best model .40: t interval .22 +- 2.776 * .01581 / sqrt(5)."""
    text = words(queries=make_queries(gain=0.22))
    half = 2.7764 * np.std([0.60, 0.61, 0.62, 0.63, 0.64], ddof=1) / np.sqrt(5)
    span = f"{0.22 - half:.4f} to {0.22 + half:.4f}"
    assert text.startswith("linucb beats always calling bad")
    assert f"by 0.2200 reward a query (95 % interval over 5 seeds {span}, over 90 queries 0.1" in text
    assert (
        "linucb earns the most of 2 policies at preference 0.2: 0.6000 reward a query (95 % interval over"
        in text
    )
    assert "It is shown to beat choosing at random: 0.2200 reward a query" in text
    assert text.endswith("Data: recorded answers.")


def test_headline_claims_nothing_that_seeds_and_queries_do_not_both_show() -> None:
    """Over the seeds linucb is far ahead; over the queries it is not, or they are too few, or not known."""
    found = words(queries=make_queries(gain=0.001))
    assert found.startswith("No policy is shown to beat always calling ")
    assert "the intervals over seeds and over queries do not both exclude 0)" in found
    assert "It is not shown to beat choosing at random" in found
    assert "over 2 queries" in words(queries=make_queries(2)) and "at least 30 queries" in words(
        queries=make_queries(2)
    )
    got = scores(make_parts())
    assert "what each query got is not known" in opening.verdict(make_summary(), got)
    alike = make_parts().assign(reward=lambda frame: np.where(frame["policy"] == "linucb", 0.6, 0.4))
    assert "all seeds are the same draw" in words(parts=alike)


def test_a_model_that_mostly_cannot_be_called_is_not_named() -> None:
    rows = [r | {"fell_back": 0.7 if r["policy"] == NASTY else 0.0} for r in make_summary()]
    assert words(rows).startswith("linucb beats the best fixed choice by 0.2")
    rows = [r | {"fell_back": 0.3 if r["policy"] == NASTY else 0.0} for r in make_summary()]
    assert "cannot be called in 30 % of rounds; the fall-back answers there." in words(rows)


def test_a_table_in_which_nothing_is_right_has_a_subject() -> None:
    rows = [r | {"accuracy": 0.0, "reward_mean": 0.0} for r in make_summary()]
    text = words(rows, make_parts().assign(accuracy=0.0, reward=0.0), make_queries(gain=0.0))
    assert text.startswith("No policy is shown to beat always calling small: ")
    assert "linucb earns the most of 2 policies" in text and "It earns" not in text and "nan" not in text


def test_headline_tells_accuracy_and_cost_as_shares_of_the_most_accurate_model() -> None:
    """linucb is right .60 to .64 over five seeds, that model .40 always; costs are equal: shares by hand."""
    text = words()
    each = np.array([0.60, 0.61, 0.62, 0.63, 0.64]) / 0.4
    assert f"linucb reaches {100 * each.mean():.3g} % of the accuracy of " in text
    assert "the most accurate single model, at 100 % of its cost (95 % interval over 5 seeds " in text
    low, high = re.search(r"over 5 seeds ([\d.]+) to ([\d.]+) % of the accuracy\)", text).groups()  # type: ignore[union-attr]
    half = 277.64 * each.std(ddof=1) / np.sqrt(5)
    assert float(low) == pytest.approx(100 * each.mean() - half, rel=0.01)
    assert float(high) == pytest.approx(100 * each.mean() + half, rel=0.01)


def test_headline_counts_in_times_what_is_more_than_twice() -> None:
    rows = [r | {"accuracy": 0.9} if r["policy"] == "small" else r for r in make_summary()]
    parts = make_parts()
    parts.loc[parts["policy"] == "linucb", "cost"] = 1.15
    text = words(rows, parts)
    assert "at 11.5 times of its cost" not in text and "at 11.5 times its cost" in text


def test_headline_of_one_policy_has_no_rank() -> None:
    rows = [r for r in make_summary() if r["policy"] != "epsilon"]
    assert "linucb earns at preference 0.2: 0.6000 reward a query" in words(rows)


def test_headline_of_one_seed_says_that_it_has_no_interval() -> None:
    single = {f"{q}_{end}": np.nan for q in ("reward", "lag", "regret") for end in ("lo", "hi")} | {
        "seeds": 1
    }
    text = words([r | single for r in make_summary()], make_parts().query("seed == 0"))
    assert "no interval over one seed" in text and "a verdict needs at least 3 seeds" in text
    assert "nan" not in text
    assert "beats" not in text


def test_rebuilt_from_the_files_of_a_run_it_is_the_same(page: str) -> None:
    summary, curves, parts = (
        pd.read_csv(io.StringIO(frame.to_csv(index=False)))
        for frame in (pd.DataFrame(make_summary()), make_curves(), make_parts())
    )
    assert report.render(summary, curves, parts, json.loads(json.dumps(MANIFEST))) == page


def test_a_table_without_a_needed_column_is_refused() -> None:
    summary, curves, parts = pd.DataFrame(make_summary()), make_curves(), make_parts()
    with pytest.raises(ValueError, match="report needs curves with column lo"):
        report.render(summary, curves.drop(columns="lo"), parts, MANIFEST)
    with pytest.raises(ValueError, match="report needs by_dataset with column rounds"):
        report.render(summary, curves, parts.drop(columns="rounds"), MANIFEST)


def test_differences_are_there_for_every_baseline() -> None:
    told = datasets.differences(scores(make_parts(), make_queries(180)), ["linucb", "epsilon"])
    assert told["baselines"][0] == "best_fixed" and told["measures"] == ["reward", "accuracy", "cost"]
    assert told["rows"] == [(p, d) for d in ("all datasets", NASTY, "ocr") for p in ("linucb", "epsilon")]
    difference, low, high, p, under, over = told["values"]["accuracy"]["epsilon"]
    np.testing.assert_allclose(difference[::2], 0.12)  # 0.10 to 0.14 over the five seeds
    assert difference[1::2] == [None] * 3
    np.testing.assert_allclose([low[0], high[0]], [0.12 - 0.01963, 0.12 + 0.01963], atol=1e-4)
    assert all(0 < a < 0.2 < b for a, b in zip(under[::2], over[::2], strict=True))  # .2 in the mean
    each = stats.ttest_1samp([0.1, 0.11, 0.12, 0.13, 0.14], 0).pvalue  # larger than that over the queries
    np.testing.assert_allclose(
        p[::2], [each, 2 * each, 2 * each], rtol=0.01
    )  # one policy; two datasets by Holm
    assert datasets.measures(scores(make_parts()), comparable=False) == ["accuracy", "cost"]


def test_the_table_by_dataset_says_what_its_stars_stand_on() -> None:
    text = datasets.note(scores(make_parts(), make_queries()))
    assert "it stands on 5 seeds and 90 queries, and needs at least 3 seeds and 30 queries" in text
    assert "so that nothing is starred" in datasets.note(scores(make_parts()))


def test_runs_that_count_reward_differently_are_not_ranked_by_it(page: str) -> None:
    mixed = report.render(
        pd.DataFrame(make_summary()), make_curves(), make_parts(), MANIFEST | {"comparable": False}
    )
    assert "so accuracy and cost are what can be compared" in mixed and "shown to beat" not in mixed
    assert "shown to beat" in page


def test_rounds_without_a_call_are_said_and_what_is_free_is_named() -> None:
    """A policy that ran out of budget beside a free model: its share, the model, and the option."""
    rows = [row("ucb1", "policy", 0.1, 0.0, unanswered=0.882), row("paid", "model", 0.9, 0.0)]
    assert opening.unanswered(rows).endswith("the budget or the cap: ucb1 in 88 % of them.")
    free = [*rows, row("local", "model", 0.5, 0.0, cost_mean=0.0)]
    assert "local costs nothing: with --hard" in opening.unanswered(free)
    assert opening.unanswered([row("ucb1", "policy", 0.1, 0.0), free[-1]]) == ""

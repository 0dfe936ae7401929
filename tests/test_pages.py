"""Every page: sealed by its policy of content, and its sentences true to the numbers, comparable and with units."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits import report
from bandits.mmrbench import frontiers
from bandits.money import money
from bandits.report import budgets, datasets, merged, modality, scenarios, styles, words
from bandits.report.parts import script
from bandits.results.differences import scores
from tests.test_browser import browser  # noqa: F401  # a fixture
from tests.test_report import MANIFEST, make_curves, make_parts, make_queries, make_summary, row
from tests.test_shown import meeting, points

ABOUT = {
    "title": "t",
    "label": "made up",
    "notes": ["a & b"],
    "command": "simulate.py",
    "cost_unit": "USD/query",
}
# What makes a number one of something. A list has its unit before it: "in reward: a 83.0; b 90.1".
UNITS = re.compile(
    r"%|\$|reward|rounds?\b|seeds?\b|quer(y|ies)|polic(y|ies)|data ?sets?|models?\b|comparisons?|runs?\b|times\b"
    r"|area|of 1\b"
)


def compared(verdict: str, difference: float) -> dict[str, Any]:
    """A row of a scenario, in which the second policy is compared with the first."""
    ends = {"difference_lo": difference - 2, "difference_hi": difference + 2, "queries_lo": difference - 3}
    known = {"scenario": "price-cut", "policy": "b", "regret": 30.0, "regret_lo": 28.0, "regret_hi": 32.0}
    more = {"regret_best_of_phase": 3.0, "recovery": 12.0, "unrecovered": 0, "reward": 0.7, "cost": 0.001}
    judged = {"difference": difference, "verdict": verdict, "why": "a reason", "queries_hi": difference + 3}
    return known | more | ends | judged


def told_scenarios() -> list[dict[str, Any]]:
    first = {k: v for k, v in compared("", 0.0).items() if k not in ("verdict", "why")} | {"policy": "a"}
    noted = {"scenario": "new-model", "policy": "-", "note": "needs 2 models"}
    return [first, compared("less regret", -6.0), compared("not shown", 1.0), noted]


def met() -> Any:
    """Online frontiers with a reference above all and two single models."""
    made = meeting()
    oracle = {**made.table[0], "name": "oracle", "kind": "reference", "Ps": 0.99, "nAUC_fair": 0.97}
    single = {"name": ["m", "n"], "kind": "model", "cost": [0.1, 0.2], "utility": [0.6, 0.66]}
    both = pd.concat([made.points, pd.DataFrame(single)])
    return SimpleNamespace(points=both, table=[oracle, *made.table], about=made.about)


def diagnosed() -> list[dict[str, Any]]:
    """Rows of a policy with the text and with the image alone, and nothing known over seeds."""
    rates = ("flips", "shortcut", "shortcut_right", "shortcut_wrong")
    spans = {f"{name}{end}": at for name in rates for end, at in (("", 0.4), ("_lo", 0.3), ("_hi", 0.5))}
    lost = {"lost": 0.02, "lost_lo": math.nan, "lost_hi": math.nan, "lost_queries_lo": 0.01,
            "lost_queries_hi": 0.03, "lost_verdict": "shown"}  # fmt: skip
    again = {name.replace("lost", "refit_lost"): value for name, value in lost.items()}
    row = {"policy": "a", "alike": 0.6, "chance": 0.5, **spans, **lost, **again}
    return [{**row, "left": "text"}, {**row, "left": "image", "refit_lost_verdict": "not shown"}]


def joining() -> list[dict[str, Any]]:
    """Rows of a merged model at two weights, one shown."""
    row = {"quality": "0.5", "decided": "router", "value": 0.01, "lo": 0.0, "hi": 0.02, "queries_lo": -0.01,
           "queries_hi": 0.03, "share": 0.2, "accuracy": 0.7, "cost": 0.1}  # fmt: skip
    return [{**row, "weight": 0.0, "verdict": "not shown"}, {**row, "weight": 1.0, "verdict": "adds"}]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    summary, curves = pd.DataFrame(make_summary()), make_curves()
    return {
        "report": report.render(summary, curves, make_parts(), MANIFEST, by_query=make_queries()),
        "overview": budgets.render(points(), ABOUT),
        "frontiers": frontiers.render(met()),
        "scenarios": scenarios.render(
            told_scenarios(), ABOUT | {"verdict": "shown to have less regret than a: b in x."}
        ),
        "modality": modality.render(diagnosed(), [], ABOUT | {"verdict": "Masking the image costs reward."}),
        "merged": merged.render(joining(), ABOUT | {"verdict": "It adds reward."}),
    }


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("name", ["report", "overview", "frontiers", "scenarios", "modality", "merged"])
def test_a_page_allows_its_own_style_and_scripts_and_nothing_else(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    (content,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    rules = dict(rule.strip().partition(" ")[::2] for rule in html.unescape(content).split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe-eval" not in content and not re.search(r"https?:|\*", content)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    run = re.findall(r'<script type="module">(.*?)</script>', page, re.S)
    assert len(re.findall(r"<script", page)) == page.count('<script type="')  # none runs but modules
    if not run:
        assert rules["style-src"] == hashed(style) and "script-src" not in rules
        assert not re.search(r'<[^>]* style="', page)
        return
    assert rules["script-src"].split() == [hashed(run[0]), hashed(script())] and len(run) == 1
    assert rules["style-src-elem"].split() == [hashed(style), hashed("")]
    assert rules["connect-src"] == "'none'" and rules["img-src"] == "data: blob:"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["overview", "frontiers", "scenarios", "modality", "merged"])
def test_a_page_is_drawn_under_its_policy_within_a_telephone(
    browser: Any,  # noqa: F811
    pages: dict[str, str],
    tmp_path: Any,
    name: str,
    scheme: str,
) -> None:
    file = tmp_path / f"{name}.html"
    file.write_text(pages[name], encoding="utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 900}, color_scheme=scheme, offline=True)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    drawn = "document.querySelectorAll('.chart .scatterlayer path, figure svg circle').length"
    for _ in range(200):
        if page.evaluate(drawn):
            break
        page.wait_for_timeout(100)
    assert page.evaluate(drawn) >= 2 and said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def sentences(page: str) -> list[str]:
    """What a page says in headings, captions, notes and its first paragraph, a sentence each."""
    body = page.split("<script")[0]
    found = re.findall(r"<(h2|figcaption|p)\b[^>]*>(.*?)</\1>", body, re.S)
    captions = [
        view[part]
        for block in re.findall(r'id="figures">(.*?)</script>', page, re.S)
        for figure in json.loads(block)
        for view in figure["views"]
        for part in ("title", "caption")
        if part in view
    ]
    plain = [html.unescape(re.sub(r"<[^>]+>", "", text)) for _, text in found]
    whole = [text.replace("\u00a0", " ").replace("\u2060", "") for text in [*plain, *captions]]
    return [one for text in whole for one in re.split(r"(?<=[.!?]) (?=[A-Z])", text.strip()) if one]


@pytest.mark.parametrize("name", ["report", "overview", "frontiers", "scenarios", "modality", "merged"])
def test_every_number_of_a_sentence_has_a_unit(pages: dict[str, str], name: str) -> None:
    said = sentences(pages[name])
    assert len(said) > 3
    for sentence in said:
        bare = re.sub(r"\b(preference|alpha|prior|p|m|d)[ =]?[\d.]+\b|below 0\b|\bBelow 0\b", "", sentence)
        if re.search(r"(?<![\w.=-])[\u2212+]?\d[\d,.]*", bare):
            assert UNITS.search(bare), sentence
        typed = re.sub(r"(under a budget of|at) \d+%", "", sentence)  # as it was asked for
        assert not re.search(r"\d%", typed), sentence  # per cent as everywhere: 37 %
        assert not re.search(r"(?<![\w.])-\d", sentence), sentence  # a minus sign, not a hyphen
        assert "nan" not in sentence.lower().split()


def shown(parts: pd.DataFrame, queries: pd.DataFrame, where: list[list[str]]) -> dict[tuple[str, int], float]:
    """By hand: the mean gain of each policy over `best_fixed` in each group of data sets, 0 where it is not shown.

    Paired t-tests over seeds and over queries, the larger p of both, adjusted by Holm's method.
    """
    tests = {}
    for policy in ("linucb", "epsilon"):
        for i, datasets_ in enumerate(where):
            own = parts[parts.dataset.isin(datasets_)].pivot_table(
                index="seed", columns="policy", values="reward"
            )
            gaps = own[policy] - own["best_fixed"]
            kept = queries[queries.dataset.isin(datasets_)]
            each = kept[f"reward:{policy}"] - kept["reward:best_fixed"]
            ways = [stats.ttest_1samp(x, 0).pvalue if np.std(x) > 1e-12 else 1.0 for x in (gaps, each)]
            tests[policy, i] = max(ways), float(gaps.mean())
    high, found = 0.0, {}
    for i, key in enumerate(sorted(tests, key=lambda key: tests[key][0])):
        high = max(high, (len(tests) - i) * tests[key][0])
        found[key] = tests[key][1] if high < 0.05 else 0.0
    return found


def test_what_is_said_to_be_shown_is_shown() -> None:
    """The verdict, and the data sets in which the first policy is shown to earn more, at four gains."""
    rng, seen = np.random.default_rng(3), set()
    for gain in (-0.2, 0.0, 0.02, 0.22):
        parts, queries = make_parts(), make_queries(200, gain)
        noise, own = rng.normal(scale=0.002, size=len(parts)), parts["policy"] == "linucb"
        parts.loc[own, "reward"] = 0.4 + gain + noise[own]
        got = scores(parts, queries)
        gains = [
            g for (p, _), g in shown(parts, queries, [[d] for d in got.datasets[1:]]).items() if p == "linucb"
        ]
        told = datasets.title(datasets.differences(got, ["linucb", "epsilon"]))
        more, less = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
        assert told.endswith(f"linucb is shown to earn more than best_fixed in {more}, and less in {less}"), (
            gain
        )
        page = report.render(pd.DataFrame(make_summary()), make_curves(), parts, MANIFEST, by_query=queries)
        claims = [s for s in sentences(page) if re.search(r"\bbeats\b", s)]
        beaten = shown(parts, queries, [list(got.datasets[1:])])["linucb", 0] > 0
        assert bool(claims) == beaten and all(s.startswith("linucb beats always calling") for s in claims), (
            gain
        )
        seen.add(beaten)
    assert seen == {True, False}


def test_what_is_compared_is_over_the_same_rows() -> None:
    """Of runs at several preferences nothing is said of reward, and who is the most is the most of the same rounds."""
    alike = [r for r in make_summary() if r["kind"] != "reference"]
    several = [
        r | {"policy": f"{r['policy']} [preference={p}]", "family": r["policy"], "run": p}
        for r in make_summary() if r["kind"] != "model" for p in ("0", "0.5")
    ]  # fmt: skip
    rows = [*several, *(r for r in alike if r["kind"] == "model")]
    curves, parts = make_curves(), make_parts()
    names = {r["policy"]: r["family"] for r in several}
    doubled = [
        pd.concat([frame[frame.policy == base].assign(policy=new) for new, base in names.items()] + extra)
        for frame, extra in ((curves, []), (parts, [parts[parts.kind == "model"]]))
    ]
    page = report.render(pd.DataFrame(rows), *doubled, MANIFEST | {"comparable": False})
    said = " ".join(sentences(page))
    assert "no verdict" in said and not re.search(r"\bregret of\b|earns|beats|reward a query", said)
    head = re.findall(r"<th scope=.col.>(.*?)</th>", page.split('id="summary-table"')[1].split("</thead>")[0])
    assert not any("reward" in text or "regret" in text for text in head)
    figures = json.loads(re.findall(r'id="figures">(.*?)</script>', page, re.S)[0])
    (cloud,) = [f for f in figures if f["id"] == "plane"]
    assert "regret" not in {f["id"] for f in figures}
    curve = next(d for d in cloud["views"][0]["data"] if d.get("tag") == "linucb")
    assert curve["mode"] == "lines+markers" and len(curve["x"]) == 2  # a sweep is a curve
    for seed, dataset in {(p["seed"], p["dataset"]) for p in parts.to_dict("records")}:
        assert parts[(parts.seed == seed) & (parts.dataset == dataset)]["rounds"].nunique() == 1


def test_the_frontiers_page_begins_with_its_result_and_leaves_hindsight_out() -> None:
    said = frontiers.result(met())
    assert said.startswith("a reaches the highest accuracy, 81.0 % (72.0 to 93.0).")
    assert "overlaps those of 1 of the one other: it is not shown to be above." in said
    assert said.endswith("The most accurate single model, n, has 66.0 %.")
    apart = met()
    apart.table[2] |= {"Ps": 0.5, "Ps_lo": 0.4, "Ps_hi": 0.6}
    assert "not shown" not in frontiers.result(apart)


def test_the_scenario_page_draws_each_difference_and_counts_what_is_shown() -> None:
    rows = told_scenarios()
    assert scenarios.title(rows) == "Less regret than a is shown in 1 of 2 comparisons, more in 0"
    page = scenarios.render(rows, ABOUT | {"verdict": "said."})
    dots = re.findall(r'<circle class="dot( shown)?" cx="([\d.]+)"', page)
    assert [bool(shown) for shown, _ in dots] == [True, False] and float(dots[0][1]) < float(dots[1][1])
    ends = re.findall(r'<line class="span" x1="([\d.]+)" x2="([\d.]+)"', page)
    scale = (float(dots[1][1]) - float(dots[0][1])) / 7.0  # pixels a unit of reward
    assert float(ends[0][1]) - float(ends[0][0]) == pytest.approx(
        6 * scale, abs=0.3
    )  # the wider one: over queries
    assert "needs 2 models" in page and "\u22126.0" in page and "$" not in page


def test_fifty_settings_of_one_policy_look_different_and_ten_are_drawn_at_once() -> None:
    rows = [row(f"linucb,alpha={i}", "policy", i / 100, 0.0) for i in range(50)]
    looks = styles.styles(rows)
    assert len({(look["color"], look["dash"]) for look in looks.values()}) == 50
    assert styles.ranked(rows)[: styles.MATTER] == [f"linucb,alpha={i}" for i in range(49, 39, -1)]


def test_names_of_titles_do_not_break_and_negative_numbers_have_a_minus_sign() -> None:
    assert words.heading("a-b is at 5 %") == "a-\u2060b is at 5\u00a0%"
    assert (
        words.minus("gpt-5 -0.3 to -1 (-2), 2026-11-27") == "gpt-5 \u22120.3 to \u22121 (\u22122), 2026-11-27"
    )
    assert words.plane_title([row("p", "policy", 0.5, 0.0)], ["p"], money("1e-3 USD/query")).endswith(
        "p, 50.0 % at $0.1 per 1,000 queries"
    )

"""The pages of a decision and of an off-policy evaluation: numbers with units, and claims that the tables carry."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from envs import write
from tests.conftest import make_stream
from tests.test_command import run
from tests.test_decide import QUICK, worthless
from tests.test_ope_page import ROWS
from tests.test_pages import UNITS

__all__ = ["run"]  # a fixture

NUMBER = re.compile(r"(?<![\w.=-])[−+-]?\d[\d,.]*")
# Besides those of a run's page: what a log has, what an interval is at, and a weight's own size.
MORE = re.compile(
    r"answers|calls?\b|points?\b|worth|rows\b|times\b|utility\b|accuracy|weights?\b|cost\b|level\b|log\b"
)


def said(page: Path) -> list[str]:
    """What a page says in its headings, paragraphs, captions and lists, a sentence each."""
    body = re.sub(r"<(table|dl|pre|svg|style)\b.*?</\1>", "", page.read_text(), flags=re.S)
    found = re.findall(r"<(h1|h2|figcaption|p|li)\b[^>]*>(.*?)</\1>", body, re.S)
    plain = [html.unescape(re.sub(r"<[^>]+>", "", text)).replace(" ", " ") for _, text in found]
    return [one for text in plain for one in re.split(r"(?<=[.!?]) (?=[A-Z])", text.strip()) if one]


def check(sentences: list[str]) -> None:
    """Every number has a unit, per cent and minus are written as everywhere, nothing is nan or None."""
    for sentence in sentences:
        bare = re.sub(r"\b[\w./-]*(=|\[)[^\s,;]*|\b[a-z-]+-\d\b", "", sentence)  # settings, names of models
        if NUMBER.search(bare):
            assert UNITS.search(bare) or MORE.search(bare), sentence
        assert not re.search(r"\d%", sentence) and not re.search(r"(?<![\w.])-\d", bare), sentence
        assert not {"nan", "none", "inf"} & set(re.findall(r"[a-z]+", sentence)), sentence


@pytest.mark.parametrize("table", ["topics", "worthless"])
def test_a_decision_claims_what_its_record_has(run, table: str) -> None:
    write(make_stream(rows=400, seed=3).outcomes if table == "topics" else worthless(), f"{table}.parquet")
    more = ("--worth", 20, "--queries-per-month", 10_000, "--require", "accuracy>=0.5", "--out", "done")
    assert run("decide", f"{table}.parquet", *QUICK, *more)[0] in (0, 3)
    sentences = said(Path("done/decision.html"))
    assert len(sentences) > 8
    check(sentences)
    record = json.loads(Path("done/decision.json").read_text())
    rows = {row["name"]: row for row in record["choices"]}
    assert len({row["queries"] for row in record["choices"] if "queries" in row}) <= 1
    claims = [s for s in sentences if re.search(r"\b(Deploy|beats|is shown to be better)\b", s)]
    claims = [s for s in claims if not re.search(r"no policy .*is shown|is not shown", s)]
    won = [n for n, r in rows.items() if r["kind"] == "policy" and r["shown"] and r["difference"] > 0]
    assert bool(claims) == bool(won) == (table == "topics"), (claims, won)
    for claim in claims:  # the first choice that a claim names is one that won
        assert min((claim.find(n), n) for n in rows if n in claim)[1] in won, claim
    if not won:
        assert any("no policy is shown to be better" in s for s in sentences)


def test_an_evaluation_claims_what_its_intervals_carry(run) -> None:
    Path("log.csv").write_text(ROWS)
    asked = ("ope", "log.csv", "--policy", "uniform", "--policy", "always,model=a", "--out", "page")
    assert run(*asked)[0] == 0
    sentences = said(Path("page/ope.html"))
    assert len(sentences) > 4
    check(sentences)
    rows = pd.read_csv("page/estimates.csv")
    text = " ".join(sentences)
    apart = [
        (a.policy, b.policy)
        for a in rows.itertuples()
        for b in rows.itertuples()
        if a.utility_lo > b.utility_hi
    ]
    if re.search(r"\bbeats\b", text) and "cannot tell" not in text:
        assert apart, text

"""The page of an off-policy evaluation: what it draws, that nothing can run in it, and whose folder it takes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import simulate

ROWS = "query_id,model,utility,cost,propensity,candidates\n" + "".join(
    f"q{i},{'ab'[i % 2]},{i % 3 / 2},{1 + i % 2},0.5,a|b\n" for i in range(60)
)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(ROWS)
    return tmp_path


def ope(*more: str) -> Any:
    asked = ["ope", "log.csv", "--policy", "uniform", "--policy", "always,model=a", *more]
    return CliRunner().invoke(simulate.cli, asked)


class Tags(HTMLParser):
    """Every start tag with its attributes, and the texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_draws_what_the_tables_say(log: Path) -> None:
    done = ope("--out", "page")
    assert done.exit_code == 0, done.output
    rows = pd.read_csv("page/estimates.csv")
    found = Tags(Path("page/ope.html").read_text())
    points = [a for tag, a in found.tags if tag == "circle"]
    assert len(points) == len(rows) == 3
    # Higher utility is higher on the page, greater cost further right.
    for name, axis, sign in (("utility", "cy", -1), ("cost", "cx", 1)):
        at = pd.Series([float(p[axis] or 0) for p in points])
        assert (at.rank() * sign).rank().tolist() == rows[name].rank().tolist()
    said = " ".join(found.words)
    assert "cannot tell" in said or "beats" in said
    assert len(pd.read_csv("page/diagnostics.csv")) == 2
    bars = [float(a["width"] or 0) for tag, a in found.tags if tag == "rect" and a.get("class") == "bar"]
    assert max(bars) == 260
    assert "simulate.py ope log.csv --policy uniform" in said


def test_nothing_runs_and_nothing_is_fetched(log: Path) -> None:
    Path("log.csv").write_text(ROWS.replace(",a,", ",<script>x,").replace("a|b", "<script>x|b"))
    asked = ["ope", "log.csv", "--policy", "uniform", "--out", "page"]
    done = CliRunner().invoke(simulate.cli, [*asked, "--policy", "always,model=<script>x"])
    assert done.exit_code == 0, done.output
    text = Path("page/ope.html").read_text()
    found = Tags(text)
    assert "script" not in {tag for tag, _ in found.tags}
    assert not {name for _, attrs in found.tags for name in attrs} & {"src", "href", "onload", "onclick"}
    policy = next(a["content"] for _, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';") and "unsafe" not in policy
    assert not any("style" in attributes for _, attributes in found.tags)
    assert not re.search(r"url\(|@import", text)


def test_nothing_of_others_is_touched(log: Path) -> None:
    Path("mine").mkdir()
    Path("mine/estimates.csv").write_text("my own")
    done = ope("--out", "mine")
    assert isinstance(done.exception, ValueError) and "holds other files" in str(done.exception)
    assert [p.name for p in Path("mine").iterdir()] == ["estimates.csv"]
    assert Path("mine/estimates.csv").read_text() == "my own"
    assert ope("--out", "page").exit_code == 0
    Path("page/notes.txt").write_text("kept")
    Path("log.csv").write_text(ROWS.replace(",propensity,", ",other,"))
    assert ope("--out", "page").exit_code == 0  # its own is replaced; the tables that are no longer made go
    assert {p.name for p in Path("page").iterdir()} == {
        "ope.html",
        "estimates.csv",
        "manifest.json",
        "notes.txt",
    }
    assert json.loads(Path("page/manifest.json").read_text())["format"] == "routebandit ope 1"
    Path("file").write_text("x")
    assert "is a file" in str(ope("--out", "file").exception)
    assert "--replay has no page" in str(ope("--out", "page2", "--replay").exception)
    assert not Path("page2").exists()


@pytest.mark.parametrize("change", ["wide", "free", "certain"])
def test_every_kind_of_log_has_a_page(log: Path, change: str) -> None:
    text = {
        "wide": ROWS,
        "free": ROWS.replace(",cost,", ",x0,"),
        "certain": ROWS.replace(",0.5,", ",1,"),
    }[change]
    Path("log.csv").write_text(text)
    done = ope("--out", "page", *["--wide"] * (change == "wide"))
    assert done.exit_code == 0, done.output
    found = Tags(Path("page/ope.html").read_text())
    assert len([tag for tag, _ in found.tags if tag == "circle"]) == 3
    assert "nan" not in " ".join(str(v) for _, attrs in found.tags for v in attrs.values())

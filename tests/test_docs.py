"""The documentation: it builds without a warning, every link leads somewhere, and what it prints can be run.

Blocks marked `bash` are run page by page in an empty folder, in the order printed, cut to a few hundred rounds; Python
blocks of the same page are saved under their title, or run. Commands in other blocks, and those of `SLOW` and
`MEASURED`, are parsed by the command's own parser.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import simulate
from tests.test_browser import BUILD, browser

__all__ = ["browser"]  # a fixture

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
MEASURED = {
    "budgets-measured.md",
    "scenarios.md",
    "streams.md",
    "sweeps.md",
}  # long runs, shown with what came out
SLOW = ("mmrbench", "llmbandit", "--fidelity")  # minutes with their defaults, and run by suites of their own
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.M | re.S)


def commands(text: str) -> list[list[str]]:
    """Return the arguments of every `simulate` command that a text shows."""
    lines = re.findall(r"^\s*(?:python simulate\.py|simulate\.py|simulate) (.+)$", text, re.M)
    return [shlex.split(re.sub(r" > \S+$", "", line), comments=True) for line in lines]


def parse(arguments: list[str]) -> None:
    """Parse arguments as the command does, without running anything."""
    command = simulate.cli.commands.get(arguments[0])
    if command is None:
        simulate.cli.make_context("simulate.py", list(arguments))
    else:
        command.make_context(arguments[0], list(arguments[1:]))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_understood(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for arguments in commands((DOCS / page).read_text(encoding="utf-8")):
        parse(arguments)


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    [arguments] = commands("```text\nsimulate --polcy linucb\n```")
    with pytest.raises(Exception, match="polcy"):
        parse(arguments)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if "```bash" in (DOCS / p).read_text(encoding="utf-8") and p not in MEASURED]
)
def test_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for language, title, block in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if language == "python" and (title or "def profit" in block):
            (tmp_path / (title or "shop.py")).write_text(block)
        elif language == "python":
            run_python(block, tmp_path)
        elif language == "bash":
            for arguments in commands(block):
                if not any(word in argument for word in SLOW for argument in arguments):
                    run_command(shortened(arguments), monkeypatch)


def shortened(arguments: list[str]) -> list[str]:
    """Return the arguments of a run with 2 seeds and 300 rounds; other commands as they are."""
    if arguments[0] not in ("scenarios", "decide") and not arguments[0].startswith("-"):
        return arguments
    cut = [a if before != "--seeds" else "2" for before, a in zip(["", *arguments], arguments, strict=False)]
    return cut if "--rounds" in cut else [*cut, "--rounds", "300"]


def run_command(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate.py", *arguments])
    with pytest.raises(SystemExit) as left:
        simulate.main()
    assert not left.value.code, f"exit code {left.value.code}: {shlex.join(arguments)}"


def run_python(block: str, folder: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-800:]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages; a warning of the build is an error."""
    pytest.importorskip("mkdocs", reason="the documentation needs routebandit[docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


class Page(HTMLParser):
    """What a page has that can be linked to, what it links to, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids |= {str(found[name]) for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        elif found.get("src"):
            self.loads.append(str(found["src"]))
        elif tag == "link" and found.get("rel") in ("stylesheet", "preconnect", "icon", "preload"):
            self.loads.append(str(found["href"]))


def test_every_link_leads_somewhere_and_nothing_is_fetched(site: Path) -> None:
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > len(PAGES) // 2
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links begin at the root of whatever serves it
        for target in page.loads:
            assert not re.match(r"(https?:)?//", target), f"{path.name} loads {target}"
        for target in (*page.loads, *page.links):
            if re.match(r"(https?:|mailto:|data:)", target):
                continue
            place, anchor = urldefrag(unquote(target))
            found = (path.parent / place).resolve() if place else path
            found = found / "index.html" if found.is_dir() else found
            assert found.exists(), f"{path.relative_to(site)}: no {target}"
            if anchor and found in pages:
                assert anchor in pages[found].ids, f"{path.relative_to(site)}: no {target}"


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_the_screen_and_ask_for_nothing(browser, site: Path, width: int) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    said: list[str] = []
    for name in ("index", "tutorial", "families/linear", "paper", "policies", "api/policies"):
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(f"asked for {request.url}"))
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        BUILD.mkdir(exist_ok=True)
        page.screenshot(path=BUILD / f"docs-{name.replace('/', '-')}-{width}.png")
        page.close()
    assert said == []
    context.close()


def test_the_search_finds_a_word_without_a_server(browser, site: Path) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    page.locator("input.md-search__input").press_sequentially("knapsack")  # it listens to keys
    page.wait_for_selector(".md-search-result__item", timeout=20_000)
    assert "budgets.html" in " ".join(
        str(link.get_attribute("href")) for link in page.locator(".md-search-result__item a").all()
    )
    context.close()


def test_the_router_and_the_change_of_ones_own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code that the two pages print, on a few rows."""
    from dataclasses import replace
    from functools import partial

    import numpy as np

    from bandits import resolve
    from bandits.mmrbench import evaluate
    from envs.changes.changes import apply
    from envs.changes.world import unroll
    from tests.conftest import make_stream

    monkeypatch.chdir(tmp_path)
    for page in ("own-router.md", "own-change.md"):
        for _, title, block in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
            if title:
                (tmp_path / title).write_text(block)
    stream = make_stream()
    shown = replace(stream.outcomes, text=stream.context)
    [row] = evaluate(shown, routers=["forest.py:forest,trees=3"], resamples=20, mode="11")
    assert row["router"].startswith("forest.py:forest") and 0 < row["Ps"] <= 1
    forgets = resolve.function("drift.py:forgets,share=1,at=0.5", {}, "change")
    name = str(stream.dataset[0])
    rows = np.arange(len(stream))[None]
    changed = apply(unroll(stream, rows), [partial(forgets, model=stream.models[1], dataset=name)])
    late = (np.arange(len(stream)) >= len(stream) // 2) & (stream.dataset == name)
    assert (changed.utility[late, 1] == 0).all() and late.any()
    np.testing.assert_array_equal(changed.utility[~late], stream.utility[~late])
    others = [0, *range(2, stream.n_arms)]
    np.testing.assert_array_equal(changed.utility[:, others], stream.utility[:, others])

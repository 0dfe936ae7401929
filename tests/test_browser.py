"""The report in a real browser with the network off: drawn, silent, switchable, and no wider than the screen."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bandits.experiment import ask as runs
from bandits.folders import write as artefacts
from tests.conftest import make_stream

BUILD = Path(__file__).resolve().parents[1] / "build"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
DRAWN = """() => [...document.querySelectorAll('.chart')].filter(node => {
  const full = node.data && node.data.length && node.getBoundingClientRect().height > 50;
  return full && node.querySelector('.trace, .hm, .points path, .scatterlayer path, image');
}).length"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start headless Chromium; skip where there is none."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}: install Debian's chromium or set CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="the report is looked at with playwright")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    with api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small run under a budget: every kind of chart is in it."""
    folder = tmp_path_factory.mktemp("browser") / "run"
    ask = runs.Ask(policies=("ucb1", "uniform"), seeds=6, rounds=300, budget=("60%",))
    known = {"command": "simulate.py", "context": {}, "data": "made", "seconds": 1.0}
    for run in runs.finish(make_stream(rows=300), ask):
        artefacts.publish(folder, run, ask, known)
    return folder / "report.html"


class Opened:
    """A page on screen with what its console said."""

    def __init__(self, browser: Any, report: Path, *, width: int, scheme: str) -> None:
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("requestfailed", lambda request: self.said.append(f"asked for {request.url}"))
        self.page.goto(report.as_uri())
        self.page.wait_for_function(
            f"({DRAWN})() === document.querySelectorAll('.chart').length", timeout=20_000
        )

    def shown(self, chart: str) -> list[dict[str, Any]]:
        """Return name and values of the traces that a chart shows now."""
        found = "node => node.data.map(d => ({ name: d.name, y: [...d.y], type: d.type ?? 'scatter' }))"
        return list(self.page.eval_on_selector(f"#{chart}", found))


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Opened]:
    on_screen = Opened(browser, report, width=1280, scheme="light")
    yield on_screen
    on_screen.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_chart_is_drawn_within_the_screen(browser: Any, report: Path, width: int, scheme: str) -> None:
    on_screen = Opened(browser, report, width=width, scheme=scheme)
    page = on_screen.page
    assert (
        page.locator(".chart").count() == 10
    )  # regret, plane, reward, budget, 2 policies, heat map, 3 datasets
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    BUILD.mkdir(exist_ok=True)
    page.screenshot(path=BUILD / f"report-{width}-{scheme}.png", full_page=True)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert on_screen.said == []
    on_screen.context.close()


def test_the_comparator_and_the_axes_can_be_switched(opened: Opened) -> None:
    before = opened.shown("regret")
    assert {"ucb1", "uniform", "best_fixed"} <= {trace.get("name") for trace in before}
    opened.page.get_by_role("button", name="against best fixed model").click()
    after = opened.shown("regret")
    assert "best_fixed" not in {trace.get("name") for trace in after}
    assert after[-1]["y"] != before[-1]["y"]
    opened.page.get_by_role("button", name="log axes").click()
    assert opened.page.eval_on_selector("#regret", "node => node.layout.xaxis.type") == "log"
    assert any("rounds<sup>" in (trace.get("name") or "") for trace in opened.shown("regret"))
    opened.page.get_by_role("button", name="linear axes").click()
    assert not any("<sup>" in (trace.get("name") or "") for trace in opened.shown("regret"))
    assert opened.said == []


def test_the_best_within_the_budget_is_a_comparator(opened: Opened) -> None:
    opened.page.get_by_role("button", name="against best within the budget").click()
    shown = opened.shown("regret")
    assert {"ucb1", "uniform"} <= {trace.get("name") for trace in shown}
    assert opened.said == []


def test_model_shares_can_be_seen_for_one_dataset(opened: Opened) -> None:
    before = [opened.shown(f"shares-{i}") for i in range(2)]
    choice = opened.page.get_by_label("Queries of")
    choice.select_option(index=1)
    after = [opened.shown(f"shares-{i}") for i in range(2)]
    for one, other in zip(before, after, strict=True):
        assert [t["name"] for t in one] == [t["name"] for t in other] and one != other
        total = [sum(y or 0 for y in ys) for ys in zip(*(t["y"] for t in other), strict=True)]
        assert max(total) <= 1 + 1e-3  # five digits a share
    choice.select_option("all datasets")
    assert opened.shown("shares-0") == before[0]
    assert opened.said == []


def test_the_contents_lead_to_every_part(opened: Opened) -> None:
    links = opened.page.locator("nav a")
    assert links.count() == 9
    for link in links.all():
        target = link.get_attribute("href") or ""
        assert opened.page.locator(target).count() == 1
    links.last.focus()
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("scrollY") > 1000


def test_figures_for_a_paper_are_written(report: Path, tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    from bandits.folders import read as compare
    from bandits.report import page, plots

    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    run = compare.read(report.parent)
    drawn = page.figures(run.summary, run.curves, run.by_dataset, "USD")
    some = [figure for figure in drawn if figure["id"] in ("plane", "budget")]
    paths = plots.write(some, tmp_path / "plots", plots.check(("svg", "png")))
    assert {p.name for p in paths} == {p.name for p in (tmp_path / "plots").iterdir()}
    assert len(paths) == 2 * (1 + len(some[1]["views"]))
    svg = (tmp_path / "plots" / "plane.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg") and "ucb1" in svg and "accuracy" in svg
    assert (tmp_path / "plots" / "plane.png").read_bytes().startswith(b"\x89PNG")


def test_every_button_works_from_the_keyboard(opened: Opened) -> None:
    for button in opened.page.locator(".controls button").all():
        button.focus()
        opened.page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
    assert opened.said == []


def test_the_baseline_of_the_table_can_be_chosen(opened: Opened) -> None:
    cell = opened.page.locator("td[data-row]").first  # ucb1, all datasets
    against_best = cell.inner_text()
    assert against_best.startswith(("+", "−"))
    opened.page.get_by_label("Difference from").select_option("uniform")
    against_uniform = cell.inner_text()
    assert against_uniform.startswith(("+", "−")) and against_uniform != against_best
    opened.page.get_by_label("Difference from").select_option("ucb1")
    assert cell.inner_text() == "–"
    opened.page.get_by_label("Difference from").select_option("best_fixed")
    opened.page.locator("#measure").select_option("cost")
    assert cell.inner_text() != against_best
    assert opened.said == []


def test_every_chart_and_table_gives_its_data_as_csv(opened: Opened) -> None:
    buttons = opened.page.get_by_role("button", name="as CSV")
    assert buttons.count() == 10 + 2
    seen = {}
    for i in range(buttons.count()):
        if i == 6:
            opened.page.reload()  # Chromium distrusts a page that saves more than ten files
        with opened.page.expect_download() as waiting:
            buttons.nth(i).click()
        with Path(waiting.value.path()).open(encoding="utf-8", newline="") as file:
            seen[waiting.value.suggested_filename] = list(csv.reader(file))
    assert len(seen) == 12 and all(len(rows) > 2 for rows in seen.values())
    assert seen["regret.csv"][0] == ["view", "series", "round", "cumulative regret", "low", "high"]
    last = next(r for r in reversed(seen["regret.csv"]) if r[:2] == ["against per-query oracle", "ucb1"])
    line = next(trace for trace in opened.shown("regret") if trace.get("name") == "ucb1")
    assert float(last[3]) == pytest.approx(line["y"][-1])
    assert seen["heat.csv"][0] == ["view", "series", "model", "dataset", "share of calls"]
    assert seen["summary-table.csv"][0][:2] == ["policy", "reward a query"]

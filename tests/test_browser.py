"""The report in a real browser with the network off: drawn, silent, switchable, and no wider than the screen."""

from __future__ import annotations

import csv
import itertools
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
UNFOLD = "document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
# Charts that have a width and are not drawn yet.
UNDRAWN = """() => [...document.querySelectorAll('.chart')].filter(node => {
  const full = node.data && node.data.length && node.getBoundingClientRect().height > 50;
  return node.clientWidth && !(full && node.querySelector('.trace, .points path, .scatterlayer path'));
}).length"""
# The boxes of all names in a chart, and of the points of its plot, as they are on screen.
BOXES = """(node, what) => [...node.querySelectorAll(what)].map(one => {
  const box = one.getBoundingClientRect();
  return [box.left, box.top, box.right, box.bottom, one.textContent];
})"""


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
        self.wait()
        self.height = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.evaluate(UNFOLD)
        self.wait()

    def wait(self) -> None:
        """Wait until all is drawn; the page's policy forbids what `wait_for_function` does."""
        for _ in range(200):
            if self.page.evaluate("typeof Plotly") == "object" and self.page.evaluate(UNDRAWN) == 0:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"not drawn in 20 seconds: {self.said}")

    def boxes(self, chart: str, what: str) -> list[list[Any]]:
        """Return left, top, right, bottom and text of parts of a chart."""
        return list(self.page.eval_on_selector(f"#{chart}", BOXES, what))

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
    assert page.locator(".chart").count() == 6  # regret, plane, reward, budget, 2 policies
    assert on_screen.height < {390: 4500, 1280: 2800}[width]  # folded: half of what it was
    assert page.locator("#heat td").first.inner_text().endswith("%")  # its numbers stay on a telephone
    small = "e => [...e.querySelectorAll('text')].filter(t => parseFloat(getComputedStyle(t).fontSize) < 11).length"
    assert page.eval_on_selector("#regret", small) == page.eval_on_selector("#plane", small) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    BUILD.mkdir(exist_ok=True)
    page.screenshot(path=BUILD / f"report-{width}-{scheme}.png", full_page=True)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert on_screen.said == []
    on_screen.context.close()


def test_the_comparator_and_the_axes_can_be_switched(opened: Opened) -> None:
    caption, title = opened.page.locator("#regret-caption"), opened.page.locator("#regret-title")
    before, names = opened.shown("regret"), "node => node.layout.annotations.map(a => a.text).join()"
    assert {"ucb1", "uniform"} <= {trace.get("name") for trace in before}
    assert "best_fixed" not in {trace.get("name") for trace in before}
    assert "against always calling model-" in caption.inner_text()
    opened.page.get_by_role("button", name="against per-query oracle").click()
    after = opened.shown("regret")
    assert "best_fixed" in {trace.get("name") for trace in after} and after[-1]["y"] != before[-1]["y"]
    assert "against the per-query oracle" in caption.inner_text() and "oracle" in title.inner_text()
    opened.page.get_by_role("button", name="log axes").click()
    assert opened.page.eval_on_selector("#regret", "node => node.layout.xaxis.type") == "log"
    assert "rounds<sup>" in opened.page.eval_on_selector("#regret", names)
    opened.page.get_by_role("button", name="linear axes").click()
    assert "<sup>" not in opened.page.eval_on_selector("#regret", names)
    assert opened.said == []


def test_the_best_within_the_budget_is_a_comparator(opened: Opened) -> None:
    opened.page.get_by_role("button", name="against best within the budget").click()
    shown = opened.shown("regret")
    assert {"ucb1", "uniform"} <= {trace.get("name") for trace in shown}
    assert opened.said == []


def test_model_shares_can_be_seen_for_one_policy_and_dataset(opened: Opened) -> None:
    before = opened.shown("shares-0")
    assert not opened.page.locator("#shares-1").is_visible()
    choice = opened.page.get_by_label("Queries of")
    choice.select_option(index=1)
    other = opened.shown("shares-0")
    assert [t["name"] for t in before] == [t["name"] for t in other] and before != other
    second = opened.page.locator("#shares-policy option").nth(1).inner_text()
    opened.page.locator("#shares-policy").select_option(second)
    opened.wait()
    assert opened.page.locator("#shares-1").is_visible() and not opened.page.locator("#shares-0").is_visible()
    for shown in (other, opened.shown("shares-1")):
        total = [sum(y or 0 for y in ys) for ys in zip(*(t["y"] for t in shown), strict=True)]
        assert max(total) <= 100.1  # five digits a share, in per cent
    opened.page.locator("#shares-policy").select_option(index=0)
    choice.select_option("all datasets")
    assert opened.shown("shares-0") == before
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


def crossing(one: list[Any], other: list[Any], slack: float = 1.5) -> bool:
    """Whether two boxes on screen overlap by more than some pixels."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return wide > slack and tall > slack


@pytest.mark.parametrize("width", [390, 1280])
def test_names_cover_no_point_and_no_other_name(browser: Any, report: Path, width: int) -> None:
    on_screen = Opened(browser, report, width=width, scheme="light")
    for chart, least in (("plane", 5), ("regret", 3)):
        names = on_screen.boxes(chart, ".annotation-text-g")
        assert len(names) >= least and not any(crossing(a, b) for a, b in itertools.combinations(names, 2))
        assert all(name[0] >= 0 and name[2] <= width for name in names)
        points = on_screen.boxes(chart, ".points path") if chart == "plane" else []
        assert not any(crossing(name, point) for name in names for point in points)
    on_screen.context.close()


def test_the_oracle_is_among_rewards_only_where_it_is_asked_for(opened: Opened) -> None:
    assert "oracle" not in {trace.get("name") for trace in opened.shown("reward")}
    opened.page.get_by_role("button", name="with the oracle", exact=True).click()
    assert "oracle" in {trace.get("name") for trace in opened.shown("reward")}
    assert opened.said == []


def test_a_table_is_sorted_and_picks_what_is_drawn(opened: Opened) -> None:
    column = "rows => rows.map(row => parseFloat(row.cells[1].textContent.replace('\u2212', '-')))"
    rows = opened.page.locator("#summary-table tbody tr")
    for order in (-1, 1):
        opened.page.locator("#summary-table").get_by_role("button", name="reward a query").click()
        values = [v for v in rows.evaluate_all(column)]
        assert values == sorted(values, reverse=order < 0) and len(set(values)) > 3
    box = opened.page.locator("input[data-of=ucb1]")
    box.uncheck()
    assert "ucb1" not in {trace.get("name") for trace in opened.shown("regret")}
    box.check()
    assert "ucb1" in {trace.get("name") for trace in opened.shown("regret")}
    assert opened.said == []


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
    for button in opened.page.locator(".controls [role=group] button").all():
        button.focus()
        opened.page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
    assert opened.said == []


def test_the_baseline_of_the_table_can_be_chosen(opened: Opened) -> None:
    row = opened.page.locator("#datasets-table tbody").first.locator("tr", has_text="ucb1")
    cell = row.locator("td[data-row]")  # all datasets
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
    opened.page.locator(".one > div").evaluate_all("all => all.forEach(one => { one.hidden = false; })")
    assert buttons.count() == 6 + 3
    seen = {}
    for i in range(buttons.count()):
        if i == 6:
            opened.page.reload()  # Chromium distrusts a page that saves more than ten files
            opened.page.evaluate(UNFOLD)
            opened.page.locator(".one > div").evaluate_all(
                "all => all.forEach(one => { one.hidden = false; })"
            )
        with opened.page.expect_download() as waiting:
            buttons.nth(i).click()
        with Path(waiting.value.path()).open(encoding="utf-8", newline="") as file:
            seen[waiting.value.suggested_filename] = list(csv.reader(file))
    assert len(seen) == 9 and all(len(rows) > 2 for rows in seen.values())
    assert seen["regret.csv"][0] == ["view", "series", "round", "cumulative regret, reward", "low", "high"]
    last = next(r for r in reversed(seen["regret.csv"]) if r[:2] == ["against best fixed model", "ucb1"])
    line = next(trace for trace in opened.shown("regret") if trace.get("name") == "ucb1")
    assert float(last[3]) == pytest.approx(line["y"][-1])
    assert seen["heat.csv"][0] == ["view", "series", "model", "dataset", "share of calls"]
    assert seen["summary-table.csv"][0][:2] == ["player", "reward a query"]

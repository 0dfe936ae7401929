"""What goes into a paper: tables in Markdown and LaTeX, names of one's own, figures of a journal's widths."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from bandits.report import names, plots
from bandits.rows import laid, remark
from simulate import cli
from tests.conftest import make_stream

RUN = ("--policy", "ucb1", "--policy", "always,model=model-1", "--seeds", "3", "--rounds", "40", "-q")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from envs.tables import formats

    place = tmp_path_factory.mktemp("table") / "table.csv"
    formats.write(make_stream(120).outcomes, place)
    return place


def command(*words: Any) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_table_is_the_same_in_every_form_for_reading() -> None:
    headings, lines = ["", "accuracy %", "a & b"], [["x_1", "71.0 (67-74)", "1|2"], ["y", "3", "-4"]]
    latex = laid(headings, lines, "latex").splitlines()
    assert latex[0] == r"\begin{tabular}{lrr}" and latex[2] == r" & accuracy \% & a \& b \\"
    assert latex[4] == r"x\_1 & 71.0 (67-74) & 1|2 \\" and latex[-1] == r"\end{tabular}"
    markdown = laid(headings, lines, "markdown").splitlines()
    assert markdown[1] == "|---|---:|---:|" and markdown[2] == r"| x_1 | 71.0 (67-74) | 1\|2 |"
    assert laid(headings, lines, "table").splitlines()[1].split() == ["x_1", "71.0", "(67-74)", "1|2"]
    assert remark("one\ntwo", "latex") == "% one\n% two" and remark("one", "markdown") == "one"


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_commands_print_their_tables_for_papers(table: Path, tmp_path: Path, form: str) -> None:
    mark = {"markdown": "|---", "latex": r"\begin{tabular}"}[form]
    said = command(
        *RUN, "--data", table, "--out", tmp_path / "run", "--label", "ucb1=UCB 1", "--format", form
    )
    assert mark in said and "UCB 1" in said and "ucb1" not in said.partition(mark)[2]
    if form == "latex":
        outside = said.partition(mark)[0] + said.partition(r"\end{tabular}")[2]
        assert all(line.startswith("%") for line in outside.splitlines() if line)
    for words in (("inspect", table), ("list",), ("diff", tmp_path / "run", tmp_path / "run")):
        assert mark in command(*words, "--format", form, "-q")


def test_a_label_is_everywhere_but_in_the_files_for_programs(table: Path, tmp_path: Path) -> None:
    command(*RUN, "--data", table, "--out", tmp_path / "run", "--label", "ucb1=Upper Bounds")
    page = (tmp_path / "run" / "report.html").read_text()
    assert '"name":"Upper Bounds"' in page and '"name":"ucb1"' not in page
    assert "ucb1" in set(pd.read_csv(tmp_path / "run" / "summary.csv")["policy"])
    summary = pd.DataFrame({"policy": ["ucb1", "oracle"], "kind": ["policy", "reference"]})
    found = names.labelled({"summary": summary}, {"ucb1": "Upper Bounds"})["summary"]
    assert found["policy"].tolist() == ["Upper Bounds", "oracle"]
    assert found["family"].tolist() == ["ucb1", "oracle"]  # colours go by it


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["ucb=U"], "a policy of the run, got 'ucb=U'; did you mean ucb1"),
        (["ucb1="], "a name of 1 to 60 characters"),
        (["ucb1=a", "ucb1=b"], "names 'ucb1' twice"),
        (["ucb1=linucb,alpha=0.3"], "a policy of the run"),
        (["ucb1=greedy"], "a name of its own for each policy, got 'greedy' twice"),
    ],
)
def test_labels_that_would_mislead_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        names.parse(texts, ["ucb1", "greedy"])
    assert names.parse(["linucb,alpha=0.3=Lin"], ["linucb,alpha=0.3"]) == {"linucb,alpha=0.3": "Lin"}


def test_figures_have_the_widths_asked_for_and_their_fonts_inside(tmp_path: Path) -> None:
    assert plots.widths("3.35,7") == (3.35, 7.0)
    for wrong in ("", "1", "wide", "3,30"):
        with pytest.raises(ValueError, match="--plot-width needs inches from 2 to 20"):
            plots.widths(wrong)
    if shutil.which("chromium") is None:
        pytest.skip("figures are drawn by Chromium, which is not installed")
    pytest.importorskip("kaleido")
    figure = {
        "id": "plane", "height": 400, "axes": {"x": "cost", "y": "accuracy"},
        "views": [{"label": "all", "data": [{"x": [0, 1], "y": [1, 2], "mode": "lines", "name": "a line"}]}],
    }  # fmt: skip
    plots.write([figure], tmp_path, ("pdf",), (3.35, 7.0))
    for wide in ("3.35", "7"):
        drawn = (tmp_path / f"plane-{wide}in.pdf").read_bytes()
        box = drawn.partition(b"/MediaBox [")[2].partition(b"]")[0].split()
        assert abs(float(box[2]) / 72 - float(wide)) < 0.02  # points to inches, whole pixels
        assert b"/FontFile" in drawn

"""Mistakes with cascades, looks, labels, several calls and default names: one line each, and nothing is lost."""

from __future__ import annotations

import configparser
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bandits.folders import read
from bandits.metrics.intervals import clustered
from commands.cascade import _budgets
from simulate import answer

ROOT = Path(__file__).parents[1]
RUN = ["--data", "t.csv", "--seeds", "2", "--rounds", "20"]


def table(path: Path, rows: int = 60, names: tuple[str, ...] = ("a", "b", "c"), scale: float = 1.0) -> None:
    """Write a table of models with judges' scores; the later the model, the dearer and the better."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"query_id": [f"q{i}" for i in range(rows)], "question": [f"n {i}" for i in range(rows)]}
    )
    for k, name in enumerate(names):
        right = rng.random(rows) < 0.4 + 0.15 * k
        frame[f"{name}_correct"] = right.astype(int)
        frame[f"{name}_cost"] = scale * (k + 1) * (1 + rng.random(rows))
        frame[f"{name}_conf"] = np.round(0.5 * right + 0.5 * rng.random(rows), 4)
    frame.to_csv(path, index=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with tables, and runs of the first: one call a query, and two chains of calls."""
    place = tmp_path_factory.mktemp("shop")
    table(place / "t.csv")
    table(place / "few.csv", rows=8)
    table(place / "free.csv", scale=0.0)
    table(place / "huge.csv", scale=1e300)
    table(place / "names.csv", names=("a,b", 'the "c"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for out, words in {
            "plain": ["--policy", "uniform", "--label", "uniform=By <chance>"],
            "ab": ["--policy", "cascade,order=a>b,thresholds=0.6", "--calls", "2"],
            "bc": ["--policy", "cascade,order=b>c,thresholds=0.6", "--calls", "2"],
        }.items():
            assert answer([*words, *RUN, "--out", out]) == (0, "")
    return place


@pytest.fixture
def here(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shop)
    return shop


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cascade", "free.csv"], "needs costs above 0"),
        (["cascade", "huge.csv"], "row 1, column 'a_cost' needs a finite number >= 0 and at most 1e+30"),
        (["cascade", "t.csv", "--train", "x"], "--train needs a share such as 10% or a number of rows, got 'x'"),
        (["cascade", "t.csv", "--train", "100%"], "--train '100%' needs to leave rows on both sides"),
        (["look", "few.csv", "--pair", "a>b"], "look needs at least 30 queries"),
        (["--policy", "uniform", "--label", "uniform=best_fixed", *RUN], "that no model or reference has"),
        (["--policy", "uniform", "--label", "uniform=a", *RUN], "that no model or reference has"),
        (["--policy", "uniform", "--plot-width", "3", *RUN], "--plot-width needs --plots"),
        (["--policy", "uniform", "--deliver", "vote", *RUN], "--deliver needs --calls 2"),
        (["--policy", "uniform", "--calls", "2", "--within-query", "tokens=5", *RUN], "this one has no tokens"),
        (["--policy", "cascade,order=a>b,thresholds=nan", "--calls", "2", *RUN], "thresholds that are numbers"),
    ],
)  # fmt: skip
def test_refused_in_one_line(here: Path, words: list[str], said: str) -> None:
    before = sorted(path.name for path in here.iterdir())
    code, message = answer(words)
    assert code == 2 and said in message and "\n" not in message
    assert sorted(path.name for path in here.iterdir()) == before


def test_a_sweep_of_several_calls_needs_something_to_hear(here: Path) -> None:
    file, heard = here / "sweep.toml", pd.read_csv(here / "t.csv")
    heard.drop(columns=[c for c in heard if c.endswith("_conf")]).to_csv(here / "mute.csv", index=False)
    file.write_text('policies = ["pandora"]\nstreams = ["mute.csv"]\nseeds = 2\ncalls = 2\n')
    code, message = answer(["sweep", "sweep.toml"])
    assert code == 2 and "a second call needs something to hear after the first" in message
    file.unlink()


def test_a_streamed_table_needs_two_models_as_any_other(here: Path) -> None:
    pd.read_csv(here / "t.csv").to_parquet(here / "t.parquet")
    code, message = answer(
        ["--policy", "uniform", "--data", "t.parquet", "--models", "a", "--checkpoint", "1"]
    )
    assert (code, message) == (2, "t.parquet: needs at least 2 models, got a alone")


def test_budgets_begin_at_the_cheapest_model_that_costs_something() -> None:
    assert _budgets(np.array([0.0, 2.0, 10.0]), 3) == pytest.approx([2.4, np.sqrt(2.4 * 9), 9])
    assert _budgets(np.array([1.0, 10.0]), 2) == pytest.approx([1.2, 9])


def test_a_pair_whose_names_hold_commas_and_quotes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["look", "names.csv", "--pair", 'a,b>the "c"', "--format", "csv"]) == (0, "")
    never, always = pd.read_csv(here / "names.csv")[["a,b_correct", 'the "c"_correct']].mean()
    lines = capsys.readouterr().out.splitlines()
    told = {line.split(",")[0]: float(line.split(",")[1]) for line in lines[1:]}
    assert told["never"] == pytest.approx(never) and told["always"] == pytest.approx(always)


def test_clusters_without_a_round_are_left_out() -> None:
    sums, rounds = np.array([1.0, 0, 3, 2, 0]), np.array([1, 0, 2, 2, 0])
    asked = rounds > 0
    assert clustered(sums, rounds) == clustered(sums[asked], rounds[asked])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(clustered(np.zeros((3, 2)), np.zeros(3))).all()


def test_runs_with_different_chains_of_calls_are_compared(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run's table has the chains that it made as columns; the table given is what they share."""
    merged = read.merge([read.read(name) for name in ("ab", "bc", "plain")])
    assert merged.manifest["comparable"] and merged.summary["policy"].is_unique
    assert {"oracle [ab]", "oracle [bc]", "oracle [plain]"} <= set(merged.summary["policy"])
    assert answer(["diff", "ab", "bc", "--format", "csv"]) == (0, "")
    found = pd.read_csv(Path("bc") / "summary.csv"), pd.read_csv(Path("ab") / "summary.csv")
    gap = found[0]["reward_mean"][0] - found[1]["reward_mean"][0]
    assert f"{gap:.4f}"[:6] in capsys.readouterr().out


def test_a_rebuilt_page_is_the_page_with_its_labels(here: Path) -> None:
    assert answer(["report", "plain", "--out", "again.html"]) == (0, "")
    again = (here / "again.html").read_bytes()
    assert again == (here / "plain" / "report.html").read_bytes() and b"By &lt;chance&gt;" in again


def test_a_file_of_the_default_name_is_not_replaced_unless_it_is_ours(here: Path) -> None:
    for name, words in {
        "comparison.html": ["report", "plain"],
        "policy.npz": ["export", "plain", "--policy", "uniform"],
    }.items():
        (here / name).write_text("mine")
        code, message = answer(words)
        assert code == 2 and message.startswith(name) and (here / name).read_text() == "mine"
        (here / name).unlink()
    for _ in range(2):
        assert answer(["report", "plain"]) == (0, "")
    assert answer(["report", "plain", "--out", "comparison.html"]) == (0, "")


def test_every_room_is_packed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packed = setup["options"]["packages"].split()
    rooms = [
        p.parent.relative_to(ROOT)
        for top in ("bandits", "commands", "envs")
        for p in (ROOT / top).rglob("__init__.py")
    ]
    assert sorted({*packed} - {"envs.data"}) == sorted(".".join(room.parts) for room in rooms)


@pytest.mark.parametrize(
    "words",
    [
        ("decide", ""), ("inspect", ""), ("merge", "--data", ""), ("scenarios", "--policy", "ucb1", "--data", ""),
        ("--policy", "", "--stream", "ocr"), ("--policy", "ucb1", "--data", ""), ("export", "", "--policy", "ucb1"),
    ],
)  # fmt: skip
def test_an_empty_name_is_neither_this_folder_nor_the_twin(words: tuple[str, ...]) -> None:
    code, message = answer(list(words))
    assert code == 2 and message.endswith("needs a value, got ''") and "\n" not in message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("export", "t.csv", "--policy", "ucb1"),
            "t.csv needs to be the folder of a finished run; it is a file",
        ),
        (("diff", "t.csv", "t.csv"), "t.csv needs to be the folder of a finished run; it is a file"),
        (("graphs", "t.csv"), "t.csv needs to be the folder of a release of MS-GQA, it is a file"),
        (("sweep", "a\0.toml"), "needs to be TOML: embedded null byte"),
    ],
)
def test_a_file_for_a_folder_and_a_name_that_is_none(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,b\n1,2\n")
    code, message = answer(list(words))
    assert code == 2 and said in message and "\n" not in message

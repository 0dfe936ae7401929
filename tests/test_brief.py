"""Tables of the commands beside a run on a plain terminal: 80 columns whatever names are, all figures on demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bandits.report import brief
from bandits.rows import WIDTH, narrow
from tests.test_command import run  # noqa: F401  (a fixture)

MODELS = [f"a-provider/its-model-of-a-long-name-{size}b-instruct" for size in (3, 72, 405)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of three hundred queries in words and three models with scores of their answers."""
    rng, place = np.random.default_rng(0), tmp_path_factory.mktemp("table") / "t.csv"
    right = rng.random((300, 3)) < (0.55, 0.8, 0.9)
    words = np.array(["total", "sign", "axis", "angle", "year"])
    frame = {"question": [" ".join(words[rng.integers(0, 5, 4)]) + f" {i}" for i in range(300)]}
    for k, model in enumerate(MODELS):
        frame |= {f"{model}_correct": right[:, k] * 1, f"{model}_cost": 0.001 * 9**k}
        frame[f"{model}_conf"] = np.where(right[:, k], 0.8, 0.3) + rng.uniform(-0.2, 0.2, 300)
    pd.DataFrame(frame).to_csv(place, index=False)
    return place


@pytest.mark.parametrize(
    ("words", "heading"),
    [
        ("cascade {} --budgets 3", "over chance"),
        (
            "cascade {} --budgets 3 --break-even 0.5,0.55,0.6,0.65,0.7,0.75,0.8,0.85,0.9,0.95",
            "  breaks even\n",
        ),
        ("merge {} --draws 3", "decided by"),
        ("merge {} --model " + MODELS[0], "decided by"),
        ("modality {} --blind " + MODELS[0], "seeing %"),
        (
            "modality --policy linucb,alpha=0.3,prior=1 --stream RealWorldQA --seeds 3 --train-share 0.1",
            "refit lost",
        ),
        ("--policy pandora --data {} --calls 2 --seeds 2 --rounds 100", "stops %"),
    ],
)
def test_a_terminal_of_80_columns_is_enough_and_wide_has_the_rest(
    run: Any,  # noqa: F811
    table: Path,
    words: str,
    heading: str,
) -> None:
    given = [part.format(table) for part in words.split()]
    code, out, err = run(*given)
    assert code == 0, err
    assert heading in out and max(map(len, out.splitlines())) <= WIDTH
    code, wide, err = run(*given, "--wide")
    assert code == 0 and heading not in wide and max(map(len, wide.splitlines())) > WIDTH
    code, told, _ = run(*given, "--format", "json")
    assert code == 0 and json.loads(told)


def test_a_cascade_of_a_budget_is_told_in_words() -> None:
    rows = [
        {"budget": 0.25, "chain": "cascade,order=a,b>c>d,thresholds=0.316469096>0.5", "stopped_1": 0.5,
         "stopped_2": 0.3, "stopped_3": 0.2},
        {"budget": 30.0, "chain": "a,b", "stopped_1": 1.0, "stopped_2": np.nan, "stopped_3": np.nan},
    ]  # fmt: skip
    assert brief.chains(rows) == ["0.25: a,b, below 0.3165 c, below 0.5 d (50/30/20 %)", "30.00: a,b (100 %)"]


def test_of_many_calls_what_each_adds_goes_first() -> None:
    row = {"policy": "pandora" * 9, "calls": 1.5, "accuracy": 0.5, "paid": 0.001, "over_random": 0.01}
    for many in (2, 9):
        row |= {f"stopped_{n + 1}": 0.1 for n in range(many)} | {f"added_{n + 1}": 0.011 for n in range(many)}
        headings, lines = brief.calls([row])
        assert ("added" in headings) == (many == 2)
        assert max(map(len, narrow(headings, lines).splitlines())) <= WIDTH


def test_many_judges_have_some_columns_the_best_one_included() -> None:
    quality = [0.5 + 0.02 * n for n in range(21)]
    row = {"budget": 1.0, "break_even": 0.72, **{f"auc_{q:g}": 0.01 for q in quality}}
    headings, lines = brief.break_even([row, row | {"break_even": np.inf}], quality)
    assert headings[-2:] == ["0.9", "breaks even"] and [line[-1] for line in lines] == ["0.72", "never"]
    assert max(map(len, narrow(headings, lines).splitlines())) <= WIDTH


def test_inspect_fits_a_terminal_whatever_names_are(run: Any, table: Path) -> None:  # noqa: F811
    code, out, err = run("inspect", table)
    assert code == 0 and max(map(len, out.splitlines())) <= WIDTH, err
    assert all(f"{size}b-instruct" in out for size in (72, 405))
    code, twin, err = run("inspect", "RealWorldQA")
    assert (
        code == 0
        and max(map(len, twin.splitlines())) <= WIDTH
        and "see data/README.md" in " ".join(twin.split())
    )


def test_two_runs_differ_in_80_columns(run: Any, table: Path) -> None:  # noqa: F811
    for name in ("linucb", "thompson"):
        assert run("--policy", name, "--data", table, "--seeds", 3, "--rounds", 90, "--out", name)[0] == 0
    code, out, err = run("diff", "linucb", "thompson", "--datasets")
    assert code == 0 and max(map(len, out.splitlines())) <= WIDTH, err
    assert "thompson less linucb" in out and " accuracy " in out and "shown" in out
    wide = run("diff", "linucb", "thompson", "--wide")[1]
    rows = json.loads(run("diff", "linucb", "thompson", "--format", "json")[1])
    assert "queries_lo" in wide and "queries_lo" not in out
    assert any(f"{row['difference']:+.3g} (" in out for row in rows)

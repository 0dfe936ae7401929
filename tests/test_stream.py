"""Streams: names, aliases, paths, models and prices; and that `envs` stays below `bandits` and starts fast."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import envs
from envs import selection
from envs.outcomes import Outcomes
from envs.twin import twin

ROOT = Path(__file__).parents[1]
TABLE = """query_id,dataset,a_correct,a_cost,b_correct,b_cost,c_correct,c_cost
1,MMStar,1,1,0,2,,
2,SEEDBench2_Plus,0,1,1,2,,
3,gsm8k,1,1,1,2,1,3
4,MMStar,1,1,0,2,,
5,odd one,,,,,1,9
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("all", ["1", "2", "3", "4", "5"]),
        ("vqa", ["1", "4"]),
        ("VQA", ["1", "4"]),
        ("mmstar", ["1", "4"]),
        ("MM-Star", ["1", "4"]),
        ("ocr", ["2"]),
        ("seed", ["2"]),
        ("seedbench-v2-plus", ["2"]),
        ("text", ["3"]),
    ],
)
def test_names_select_rows(path: Path, name: str, ids: list[str]) -> None:
    assert envs.load(name, data=path).query_id.tolist() == ids


def test_stream_that_one_model_answered_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2 models"):
        envs.load("odd_one", data=path)


def test_models_without_an_outcome_in_the_stream_are_left_out(path: Path) -> None:
    chosen = envs.load("vqa", data=path)
    assert chosen.models == ("a", "b") and "left out c: no outcome in vqa" in chosen.notes
    assert envs.load("all", data=path).models == ("a", "b", "c")


def test_models_are_kept_in_the_order_given(path: Path) -> None:
    chosen = envs.load("all", data=path, models=["b", "a"])
    assert chosen.models == ("b", "a") and len(chosen) == 4
    np.testing.assert_array_equal(chosen.utility[:, 1], [1, 0, 1, 1])
    assert "left out 1 queries that no selected model answered" in chosen.notes
    with pytest.raises(ValueError, match="no model 'z'"):
        envs.load("all", data=path, models=["a", "z"])


def test_path_as_name(path: Path) -> None:
    chosen = envs.load(str(path))
    assert len(chosen) == 5 and chosen.name == "t.csv:all"
    with pytest.raises(ValueError, match="no such file"):
        envs.load("none.parquet")
    with pytest.raises(ValueError, match="needs a name that ends in"):
        envs.load("./vqa")


def test_unknown_stream_names_the_nearest(path: Path) -> None:
    with pytest.raises(ValueError, match=r"no stream 'mmstr' in .*did you mean MMStar"):
        envs.load("mmstr", data=path)
    with pytest.raises(ValueError, match="there are all, ocr, vqa, text, MMStar"):
        envs.load("?", data=path)


def test_names_offered(path: Path) -> None:
    names = selection.names(envs.read(path))
    assert names == ["all", "ocr", "vqa", "text", "MMStar", "SEEDBench2_Plus", "gsm8k", "odd one"]


def test_prices_give_a_cost_and_its_scale(path: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("model,per_call\na,1\nb,2\nc,4\n")
    chosen = envs.load("text", data=path, prices=tmp_path / "p.csv")
    np.testing.assert_array_equal(chosen.cost, [[1, 2, 4]])
    assert chosen.cost_scale == 4 and chosen.outcomes.label.endswith("derived cost")


def test_table_without_costs_is_free_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,a_correct,b_correct\n1,1,\n2,0,1\n")
    chosen = envs.load(str(tmp_path / "t.csv"))
    np.testing.assert_array_equal(chosen.cost, [[0, np.nan], [0, 0]])
    assert chosen.cost_scale == 1
    assert any("no costs" in note for note in chosen.notes) and any(
        "constant only" in n for n in chosen.notes
    )


def test_stream_views_are_the_tables(path: Path) -> None:
    chosen = envs.load("vqa", data=path)
    assert (len(chosen), chosen.n_arms, chosen.dim) == (2, 2, 1)
    np.testing.assert_array_equal(chosen.available, True)
    assert chosen.context.dtype == np.float32 and chosen.cost_scale == 2
    assert chosen.latency is None and chosen.tokens is None and np.isnan(chosen.price).all()
    with pytest.raises(ValueError, match="context needs shape"):
        envs.Stream("x", chosen.outcomes, np.ones((3, 1)))
    with pytest.raises(ValueError, match="finite"):
        envs.Stream("x", chosen.outcomes, np.full((2, 1), np.nan))


def test_without_data_the_twin_is_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Outcomes(("a", "b"), [[1.0, 0.0]] * 3, np.ones((3, 2)), list("123"), dataset=["MMStar"] * 3)
    monkeypatch.setattr(twin, "twin", lambda: small)
    assert envs.load().query_id.tolist() == ["1", "2", "3"]
    with pytest.raises(ValueError, match="no stream 'math' in the twin"):
        envs.load("math")


@pytest.mark.parametrize("module", sorted((ROOT / "envs").glob("*.py")), ids=lambda path: path.name)
def test_envs_never_imports_bandits(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in named if name.split(".")[0] in ("bandits", "simulate")]


def test_importing_envs_is_cheap() -> None:
    heavy = ("pandas", "sklearn", "jax", "plotly", "scipy", "pyarrow")
    code = f"import sys, envs; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

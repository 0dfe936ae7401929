"""Zero-shot transfer: who trains on what, both tables' layout, and a policy that decides without learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bandits.mmrbench import new_models, splits, transfer, transfer_page
from bandits.mmrbench.transfer import SETS, SOURCE, TEXTS, Asked
from bandits.policies.llmbandit import training
from envs.outcomes import Outcomes
from envs.twin import published
from simulate import answer

FEW = Asked(routers=("knn,k=5",), policies=("linucb",), seeds=3, resamples=50, dim=4)


def three_sets(rows: int = 240, *, texts: bool = False) -> Outcomes:
    """Two models, each right on one of two topics, which the text tells; sets a and b are of one scenario, c is not."""
    rng = np.random.default_rng(0)
    topic, name = rng.integers(0, 2, rows), np.array(["a", "b", "c"], object)[np.arange(rows) % 3]
    text = np.eye(4)[topic] + 0.1 * rng.normal(size=(rows, 4))
    image = 0.3 * rng.normal(size=(rows, 4))
    kinds = {"a": "vqa", "b": "vqa", "c": "text" if texts else "ocr"}
    utility = np.eye(2)[topic] * (rng.random((rows, 2)) < 0.95)
    return Outcomes(
        ("m", "n"), utility, np.tile([1.0, 2.0], (rows, 1)), np.array([f"q{i}" for i in range(rows)], object),
        dataset=name, scenario=np.array([kinds[n] for n in name], object), text=text, image=image,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> dict[str, list[dict]]:
    return transfer.transfer(three_sets(), FEW)


def test_every_pair_of_a_scenario_and_every_set_with_its_image_masked(found) -> None:
    assert {row["dataset"] for row in found[SETS]} == {"a->b", "b->a"}
    assert {row["dataset"] for row in found[TEXTS]} == {"a", "b", "c"} and all(
        r["masked"] for r in found[TEXTS]
    )
    for rows in found.values():
        assert {row["router"] for row in rows} == {"knn,k=5", "linucb", SOURCE}
        for row in rows:
            assert row["n_test"] == 80 and row["n_train"] == (64 if "->" in row["dataset"] else 128)
    by = {(row["dataset"], row["router"]): row for row in found[SETS]}
    for target in ("a->b", "b->a"):
        assert by[target, "knn,k=5"]["Ps"] > 0.85 and by[target, "linucb"]["Ps"] > 0.75
        assert by[target, SOURCE]["Ps"] < 0.65 and "accuracy" in by[target, "knn,k=5"]["beats"]


def test_the_best_of_the_source_is_the_mean_of_its_model_where_it_is_tested(found) -> None:
    table = three_sets()
    row = next(r for r in found[SETS] if r["dataset"] == "a->b" and r["router"] == SOURCE)
    means = table.utility[table.dataset == "b"].mean(axis=0)
    assert any(row["Ps"] == pytest.approx(n * means[0] + (1 - n) * means[1]) for n in (0, 1 / 3, 2 / 3, 1))


def test_a_text_only_set_trains_nothing_and_is_tested_alone() -> None:
    table = three_sets(texts=True)
    image = np.array(table.image)
    image[table.dataset == "c"] = 0.0
    rows = transfer.transfer(replace(table, image=image), FEW._replace(policies=()))[TEXTS]
    assert {row["dataset"] for row in rows} == {"c"} and not any(row["masked"] for row in rows)
    assert {row["n_train"] for row in rows} == {128} and {row["mode"] for row in rows} == {"21"}


def test_the_layout_has_the_papers_figures_beside_ours(found) -> None:
    paper = published.transfer()
    assert paper["ocr"] == (0.7062, 0.7234) and paper["gsm8k"] == (0.945, 0.967) and len(paper) == 6
    for row in transfer.scenario_means(found[SETS]):
        own = [r for r in found[SETS] if r["router"] == row["player"]]
        assert row["target"] == "vqa" and row["pairs"] == 2 == len(own)
        assert row["shift"] == pytest.approx(np.mean([r["Ps"] for r in own]))
        assert (row["paper_best_model"], row["paper_shift"]) == (0.7936, 0.8012)
    assert all(np.isnan(row["paper_shift"]) for row in transfer.scenario_means(found[TEXTS]))
    known = {
        "title": "t",
        "verdict": transfer.verdict(found[SETS]),
        "label": "made up",
        "notes": (),
        "command": "c",
    }
    page = transfer_page.render(found, [], known)
    assert "0.7936" in page and "image masked" in page and page.count("<circle") == 15
    assert "knn,k=5 on a-&gt;b (accuracy" in page


def test_copies_of_what_trains_are_not_tested() -> None:
    table = three_sets(60)
    group = np.array([""] * 60, object)
    group[[0, 1]] = "same"  # rows of a and of b
    rows = transfer.transfer(replace(table, group_id=group), FEW._replace(policies=()))[SETS]
    assert {row["n_test"] for row in rows} == {19}


def test_the_command_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"query_id": range(40), "m_correct": [0, 1] * 20, "n_correct": [1, 0] * 20})
    frame.to_csv("one.csv", index=False)
    assert answer(["transfer", "one.csv"])[1].startswith("transfer needs two data sets of one scenario")
    assert "'oracle' knows the outcomes" in answer(["transfer", "--router", "oracle"])[1]
    assert (
        "--train-share needs a number between 0 and 1, got 1" in answer(["transfer", "--train-share", "1"])[1]
    )
    assert "--seeds needs at least 1, got 0" in answer(["transfer", "--seeds", "0"])[1]


def test_models_never_seen_are_judged_against_the_best_by_quiz(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training has suites of its own; here what it would call is given: the first new model, or the second."""
    rng = np.random.default_rng(1)
    rows, topic = 240, rng.integers(0, 2, 240)
    right = np.array([[0.95, 0.1], [0.1, 0.95]])[topic][:, [0, 0, 1, 1]]
    made = Outcomes(
        ("a1", "a2", "b1", "b2"), (rng.random((rows, 4)) < right).astype(float), np.tile([1.0, 2, 3, 4], (rows, 1)),
        np.array([f"q{i}" for i in range(rows)], object), text=np.eye(4)[topic] + 0.05 * rng.normal(size=(rows, 4)),
        dataset=np.full(rows, "one", object), scenario=np.full(rows, "vqa", object),
    )  # fmt: skip
    pool = SimpleNamespace(vector=np.arange(4), cost=np.arange(4.0))
    monkeypatch.setattr(new_models.training, "train", lambda log, **_: SimpleNamespace(pool=pool, models=log))
    monkeypatch.setattr(new_models.training, "enrol", lambda *_: pool)
    monkeypatch.setattr(new_models.training, "quiz_rows", lambda *_, size, **__: np.arange(size))
    monkeypatch.setattr(
        new_models,
        "_route",
        lambda trained, pool, asked, _: np.full(len(asked), int(trained.models.utility.shape[1] == 4)),
    )
    found = new_models.new_models(made, seeds=3, quiz=24, dim=3, random_state=0)
    by = {(row["preference"], row["player"]): row for row in found}
    assert len(found) == 21 and {row["preference"] for row in found} == set(new_models.PREFERENCES)
    want = {name: [] for name in (new_models.ALL, new_models.QUIZ, new_models.BEST, new_models.RIDGE)}
    for s in range(3):
        split = splits.make(made, "all", ("one",), "in", 0.2, s)[0]
        new = np.delete(np.arange(4), training.half(4, s))
        scale = made.cost[:, new].max()
        sheet = (made.utility - 0.2 * made.cost / scale)[:, new]
        want[new_models.ALL] += sheet[split.test, 1].tolist()
        want[new_models.QUIZ] += sheet[split.test, 0].tolist()
        want[new_models.BEST] += sheet[split.test, sheet[split.train][:24].mean(axis=0).argmax()].tolist()
    for name in (new_models.ALL, new_models.QUIZ, new_models.BEST):
        assert by[0.2, name]["reward"] == pytest.approx(np.mean(want[name]))
    over = np.mean(want[new_models.QUIZ]) - np.mean(want[new_models.BEST])
    assert by[0.2, new_models.QUIZ]["over_quiz"] == pytest.approx(over, abs=1e-9)
    assert by[0.0, "oracle"]["reward"] >= by[0.0, new_models.RIDGE]["reward"] >= by[0.0, "uniform"]["reward"]
    assert "at weight 0.2" in new_models.verdict(found)
    with pytest.raises(ValueError, match="needs 4 models or more"):
        new_models.new_models(three_sets(6), seeds=1)

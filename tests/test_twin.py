"""The twin against the published figures: margins, oracle, cost, what the embeddings tell, and reproducibility."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandits.mmrbench import evaluate, held_out
from bandits.mmrbench.calibrate import root
from bandits.mmrbench.fidelity import fidelity
from envs.outcomes import Outcomes
from envs.twin import copula, published, twin

DATA = Path(__file__).resolve().parents[1] / "data"
FIGURES = published.figures()


@pytest.fixture(scope="module")
def made() -> Outcomes:
    return twin.generate(0)


@pytest.fixture(scope="module")
def rows(made: Outcomes) -> list[dict[str, Any]]:
    return fidelity(made)


def read(name: str) -> list[dict[str, str]]:
    with open(DATA / name, encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def accuracy(outcomes: Outcomes, model: str, dataset: str) -> float:
    return float(outcomes.utility[outcomes.dataset == dataset, outcomes.models.index(model)].mean())


def datasets() -> list[dict[str, str]]:
    return [row for row in read("mmr_datasets.csv") if row["dataset"] != "ALL"]


def test_shape_is_the_benchmarks(made: Outcomes) -> None:
    assert len(made) == 10_370 and len(made.models) == 10
    assert list(made.models) == sorted(row["model"] for row in read("mmr_accuracy.csv"))
    for row in datasets():
        here = made.dataset == row["dataset"]
        assert here.sum() == int(row["queries"])
        assert set(made.scenario[here]) == {row["scenario"]}
    assert made.query_id[made.dataset == "MathVista"][0] == "MathVista_0"
    assert made.available.all() and made.priced
    assert made.label == "calibrated twin, not recorded answers"
    assert made.cost_unit == "1e-3 USD/query"


@pytest.mark.parametrize("seed", [0, 5])
def test_accuracies_of_the_nine_published_models_are_exact_to_one_query(seed: int) -> None:
    outcomes = twin.generate(seed)
    for row in read("mmr_accuracy.csv"):
        for dataset in datasets():
            if row[dataset["dataset"]]:
                goal = float(row[dataset["dataset"]])
                found = accuracy(outcomes, row["model"], dataset["dataset"])
                assert abs(found - goal) <= 0.5 / int(dataset["queries"]) + 1e-12
                assert abs(found - goal) < 0.0005


@pytest.mark.parametrize("seed", [0, 5])
def test_the_oracle_of_each_dataset_is_table_2s(seed: int) -> None:
    outcomes = twin.generate(seed)
    answered = outcomes.utility.any(axis=1)
    for row in datasets():
        found = answered[outcomes.dataset == row["dataset"]].mean()
        assert found == pytest.approx(float(row["oracle_accuracy"]), abs=0.005)
    assert answered.mean() == pytest.approx(0.9188, abs=0.005)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_oracle_is_table_2s_on_its_test_split_too(seed: int) -> None:
    outcomes = twin.generate(seed)
    answered = dict(zip(outcomes.query_id, outcomes.utility.any(axis=1), strict=True))
    for row in datasets():
        tested = held_out(outcomes, dataset=row["dataset"], random_state=42)
        found = np.mean([answered[name] for name in tested])
        # To half a query of the smallest test side, 612, and to the four digits printed.
        assert found == pytest.approx(float(row["oracle_accuracy"]), abs=0.5 / 612 + 5e-5)
    tested = held_out(outcomes, random_state=42)  # of all datasets together: a split of its own, not arranged
    assert np.mean([answered[name] for name in tested]) == pytest.approx(0.9188, abs=0.01)


def test_as_few_queries_change_places_as_it_takes() -> None:
    answered = np.random.default_rng(1).random(500) < 0.6
    tested = np.random.RandomState(42).permutation(500)[:400]
    order = copula.places(answered, 0.65)
    np.testing.assert_array_equal(np.sort(order), np.arange(500))
    assert answered[order][tested].sum() == 260
    moved = order != np.arange(500)
    assert moved.sum() == 2 * abs(answered[tested].sum() - 260)
    alike = copula.places(np.ones(10, bool), 0.5)  # nobody to change with
    np.testing.assert_array_equal(alike, np.arange(10))


def test_best_single_model_and_best_of_each_dataset(made: Outcomes) -> None:
    assert made.utility.mean(axis=0).max() == pytest.approx(0.747, abs=0.0005)
    best = sum(made.utility[made.dataset == d].sum(axis=0).max() for d in set(made.dataset))
    assert best / len(made) == pytest.approx(0.759, abs=0.002)


def test_mean_costs_are_figure_52s_on_its_pool(made: Outcomes) -> None:
    pool = made.dataset != "MathVision"
    for row in read("mmr_accuracy.csv"):
        mean = made.cost[pool, made.models.index(row["model"])].mean()
        gemma = 358.9 * 0.0884 / 237.4  # its tokens at Qwen2.5-VL-3B's cost a token
        assert mean == pytest.approx(float(row["figure52_mean_cost"] or gemma), rel=1e-5)
    np.testing.assert_allclose(made.price, made.cost.mean(axis=0), rtol=1e-5)


def test_gpt5_nano_has_its_published_accuracy_on_the_pool(made: Outcomes) -> None:
    pool = made.dataset != "MathVision"
    assert made.utility[pool, made.models.index(published.NANO)].mean() == pytest.approx(0.6946, abs=0.0005)


def test_costs_are_positive_and_longer_for_harder_queries(made: Outcomes) -> None:
    assert (made.cost > 0).all()
    for name in set(made.dataset):
        here = made.dataset == name
        length = np.log(made.cost[here]).mean(axis=1)
        failures = (1 - made.utility[here]).sum(axis=1)
        # Independent, the correlation over n >= 765 queries would stay below 4 / sqrt(765) = 0.15.
        assert np.corrcoef(length, failures)[0, 1] > 0.15


def test_every_row_of_the_fidelity_table_holds(rows: list[dict[str, Any]]) -> None:
    assert {row["quantity"] for row in rows} >= {"accuracy", "mean cost", "oracle", "peak score", "nAUC"}
    failed = [row for row in rows if not row["ok"]]
    assert not failed


def test_routers_peak_within_a_hundredth_of_table_2(rows: list[dict[str, Any]]) -> None:
    peaks = {row["where"].split(",")[0]: row["twin"] for row in rows if row["quantity"] == "peak score"}
    for method in ("LinearMF", "KNN", "KMeans", "Random"):
        goal = next(r for r in read("mmr_table2.csv") if r["method"] == method and r["dataset"] == "ALL")
        assert peaks[method] == pytest.approx(float(goal["Ps"]), abs=0.01)


def test_fidelity_notices_a_table_that_is_off(made: Outcomes) -> None:
    other = twin.Outcomes(
        made.models, np.roll(made.utility, 1, axis=1), made.cost, made.query_id, made.dataset,
        text=made.text, image=made.image,
    )  # fmt: skip
    assert not all(row["ok"] for row in fidelity(other) if row["quantity"] == "accuracy")
    with pytest.raises(ValueError, match="has no 'OCRBench'"):
        fidelity(made.take(made.dataset != "OCRBench"))


@pytest.mark.parametrize("router", ["linearmf", "knn"])
def test_both_modalities_tell_more_than_either(made: Outcomes, router: str) -> None:
    peak = {m: evaluate(made, routers=(router,), mode=m, resamples=1)[0]["Ps"] for m in ("22", "11", "33")}
    assert peak["22"] > max(peak["11"], peak["33"])


def test_same_seed_same_table_and_another_seed_another(made: Outcomes) -> None:
    again, other = twin.generate(0), twin.generate(1)
    for name in ("utility", "cost", "text", "image"):
        assert getattr(made, name).tobytes() == getattr(again, name).tobytes()
        assert getattr(made, name).tobytes() != getattr(other, name).tobytes()
    for name in set(made.dataset):
        here = made.dataset == name
        np.testing.assert_array_equal(made.utility[here].sum(axis=0), other.utility[here].sum(axis=0))
        np.testing.assert_allclose(made.cost[here].mean(axis=0), other.cost[here].mean(axis=0), rtol=1e-5)


def test_the_table_is_the_same_on_every_machine(made: Outcomes) -> None:
    """The digests are those of our own output: they change with the twin, and never with the machine."""
    digest = {
        name: hashlib.sha256(np.ascontiguousarray(getattr(made, name), kind).tobytes()).hexdigest()[:16]
        for name, kind in (("utility", "<f8"), ("cost", "<f8"), ("text", "<f4"), ("image", "<f4"))
    }
    assert digest == {
        "utility": "d3f387ead8b35b71",
        "cost": "7d6a26264020085b",
        "text": "a65d733aa54159e7",
        "image": "17d0d4d0d38e5ffe",
    }


def test_embeddings_and_costs_carry_no_more_digits_than_promised(made: Outcomes) -> None:
    for name in ("text", "image"):
        value = getattr(made, name)
        assert value.shape == (10_370, 64)
        np.testing.assert_array_equal(value, np.round(value.astype(float), 4).astype(np.float32))
        np.testing.assert_allclose(np.linalg.norm(value, axis=1), 1, atol=1e-3)
    assert all(float(f"{c:.6g}") == c for c in made.cost[:50].ravel())


def test_the_cache_returns_what_was_made(
    made: Outcomes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTEBANDIT_CACHE", str(tmp_path))
    first = twin.twin(0)
    monkeypatch.setattr(copula, "draw", None)  # whoever draws again, fails
    second = twin.twin(0)
    for name in ("utility", "cost", "text", "image", "price", "query_id", "dataset", "scenario"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        np.testing.assert_array_equal(getattr(first, name), getattr(made, name))
    assert len(list(tmp_path.iterdir())) == 1


def test_the_twin_needs_nothing_but_numpy() -> None:
    heavy = "{'pandas', 'sklearn', 'scipy', 'jax', 'pyarrow', 'numba'}"
    code = f"import sys; from envs.twin.twin import generate; generate(0); print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=DATA.parent
    )
    assert done.stdout.strip() == "set()"


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="twin needs seed >= 0, got -1"):
        twin.generate(-1)


def test_difficulty_decides_the_oracle_between_its_bounds() -> None:
    """With all queries answered by one model or none, the oracle is the best model; else every margin still holds."""
    latents = copula.draw(np.random.default_rng(3), 2000, 3)
    lean = copula.loadings(published.accuracies(FIGURES, 0.5)[:3], FIGURES.scenario)
    successes = np.array([600, 900, 1200])
    for oracle in (0.62, 0.7, 0.8):
        answered = copula.answers(latents, lean, successes, oracle)
        np.testing.assert_array_equal(answered.sum(axis=0), successes)
        assert answered.any(axis=1).mean() == pytest.approx(oracle, abs=0.005)


def test_probit_inverts_the_normal_distribution() -> None:
    scipy_special = pytest.importorskip("scipy.special")
    p = np.array([[0.01, 0.5], [0.841344746, 0.975]])
    np.testing.assert_allclose(published.probit(p), scipy_special.ndtri(p), atol=1e-12)


def test_root_finds_the_crossing_and_the_stored_constants_are_in_range() -> None:
    assert root(lambda x: x**3 - 0.027, 0.0, 1.0, steps=30) == pytest.approx(0.3, abs=1e-8)
    constants = published.solved()
    assert 0 < constants.reveal < 1 and 0 <= constants.nano_share <= 1

"""Contexts: modality, fusion after the published formulas, PCA against scikit-learn, what stands in for embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from envs.contexts import features
from envs.outcomes import Outcomes
from envs.stream import Stream


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROUTEBANDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def table(n: int = 50, **given: object) -> Outcomes:
    """Make a table of two models and these other fields."""
    utility = np.tile([0.0, 1.0], (n, 1))
    return Outcomes(("a", "b"), utility, np.ones((n, 2)), [str(i) for i in range(n)], **given)  # type: ignore[arg-type]


def matrix(n: int = 50, d: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * np.linspace(3, 0.2, d) + 0.5).astype(np.float32)


def squared_norm(context: np.ndarray) -> float:
    return float((context[:, :-1] ** 2).sum(axis=1).mean())


@pytest.mark.parametrize(("n", "d"), [(50, 12), (10, 30)], ids=["tall", "wide"])
def test_reduce_is_scikit_learns_pca_up_to_sign(n: int, d: int) -> None:
    rows = matrix(n, d).astype(np.float64)
    ours, theirs = features.reduce(rows, 6), PCA(6).fit_transform(rows)
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-10)


def test_reduce_makes_the_largest_loading_positive() -> None:
    rows = matrix().astype(np.float64)
    components = features.reduce(rows, 5)
    loadings = np.linalg.lstsq(components, rows - rows.mean(axis=0), rcond=None)[0]
    assert (loadings[np.arange(5), np.abs(loadings).argmax(axis=1)] > 0).all()
    np.testing.assert_allclose(features.reduce(rows + 7, 5), components, atol=1e-9)


def test_reduce_keeps_the_rank_there_is() -> None:
    rows = np.outer(np.arange(9.0), [1.0, 2.0, 3.0])
    assert features.reduce(rows, 3).shape == (9, 1)
    assert features.reduce(np.ones((4, 3)), 3).shape == (4, 0)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("fusion", features.FUSIONS)
def test_context_is_centred_and_of_unit_mean_square(fusion: str, whiten: bool) -> None:
    outcomes = table(text=matrix(), image=matrix(d=9, seed=1))
    context, note = features.context(outcomes, fusion=fusion, dim=5, whiten=whiten)
    assert context.shape == (50, 6) and context.dtype == np.float32 and note == ""
    np.testing.assert_array_equal(context[:, -1], 1)
    np.testing.assert_allclose(context[:, :-1].mean(axis=0), 0, atol=1e-6)
    assert squared_norm(context) == pytest.approx(1 if whiten else features.NORM, abs=1e-5)
    if whiten:
        np.testing.assert_allclose(context[:, :-1].var(axis=0), 1 / 5, rtol=1e-5)


def test_one_factor_keeps_the_shape_of_the_components() -> None:
    context, _ = features.context(table(text=matrix()), modality="text", dim=4)
    expected = PCA(4).fit(normalize(matrix().astype(np.float64))).explained_variance_ratio_
    variance = context[:, :-1].var(axis=0)
    np.testing.assert_allclose(variance, features.NORM * expected / expected.sum(), rtol=1e-4)


def test_fewer_features_than_asked_for() -> None:
    context, _ = features.context(table(text=matrix(d=3)), dim=32)
    assert context.shape == (50, 4)


def published_fusion(x_text: np.ndarray, x_image: np.ndarray, eta: float) -> np.ndarray:
    """Compute facts 1.10 row by row, as the text says it."""
    rows = []
    spread = [(np.linalg.norm(x, axis=1).mean(), np.linalg.norm(x, axis=1).std()) for x in (x_text, x_image)]
    for pair in zip(x_text, x_image, strict=True):
        sure = []
        for e, x, (mean, std) in zip(pair, (x_text, x_image), spread, strict=True):
            centre = x.mean(axis=0)
            cosine = e @ centre / np.linalg.norm(e) / np.linalg.norm(centre)
            logistic = 1 / (1 + np.exp(-(np.linalg.norm(e) - mean) / std))
            sure.append(min(max(0.5 * (cosine + 1) / 2 + 0.5 * logistic, 0), 1))
        w = np.exp(eta * np.array(sure)) / np.exp(eta * np.array(sure)).sum()
        e_t, e_v = pair
        f = w[0] * e_t + w[1] * e_v + 0.5 * e_t * e_v + 0.5 * np.abs(e_t - e_v)
        rows.append(f / np.linalg.norm(f))
    return np.array(rows)


@pytest.mark.parametrize("eta", [0.0, 5.0])
def test_adaptive_fusion_follows_the_formulas(eta: float) -> None:
    text, image = matrix().astype(np.float64), matrix(seed=3).astype(np.float64)
    fused = features.adaptive_fusion(text, image, eta)
    np.testing.assert_allclose(
        fused, published_fusion(text, image, eta), atol=1e-6
    )  # their 1e-8 in divisions
    assert features.adaptive_fusion(matrix(), matrix(seed=3)).dtype == np.float32


def test_fuse_crops_to_the_narrower_modality() -> None:
    text, image = matrix(d=5), matrix(d=3, seed=1)
    np.testing.assert_array_equal(features.fuse(text, image, "concat"), np.hstack([text, image]))
    np.testing.assert_array_equal(features.fuse(text, image, "mean"), (text[:, :3] + image) / 2)
    np.testing.assert_array_equal(
        features.fuse(text, image, "adaptive"), features.adaptive_fusion(text[:, :3], image)
    )


def test_rows_of_zeros_stay_zero() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_array_equal(features.unit_rows(rows), [[0.6, 0.8], [0, 0]])


def test_modality_picks_the_embeddings() -> None:
    text, image = matrix(), matrix(seed=1)
    outcomes = table(text=text, image=image)
    for modality, rows in (("text", text), ("image", image)):
        alone, _ = features.context(table(text=rows), modality="text", dim=4)
        np.testing.assert_array_equal(features.context(outcomes, modality=modality, dim=4)[0], alone)
    context, note = features.context(table(image=image), dim=4)
    np.testing.assert_array_equal(context, features.context(outcomes, modality="image", dim=4)[0])
    assert note == "the table has no text embeddings: the context is image alone"


QUESTIONS = [
    "how many red apples",
    "how many green apples",
    "solve the integral",
    "solve this equation",
    "",
] * 10


def test_questions_stand_in_for_text_embeddings_and_are_cached(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = table(question=QUESTIONS)
    context, note = features.context(outcomes, dim=3)
    assert "TF-IDF" in note and context.shape == (50, 4)
    assert squared_norm(context) == pytest.approx(features.NORM, abs=1e-5)
    np.testing.assert_array_equal(context[0], context[5])
    similar = context[:5, :3] @ context[:5, :3].T
    assert similar[0, 1] > similar[0, 2] and similar[2, 3] > similar[1, 3]
    stored = list(cache.iterdir())
    assert len(stored) == 1
    before = stored[0].stat().st_mtime_ns
    with monkeypatch.context() as patched:  # whoever computes again, fails
        patched.setattr("sklearn.decomposition.TruncatedSVD.fit", None)
        patched.setattr("sklearn.decomposition.TruncatedSVD.fit_transform", None)
        again, _ = features.context(outcomes, dim=3)
    np.testing.assert_array_equal(again, context)
    assert stored[0].stat().st_mtime_ns == before
    features.context(table(question=[q + "?" for q in QUESTIONS]), dim=3)
    assert len(list(cache.iterdir())) == 2


def test_questions_join_image_embeddings() -> None:
    context, note = features.context(table(question=QUESTIONS, image=matrix()), dim=32)
    assert context.shape[1] > 13 and note.startswith("the table has no text embeddings: hashed TF-IDF")


def test_equal_questions_leave_the_constant() -> None:
    context, note = features.context(table(question=["same"] * 50))
    np.testing.assert_array_equal(context, np.ones((50, 1)))
    assert "constant only" in note


def test_data_sets_stand_in_for_everything() -> None:
    names = ["x", "y", "z", "y", "x"] * 10
    context, note = features.context(table(dataset=names), dim=1)
    np.testing.assert_array_equal(context[:, :3], np.array(names)[:, None] == np.array(["x", "y", "z"]))
    assert context.shape == (50, 4) and "indicator of the 3 data sets" in note
    context, note = features.context(table())
    assert context.shape == (50, 1) and "constant only" in note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": "sound"}, "modality needs one of text, image, both, got 'sound'"),
        ({"fusion": "sum"}, "fusion needs one of concat, mean, adaptive, got 'sum'"),
        ({"dim": 0}, "dim needs at least 1 feature, got 0"),
        ({"modality": "image"}, "image needs image embeddings"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features.context(table(text=matrix()), **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="modality text needs"):
        features.context(table(image=matrix()), modality="text")


def test_indicators_stand_beside_the_components_or_instead_of_them() -> None:
    """`+dataset`: the components as they were, then a 0 or 1 for each data set, sorted, then the constant."""
    names = np.array(["b", "a", "c", "a", "b"] * 10, object)
    here = table(text=matrix(), dataset=names)
    plain, _ = features.context(here, dim=4)
    beside, note = features.context(here, dim=4, context="+dataset")
    alone, _ = features.context(here, dim=4, context="dataset")
    hot = np.stack([names == name for name in "abc"], axis=1)
    np.testing.assert_array_equal(beside, np.hstack([plain[:, :-1], hot, plain[:, -1:]]))
    np.testing.assert_array_equal(alone, np.hstack([hot, plain[:, -1:]]))
    assert "an indicator of each of the 3 data sets" in note
    shown = [Stream("s", here, context).indicators for context in (plain, beside, alone)]
    assert shown == [0, 3, 3]


@pytest.mark.parametrize(
    ("names", "said"), [(["a"] * 50, r"has 1 \(a\)"), (list(map(str, range(300))), "has 300")]
)
def test_indicators_need_more_data_sets_than_one_and_not_hundreds(names: list[str], said: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^context \+dataset needs a table with 2 to 256 data sets, it {said}$"
    ):
        features.context(table(len(names), dataset=np.array(names, object)), context="+dataset")
    with pytest.raises(
        ValueError, match=r"^context needs one of embeddings, \+dataset, dataset, got 'source'$"
    ):
        features.context(table(), context="source")

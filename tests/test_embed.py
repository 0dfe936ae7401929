"""Embeddings by an encoder: a made-up one that counts letters stands in for the pretrained ones."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs.contexts import embed as module
from envs.contexts.embed import Encoder, embed
from envs.outcomes import Outcomes

LETTERS = "abcdefgh"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEBANDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def table(tmp_path: Path) -> Outcomes:
    n = 150
    rng = np.random.default_rng(0)
    questions = ["".join(rng.choice(list(LETTERS), 12)) for _ in range(n)]
    (tmp_path / "MMStar").mkdir()
    for i, question in enumerate(questions):
        (tmp_path / f"MMStar/{i}.png").write_bytes(question[::-1].encode()[:5])
    return Outcomes(
        models=("a", "b"),
        utility=rng.integers(0, 2, (n, 2)).astype(float),
        cost=np.full((n, 2), np.nan),
        query_id=np.array([f"q{i}" for i in range(n)], object),
        question=np.array(questions, object),
        image_path=np.array([f"MMStar/{i}.png" for i in range(n)], object),
    )


def counts(text: str) -> list[int]:
    return [text.count(letter) for letter in LETTERS]


class Fake:
    """Loads an encoder and remembers what it was asked."""

    def __init__(self, sees: bool = True) -> None:
        self.sees, self.loaded, self.batches = sees, 0, []

    def __call__(self, model: str) -> Encoder:
        self.loaded += 1

        def text(batch: list[str]) -> list[list[int]]:
            self.batches.append(len(batch))
            return [counts(question) for question in batch]

        def image(batch: list[Path]) -> list[list[int]]:
            self.batches.append(len(batch))
            return [counts(path.read_text())[:3] for path in batch]

        return Encoder(text, image if self.sees else None)


def test_each_query_gets_the_vectors_of_its_question_and_its_image(table: Outcomes, tmp_path: Path) -> None:
    fake, told = Fake(), []
    made = module._embedded(table, "fake", fake, tmp_path, lambda done, total: told.append((done, total)))
    assert made.text is not None and made.image is not None
    np.testing.assert_array_equal(made.text, [counts(q) for q in table.question])
    np.testing.assert_array_equal(made.image, [counts(q[::-1][:5])[:3] for q in table.question])
    assert made.text.dtype == made.image.dtype == np.float32
    assert made.notes[-1] == "text and images embedded by fake"
    assert fake.loaded == 1 and fake.batches == [64, 64, 22] * 2
    assert told == [(64, 300), (128, 300), (150, 300), (214, 300), (278, 300), (300, 300)]


def test_known_content_comes_from_the_cache(table: Outcomes, tmp_path: Path) -> None:
    first = module._embedded(table, "fake", Fake(), tmp_path, None)
    again = Fake()
    second = module._embedded(table, "fake", again, tmp_path, None)
    assert again.loaded == 0
    np.testing.assert_array_equal(first.text, second.text)
    np.testing.assert_array_equal(first.image, second.image)
    (tmp_path / "MMStar/7.png").write_bytes(b"aaaaa")  # another picture: the questions are still known
    third = module._embedded(table, "fake", again, tmp_path, None)
    assert again.loaded == 1 and again.batches == [64, 64, 22]
    assert third.image is not None and third.image[7].tolist() == [5, 0, 0]
    module._embedded(table, "another", again, None, None)
    assert again.loaded == 2


def test_an_encoder_of_text_alone_or_no_images_leave_the_image_out(table: Outcomes, tmp_path: Path) -> None:
    blind = module._embedded(table, "blind", Fake(sees=False), tmp_path, None)
    assert blind.text is not None and blind.image is None
    assert blind.notes[-1] == "blind embeds text alone, no images"
    for folder in (None, tmp_path / "elsewhere"):
        made = module._embedded(table, "fake", Fake(), folder, None)
        assert made.image is None and made.notes[-1] == "text embedded by fake"


def test_some_missing_images_are_refused(table: Outcomes, tmp_path: Path) -> None:
    (tmp_path / "MMStar/3.png").unlink()
    with pytest.raises(ValueError, match=r"every image or none; 1 of 150 are missing, first .*3\.png"):
        module._embedded(table, "fake", Fake(), tmp_path, None)


def test_a_table_without_questions_is_refused(table: Outcomes) -> None:
    with pytest.raises(ValueError, match="needs a table with questions"):
        embed(replace(table, question=None), "any")


@pytest.mark.parametrize(
    ("model", "library"),
    [("all-MiniLM-L6-v2", "sentence_transformers"), ("open_clip:ViT-B-32/openai", "open_clip")],
)
def test_without_the_extra_one_line_says_what_to_install(
    table: Outcomes, monkeypatch: pytest.MonkeyPatch, model: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=rf"needs .*{library}.*: pip install routebandit\[embed\]$") as told:
        embed(table, model)
    assert "\n" not in str(told.value)


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None, reason="sentence-transformers is not installed"
)
def test_a_model_that_cannot_be_loaded_is_told(table: Outcomes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot load"):
        embed(table, str(tmp_path / "no-such-model"))

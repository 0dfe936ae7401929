"""Embeddings of questions and images from a pretrained encoder (extra `embed`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.cache import cached
from envs.outcomes import Floats, Outcomes

OPEN_CLIP = "open_clip:"  # of a model's name: `open_clip:ViT-B-32/laion2b_s34b_b79k`
_BATCH = 64  # queries between two reports of progress

Progress = Callable[[int, int], object]


class Encoder(NamedTuple):
    """What turns a batch into vectors.

    Attributes:
        text: `n` questions -> `(n, dt)`.
        image: `n` image files -> `(n, di)`; None for an encoder of text alone.
    """

    text: Callable[[list[str]], Any]
    image: Callable[[list[Path]], Any] | None


def embed(
    outcomes: Outcomes, model: str, *, folder: str | Path | None = None, progress: Progress | None = None
) -> Outcomes:
    """Return the table with embeddings by this model in the place of its own, from the cache where they are known.

    Questions become `text`. Images become `image` where the model takes images and the files are there.

    Args:
        outcomes: a table with questions.
        model: `open_clip:ARCHITECTURE/WEIGHTS`, or the name of a model or a folder for sentence-transformers.
        folder: where image paths start, the folder of the table's file; None: no images.
        progress: called with how many texts and images are done, and of how many.

    Raises:
        ValueError: one line: the extra is not installed, the model cannot be loaded, the table has no questions, or
            some of its images are missing.
    """
    return _embedded(outcomes, model, _load, None if folder is None else Path(folder), progress)


def _embedded(
    outcomes: Outcomes,
    model: str,
    load: Callable[[str], Encoder],
    folder: Path | None,
    progress: Progress | None,
) -> Outcomes:
    """Return what `embed` promises, by the encoder that `load` gives, which is asked for once and only if needed."""
    questions = [str(q) for q in outcomes.question]
    if not any(questions):
        raise ValueError("--embed needs a table with questions, this one has none")
    images = _images(outcomes, folder)
    total = len(questions) + len(images)
    encoder: list[Encoder] = []

    def loaded() -> Encoder:
        if not encoder:
            encoder.append(load(model))
        return encoder[0]

    def made(what: str, items: Sequence[Any], done: int) -> Floats:
        encode = getattr(loaded(), what)
        if encode is None:
            return np.empty((0, 0), np.float32)
        batches = []
        for batch in _batches(items):
            batches.append(np.asarray(encode(batch), np.float32))
            done += len(batch)
            if progress is not None:
                progress(done, total)
        return np.concatenate(batches)

    def kept(what: str, items: Sequence[Any], contents: Iterator[bytes], done: int) -> Floats:
        digest = _digest(model, what, contents)
        return cached(f"embed-{what}", digest, lambda: {what: made(what, items, done)})[what]

    text = kept("text", questions, (q.encode() for q in questions), 0)
    fields: dict[str, Any] = {"text": text, "image": None}
    notes = [f"text embedded by {model}"]
    if images:
        image = kept("image", images, (path.read_bytes() for path in images), len(questions))
        fields["image"] = image if len(image) else None
        notes = [
            f"text and images embedded by {model}" if len(image) else f"{model} embeds text alone, no images"
        ]
    return replace(outcomes, **fields, notes=(*outcomes.notes, *notes))


def _images(outcomes: Outcomes, folder: Path | None) -> list[Path]:
    """Return the image file of each query; none where no file is there.

    Raises:
        ValueError: some are there and others are not.
    """
    if folder is None or not all(outcomes.image_path):
        return []
    paths = [folder / str(path) for path in outcomes.image_path]
    lacking = [path for path in paths if not path.is_file()]
    if lacking and len(lacking) < len(paths):
        raise ValueError(
            f"--embed needs every image or none; {len(lacking)} of {len(paths)} are missing, first {lacking[0]}"
        )
    return [] if lacking else paths


def _digest(model: str, what: str, contents: Iterator[bytes]) -> str:
    """Return the digest of everything that determines the embeddings, the encoder's library included."""
    library = "open_clip_torch" if model.startswith(OPEN_CLIP) else "sentence-transformers"
    try:
        release = version(library)
    except ModuleNotFoundError:  # PackageNotFoundError is one
        release = ""
    digest = hashlib.sha256(f"{model}\0{library}\0{release}\0{what}".encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    for begin in range(0, len(items), _BATCH):
        yield list(items[begin : begin + _BATCH])


def _load(model: str) -> Encoder:
    """Return the encoder of this name.

    Raises:
        ValueError: its library is not installed, or cannot load it.
    """
    try:
        return _open_clip(model) if model.startswith(OPEN_CLIP) else _sentence_transformer(model)
    except ImportError as error:
        raise ValueError(
            f"--embed {model} needs {error.name or 'its library'}: pip install routebandit[embed]"
        ) from error
    except Exception as error:  # the libraries raise of every kind: network, unknown names, broken weights
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(f"--embed cannot load {model!r}: {type(error).__name__}: {first}") from error


def _sentence_transformer(name: str) -> Encoder:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(name)

    def text(batch: list[str]) -> Any:
        return model.encode(batch, show_progress_bar=False)

    def image(batch: list[Path]) -> Any:
        return model.encode([_picture(path) for path in batch], show_progress_bar=False)

    return Encoder(text, image if "clip" in type(model[0]).__name__.lower() else None)


def _open_clip(name: str) -> Encoder:
    import open_clip
    import torch

    architecture, _, weights = name.removeprefix(OPEN_CLIP).partition("/")
    if not weights:
        raise ValueError("open_clip models are named open_clip:ARCHITECTURE/WEIGHTS")
    model, _, prepare = open_clip.create_model_and_transforms(architecture, pretrained=weights)
    model.eval()
    tokens = open_clip.get_tokenizer(architecture)

    def text(batch: list[str]) -> Any:
        with torch.no_grad():
            return model.encode_text(tokens(batch)).numpy()

    def image(batch: list[Path]) -> Any:
        with torch.no_grad():
            return model.encode_image(torch.stack([prepare(_picture(path)) for path in batch])).numpy()

    return Encoder(text, image)


def _picture(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")

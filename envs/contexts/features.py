"""Contexts from embeddings: modality, fusion (MMR-Bench's adaptive one: arXiv 2601.17814, App. D.2), PCA."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import numpy as np

from envs.cache import cached
from envs.contexts.words import HASHED, fitted
from envs.outcomes import Floats, Outcomes, Texts

MODALITIES = ("text", "image", "both")
FUSIONS = ("concat", "mean", "adaptive")
EMBEDDINGS, BESIDE, ALONE = "embeddings", "+dataset", "dataset"
CONTEXTS = (EMBEDDINGS, BESIDE, ALONE)
MOST = 256  # data sets that have an indicator each: a policy's work grows with the square of its features
# Mean squared norm of the features beside the constant 1. Learners with one ridge for all weights then hold back on
# what features say, which is little and noisy, more than on how good a model is; with norm 1 LinUCB, Thompson sampling
# and SquareCB, each at its best setting, earned less on all of the twin's streams and on recorded answers.
NORM = 0.1
_EPS = 1e-8  # the published code's guard of each division
COMPONENTS = 64  # of the truncated SVD; more where more features are asked for
_STRETCH = 1 << 16  # rows that norms are taken of at a time
_RANK = 1e-10  # a component with a smaller share of the largest variance is rounding


def context(
    outcomes: Outcomes,
    *,
    modality: str = "both",
    fusion: str = "concat",
    dim: int = 32,
    whiten: bool = False,
    context: str = EMBEDDINGS,
) -> tuple[Floats, str]:
    """Return the `(T, d + 1)` float32 contexts, the last column the constant 1, and what was assumed or "".

    Embeddings are scaled to unit length row by row in each modality, fused, centred and reduced by PCA to
    `d <= dim` features, then scaled by one number so that their mean squared norm is `NORM`. PCA, scale and TF-IDF are
    fitted on all rows of the table, also on those asked later (on embeddings and questions, never on outcomes);
    `envs.logged.refit` fits them on a log alone (`--fit warm`). A table without text
    embeddings has its questions embedded, see `tfidf`; a table with neither has one indicator a data set. With the
    context `+dataset` the indicators, 0 or 1, stand beside the features, with `dataset` instead of them.

    Args:
        outcomes: the table of `T` queries.
        modality: `text`, `image` or `both`; `both` uses the one there is.
        fusion: how two modalities become one, see `fuse`.
        dim: the most features to keep, >= 1; fewer where the embeddings have a lower rank.
        whiten: scale each feature to the variance 1/d instead: mean squared norm 1.
        context: one of `CONTEXTS`.

    Raises:
        ValueError: an unknown modality, fusion or context, a `dim` below 1, a modality that the table lacks, or
            indicators of a table with one data set or more than `MOST`.
    """
    asked = (("modality", modality, MODALITIES), ("fusion", fusion, FUSIONS), ("context", context, CONTEXTS))
    for option, value, known in asked:
        if value not in known:
            raise ValueError(f"{option} needs one of {', '.join(known)}, got {value!r}")
    if dim < 1:
        raise ValueError(f"dim needs at least 1 feature, got {dim}")
    names = indicated(outcomes.dataset, context)
    text, image, note = (None, None, "") if context == ALONE else modalities(outcomes, modality, dim)
    if context != ALONE and text is None and image is None:
        features, note = _one_hot(outcomes.dataset)
        names = names[:0]  # they are there already
    elif context == ALONE:
        features = np.empty((len(outcomes), 0))
    else:
        features = reduce(fused(text, image, fusion), dim)
        features /= scale(features, whiten)
        if not features.shape[1]:
            note = _joined(note, "every query has the same embeddings: the context is the constant only")
    if len(names):
        note = _joined(note, f"the context has an indicator of each of the {len(names)} data sets")
    shown = np.ones((len(outcomes), features.shape[1] + len(names) + 1), np.float32)
    shown[:, : features.shape[1]] = features
    shown[:, features.shape[1] : -1] = indicators(outcomes.dataset, names)
    return shown, note


def indicated(dataset: Texts, context: str) -> Texts:
    """Return the data sets that have an indicator in a context of this kind, sorted; none in one of embeddings alone.

    Raises:
        ValueError: there is one data set, or more than `MOST`.
    """
    names: Texts = np.unique(dataset.astype(str))
    if context == EMBEDDINGS:
        return names[:0]
    if not 2 <= len(names) <= MOST:
        found = f"it has {len(names)}" + f" ({names[0] or 'unnamed'})" * (len(names) == 1)
        raise ValueError(f"context {context} needs a table with 2 to {MOST} data sets, {found}")
    return names


def indicators(dataset: Texts, names: Texts) -> Floats:
    """Return `(T, n)`, 1 where a row is of the data set; a row of none of them has zeros."""
    return np.asarray(dataset.astype(str)[:, None] == names[None, :], np.float64).reshape(len(dataset), -1)


def modalities(outcomes: Outcomes, modality: str, dim: int) -> tuple[Floats | None, Floats | None, str]:
    """Return the text and image embeddings to use, None for what is not wanted or not there, and a note."""
    if modality == "image":
        if outcomes.image is None:
            raise ValueError("modality image needs image embeddings, the table has none; use text or both")
        return None, outcomes.image, ""
    text, note = outcomes.text, ""
    if text is None and any(outcomes.question):
        text = tfidf(outcomes.question, max(dim, COMPONENTS))
        note = "the table has no text embeddings: hashed TF-IDF of the questions stands in"
    if modality == "text":
        if text is None and outcomes.image is not None:
            raise ValueError(
                "modality text needs text embeddings or questions, and the table has neither; use image"
            )
        return text, None, note
    if (text is None) != (outcomes.image is None):
        there, lacking = ("image", "text") if text is None else ("text", "image")
        note = _joined(note, f"the table has no {lacking} embeddings: the context is {there} alone")
    return text, outcomes.image, note


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def fused(text: Floats | None, image: Floats | None, fusion: str) -> Floats:
    """Return the embeddings that there are, rows of unit length, as one matrix; see `fuse`."""
    parts = [np.array(part, np.float64) for part in (text, image) if part is not None]
    for part in parts:  # in place: a table of a million rows has room for few copies
        part /= _lengths(part)
    return fuse(parts[0], parts[1], fusion) if len(parts) == 2 else parts[0]


def unit_rows(matrix: Floats) -> Floats:
    """Return the rows of `(T, d)` at length 1; rows of zeros stay zero (a modality that a query lacks)."""
    return np.asarray(matrix / _lengths(matrix))


def _lengths(matrix: Floats) -> Floats:
    """Return `(T, 1)` what rows are divided by, 1 for rows of zeros; norms in stretches, as each takes a copy."""
    begins = range(0, max(len(matrix), 1), _STRETCH)
    lengths = np.concatenate(
        [np.linalg.norm(matrix[i : i + _STRETCH], axis=1, keepdims=True) for i in begins]
    )
    return np.where(lengths > 0, lengths, 1)


def fuse(text: Floats, image: Floats, fusion: str) -> Floats:
    """Return two modalities as one: `concat` `(T, dt + di)`, `mean` or `adaptive` `(T, min(dt, di))`.

    `mean` and `adaptive` crop the wider modality to the dimension of the other, as the published code does.

    Raises:
        ValueError: an unknown fusion.
    """
    if fusion not in FUSIONS:
        raise ValueError(f"fusion needs one of {', '.join(FUSIONS)}, got {fusion!r}")
    if fusion == "concat":
        return np.hstack([text, image])
    d = min(text.shape[1], image.shape[1])
    text, image = text[:, :d], image[:, :d]
    return (text + image) / 2 if fusion == "mean" else adaptive_fusion(text, image)


def adaptive_fusion(text: Floats, image: Floats, eta: float = 5.0) -> Floats:
    """Return MMR-Bench's adaptive fusion `(T, d)` of two `(T, d)` modalities (arXiv 2601.17814, App. D.2).

    With `c_r` the `confidence` in a modality, `(w_t, w_v) = softmax(eta (c_t, c_v))` and `e_w = w_t e_t + w_v
    e_v`: `f = normalise(e_w + 0.5 e_t * e_v + 0.5 |e_t - e_v|)`. The rows passed in are the batch whose means
    count, and the arithmetic is in their dtype, as in the published `kmeansnew`.

    Args:
        text, image: the embeddings, rows of unit length in the paper.
        eta: >= 0, how sharply the more confident modality is preferred; 0 weighs both alike.
    """
    return _weighed(text, image, confidence(text)[:, None], confidence(image)[:, None], eta)


def centre(rows: Floats) -> Floats:
    """Return what `confidence` goes by, `(d + 2,)`: a batch's mean row, mean length and its standard deviation."""
    lengths = np.linalg.norm(rows, axis=1)
    return np.concatenate([rows.mean(axis=0), [lengths.mean(), lengths.std()]])


def adaptive_one(text: Floats, image: Floats, centres: Floats, eta: float = 5.0) -> Floats:
    """Return the adaptive fusion `(d,)` of one query, weighed against the batch of the centres `(2, d + 2)`."""
    sure = [_confidence(part[None], of)[0] for part, of in zip((text, image), centres, strict=True)]
    return _weighed(text, image, sure[0], sure[1], eta)


def _weighed(text: Floats, image: Floats, sure_text: Floats, sure_image: Floats, eta: float) -> Floats:
    """Return both modalities `(..., d)` fused, each weighed by how sure it is `(..., 1)`."""
    e_text, e_image = np.exp(eta * sure_text), np.exp(eta * sure_image)
    both = e_text + e_image + _EPS
    weighted = (e_text / both) * text + (e_image / both) * image
    fused = weighted + 0.5 * (text * image) + 0.5 * np.abs(text - image)
    return np.asarray(fused / (np.linalg.norm(fused, axis=-1, keepdims=True) + _EPS))


def confidence(rows: Floats) -> Floats:
    """Return how sure one modality is of each row, `(T,)` in [0, 1].

    `clip(0.5 (cos(e, mean e) + 1) / 2 + 0.5 sigmoid((|e| - mean |e|) / std |e|), 0, 1)`. On unit rows in
    float32 the second term is the rounding of the norms, as it is in the published code; in float64 it is
    1/2.
    """
    return _confidence(rows, centre(rows))


def _confidence(rows: Floats, of: Floats) -> Floats:
    lengths, mean = np.linalg.norm(rows, axis=1), of[:-2]
    cosine = (rows * mean).sum(axis=1) / (lengths * np.linalg.norm(mean) + _EPS)
    spread = (lengths - of[-2]) / (of[-1] + _EPS)
    return np.asarray(np.clip(0.5 * (cosine + 1) / 2 + 0.5 / (1 + np.exp(-spread)), 0, 1))


def reduce(matrix: Floats, dim: int) -> Floats:
    """Return the first `d <= dim` principal components `(T, d)` of `(T, D)`, centred, variance falling.

    The largest loading of each component is positive, so that the signs are the same on every machine.
    Components without variance are left out, so `d` can be 0.
    """
    centred = matrix - matrix.mean(axis=0)
    return np.asarray(centred @ _axes(centred, dim))


def axes(matrix: Floats, dim: int) -> Floats:
    """Return the directions `(D, d)` of the components that `reduce` gives."""
    return _axes(matrix - matrix.mean(axis=0), dim)


def _axes(centred: Floats, dim: int) -> Floats:
    """Return what `axes` returns, of a matrix that is centred."""
    if len(centred) < centred.shape[1]:
        _, singular, found = np.linalg.svd(centred, full_matrices=False)
        variance, found = singular**2, found.T
    else:
        variance, found = np.linalg.eigh(centred.T @ centred)
        variance, found = variance[::-1], found[:, ::-1]
    floor = max(_RANK * variance[0], _RANK**2 * len(centred))
    found = found[:, : min(dim, int((variance > floor).sum()))]
    size = np.abs(found)
    # The first among loadings that are equal up to rounding decides, so that rounding cannot.
    largest = (size > (1 - 1e-6) * size.max(axis=0, initial=0)).argmax(axis=0)
    return np.asarray(found * np.sign(found[largest, np.arange(found.shape[1])]))


def affine(matrix: Floats, dim: int, whiten: bool) -> tuple[Floats, Floats]:
    """Return `mean (D,)` and `axes (D, d)`: `(matrix - mean) @ axes` are the features of `context`, scaled."""
    mean, found = matrix.mean(axis=0), axes(matrix, dim)
    return mean, found / scale((matrix - mean) @ found, whiten)


def scale(components: Floats, whiten: bool) -> Floats:
    """Return what centred components are divided by: one number for the mean squared norm `NORM`, or one each for 1."""
    power = (components**2).mean(axis=0)
    if not len(power):
        return np.ones(0)
    return np.asarray(np.sqrt(power * len(power) if whiten else power.sum() / NORM))


def tfidf(questions: Texts, components: int = COMPONENTS, *, asked: Texts | None = None) -> Floats:
    """Return `(T, d)` float32 embeddings of texts, `d <= components`.

    Hashed counts of words and word pairs, TF-IDF weights, truncated SVD with a fixed seed; kept in the cache
    by a digest of the texts.

    Args:
        questions: what weights and SVD are fitted on.
        components: of the SVD.
        asked: texts to embed by that fit; None: the questions themselves.
    """
    parameters = f"{HASHED} words 1-2, svd {components}, scikit-learn {version('scikit-learn')}"
    texts = [parameters, *questions, *([] if asked is None else [f"asked {len(asked)}", *asked])]
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()

    def make() -> dict[str, Floats]:
        counts, weigh, svd = fitted(questions, components)
        found = svd.transform(weigh.transform(counts.transform(questions if asked is None else asked)))
        return {"text": found.astype(np.float32)}

    return np.asarray(cached("tfidf", digest, make)["text"])


def _one_hot(dataset: Texts) -> tuple[Floats, str]:
    """Return one indicator a data set, `(T, n)`, or `(T, 0)` where there is one, and a note that says so."""
    names, code = np.unique(dataset.astype(str), return_inverse=True)
    lacking = "the table has neither embeddings nor questions"
    if len(names) < 2:
        return np.zeros((len(dataset), 0)), f"{lacking} and one data set: the context is the constant only"
    return np.eye(len(names))[code], f"{lacking}: the context is an indicator of the {len(names)} data sets"

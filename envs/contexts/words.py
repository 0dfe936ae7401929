"""Hashed TF-IDF of a text and its truncated SVD: fitted by scikit-learn, applied to one new text in microseconds."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats, Texts

HASHED = 2**16  # columns of the hashed counts
_TOKEN = re.compile(r"(?u)\b\w\w+\b")  # as in scikit-learn's vectorizers
_LEAST = -(2**31)  # the one hash whose absolute value is none of 32 bits


class Words(NamedTuple):
    """What embeds a text: of the `n` hashed columns that occur where it was fitted.

    Attributes:
        columns: `(n,)` int64, ascending.
        weight: `(n,)`, inverse document frequencies.
        axes: `(n, D)` float32, the components of the SVD.
        rare: inverse document frequency of every other column, which no component sees.
    """

    columns: NDArray[np.int64]
    weight: Floats
    axes: Floats
    rare: float


def fitted(questions: Texts, components: int) -> tuple[Any, Any, Any]:
    """Return scikit-learn's hashed counts, TF-IDF weights and SVD, fitted on questions, always in the same way."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    counts = HashingVectorizer(n_features=HASHED, ngram_range=(1, 2), alternate_sign=False, norm=None)
    weigh = TfidfTransformer(sublinear_tf=True)
    weights = weigh.fit_transform(counts.transform(questions))
    svd = TruncatedSVD(min(components, len(questions)), random_state=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # its explained share, where all texts are one
        svd.fit(weights)
    return counts, weigh, svd


def words(questions: Texts, components: int) -> Words:
    """Return what embeds new texts as `features.tfidf` embeds these questions."""
    counts, weigh, svd = fitted(questions, components)
    columns = np.unique(counts.transform(questions).indices).astype(np.int64)
    axes = np.ascontiguousarray(svd.components_.T[columns], np.float32)
    return Words(columns, weigh.idf_[columns], axes, float(np.log(1 + len(questions)) + 1.0))


def embed(known: Words, text: str) -> Floats:
    """Return the `(D,)` float64 embedding of one text; zeros where it has no word.

    Raises:
        ValueError: it holds characters that no encoding has.
    """
    from sklearn.utils import murmurhash3_32

    tokens = _TOKEN.findall(text.lower())
    tokens += [f"{first} {second}" for first, second in pairwise(tokens)]
    found = Counter(_column(murmurhash3_32(token.encode(), seed=0)) for token in tokens)
    if not found:
        return np.zeros(known.axes.shape[1])
    columns = np.fromiter(found, np.int64, len(found))
    weight = 1.0 + np.log(np.fromiter(found.values(), np.float64, len(found)))
    place = np.minimum(np.searchsorted(known.columns, columns), len(known.columns) - 1)
    there = known.columns[place] == columns
    weight *= np.where(there, known.weight[place], known.rare)
    weight /= np.sqrt(weight @ weight)
    return np.asarray(weight[there] @ known.axes[place[there]].astype(np.float64))


def _column(hashed: int) -> int:
    return (2**31 - 1 - (HASHED - 1)) if hashed == _LEAST else abs(hashed) % HASHED

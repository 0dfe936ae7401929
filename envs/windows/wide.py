"""Any wide Parquet table as a layout to be streamed: contexts are computed on the fly.

What embeddings need (PCA) and what questions need (TF-IDF weights, SVD) is fitted on the first window and applied to
all rows; a table in memory fits them on every row instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from envs.contexts import features, projection
from envs.outcomes import Floats, Texts
from envs.tables import columns, recognise
from envs.windows.big import WINDOW, Big, Cells, windows

Embed = Callable[[Any], dict[str, Floats]]  # a pyarrow table to embeddings by modality


class Wide:
    """One row a query, `<model>_correct` and the like; `seen` is set once the contexts are fitted."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self.path = path
        self.kept = recognise.wanted(path, names)
        self.named = recognise.pick(names, recognise.META["dataset"])
        self.key = recognise.pick(names, recognise.QUERY_ID)
        played = (
            *recognise.QUESTION,
            self.key,
        )  # what is read of a row that is played, and not when it is surveyed
        self.apart = [n for n in self.kept if columns.is_embedding(n) or n in played]
        self.models: tuple[str, ...] = ()
        self.seen: Callable[[Any], Floats] | None = None

    def columns(self, context: bool) -> list[str]:
        """Return the columns to read."""
        return [n for n in self.kept if context or n not in self.apart]

    def cells(self, table: Any) -> Cells:
        """Return the outcomes of some rows."""
        import pyarrow as pa

        found = recognise.answers(self.path, table)

        def texts(name: str) -> Any:
            column = table.column(name) if name else pa.nulls(len(table), pa.string())
            chunked = pa.chunked_array([column] if isinstance(column, pa.Array) else column.chunks)
            return chunked.cast(pa.string()).fill_null("").combine_chunks()

        given, ids = found.fields, texts(self.key) if self.key in table.column_names else None
        matrices = (given["utility"], given.get("cost"), given.get("latency"), given.get("tokens"))
        return Cells(*matrices, texts(self.named), ids)

    def context(self, table: Any) -> Floats:
        """Return the contexts of some rows."""
        assert self.seen is not None
        return self.seen(table)


def table(path: Path, rows: int, about: dict[str, Any], **options: Any) -> Big:
    """Return the wide table of a file with its contexts fitted, not yet surveyed; options as `features.context`.

    Raises:
        ValueError: the columns are not those of a wide table, or contexts cannot be made a window at a time.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        layout = Wide(path, list(file.schema_arrow.names))
    _, first = next(windows(path, layout.columns(True), 0))
    found = recognise.answers(path, first)
    if len(found.first) != len(first):
        raise ValueError(f"{path}: only wide tables (one row a query) can be streamed, this one is long")
    layout.models = found.models
    layout.seen, notes = _fitted(path, layout, first, **options)
    posted = about.get("price", {})
    return Big(
        path,
        layout,
        rows,
        layout.seen(first.slice(0, 1)).shape[1],
        price=np.array([posted.get(m) or np.nan for m in found.models], np.float64),
        priced="cost" in found.fields,
        cost_unit=(about.get("cost_unit") or found.unit or "units/query") if "cost" in found.fields else "",
        label=about.get("label", "recorded answers"),
        source=about.get("source", ""),
        licence=about.get("licence", ""),
        notes=(*about.get("notes", ()), *found.notes, *notes),
    )


def _fitted(
    path: Path, layout: Wide, first: Any, *, modality: str, fusion: str, dim: int, whiten: bool
) -> tuple[Callable[[Any], Floats], list[str]]:
    """Return the way from rows to contexts, and what was assumed."""
    for option, value, known in (
        ("modality", modality, features.MODALITIES),
        ("fusion", fusion, ("concat", "mean")),
    ):
        if value not in known:
            raise ValueError(f"{option} of a streamed table needs one of {', '.join(known)}, got {value!r}")
    if path.with_name(path.stem + ".embeddings.npz").is_file():
        raise ValueError(
            f"{path}: a streamed table needs its embeddings in columns, not in an .npz beside it"
        )
    embed, notes = _embedder(path, first, modality, dim)
    if embed is None:
        note = f"{path.name} has no {'' if modality == 'both' else modality + ' '}embeddings"
        return _constant, [*notes, f"{note}: the context is the constant only"]
    seen = projection.fitted(embed(first), fusion=fusion, dim=dim, whiten=whiten)
    notes.append(f"the contexts' projection was fitted on the first {min(len(first), WINDOW):,} rows")
    return lambda rows: projection.project_rows(seen, embed(rows)), notes


def _constant(rows: Any) -> Floats:
    return np.ones((len(rows), 1), np.float32)


def _embedder(path: Path, first: Any, modality: str, dim: int) -> tuple[Embed | None, list[str]]:
    """Return the way from rows to embeddings of the modalities wanted; None where the table has none of them."""
    wanted = columns.MODALITIES if modality == "both" else (modality,)
    there = [m for m in columns.embeddings(path, first) if m in wanted]
    strings = [n for n in first.column_names if columns.is_text(first, n)]
    question = recognise.pick(strings, recognise.QUESTION)
    hashed = question if "text" in wanted and "text" not in there else ""
    if hashed:
        vectors = _vectors(columns.texts(first, hashed), max(dim, features.COMPONENTS))

    def embed(rows: Any) -> dict[str, Floats]:
        found = columns.embeddings(path, rows)
        text = {"text": vectors(columns.texts(rows, hashed))} if hashed else {}
        return text | {m: found[m] for m in there}

    note = "the table has no text embeddings: hashed TF-IDF of the questions stands in"
    return (embed if there or hashed else None), [note] if hashed else []


def _vectors(questions: Texts, components: int) -> Callable[[Texts], Floats]:
    """Return the way from texts to `features.tfidf`'s embeddings, its weights and components fitted on these."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    counts = HashingVectorizer(
        n_features=features.HASHED, ngram_range=(1, 2), alternate_sign=False, norm=None
    )
    weights = TfidfTransformer(sublinear_tf=True)
    svd = TruncatedSVD(min(components, len(questions)), random_state=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # its explained share, where all texts are one
        svd.fit(weights.fit_transform(counts.transform(questions)))
    return lambda texts: np.asarray(svd.transform(weights.transform(counts.transform(texts))), np.float32)

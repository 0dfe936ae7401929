"""Any wide Parquet table as a layout to be streamed: contexts are computed on the fly.

What embeddings need (PCA) and what questions need (TF-IDF weights, SVD) is fitted on the first `FITTED` rows and
applied to all rows; a table in memory fits them on every row instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.contexts import features, projection, words
from envs.outcomes import Floats, Texts
from envs.tables import answers, columnar, columns, formats, kinds, metadata, recognition
from envs.tables.about import parsed
from envs.tables.answers import Answers
from envs.tables.how import How, checked
from envs.windows import alike
from envs.windows.big import Big, Cells, windows

if TYPE_CHECKING:
    import pyarrow as pa

FITTED = 1 << 16  # rows on which contexts are fitted
Embed = Callable[[Any], dict[str, Floats]]  # a pyarrow table to embeddings by modality


class Wide:
    """One row a query, `<model>_correct` and the like; `seen` is set once the contexts are fitted."""

    def __init__(self, path: Path, how: How, context: str = features.EMBEDDINGS) -> None:
        self.shown = context  # one of `features.CONTEXTS`
        self.path, self.sheet, self.how = path, columnar.sheet(path), checked(how)
        if recognition.recognised(self.sheet, how).name != kinds.wide.NAME:
            raise ValueError(
                f"{path}: only wide tables (one row a query) can be streamed, this one is long or nested"
            )
        self.found = kinds.wide.cells(self.sheet.names, how.models)
        about = metadata.wanted(self.sheet)
        used = [column.name for cell in self.found.values() for column in cell.values()]
        self.question, self.named = about.get("question", ""), about.get("dataset", "")
        self.key, self.group = about.get("query_id", ""), about.get("group_id", "")
        self.pictured = about.get("image_path", "")
        embedded = metadata.embedding_columns(self.sheet.names)
        told = (*embedded, self.question, self.key, self.group, self.pictured)
        self.apart = [n for n in dict.fromkeys(told) if n]  # not read in a survey
        self.kept = list(dict.fromkeys([*used, *self.apart, *([self.named] if self.named else [])]))
        self.models: tuple[str, ...] = ()
        self.seen: Callable[[Any], Floats] | None = None  # None: the context is an indicator of the data set
        self.datasets: tuple[str, ...] = ()
        self.copies = True  # whether questions name queries; False where they are templates

    def columns(self, context: bool) -> list[str]:
        """Return the columns to read."""
        return [n for n in self.kept if context or n not in self.apart]

    def cells(self, table: pa.Table) -> Cells:
        """Return the outcomes of some rows."""
        given = self.answers(table).fields
        ids = self.texts(table, self.key) if self.key in table.column_names else None
        matrices = (given["utility"], given.get("cost"), given.get("latency"), given.get("tokens"))
        same = self.keys(table) if set(self.apart) <= set(table.column_names) else None
        return Cells(*matrices, self.texts(table, self.named), ids, same)

    def texts(self, table: pa.Table, name: str) -> Any:
        """Return `(n,)` a column's texts as a pyarrow array, "" where there are none."""
        import pyarrow as pa

        column = table.column(name) if name else pa.nulls(len(table), pa.string())
        chunked = pa.chunked_array([column] if isinstance(column, pa.Array) else column.chunks)
        return chunked.cast(pa.string()).fill_null("").combine_chunks()

    def answers(self, table: pa.Table) -> Answers:
        """Return what the models gave in some rows."""
        found = answers.cells_of(self.sheet, table, self.found, self.how)
        found = formats.chosen(self.path, found, self.how.models)
        return formats.failed(found) if self.how.missing == "wrong" else found

    def keys(self, table: pa.Table) -> alike.Keys | None:
        """Return `(n,)` numbers that near copies share, None where nothing tells which those are."""

        def flat(name: str) -> str:
            return name if name and not columns.is_nested(table, name) else ""

        asked = flat(self.question) if self.copies else ""
        if not (self.group or asked or self.key):
            return None
        none = [""] * len(table)
        group, question, path, own = (
            columns.texts(self.path, table, n).tolist() if n else none
            for n in (self.group, asked, flat(self.pictured), self.key)
        )
        image = columns.embeddings(self.path, table).get("image") if asked else None
        seen = [b""] * len(table) if image is None else [row.tobytes() for row in image]
        return alike.keys(group, question, path, seen, own)

    def context(self, table: pa.Table) -> Floats:
        """Return the contexts of some rows."""
        one = np.ones((len(table), 1), np.float32) if self.seen is None else self.seen(table)
        if len(self.datasets) < 2:
            return one
        names = self.texts(table, self.named).to_numpy(zero_copy_only=False)
        shown = [one[:, :-1], names[:, None] == np.array(self.datasets, object), one[:, -1:]]
        return np.hstack(shown).astype(np.float32)

    def survey(self, datasets: tuple[str, ...]) -> tuple[int, list[str]]:
        """Take note of the data sets; return by how much contexts are longer for them, and what is to be known.

        Raises:
            ValueError: an indicator of each is asked for, and there is one data set or too many.
        """
        wanted = features.indicated(np.array(datasets, object), self.shown)
        if self.seen is not None and not len(wanted):
            return 0, []
        self.datasets = datasets
        if len(datasets) < 2:
            return 0, ["the context is the constant only"]
        kind = (
            "has an indicator of each of" if len(wanted) and self.seen is not None else "is an indicator of"
        )
        return len(datasets), [f"the context {kind} the {len(datasets)} data sets"]


def table(path: Path, rows: int, how: How, *, context: str = features.EMBEDDINGS, **options: Any) -> Big:
    """Return the wide table of a file with its contexts fitted, not yet surveyed; options as `features.context`.

    Raises:
        ValueError: the columns are not those of a wide table, or contexts cannot be made a window at a time.
    """
    if context not in features.CONTEXTS:
        raise ValueError(f"context needs one of {', '.join(features.CONTEXTS)}, got {context!r}")
    layout = Wide(path, how, context)
    said = parsed(path, layout.sheet.said)
    _, first = next(windows(path, layout.columns(True), 0, FITTED))
    found = layout.answers(first)
    first_keys = layout.keys(first) if layout.question else None
    layout.copies = first_keys is None or alike.named(first_keys)
    layout.models = found.models
    layout.seen, notes = _fitted(path, layout, first, **options)
    unit = f"{how.unit}/query" if how.unit else said.cost_unit or found.unit or "units/query"
    return Big(
        path,
        layout,
        rows,
        1 if layout.seen is None else layout.seen(first.slice(0, 1)).shape[1],
        price=np.array([said.price.get(m) or np.nan for m in found.models], np.float64),
        priced="cost" in found.fields,
        cost_unit=unit if "cost" in found.fields else "",
        label=said.label,
        source=said.source,
        licence=said.licence,
        notes=(*said.notes, *found.notes, *notes),
    )


def _fitted(
    path: Path, layout: Wide, first: pa.Table, *, modality: str, fusion: str, dim: int, whiten: bool
) -> tuple[Callable[[Any], Floats] | None, list[str]]:
    """Return the way from rows to contexts, None where nothing says more of them than the data set, and what was
    assumed."""
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
    if layout.shown == features.ALONE:
        return None, []
    embed, notes = _embedder(path, layout.question, first, modality, dim)
    if embed is None:
        return None, [*notes, f"{path.name} has no {'' if modality == 'both' else modality + ' '}embeddings"]
    seen = projection.fitted(embed(first), fusion=fusion, dim=dim, whiten=whiten)
    notes.append(f"the contexts' projection was fitted on the first {len(first):,} rows")
    return lambda rows: projection.project_rows(seen, embed(rows)), notes


def _embedder(
    path: Path, asked: str, first: pa.Table, modality: str, dim: int
) -> tuple[Embed | None, list[str]]:
    """Return the way from rows to embeddings of the modalities wanted; None where the table has none of them."""
    wanted = columns.MODALITIES if modality == "both" else (modality,)
    there = [m for m in columns.embeddings(path, first) if m in wanted]
    question = asked if asked and not columns.is_nested(first, asked) else ""
    hashed = question if "text" in wanted and "text" not in there else ""
    texts = columns.texts(path, first, hashed) if hashed else np.empty(0, object)
    hashed = hashed if any(texts) else ""  # a column of empty cells says nothing
    if hashed:
        vectors = _vectors(texts, max(dim, features.COMPONENTS))

    def embed(rows: pa.Table) -> dict[str, Floats]:
        found = columns.embeddings(path, rows)
        text = {"text": vectors(columns.texts(path, rows, hashed))} if hashed else {}
        return text | {m: found[m] for m in there}

    note = "the table has no text embeddings: hashed TF-IDF of the questions stands in"
    return (embed if there or hashed else None), [note] if hashed else []


def _vectors(questions: Texts, components: int) -> Callable[[Texts], Floats]:
    """Return the way from texts to `features.tfidf`'s embeddings, its weights and components fitted on these."""
    counts, weights, svd = words.fitted(questions, components)
    return lambda texts: np.asarray(svd.transform(weights.transform(counts.transform(texts))), np.float32)

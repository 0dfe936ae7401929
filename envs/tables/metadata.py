"""What a table says of its queries beside their outcomes: ids, data sets, texts, embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.outcomes import Floats, Texts
from envs.tables import aliases, columns, datasets, files
from envs.tables.about import COLUMN
from envs.tables.sheet import Sheet, cut, one_line

if TYPE_CHECKING:
    import pyarrow as pa

_LISTABLE = ("question", "image_path")  # what may lie under a name that holds embeddings or pictures instead


def wanted(sheet: Sheet, renamed: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the columns of metadata by what they are; embeddings are named after themselves."""
    strings = [n for n in sheet.names if not _nested(sheet, n)]
    fields = {"query_id": aliases.ID, "question": aliases.QUESTION, **aliases.META}
    among = {f: strings if f in _LISTABLE else sheet.names for f in fields}
    found = {f: aliases.pick(among[f], names) for f, names in fields.items()} | dict(renamed or {})
    kept = [*embedding_columns(sheet.names), *(n for n in sheet.names if n == COLUMN)]
    return {f: name for f, name in found.items() if name} | {n: n for n in kept}


def embedding_columns(names: Iterable[str]) -> list[str]:
    """Return the columns that may hold embeddings."""
    return [n for n in names if columns.is_embedding(n)]


def _nested(sheet: Sheet, name: str) -> bool:
    """Whether the first rows show a list or a structure under this name, as images in Parquet are."""
    return any(isinstance(row.get(name), (list, dict, bytes)) for row in sheet.sample)


def metadata(sheet: Sheet, table: pa.Table, about: Mapping[str, str], first: pa.Table) -> dict[str, Any]:
    """Return ids, names, texts and embeddings, one row a query, as keyword arguments of `Outcomes`.

    Args:
        sheet: the file.
        table: its columns.
        about: see `wanted`.
        first: `(T,)` the row that holds each query's metadata.

    Raises:
        ValueError: an id that comes twice, an unknown scenario, embeddings of another number of rows.
    """
    rows = table if len(first) == table.num_rows else table.take(first)
    fields = ("query_id", "question", *aliases.META)
    meta: dict[str, Any] = {
        f: columns.texts(sheet.path, rows, c)
        for f in fields
        if (c := about.get(f, "")) and not (f in _LISTABLE and columns.is_nested(rows, c))
    }
    key = about.get("query_id", "")
    if about.get("question") == "query" and not any(" " in q for q in meta["question"]):
        ids, key = meta.pop("question"), key or "query"  # ids, not questions
        meta.setdefault("query_id", ids)
    if "query_id" not in meta:
        meta["query_id"] = np.array([str(i + 1) for i in range(rows.num_rows)], object)
    if key == "dataset_idx" or ("dataset" not in meta and datasets.is_index(meta["query_id"])):
        dataset, index = datasets.split_index(meta["query_id"])
        meta.setdefault("dataset", dataset)
        meta.setdefault("image_path", datasets.image_paths(sheet.path.parent, dataset, index))
    _refuse_repeated(sheet, meta["query_id"], key)
    meta["scenario"] = scenarios(sheet, meta)
    return {**meta, **_embeddings(sheet, rows)}


def _refuse_repeated(sheet: Sheet, query_id: Texts, key: str) -> None:
    ids = query_id.tolist()
    if len(set(ids)) == len(ids):
        return
    seen: dict[str, int] = {}
    for row, name in enumerate(ids, 1):
        if seen.setdefault(name, row) != row:
            raise ValueError(
                f"{sheet.path}: row {row}, column {key!r} needs a query id of its own, found {cut(name)!r} as in row"
                f" {seen[name]}"
            )


def scenarios(sheet: Sheet, meta: Mapping[str, Any]) -> Texts:
    """Return the scenario of each query: as the table says, else as its data set's name tells."""
    if "scenario" in meta:
        said = np.array([str(s).strip().lower() for s in meta["scenario"]], object)
        for row, name in enumerate(said, 1):
            if name not in ("", *datasets.SCENARIOS):
                raise ValueError(
                    f"{sheet.path}: row {row}, column 'scenario' needs {', '.join(datasets.SCENARIOS)} or nothing,"
                    f" found {cut(name)!r}"
                )
        return said
    names = meta.get("dataset")
    if names is None:
        return np.full(len(meta["query_id"]), "", object)
    known = {name: datasets.scenario_of(name) for name in set(names.tolist())}
    return np.array([known[name] for name in names], object)


def _embeddings(sheet: Sheet, rows: pa.Table) -> dict[str, Floats]:
    """Return the embeddings by modality, from columns or from `<name>.embeddings.npz` beside the file.

    Raises:
        ValueError: another number of rows, or something else than plain arrays; nothing is ever unpickled.
    """
    found = columns.embeddings(sheet.path, rows)
    beside = sheet.path.with_name(sheet.path.name[: -len(files.ending(sheet.path))] + ".embeddings.npz")
    if found or not beside.is_file():
        return found
    files.bounded(beside)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged headers; the fault itself is an exception
            stored = np.load(beside, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array, an .npy file")
            with stored:
                found = {m: stored[m] for m in columns.MODALITIES if m in stored.files}
                held = stored.files
    except Exception as error:  # a damaged archive fails in as many ways as it has parts
        raise ValueError(
            f"{beside}: needs plain numeric arrays in an .npz file ({one_line(error)})"
        ) from error
    if not found:
        raise ValueError(
            f"{beside}: needs arrays named text or image, found {', '.join(map(cut, held)) or 'none'}"
        )
    for name, matrix in found.items():
        if matrix.ndim != 2 or len(matrix) != rows.num_rows:
            raise ValueError(
                f"{beside}: {name!r} needs {rows.num_rows} rows like {sheet.path.name}, found shape {matrix.shape}"
            )
        if matrix.dtype.kind not in "fiu" or not matrix.shape[1]:
            raise ValueError(
                f"{beside}: {name!r} needs real numbers, at least one a row; found {matrix.dtype} {matrix.shape}"
            )
        if not np.isfinite(matrix).all() or np.abs(matrix).max() > np.finfo(np.float32).max:
            raise ValueError(f"{beside}: {name!r} needs finite numbers that float32 holds")
    return found

"""MS-GQA as M3 releases it (LINs-lab/M3, folder `data`): outcomes of 70 assignments a query, programs, split.

The outcomes are not in the repository: its README leads to them. Of `gqa_model_selection_instance_results.json`, each
query's number (from 1, into the descriptions) leads to a list of `{VQA model, LOC model, seconds, success}`, read in
this order, as the release's own code does; a query's place in it is what split and embeddings count by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.contexts.features import tfidf
from envs.graphs.programs import graphs, of_program
from envs.graphs.tasks import Tasks
from envs.outcomes import Floats

LABELS = "gqa_model_selection_instance_results.json"
PROGRAMS = "gqa_computation_graph_descrption.json"  # sic
PARTS = {"train": "train_random_list_0.6.json", "val": "val_random_list_0.6.json"}
EMBEDDINGS = (("blip_embs_10k.npy", "blip_embs_10k.npy"), ("t_bert_embs_10k.npy", "v_vit_embs_10k.npy"))
WORDS = 64  # components of what stands in for text embeddings


def read(folder: Path, *, queries: int | None = None, seed: int = 0) -> tuple[Tasks, list[str]]:
    """Return the queries of a release and notes on what was assumed.

    Args:
        folder: with the files above, embeddings in `embs`.
        queries: keep so many, drawn at random; None: all.
        seed: of that draw.

    Raises:
        ValueError: a file is missing or is not as described; one line says which and what was found.
    """
    found, described = _json(folder / LABELS, dict), _json(folder / PROGRAMS, list)
    split = np.full(len(found), "test", object)
    for part, name in PARTS.items():
        split[_places(folder / name, len(found))] = part
    vqa, loc, success = _labels(folder / LABELS, found)
    about = [_described(folder / PROGRAMS, described, number) for number in found]
    graph = np.array([one["graph"] for one in about], object)
    text, image, notes = _embeddings(folder, [one["question"] for one in about])
    kept = np.array([bool(one) for one in graph])
    if not kept.all():
        notes.append(f"{int((~kept).sum())} queries without a program are left out")
    tasks = Tasks(
        graph=graph[kept], shape=graphs(graph[kept].tolist()), success=success[kept], step=None, vqa=vqa, loc=loc,
        text=text[kept], image=image[kept], split=split[kept],
        group=np.array([one["image"] for one in about], object)[kept], label="recorded outcomes of MS-GQA",
    )  # fmt: skip
    return (tasks if queries is None else tasks.some(queries, seed)), notes


def _labels(path: Path, found: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], Floats]:
    """Return the models of both kinds and `(T, V, L)` outcomes."""
    cells = []
    for number, choices in found.items():
        for choice in choices if isinstance(choices, list) else [None]:
            values = list(choice.values()) if isinstance(choice, dict) else []
            if len(values) != 4 or values[3] not in (0, 1):
                raise ValueError(
                    f"{path}: query {number} needs choices of VQA model, LOC model, seconds and success (0 or 1),"
                    f" got {str(choice)[:80]}"
                )
            cells.append((str(values[0]), str(values[1]), float(values[3])))
        cells.append(("", "", np.nan))  # ends a query
    vqa = tuple(dict.fromkeys(v for v, *_ in cells if v))
    loc = tuple(dict.fromkeys(one for _, one, _ in cells if one))
    if len(vqa) < 2 or len(loc) < 2:
        raise ValueError(
            f"{path}: needs 2 models or more of each kind, got {len(vqa)} VQA and {len(loc)} LOC"
        )
    first, second = ({name: i for i, name in enumerate(names)} for names in (vqa, loc))
    success, row = np.full((len(found), len(vqa), len(loc)), np.nan), 0
    for v, k, y in cells:
        if v:
            success[row, first[v], second[k]] = y
        else:
            row += 1
    return vqa, loc, success


def _described(path: Path, described: list[Any], number: str) -> dict[str, str]:
    """Return graph, question and image of a query's number."""
    at = int(number) - 1 if number.isdigit() else -1
    if not 0 <= at < len(described) or not isinstance(described[at], dict):
        raise ValueError(
            f"{path}: needs an entry for query {number!r} of the outcomes, has {len(described):,}"
        )
    entry = described[at]
    program = str(entry.get("program", ""))
    return {
        "graph": of_program(program) if program.strip() else "",
        "question": str(entry.get("question", "")),
        "image": str(entry.get("imageId", "")),
    }


def _embeddings(folder: Path, questions: list[str]) -> tuple[Floats, Floats, list[str]]:
    for names in EMBEDDINGS:
        paths = [folder / "embs" / name for name in names]
        if all(path.is_file() for path in paths):
            text, image = (_array(path, len(questions)) for path in paths)
            if text.shape[1] != image.shape[1]:
                raise ValueError(
                    f"{paths[1]}: needs {text.shape[1]} columns as {names[0]}, got {image.shape[1]}"
                )
            return text, image, [f"embeddings: {' and '.join(dict.fromkeys(names))}"]
    text = np.asarray(tfidf(np.array(questions, object), WORDS), np.float32)
    return (
        text,
        np.zeros_like(text),
        ["no embeddings in embs: hashed TF-IDF of the questions stands in, no image"],
    )


def _array(path: Path, rows: int) -> Floats:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no array that can be read: {error}") from error
    if len(found) < rows or not np.issubdtype(found.dtype, np.number) or not np.isfinite(found[:rows]).all():
        raise ValueError(
            f"{path}: needs finite numbers for {rows:,} queries, got {found.shape} of {found.dtype}"
        )
    return np.asarray(found[:rows].reshape(rows, -1), np.float32)


def _places(path: Path, rows: int) -> NDArray[np.int64]:
    found = _json(path, list)
    if not all(isinstance(n, int) and n >= 0 for n in found):
        raise ValueError(f"{path}: needs a list of places from 0")
    return np.array([n for n in found if n < rows], np.int64)


def _json(path: Path, kind: type) -> Any:
    if path.parent.is_file():
        raise ValueError(f"{path.parent} needs to be the folder of a release of MS-GQA, it is a file")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path.parent} is no release of MS-GQA: {path.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, kind) or not found:
        raise ValueError(f"{path}: needs a JSON {'object' if kind is dict else 'list'} with entries")
    return found

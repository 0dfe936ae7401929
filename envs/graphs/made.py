"""Synthetic outcomes for the true mix of task graphs: MS-GQA's graphs as counted, successes drawn. Not recorded.

For step i of query t and model m, with difficulty D_t and skills s_t of the query, standard normal,

    z_tim = level_m + sqrt(1 - r) (sqrt(q) s_t . w_m + sqrt(1 - q) e_tim) - sqrt(r) D_t

and the step succeeds where z > 0; all steps of a kind have one model, and the program succeeds if every step does.
The difficulty is shared by all steps and models, so failures come together. Embeddings show D and s blurred.
"""

from __future__ import annotations

import csv

import numpy as np
from numpy.typing import NDArray

from envs.graphs.programs import LOC, VQA, graphs
from envs.graphs.tasks import SPLITS, Tasks
from envs.outcomes import Floats, Texts
from envs.twin.published import folder, probit

LABEL = "synthetic outcomes on the true mix of MS-GQA's task graphs, not recorded"
COUNTS = "ms_gqa_graphs.csv"
# Chosen, not published: shares of difficulty and of skill, how much of both an embedding shows, levels of the models.
DIFFICULTY, SKILL, SHOWN, SKILLS, EMBEDDING = 0.3, 0.4, 0.5, 4, 768
LEVELS = {
    VQA: (0.62, 0.78, 7),
    LOC: (0.66, 0.86, 10),
}  # chance of one step: worst and best model, how many models


def make(queries: int | None = None, *, seed: int = 0) -> Tasks:
    """Return queries with synthetic outcomes; the same draws for the same seed.

    Args:
        queries: how many of the 8,424, drawn at random; None: all.
        seed: of everything that is drawn.

    Raises:
        ValueError: fewer than 1 query or more than there are.
    """
    graph, split = counted()
    total = len(graph)
    if queries is not None and not 1 <= queries <= total:
        raise ValueError(f"task graphs need 1 to {total:,} queries, got {queries:,}")
    rng = np.random.default_rng([seed, 20])
    rows = rng.permutation(total)[:queries]
    graph, split = graph[rows], split[rows]
    shape, n = graphs(graph.tolist()), len(graph)
    difficulty, skill = rng.standard_normal(n), rng.standard_normal((n, SKILLS))
    step = [_kind(rng, shape.steps(kind), difficulty, skill, LEVELS[kind]) for kind in (VQA, LOC)]
    whole = [np.nan_to_num(part, nan=1.0) for part in step]
    shown = [_embedding(rng, np.c_[difficulty, skill]) for _ in range(2)]
    return Tasks(
        graph=graph,
        shape=shape,
        success=whole[0][:, :, None] * whole[1][:, None, :],
        step=np.concatenate(step, axis=1),
        vqa=tuple(f"vqa{m}" for m in range(LEVELS[VQA][2])),
        loc=tuple(f"loc{m}" for m in range(LEVELS[LOC][2])),
        text=shown[0],
        image=shown[1],
        split=split,
        group=np.full(n, "", object),
        label=LABEL,
    )


def counted() -> tuple[Texts, Texts]:
    """Return graph and split of each of the release's queries, from the counts in `data/`."""
    text = (folder() / COUNTS).read_text(encoding="utf-8")
    found = [
        (row["graph"], part, int(row[part])) for row in csv.DictReader(text.splitlines()) for part in SPLITS
    ]
    times = [count for *_, count in found]
    return (
        np.repeat(np.array([graph for graph, *_ in found], object), times),
        np.repeat(np.array([part for _, part, _ in found], object), times),
    )


def _kind(
    rng: np.random.Generator,
    steps: NDArray[np.int64],
    difficulty: Floats,
    skill: Floats,
    level: tuple[float, float, int],
) -> Floats:
    """Return `(T, M)`: whether all steps of a kind succeed with each model, NaN where there are none."""
    worst, best, models = level
    lean = rng.standard_normal((models, SKILLS))
    lean /= np.linalg.norm(lean, axis=1, keepdims=True)
    shared = (
        rng.permutation(probit(np.linspace(worst, best, models))) - np.sqrt(DIFFICULTY) * difficulty[:, None]
    )
    shared = shared + np.sqrt((1 - DIFFICULTY) * SKILL) * skill @ lean.T
    ok = np.ones(shared.shape, bool)
    for number in range(int(steps.max())):
        luck = np.sqrt((1 - DIFFICULTY) * (1 - SKILL)) * rng.standard_normal(shared.shape)
        ok &= (shared + luck > 0) | (number >= steps[:, None])
    return np.where(steps[:, None] > 0, ok.astype(np.float64), np.nan)


def _embedding(rng: np.random.Generator, latent: Floats) -> Floats:
    """Return `(T, 768)` float32 that show the latents blurred, along random directions, with a little noise."""
    seen = np.sqrt(SHOWN) * latent + np.sqrt(1 - SHOWN) * rng.standard_normal(latent.shape)
    along = rng.standard_normal((latent.shape[1], EMBEDDING)) / np.sqrt(EMBEDDING)
    noise = rng.standard_normal((len(latent), EMBEDDING)) * 0.3 / np.sqrt(EMBEDDING)
    return np.asarray(seen @ along + noise, np.float32)

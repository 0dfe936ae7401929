"""The calibrated twin of MMR-Bench (arXiv 2601.17814), from published figures and a seed: see data/README.md."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from envs.cache import Arrays, cached
from envs.outcomes import Outcomes
from envs.twin import copula, published

LABEL = "calibrated twin, not recorded answers"
COST_UNIT = "1e-3 USD/query"
_SOURCES = ("twin.py", "copula.py", "published.py")
_TABLES = ("mmr_accuracy.csv", "mmr_datasets.csv", "twin.json")


def twin(seed: int = 0) -> Outcomes:
    """Return the twin of this seed, from the cache where it has been made before.

    Raises:
        ValueError: the seed is negative.
    """
    digest = hashlib.sha256(str(seed).encode())
    here, tables = Path(__file__).parent, published.folder()
    for path in (*(here / s for s in _SOURCES), *(tables / t for t in _TABLES)):
        digest.update(path.read_bytes())
    figures = published.figures()
    return _outcomes(figures, cached("twin", digest.hexdigest(), lambda: _arrays(figures, seed)))


def generate(seed: int = 0, *, constants: published.Solved | None = None) -> Outcomes:
    """Return the twin of this seed, made anew: the same numbers on every machine.

    Args:
        seed: >= 0.
        constants: instead of those of data/twin.json.

    Raises:
        ValueError: the seed is negative.
    """
    figures = published.figures()
    return _outcomes(figures, _arrays(figures, seed, constants))


def _arrays(figures: published.Published, seed: int, constants: published.Solved | None = None) -> Arrays:
    """Return what the cache keeps: utility, cost, and the embeddings of both modalities."""
    if seed < 0:
        raise ValueError(f"twin needs seed >= 0, got {seed}")
    constants = constants or published.solved()
    accuracy = published.accuracies(figures, constants.nano_share)
    dataset = np.repeat(np.arange(len(figures.datasets)), figures.queries)
    rng = np.random.default_rng(seed)
    latents = copula.draw(rng, len(dataset), len(figures.models))
    lean = copula.loadings(accuracy, figures.scenario)
    utility = np.empty(latents.private.shape)
    for d, n in enumerate(figures.queries):
        rows = np.flatnonzero(dataset == d)
        successes, oracle = np.rint(accuracy[:, d] * n).astype(int), float(figures.oracle[d])
        part = copula.Latents(*(latent[rows] for latent in latents))
        answers = copula.answers(part, lean, successes, oracle)
        order = copula.places(np.asarray(answers.any(axis=1)), oracle)
        utility[rows] = answers[order]
        for latent, drawn in zip(latents, part, strict=True):
            latent[rows] = drawn[order]
    scenario = np.unique(figures.scenario, return_inverse=True)[1][dataset]
    skills, reveal = latents.skill.T, constants.reveal
    return {
        "utility": utility,
        "cost": copula.costs(latents, dataset, published.mean_costs(figures, accuracy)),
        "text": copula.embed(rng, scenario, dataset, skills[0], reveal),
        "image": copula.embed(rng, scenario, dataset, skills[1], reveal),
    }


def _outcomes(figures: published.Published, arrays: Arrays) -> Outcomes:
    sizes = figures.queries
    ids = [f"{name}_{i}" for name, n in zip(figures.datasets, sizes, strict=True) for i in range(n)]
    return Outcomes(
        models=figures.models,
        utility=arrays["utility"],
        cost=arrays["cost"],
        query_id=np.array(ids, object),
        dataset=np.repeat(np.array(figures.datasets, object), sizes),
        scenario=np.repeat(np.array(figures.scenario, object), sizes),
        text=arrays["text"],
        image=arrays["image"],
        price=copula.to_digits(arrays["cost"].mean(axis=0)),
        cost_unit=COST_UNIT,
        label=LABEL,
        source="published figures of MMR-Bench (arXiv 2601.17814), see data/README.md",
        notes=("assumed: gpt-5-nano's accuracy by dataset, Gemma3-4B's cost, all costs by dataset",),
    )

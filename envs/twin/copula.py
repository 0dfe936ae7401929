"""The Gaussian copula behind the twin: which model answers what, what embeddings show of it, and what a call costs.

Letters: `T` queries, `D` datasets, `K` models, `Q` = 2 skills (reasoning, reading). Latents are rounded before
they are ranked, ties go to the lower index, and results are rounded: the same numbers on every machine.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats
from envs.twin.published import probit

Ints = NDArray[np.integer[Any]]
Generator = np.random.Generator

# Chosen, not published; what each one does stands in data/README.md. What is fitted stands in data/twin.json.
SKILL_SHARE = 0.2  # variance of a latent, difficulty apart, that is skill; the rest is private to the model
FEATURES = 64  # of each modality
# Lengths of an embedding's parts before it is normalised; BLUR is in units of DATASET.
SCENARIO, DATASET, BLUR, SKILL, NOISE = 1.5, 1.0, 0.4, 1.0, 0.4
COST_SPREAD = 1.0  # standard deviation of the log cost of a call within one model and dataset
COST_HARDNESS = 0.5  # share of that variance which is the query's difficulty
SPLIT, TRAIN_SHARE = 42, 0.2  # seed of the published split, and what it leaves out of the test side


class Latents(NamedTuple):
    """Standard normal draws, independent of each other.

    Attributes:
        difficulty: `(T,)`, high where the query is hard for every model.
        skill: `(T, Q)`, how much more reasoning and reading a query asks for than its dataset's average.
        private: `(T, K)`, luck of one model on one query.
        length: `(T, K)`, what makes one answer longer than another besides difficulty.
    """

    difficulty: Floats
    skill: Floats
    private: Floats
    length: Floats


def draw(rng: Generator, n_queries: int, n_models: int) -> Latents:
    """Return the latents of a twin."""
    return Latents(
        rng.standard_normal(n_queries),
        rng.standard_normal((n_queries, 2)),
        rng.standard_normal((n_queries, n_models)),
        rng.standard_normal((n_queries, n_models)),
    )


def loadings(accuracy: Floats, scenario: tuple[str, ...]) -> Floats:
    """Return `(K, Q)` how far each model's profile leans to reasoning and to reading, mean 0, variance 1/2.

    Reasoning is a model's probit accuracy on the `math` datasets less that on the others; reading is that on
    `ocr` less that on `vqa`. So queries differ within a dataset as the published datasets differ.

    Args:
        accuracy: `(K, D)` in (0, 1).
        scenario: `D` of `ocr`, `vqa`, `math`.
    """
    score, kind = probit(accuracy), np.array(scenario)
    ocr, vqa, maths = (score[:, kind == s].mean(axis=1) for s in ("ocr", "vqa", "math"))
    lean = np.stack([maths - score[:, kind != "math"].mean(axis=1), ocr - vqa], axis=1)
    lean -= lean.mean(axis=0)
    return np.asarray(lean / lean.std(axis=0) / np.sqrt(2))


def answers(latents: Latents, lean: Floats, successes: Ints, oracle: float) -> NDArray[np.bool_]:
    """Return which models answer correctly in one dataset, `(n, K)`, so that every marginal and the oracle are met.

    `z = sqrt(1 - share) (sqrt(SKILL_SHARE) skill lean' + sqrt(1 - SKILL_SHARE) private) - sqrt(share) difficulty`
    and model k answers the `successes[k]` queries with its highest `z`. The more of the variance is difficulty,
    the more models fail together, and the fewer queries any of them answers: bisection on the same draws.

    Args:
        latents: those of the dataset's n queries.
        lean: `(K, Q)` of `loadings`.
        successes: `(K,)` in 0..n.
        oracle: the share of queries that at least one model answers, to be met.
    """
    own = merit(latents, lean)

    def at(share: float) -> NDArray[np.bool_]:
        z = np.sqrt(1 - share) * own - np.sqrt(share) * latents.difficulty[:, None]
        best_first = np.argsort(-np.round(z, 9), axis=0, kind="stable")
        rank = np.argsort(best_first, axis=0, kind="stable")
        return np.asarray(rank < successes)

    low, high = 0.0, 1.0
    for _ in range(16):
        share = (low + high) / 2
        low, high = (share, high) if at(share).any(axis=1).mean() > oracle else (low, share)
    return at(low)


def merit(latents: Latents, lean: Floats) -> Floats:
    """Return `(T, K)` the part of each model's latent that is its own on a query: skill times lean, and luck."""
    return np.asarray(
        np.sqrt(SKILL_SHARE) * latents.skill @ lean.T + np.sqrt(1 - SKILL_SHARE) * latents.private
    )


def places(answered: NDArray[np.bool_], oracle: float) -> Ints:
    """Return an order of one dataset's queries, `(n,)`, in which the oracle holds on Table 2's test split too.

    Which of them has which number is arbitrary, so as few as it takes change places: answered ones of one side
    with unanswered ones of the other, the first of each.

    Args:
        answered: `(n,)` whether at least one model answers the query.
        oracle: the share of the test split's queries to be answered.
    """
    n = len(answered)
    tested = np.zeros(n, bool)
    n_test = n - int(TRAIN_SHARE * n)
    tested[np.random.RandomState(SPLIT).permutation(n)[:n_test]] = True
    surplus = int(answered[tested].sum()) - round(oracle * n_test)
    inside = np.flatnonzero(tested & (answered == (surplus > 0)))
    outside = np.flatnonzero(~tested & (answered == (surplus < 0)))
    moved = min(abs(surplus), len(inside), len(outside))
    order = np.arange(n)
    order[inside[:moved]], order[outside[:moved]] = outside[:moved], inside[:moved]
    return order


def directions(rng: Generator, scenarios: int, datasets: int) -> list[Floats]:
    """Return one modality's random directions: `(scenarios, FEATURES)`, `(datasets, FEATURES)`, `(1, FEATURES)`."""
    kinds = (scenarios, datasets, 1)
    return [rng.standard_normal((kind, FEATURES)) / np.sqrt(FEATURES) for kind in kinds]


def embed(
    rng: Generator,
    scenario: Ints,
    dataset: Ints,
    skill: Floats,
    reveal: float,
    along: list[Floats] | None = None,
) -> Floats:
    """Return one modality's embeddings, `(T, FEATURES)` float32 of unit length, rounded to 4 decimals.

    Random directions: one for each scenario; one for each dataset, blurred between datasets; one for the skill,
    along which it shows `sqrt(reveal) skill + sqrt(1 - reveal) nuisance`. And noise in every direction.

    Args:
        rng: draws the directions, the blur, the nuisance and the noise.
        scenario, dataset: `(T,)` numbers from 0.
        skill: `(T,)` the skill that this modality is about.
        reveal: in [0, 1], the share of the variance of what it shows that is the skill.
        along: from `directions`, for queries that come in parts; None: drawn first.
    """
    n = len(skill)
    along = along or directions(rng, int(scenario.max()) + 1, int(dataset.max()) + 1)
    kinds = len(along[1])
    near = np.eye(kinds)[dataset] + BLUR * rng.standard_normal((n, kinds))
    shown = np.sqrt(reveal) * skill + np.sqrt(1 - reveal) * rng.standard_normal(n)
    raw = NOISE * rng.standard_normal((n, FEATURES)) / np.sqrt(FEATURES)
    raw += SCENARIO * along[0][scenario] + DATASET * near @ along[1] + SKILL * shown[:, None] * along[2]
    unit = raw / np.sqrt((raw**2).sum(axis=1, keepdims=True))
    return np.asarray(np.round(unit, 4), np.float32)


def costs(latents: Latents, dataset: Ints, mean: Floats) -> Floats:
    """Return `(T, K)` costs of a call to 6 digits: log-normal, longer for harder queries, exact in the mean.

    Args:
        latents: of all queries.
        dataset: `(T,)` in 0..D-1.
        mean: `(K, D)` mean cost of each model on each dataset, > 0.
    """
    hard = np.sqrt(COST_HARDNESS) * latents.difficulty[:, None]
    cost = np.exp(COST_SPREAD * (hard + np.sqrt(1 - COST_HARDNESS) * latents.length))
    for d in range(mean.shape[1]):
        rows = dataset == d
        cost[rows] *= mean[:, d] / cost[rows].mean(axis=0)
    return to_digits(cost)


def to_digits(values: Floats) -> Floats:
    """Return the values rounded to 6 significant decimal digits, any shape."""
    return np.array([float(f"{v:.6g}") for v in values.ravel()]).reshape(values.shape)

"""The published figures of MMR-Bench (arXiv 2601.17814) in `data/`, and what is assumed where one is missing."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Floats

NANO = "gpt-5-nano-2025-08-07"
NANO_SIBLING = "gpt-5-2025-08-07"
NOT_IN_FIGURE = "MathVision"  # Figure 5.2's pool is the other six datasets


class Solved(NamedTuple):
    """What is fitted to Table 2 rather than read from it; solved by `python -m bandits.mmrbench.calibrate`.

    Attributes:
        reveal: in [0, 1], share of the variance of what the embeddings show that is the query's skills.
        nano_share: in [0, 1], how much of gpt-5-nano's profile over datasets is gpt-5's.
    """

    reveal: float
    nano_share: float


class Published(NamedTuple):
    """The figures, `D` datasets and `K` models; models in alphabetical order, as the benchmark loads them.

    Attributes:
        datasets, scenario: `D` names each.
        queries: `(D,)` number of queries.
        oracle: `(D,)` share of queries that at least one model answers.
        models: `K` names.
        accuracy: `(K, D)`; NaN for gpt-5-nano, published for the six-dataset pool only.
        pool_accuracy: `(K,)` in Figure 5.2's pool; NaN for Gemma3-4B, which is not drawn.
        cost: `(K,)` mean cost in Figure 5.2's pool, 1e-3 USD a query; NaN for Gemma3-4B.
        tokens: `(K,)` mean output tokens over all queries; NaN for gpt-5-nano.
    """

    datasets: tuple[str, ...]
    scenario: tuple[str, ...]
    queries: NDArray[Any]
    oracle: Floats
    models: tuple[str, ...]
    accuracy: Floats
    pool_accuracy: Floats
    cost: Floats
    tokens: Floats

    @property
    def pool(self) -> Floats:
        """`(D,)` weights of the datasets in Figure 5.2's pool, sum 1."""
        sizes = np.where([d != NOT_IN_FIGURE for d in self.datasets], self.queries, 0)
        return np.asarray(sizes / sizes.sum())


def figures() -> Published:
    """Return the published figures as they stand in `data/`."""
    datasets = [row for row in _rows("mmr_datasets.csv") if row["scenario"]]
    names = tuple(row["dataset"] for row in datasets)
    models = sorted(_rows("mmr_accuracy.csv"), key=lambda row: row["model"])

    def column(name: str) -> Floats:
        return np.array([float(row[name] or "nan") for row in models])

    return Published(
        names,
        tuple(row["scenario"] for row in datasets),
        np.array([int(row["queries"]) for row in datasets]),
        np.array([float(row["oracle_accuracy"]) for row in datasets]),
        tuple(row["model"] for row in models),
        np.stack([column(name) for name in names], axis=1),
        column("figure52_accuracy"),
        column("figure52_mean_cost"),
        column("mean_output_tokens"),
    )


def table2() -> dict[tuple[str, str], dict[str, float]]:
    """Return Table 2's `nAUC` and `Ps` by dataset (`ALL`: its Full column) and method; NaN where it has none."""
    return {
        (row["dataset"], row["method"]): {score: float(row[score] or "nan") for score in ("nAUC", "Ps")}
        for row in _rows("mmr_table2.csv")
    }


def transfer() -> dict[str, tuple[float, float]]:
    """Return tables 4 and 5 by scenario or data set in lower case: peak score of the best model, and of the router."""
    return {
        row["target"].lower(): (float(row["best_model"]), float(row["shift"]))
        for row in _rows("mmr_transfer.csv")
    }


def solved() -> Solved:
    """Return the fitted constants of `data/twin.json`."""
    stored = json.loads((folder() / "twin.json").read_text("utf-8"))
    return Solved(float(stored["reveal"]), float(stored["nano_share"]))


def accuracies(published: Published, nano_share: float) -> Floats:
    """Return `(K, D)` accuracies in (0, 1), gpt-5-nano's filled in and rounded to 4 decimals.

    On the probit scale its profile is `nano_share` of gpt-5's and the rest of the mean of the other published
    models', shifted by one constant so that its accuracy on the six-dataset pool is the published one.
    """
    nano, sibling = published.models.index(NANO), published.models.index(NANO_SIBLING)
    others = [k for k in range(len(published.models)) if k not in (nano, sibling)]
    mean = probit(published.accuracy[others]).mean(axis=0)
    profile = nano_share * probit(published.accuracy[sibling]) + (1 - nano_share) * mean

    def shifted(by: float) -> Floats:
        return np.array([NormalDist().cdf(float(p) + by) for p in profile])

    low, high = -4.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        below = shifted(middle) @ published.pool < published.pool_accuracy[nano]
        low, high = (middle, high) if below else (low, middle)
    filled = published.accuracy.copy()
    filled[nano] = np.round(shifted(low), 4)
    return filled


def mean_costs(published: Published, accuracy: Floats) -> Floats:
    """Return `(K, D)` mean costs: Figure 5.2's on its pool, spread over datasets as the mean error of the models.

    Gemma3-4B's is its mean output tokens at Qwen2.5-VL-3B's cost a token.

    Args:
        published: the figures.
        accuracy: `(K, D)` without gaps, from `accuracies`.
    """
    small = published.models.index("Qwen2.5-VL-3B-Instruct")
    a_token = published.cost[small] / published.tokens[small]
    cost = np.where(np.isnan(published.cost), published.tokens * a_token, published.cost)
    error = 1 - accuracy.mean(axis=0)
    return np.outer(cost, error / (error @ published.pool))


def probit(accuracy: Floats) -> Floats:
    """Return the standard normal quantiles of accuracies in (0, 1), any shape."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile(float(p)) for p in accuracy.ravel()]).reshape(accuracy.shape)


def folder() -> Path:
    """Return `data/`: beside the package in a checkout, inside it (as `envs.data`) where it is installed."""
    here = Path(__file__).resolve().parents[1]
    inside = here / "data"
    return inside if inside.is_dir() else here.parent / "data"


def _rows(name: str) -> list[dict[str, str]]:
    with open(folder() / name, encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))

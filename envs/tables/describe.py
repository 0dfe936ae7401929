"""What a table holds, in numbers that anyone can check: the answer of `simulate.py inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from envs.outcomes import Outcomes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from envs.outcomes import Floats


def overview(outcomes: Outcomes) -> dict[str, Any]:
    """Return the table's size, gaps, modalities and references, by name; accuracies are mean utilities.

    The best single model is one that answered every query, where there is such a model: the mean of one that was
    asked the easy third is no rival to theirs.
    """
    utility, seen = outcomes.utility, outcomes.available
    best = np.nanmax(utility, axis=1)
    means = _means(utility, seen)
    if seen.all(axis=0).any():
        means = np.where(seen.all(axis=0), means, -np.inf)
    return {
        "format": outcomes.layout or "made here, not read from a file",
        "queries": len(outcomes),
        "models": len(outcomes.models),
        "datasets": len({d for d in outcomes.dataset.tolist() if d}),
        "groups": len({g for g in outcomes.group_id.tolist() if g}),
        "missing_outcomes": int((~seen).sum()),
        "oracle_accuracy": float(best.mean()),
        "best_single": outcomes.models[int(np.argmax(means))],
        "best_single_accuracy": float(means.max()),
        "best_per_dataset_accuracy": _best_per_dataset(outcomes),
        "uniform_accuracy": float(np.nanmean(utility, axis=1).mean()),
        "cost_unit": outcomes.cost_unit if outcomes.priced else "none recorded",
        "text_features": 0 if outcomes.text is None else int(outcomes.text.shape[1]),
        "image_features": 0 if outcomes.image is None else int(outcomes.image.shape[1]),
        "question_text": bool((outcomes.question != "").any()),
        "label": outcomes.label,
        "source": outcomes.source or "unknown",
        "licence": outcomes.licence or "unknown",
    }


def by_model(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Return a row for each model: accuracy, mean cost, posted price, missing outcomes; means over recorded calls."""
    seen = outcomes.available
    accuracy = _means(outcomes.utility, seen)
    cost = _means(outcomes.cost, seen) if outcomes.priced else np.full(len(outcomes.models), np.nan)
    return [
        {
            "model": model,
            "accuracy": float(accuracy[k]),
            "cost_mean": float(cost[k]),
            "price": float(outcomes.price[k]),
            "missing": int((~seen[:, k]).sum()),
        }
        for k, model in enumerate(outcomes.models)
    ]


def by_dataset(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Return a row for each dataset: queries, scenario, oracle, best model and its accuracy."""
    rows = []
    for name in sorted(set(outcomes.dataset.tolist())):
        # Plain arrays, not a smaller table: a model may have no outcome in a whole dataset, which no table may.
        kept = np.flatnonzero(outcomes.dataset == name)
        utility = outcomes.utility[kept]
        means = _means(utility, outcomes.available[kept])
        best = int(np.nanargmax(means))
        rows.append(
            {
                "dataset": name or "(unnamed)",
                "scenario": str(outcomes.scenario[kept[0]]),
                "queries": len(kept),
                "oracle": float(np.nanmax(utility, axis=1).mean()),
                "best_model": outcomes.models[best],
                "best_accuracy": float(means[best]),
            }
        )
    return rows


def _means(values: Floats, seen: NDArray[np.bool_]) -> Any:
    """Return `(K,)` means over recorded calls, NaN for a model with none."""
    count = seen.sum(axis=0)
    return np.where(count > 0, np.where(seen, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _best_per_dataset(outcomes: Outcomes) -> float:
    rows = by_dataset(outcomes)
    return float(np.average([r["best_accuracy"] for r in rows], weights=[r["queries"] for r in rows]))

"""How M3 and its rivals hold up where labels are missing: SER on the test split at each missing ratio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.graphs import training
from bandits.graphs.training import Floats, labels, masked, predicted, succeeds
from bandits.metrics.intervals import SHARE, SHARES_APART, Estimate, clustered, paired, student
from bandits.metrics.verdict import Verdict, judge
from envs.graphs.tasks import SPLITS, Tasks, flat

BASE = "dataset-level"  # what all others are compared with, named before
METHODS = ("m3", "ridge", BASE, "random")
_PENALTY = 1.0


def dataset_level(label: Floats, queries: int) -> NDArray[np.int64]:
    """Return `(queries,)` the assignment of the highest success rate among the labels that are there."""
    known = ~np.isnan(label)
    rate = np.where(known, label, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.full(queries, int(rate.argmax()))


def ridge(seen: Floats, label: Floats, coming: Floats) -> NDArray[np.int64]:
    """Return the assignment of the highest prediction: a ridge regression of its own for each, on the context.

    Args:
        seen: `(n, d)` contexts, the constant last.
        label: `(n, A)`, NaN where missing.
        coming: `(m, d)`.
    """
    said = np.zeros((len(coming), label.shape[1]))
    for k in range(label.shape[1]):
        known = ~np.isnan(label[:, k])
        x = seen[known].astype(np.float64)
        gram = x.T @ x + _PENALTY * np.eye(x.shape[1])
        said[:, k] = coming @ np.linalg.solve(gram, x.T @ label[known, k])
    return np.asarray(said.argmax(axis=1), np.int64)


def check(tasks: Tasks) -> None:
    """Raise ValueError where a split of the labelled tasks is empty."""
    for part in SPLITS:
        if not (tasks.split == part).any():
            raise ValueError(
                f"--labelled needs programs of each split ({', '.join(SPLITS)}): none of {len(tasks):,} is of {part};"
                " give more, or --missing none"
            )


def curves(
    tasks: Tasks,
    ratios: Sequence[float],
    *,
    seeds: int = 3,
    seed: int = 0,
    epochs: int = training.EPOCHS,
    progress: Callable[[str, int], object] | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each missing ratio and method: SER on the test split, and by how much it leads `BASE`.

    A seed draws what is missing and how the network begins. Intervals of SER are over seeds; differences are
    paired over seeds and over queries, in clusters of near copies, with Holm's correction over all of them.

    Args:
        tasks: from `solvable`.
        ratios: shares of the training labels that are missing.
        seeds, seed, epochs: how many seeds, the first one, and epochs of M3.
        progress: called with what is being done and how many fits are done.

    Raises:
        ValueError: a split is empty.
    """
    check(tasks)
    train, valid, test = (tasks.take(np.flatnonzero(tasks.split == part)) for part in SPLITS)
    context = flat(tasks).context
    seen, coming = context[tasks.split == "train"], context[tasks.split == "test"]
    got = np.zeros((len(ratios), len(METHODS), seeds, len(test)))
    for r, ratio in enumerate(ratios):
        for s in range(seeds):
            label = masked(labels(train), ratio, seed + s)
            net = training.fit(train, valid, label, epochs=epochs, seed=seed + s)
            said = predicted(net.weights, test), ridge(seen, label, coming), dataset_level(label, len(test))
            got[r, :3, s] = [succeeds(test, one) for one in said]
            got[r, 3, s] = np.nanmean(labels(test), axis=1)  # of a random assignment, in expectation
            if progress is not None:
                progress(f"missing {ratio:g}", r * seeds + s + 1)
    return _rows(ratios, got, test.cluster)


def _rows(ratios: Sequence[float], got: Floats, cluster: NDArray[Any]) -> list[dict[str, Any]]:
    """Return the rows from `(ratios, methods, S, n)` successes."""
    base, seeds, groups = METHODS.index(BASE), got.shape[2], int(cluster.max()) + 1
    mean = np.moveaxis(got.mean(axis=3), 2, 0)  # (S, ratios, methods)
    level = student(mean, within=SHARE)
    over_seeds = paired(mean, np.broadcast_to(mean[:, :, base, None], mean.shape)).within(SHARES_APART)
    gap = (got - got[:, base, None]).mean(axis=2).reshape(-1, got.shape[3])
    sums = np.stack([np.bincount(cluster, one, groups) for one in gap], axis=1)
    each = sums.reshape(groups, *mean.shape[1:])
    over_queries = clustered(each, np.bincount(cluster, minlength=groups)).within(SHARES_APART)
    others = [m for m in range(len(METHODS)) if m != base]
    both = [Estimate(*(part[:, others] for part in one)) for one in (over_seeds, over_queries)]
    said = judge(*both, seeds=seeds, queries=groups)
    found = []
    for r, ratio in enumerate(ratios):
        for m, method in enumerate(METHODS):
            row = {"missing": ratio, "method": method, "ser": float(mean[:, r, m].mean())}
            row |= {"ser_lo": float(level[0][r, m]), "ser_hi": float(level[1][r, m])}
            found.append(row | _lead(both, said, (r, others.index(m)) if m != base else None))
    return found


def _lead(both: Sequence[Estimate], said: Verdict, at: tuple[int, int] | None) -> dict[str, Any]:
    """Return by how much a method leads, the wider of its two intervals and the verdict; None: it is the base."""
    if at is None:
        return dict.fromkeys(("over_base", "lo", "hi"), float("nan")) | {"shown": False, "why": ""}
    over_seeds, over_queries = both
    return {
        "over_base": float(over_seeds.mean[at]),
        "lo": float(np.fmin(over_seeds.lo[at], over_queries.lo[at])),
        "hi": float(np.fmax(over_seeds.hi[at], over_queries.hi[at])),
        "shown": bool(said.shown[at]),
        "why": str(said.why[at]),
    }

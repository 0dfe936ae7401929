"""How often 95 % intervals of a router's scores cover the truth, on tables whose truth is known, as Markdown.

`python benchmarks/router_coverage.py [shape ...]`. A population of 200,000 queries is made, with a router that is the
same function of a query everywhere; its scores on the population are the truth. Samples of queries are drawn from it.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import curve
from bandits.metrics.bootstrap import bca, interval
from bandits.mmrbench import resampling, scores

Floats = NDArray[np.float64]
POPULATION, SIZES, RESAMPLES = 200_000, {200: 400, 631: 400, 2000: 200}, 400
FORMS = ("percentile", "basic", "BCa", "percentile and BCa")
# Not the population and the samples on which the form of the interval was chosen: those say too much of its coverage.
WHOLE, SAMPLED, RESAMPLED = (
    77,
    991,
    50_000,
)  # seeds of the population, of the samples and of the first resampling
SKILL, PRICE = np.array([-0.2, 0.4, 0.6, 1.0, 1.1]), np.array([0.1, 0.3, 0.5, 2.3, 4.0])


class Queries(NamedTuple):
    """Queries, `n` rows: true utility and cost, and what the router predicts of both, each `(n, K)`."""

    utility: Floats
    cost: Floats
    predicted: Floats
    price: Floats


def population(shape: str, n: int = POPULATION, seed: int = WHOLE) -> Queries:
    """Return a population of one shape.

    - informed: predictions tell who answers; the peak is clear and above every single model.
    - clusters: predictions are alike within 16 clusters, so the curve has few points.
    - flat: predictions tell nothing of a query; the top of the curve is flat, and its end is the best single model, but
      for a few in a million: its gain is within 3e-5 of 0, on either side.
    """
    rng = np.random.default_rng(seed)
    hard, special = rng.normal(size=n), rng.normal(size=(n, len(SKILL)))
    cluster, profile = rng.integers(0, 16, n), 0.5 * rng.normal(size=(16, len(SKILL)))
    worth = SKILL - hard[:, None] + 0.75 * special + (profile[cluster] if shape == "clusters" else 0.0)
    utility = (worth > 0.3 * rng.logistic(size=worth.shape)).astype(float)
    cost = PRICE * rng.lognormal(0.3 * hard[:, None], 0.6, worth.shape)
    noise = rng.normal(size=worth.shape)
    predicted, price = {
        "informed": lambda: (worth + noise, PRICE * np.exp(0.3 * hard + 0.2 * noise[:, 0])[:, None]),
        "clusters": lambda: ((SKILL + profile)[cluster], PRICE * np.exp(0.2 * profile[cluster, :1])),
        "flat": lambda: (SKILL + 0.02 * noise, PRICE * np.exp(0.3 * hard + 0.2 * noise[:, 0])[:, None]),
    }[shape]()
    return Queries(utility, cost, np.broadcast_to(predicted, worth.shape), price * np.ones_like(worth))


def scored(queries: Queries) -> tuple[curve.Path, scores.Truth, Floats]:
    """Return the router's path, the true outcomes and the scores `RESAMPLED`."""
    path = curve.path(queries.predicted, queries.price)
    true = scores.truth(queries.utility, queries.cost)
    return path, true, scores.resample(path, true, np.ones((1, len(queries.cost))))[0]


def intervals(queries: Queries, resamples: int, seed: int) -> Floats:
    """Return `(forms, scores, 2)`, the ends of each form of interval."""
    path, true, found = scored(queries)
    weights = [block for _, block in resampling.weights(np.arange(len(queries.cost)), resamples, seed)]
    drawn, left = np.split(scores.resample(path, true, np.concatenate(weights)), [resamples])
    out = np.empty((len(FORMS), len(found), 2))
    for j, estimate in enumerate(found):
        known = drawn[~np.isnan(drawn[:, j]), j]
        low, high = np.quantile(known, (0.025, 0.975), method="inverted_cdf")
        basic = (2 * estimate - high, 2 * estimate - low) if np.isfinite(estimate) else (low, high)
        given = float(estimate), drawn[:, j], left[:, j]
        out[:, j] = (low, high), basic, bca(*given), interval(*given)
    return out


def coverage(shape: str, n: int, samples: int, resamples: int = RESAMPLES) -> Floats:
    """Return `(forms, scores, 2)`, the shares of intervals that hold the truth, and that lie wholly above it."""
    whole = population(shape)
    goal = scored(whole)[2]
    rng = np.random.default_rng([n, SAMPLED])
    held, above = [], []
    for s in range(samples):
        rows = rng.integers(0, len(whole.cost), n)
        ends = intervals(Queries(*(x[rows] for x in whole)), resamples, RESAMPLED + s)
        held.append((ends[..., 0] - 1e-12 <= goal) & (goal <= ends[..., 1] + 1e-12))
        above.append(ends[..., 0] - 1e-12 > goal)
    return np.stack([np.mean(held, axis=0), np.mean(above, axis=0)], axis=-1)


SHAPES = ("informed", "clusters", "flat")


def main(shapes: list[str]) -> None:
    """Print a row for each shape, size and form; in brackets the share that lies wholly above the truth."""
    print(
        f"| router | queries | form | {' | '.join(scores.RESAMPLED)} |\n|---|---|---|{'---|' * len(scores.RESAMPLED)}"
    )
    for shape in shapes:
        for n, samples in SIZES.items():
            for form, row in zip(FORMS, coverage(shape, n, samples), strict=True):
                cells = " | ".join(f"{held:.3f} ({above:.3f})" for held, above in row)
                print(f"| {shape} | {n} | {form} | {cells} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), choices=SHAPES)
    main(parser.parse_args().shapes)

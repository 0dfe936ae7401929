"""FrugalGPT in a run: the chain and thresholds that its search finds on a log within a budget."""

from __future__ import annotations

import numpy as np

from bandits import require
from bandits.base import Policy
from bandits.policies.sequential.cascade import cascade
from bandits.sequential import frugal as searches
from bandits.sequential.logged import Logged, needed

_CHAINS = 2_000_000  # combinations of a search, about ten minutes


def frugal(
    n_arms: int,
    dim: int,
    *,
    log: Logged | None = None,
    length: int = 2,
    budget: float = 0.5,
    search: str = "released",
    points: int = 40,
) -> Policy:
    """Play the chain that FrugalGPT's search finds on a log within a budget; nothing is learned online.

    Chen, Zaharia and Zou (TMLR 2024, arXiv 2305.05176), section 3; see `bandits.sequential.frugal`. An answer is
    delivered where its score reaches the threshold, so that `--deliver last` belongs to it.

    Args:
        n_arms: `K`.
        dim: `d`.
        log: judged outcomes of every model on rows that are not evaluated; the command gives those of `--warm-start`.
        length: models of a chain, exactly as many for the released search and at most for the grid, from 1 to `K`.
        budget: mean cost a query, of all its calls, in units of the log's dearest model's mean cost, > 0.
        search: `released`, FrugalGPT's own, or `grid`, exact over `points` quantiles of each model's scores.
        points: values of each threshold, >= 2.

    Raises:
        ValueError: no log, a number out of range, or no chain within the budget.
    """
    require.whole("frugal", 1, length=length)
    require.whole("frugal", 2, points=points)
    require.above("frugal", 0, budget=budget)
    require.one_of("frugal", ("released", "grid"), search=search)
    if length > n_arms:
        raise ValueError(f"frugal needs length <= {n_arms}, the models that there are, got length={length}")
    size = float(np.prod([n_arms - i for i in range(length)])) * points ** (length - 1)
    if size > _CHAINS:
        raise ValueError(
            f"frugal has {size:,.0f} chains to search, at most {_CHAINS:,}; length, points or --models make them fewer"
        )
    judged = needed("frugal", log, n_arms, dim).judged()
    limit = budget * float(judged.cost.mean(axis=0).max())
    if search == "grid":
        chain = searches.grid(judged, limit, length=length, levels=points)
    else:
        found = searches.search(judged, limit, length=length, points=points)
        chain = None if found is None else found[0]
    if chain is None:
        raise ValueError(f"frugal finds no chain of {length} models within budget={budget:g} on the log")
    return cascade(
        n_arms, dim, order=chain.order, thresholds=">".join(repr(reached(t)) for t in chain.thresholds)
    )


def reached(threshold: float) -> float:
    """Return the least float32 >= a threshold: scores are float32 in a run, and reach it where they reach this."""
    near = np.float32(threshold)
    return float(near if float(near) >= threshold else np.nextafter(near, np.float32(np.inf)))

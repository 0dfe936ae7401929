"""Context that is bought: to look first (OCR, a caption, a longer thought) and answer with what was seen, or not to.

Two columns of a table are one model without and with the look. A rule buys it for a query iff what it expects to gain
is worth the price; what no rule can pass is hindsight.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics.intervals import Estimate, clustered
from bandits.metrics.verdict import FEWEST_QUERIES

Floats = NDArray[np.float64]
_FOLDS = 10


class Look(NamedTuple):
    """`(N,)` each: utility without and with the look, and what it costs more in units of utility."""

    without: Floats
    with_it: Floats
    price: Floats


class Rule(NamedTuple):
    """A rule on all queries: mean utility, mean worth (less the price), share bought, its worth over both fixed rules.

    Where it is the same as the other one on every query there is no interval.
    """

    name: str
    utility: float
    worth: float
    bought: float
    over_always: Estimate
    over_never: Estimate


def rules(look: Look, context: Floats, cluster: NDArray[np.int64], *, seed: int = 0) -> list[Rule]:
    """Return never, always, a learned gate and hindsight.

    The gate is ridge regression of the gain on the context, cross-fitted over ten folds of clusters: what decides on
    a query was learned on others. Its ridge is chosen by cross-validation inside.

    Args:
        look: the two columns.
        context: `(N, d)` what is known before the look.
        cluster: `(N,)` near copies share one, and a fold.
        seed: of the folds.

    Raises:
        ValueError: fewer clusters than a gate can be learned and judged on.
    """
    if len(np.unique(cluster)) < FEWEST_QUERIES:
        raise ValueError(
            f"look needs at least {FEWEST_QUERIES} queries that are not near copies and have an outcome of both"
            f" models, got {len(np.unique(cluster))}"
        )
    gain = look.with_it - look.without
    buys = {
        "never": np.zeros(len(gain), bool),
        "always": np.ones(len(gain), bool),
        "gate": crossfitted(gain - look.price, context, cluster, seed=seed) > 0,
        "hindsight": gain > look.price,
    }
    worth = {name: np.where(buy, look.with_it - look.price, look.without) for name, buy in buys.items()}
    often = np.bincount(cluster)
    return [
        Rule(
            name,
            float(np.where(buy, look.with_it, look.without).mean()),
            float(worth[name].mean()),
            float(buy.mean()),
            *(
                clustered(np.bincount(cluster, weights=worth[name] - worth[other]), often)
                for other in ("always", "never")
            ),
        )
        for name, buy in buys.items()
    ]


def verdict(found: list[Rule]) -> str:
    """Return what the gate is worth, against the better of buying always and never, and what hindsight would be.

    It was found to be the better one by looking, so a lead is shown only where it is over both of them
    (intersection-union test, Berger 1982).
    """
    never, always, gate, hindsight = found
    best = max(never, always, key=lambda rule: rule.worth)
    how = "always" if best is always else "never"
    fixed = (
        f"{'Always' if best is always else 'Never'} buying is worth {best.worth:.3f} right answers a query"
    )
    gap = gate.over_always if best is always else gate.over_never
    luck = f"with hindsight {hindsight.worth - best.worth:+.3f}, part of which is luck"
    if gate.worth == best.worth and gate.bought == best.bought:
        return f"{fixed}, and a gate learned on the context does the same ({how} buys); {luck}."
    over = (gate.over_always, gate.over_never)
    shown = all(one.lo > 0 for one in over) if gap.mean > 0 else bool(gap.hi < 0)
    ends = f"{float(gap.lo):+.3f} to {float(gap.hi):+.3f}, {'shown' if shown else 'not shown'}"
    return f"{fixed}; a gate learned on the context {float(gap.mean):+.3f} against that (95 % interval {ends}); {luck}."


def crossfitted(target: Floats, context: Floats, cluster: NDArray[np.int64], *, seed: int = 0) -> Floats:
    """Return `(N,)` predictions of a target, each by a regression that saw no query of its fold."""
    from sklearn.linear_model import RidgeCV

    fold = np.random.default_rng([seed, 11]).permutation(cluster.max() + 1)[cluster] % _FOLDS
    found = np.zeros(len(target))
    for one in np.unique(fold):
        held: Any = fold == one
        model = RidgeCV(alphas=np.geomspace(1e-2, 1e4, 13)).fit(context[~held], target[~held])
        found[held] = model.predict(context[held])
    return found

"""Should we merge? What one more model, merged from two of the pool or recorded, adds to it at each weight on cost.

Merging as in OptMerge (arXiv 2505.19892) and Tiny-R1V's AMM (2510.08987): no weights are merged here. A model merged
from the pool is synthetic, of a quality that is stated (`envs.changes.merged`); a recorded one has its own answers.

Worth is what a decision learned on other queries earns with the model in the pool, less what one learned without it
earns on the same queries: of the best model (one for all queries) and of a router (ridge regression of utility and
cost). Decisions are cross-fitted over folds of clusters, so no query is decided by its own outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.ceiling.learners import Seen, ridge, single_thread
from bandits.metrics.intervals import Estimate
from bandits.metrics.twofold import Twofold, stacked, twofold
from bandits.metrics.verdict import FEWEST_SEEDS, judge
from bandits.results.by_query import clusters
from envs.changes.merged import arrive_merged
from envs.changes.world import unroll

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
WEIGHTS = (0.0, 0.05, 0.2, 0.5, 1.0)
HOW = ("best model", "router")
RECORDED = "recorded"
SIDES = ("adds", "costs", "not shown")
FOLDS = 5


class Pool(NamedTuple):
    """`(N, K)` utility and cost in units of the scale, the new model last, NaN where a model has no outcome."""

    utility: NDArray[np.floating[Any]]
    cost: NDArray[np.floating[Any]]


def merges(
    stream: Stream, parents: str, *, between: Sequence[float], factor: float, draws: int, seed: int
) -> dict[str, list[Pool]]:
    """Return by quality the pool with a synthetic merged model, drawn so often.

    Args:
        stream: a plain one.
        parents: models or roles joined by `+`.
        between: qualities, see `arrive_merged`: 1 is as good as the best parent in each data set.
        factor: of the mean cost of its parents, >= 0.
        draws, seed: of the synthetic answers.

    Raises:
        ValueError: as `arrive_merged`, or a negative factor.
    """
    if not factor >= 0:
        raise ValueError(f"--price-factor needs a number >= 0, got {factor:g}")
    found: dict[str, list[Pool]] = {}
    for quality in between:
        for draw in range(draws):
            laid = unroll(stream, np.arange(len(stream))[None], seed=seed + draw)
            made, last = arrive_merged(laid, parents, between=quality)
            cost = np.array(made.cost)
            cost[:, last] *= factor
            found.setdefault(f"{quality:g}", []).append(Pool(made.utility, cost / stream.cost_scale))
    return found


def recorded(stream: Stream, model: str) -> dict[str, list[Pool]]:
    """Return the pool with a model of the table as the new one: nothing is drawn.

    Raises:
        ValueError: no such model, or it is one of two.
    """
    if model not in stream.models:
        raise ValueError(f"--model: no model {model!r}; the table has {', '.join(stream.models)}")
    if stream.n_arms < 3:
        raise ValueError("--model needs a pool of 2 models or more beside it")
    order = [*(k for k, name in enumerate(stream.models) if name != model), stream.models.index(model)]
    return {RECORDED: [Pool(stream.utility[:, order], stream.cost[:, order] / stream.cost_scale)]}


def worth(stream: Stream, pools: dict[str, list[Pool]], *, seed: int = 0) -> list[dict[str, Any]]:
    """Return a row for each quality, weight on cost and way to decide.

    Args:
        stream: the queries.
        pools: of `merges` or `recorded`.
        seed: of the folds.

    Returns:
        Rows with `quality`, `weight`, `decided` (one of `HOW`), `value` in reward a query with its interval over draws
        (`lo`, `hi`; where nothing was drawn there is none, and it is judged over queries alone) and over queries
        (`queries_lo`, `queries_hi`), `p` after Holm's correction for all rows, `verdict` (one of `SIDES`), `why` where
        it is not shown, `share` of the queries that the new model gets, and its own `accuracy` and `cost` in units of
        the dearest model's mean.
    """
    cluster = clusters(stream)
    names = np.unique(stream.dataset.astype(str), return_inverse=True)[1]
    seen = Seen(np.asarray(stream.context[:, :-1], float), names)
    rows: list[dict[str, Any]] = []
    found: list[Twofold] = []
    draws = len(next(iter(pools.values())))
    for quality, drawn in pools.items():
        played = [_decided(seen, pool, cluster, seed + i) for i, pool in enumerate(drawn)]
        own = {
            "accuracy": float(np.nanmean([pool.utility[:, -1] for pool in drawn])),
            "cost": float(np.nanmean([pool.cost[:, -1] for pool in drawn])),
        }
        for w, weight in enumerate(WEIGHTS):
            for h, how in enumerate(HOW):
                value = np.stack([one[0][w, h] for one in played])
                found.append(twofold(value, np.ones_like(value), cluster))
                share = float(np.mean([one[1][w, h] for one in played]))
                rows.append({"quality": quality, "weight": weight, "decided": how, "share": share, **own})
    over_draws, over_queries, stands = stacked(found)
    # Where every draw is the same nothing was drawn: as with a recorded model, queries alone can vary.
    same = np.isnan(over_draws.p)
    over_draws = Estimate(*(np.where(same, q, d) for d, q in zip(over_draws, over_queries, strict=True)))
    draws = FEWEST_SEEDS if RECORDED in pools else draws
    said = judge(over_draws, over_queries, seeds=draws, queries=stands)
    for i, (row, one) in enumerate(zip(rows, found, strict=True)):
        side = SIDES[0] if one.mean > 0 else SIDES[1]
        row |= {
            "value": one.mean, "lo": float(one.seeds.lo), "hi": float(one.seeds.hi),
            "queries_lo": float(one.queries.lo), "queries_hi": float(one.queries.hi),
            "p": float(said.p_holm[i]), "verdict": side if said.shown[i] else SIDES[2], "why": str(said.why[i]),
        }  # fmt: skip
    return rows


def _decided(
    seen: Seen, pool: Pool, cluster: NDArray[np.integer[Any]], seed: int
) -> tuple[Floats, NDArray[np.float64]]:
    """Return `(W, 2, N)`, what each query gains, and `(W, 2)`, the share of the new model."""
    n, k = pool.utility.shape
    fold = (np.random.default_rng([seed, 13]).permutation(int(cluster.max()) + 1) % FOLDS)[cluster]
    free = np.where(np.isnan(pool.utility), np.nan, np.nan_to_num(pool.cost))
    gained, share = np.zeros((len(WEIGHTS), len(HOW), n)), np.zeros((len(WEIGHTS), len(HOW)))
    with single_thread():
        for one in range(FOLDS):
            held = fold == one
            past, coming = seen.at(~held), seen.at(held)
            told = [ridge(past, values[~held], coming) for values in (pool.utility, free)]
            for w, weight in enumerate(WEIGHTS):
                true = (pool.utility - weight * free)[held]
                fixed = np.nanmean((pool.utility - weight * free)[~held], axis=0)
                guesses = (np.tile(fixed, (len(true), 1)), told[0] - weight * told[1])
                for h, guess in enumerate(guesses):
                    able = np.where(np.isnan(true), -np.inf, guess)
                    at = np.arange(len(true))
                    alone = able[:, :-1].argmax(axis=1)
                    both = np.where(able[:, -1] > able[at, alone], k - 1, alone)
                    gained[w, h, held] = true[at, both] - np.where(
                        np.isfinite(able[at, alone]), true[at, alone], true[at, both]
                    )
                    share[w, h] += (both == k - 1).sum() / n
    return gained, share


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Return where the new model is shown to add something, where to cost, and the rest, as plain text."""
    said = []
    for side in SIDES[:2]:
        shown = [row for row in rows if row["verdict"] == side]
        kinds = dict.fromkeys((row["decided"], row["quality"]) for row in shown)
        named = []
        for how, quality in kinds:
            own = [row for row in shown if (row["decided"], row["quality"]) == (how, quality)]
            each = ", ".join(f"{row['value']:+.4f} at weight {row['weight']:g}" for row in own)
            named.append(f"{how}, {quality if quality == RECORDED else 'quality ' + quality}: {each}")
        if named:
            said.append(f"it {side}: {'; '.join(named)}")
    rest = sum(row["verdict"] == SIDES[2] for row in rows)
    if rest:
        said.append(f"not shown to change anything: {rest} of {len(rows)}")
    return f"Reward a query with the new model in the pool, after Holm's correction: {'. '.join(said)}."

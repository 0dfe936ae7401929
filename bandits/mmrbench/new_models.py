"""Models that a policy never saw: trained on half of the models, routing among the other half, known by a quiz.

LLM Bandit (arXiv 2502.02743) knows a model by an identity vector, fitted to its answers on a few queries. In each
repetition a fifth of the queries trains and the others test; half of the models is drawn. One policy trains on all
models; another on the first half, and takes in the second by a quiz. Both route the same queries among the second half.
Two baselines on the same log: one ridge of utility and of cost for each new model, which reads all their logged
outcomes, as `trained on all` does, and the new model of the highest mean reward on the same quiz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import rewards
from bandits.base import Observation, example
from bandits.late import jax, jnp
from bandits.metrics.twofold import Twofold, stacked, twofold
from bandits.metrics.verdict import judge
from bandits.mmrbench import modes, splits
from bandits.policies.llmbandit import training
from bandits.policies.llmbandit.networks import Pool, Trained, decide
from bandits.policies.llmbandit.tasks import Log, Schedule
from bandits.results.by_query import clusters
from bandits.wrappers import warm
from envs.contexts import features
from envs.outcomes import Outcomes
from envs.stream import Stream

Floats = NDArray[np.floating[Any]]
PREFERENCES = (0.0, 0.2, 1.0)
ALL, QUIZ, RIDGE, BEST = "trained on all", "by a quiz", "ridge on the log", "best by quiz"
REFERENCES = ("best single", "uniform", "oracle")
SIDES = ("better", "worse", "not shown")
_TRAINS = 0.2
_BY_ROW = Observation(0, None, None, 0, None, None, None)  # type: ignore[arg-type]


@jax.jit
def _decide(trained: Trained, pool: Pool, observation: Observation) -> jax.Array:
    return jnp.asarray(jax.vmap(decide, in_axes=(None, None, _BY_ROW))(trained, pool, observation))


class Test(NamedTuple):
    """One repetition.

    Attributes:
        log: of all models, what trains.
        known: columns of the first half of the models.
        stream: the test queries with the second half alone.
        past: the training queries with the second half alone.
        rows: `(n,)` of the whole table, those of `stream`.
        seed: of every draw.
    """

    log: Log
    known: NDArray[np.intp]
    stream: Stream
    past: Stream
    rows: NDArray[np.intp]
    seed: int


def new_models(
    outcomes: Outcomes,
    *,
    seeds: int = 3,
    quiz: int = 32,
    random_state: int = 42,
    dim: int = 32,
    schedule: Schedule | None = None,
    progress: Callable[[str, int], object] | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each weight on cost and way to route among models that were not trained on.

    Args:
        outcomes: a table of 4 models or more; every query needs an outcome of each.
        seeds: repetitions.
        quiz: queries that are put to each new model.
        random_state: of the splits, the halves and the training.
        dim: principal components of the context.
        schedule: of the training; None: the default.
        progress: called with a repetition and its test queries.

    Returns:
        Rows with `preference`, `player`, `reward` a query, and of each learned player `over_quiz`, its reward more than
        `best by quiz`, with intervals over repetitions (`lo`, `hi`) and over queries (`queries_lo`, `queries_hi`), `p`
        after Holm's correction for all of them and `verdict`, one of `SIDES`.

    Raises:
        ValueError: too few models, a query that not every model answered, or a quiz larger than the log.
    """
    table, _ = splits.select(modes.embedded(outcomes), "all")
    if len(table.models) < 4 or not table.available.all():
        raise ValueError(
            "--new-models needs 4 models or more and an outcome of each of them for every query, the table has"
            f" {len(table.models)} and {float(table.available.mean()):.1%} of their outcomes"
        )
    stream = Stream("new models", table, features.context(table, dim=dim)[0])
    earned: dict[tuple[float, str], Floats] = {}
    tested = np.zeros((seeds, len(table)))
    for s in range(seeds):
        one = _test(stream, random_state + s)
        tested[s, one.rows] = 1
        for key, values in _repetition(one, quiz, schedule or Schedule()).items():
            earned.setdefault(key, np.zeros((seeds, len(table))))[s, one.rows] = values
        if progress is not None:
            progress(f"new models, repetition {s + 1}", len(one.rows))
    return _rows(earned, tested, clusters(stream))


def _test(stream: Stream, seed: int) -> Test:
    """Return a repetition: its split, its halves, both sides of the new models."""
    table = stream.outcomes
    split = splits.make(table, "all", tuple(dict.fromkeys(table.dataset)), "in", _TRAINS, seed)[0]
    known = training.half(len(table.models), seed)
    names = [table.models[k] for k in np.delete(np.arange(len(table.models)), known)]
    log = Log(stream.context[split.train], stream.utility[split.train], stream.cost[split.train])
    new = Stream("the new half", table.take(split.test).select(names), stream.context[split.test])
    past = table.take(split.train).select(names)
    logged = Stream("their log", past, stream.context[split.train], unit=new.cost_scale)
    return Test(log, known, new, logged, split.test, seed)


def _repetition(test: Test, quiz: int, schedule: Schedule) -> dict[tuple[float, str], Floats]:
    """Return by weight and player the `(n,)` rewards of the test queries."""
    new = np.delete(np.arange(test.log.utility.shape[1]), test.known)
    whole = training.train(test.log, seed=test.seed, schedule=schedule)
    half = training.train(training.part(test.log, columns=test.known), seed=test.seed, schedule=schedule)
    asked = training.quiz_rows(half, test.log, test.known, size=quiz, pick="discrimination", seed=test.seed)
    joined = training.enrol(half, test.log, test.known, asked)
    pools = {ALL: (whole, _columns(whole.pool, new)), QUIZ: (half, _columns(joined, new))}
    found: dict[tuple[float, str], Floats] = {}
    rows = np.arange(len(test.stream))
    for weight in PREFERENCES:
        table = rewards.reward_table(rewards.linear, test.stream, weight)
        arms = {name: _route(trained, pool, test.stream, weight) for name, (trained, pool) in pools.items()}
        arms[RIDGE] = _ridge(test, weight)
        past = rewards.reward_table(rewards.linear, test.past, weight)
        arms[BEST] = np.full(len(rows), past[asked].mean(axis=0).argmax())
        arms["best single"] = np.full(len(rows), table.mean(axis=0).argmax())
        arms["oracle"] = table.argmax(axis=1)
        found |= {(weight, name): table[rows, called] for name, called in arms.items()}
        found[weight, "uniform"] = table.mean(axis=1)
    return found


def _columns(pool: Pool, chosen: Any) -> Pool:
    return Pool(pool.vector[chosen], pool.cost[chosen])


def _route(trained: Trained, pool: Pool, asked: Stream, weight: float) -> NDArray[np.integer[Any]]:
    """Return the `(n,)` arms called; the policy learns nothing online, so the order of the queries does not matter."""
    observation, _ = example(asked.n_arms, asked.dim)
    observation = observation._replace(
        context=jnp.asarray(asked.context),
        price=jnp.full(asked.n_arms, jnp.nan),  # what a new model costs is known from its quiz alone
        preference=jnp.full(len(asked), weight, jnp.float32),
        cost_scale=jnp.float32(asked.cost_scale),
    )
    return np.asarray(_decide(trained, pool, observation))


def _ridge(test: Test, weight: float) -> NDArray[np.integer[Any]]:
    """Return the `(n,)` arms of the highest predicted utility less weight times predicted cost."""
    prior = warm.fit(test.past, rewards.reward_table(rewards.linear, test.past))
    utility, cost = (test.stream.context @ prior.weight[name].T for name in ("utility", "cost in scale"))
    return np.asarray((utility - weight * cost).argmax(axis=1))


def _rows(
    earned: dict[tuple[float, str], Floats], tested: Floats, cluster: NDArray[np.integer[Any]]
) -> list[dict[str, Any]]:
    """Return the rows, every learned player judged against the best by quiz as one family."""
    rows: list[dict[str, Any]] = []
    told: list[tuple[dict[str, Any], Twofold]] = []
    for weight in PREFERENCES:
        for player in (ALL, QUIZ, RIDGE, BEST, *REFERENCES):
            values = earned[weight, player]
            row: dict[str, Any] = {
                "preference": weight, "player": player, "reward": twofold(values, tested, cluster).mean,
            }  # fmt: skip
            if player in (ALL, QUIZ, RIDGE):
                told.append((row, twofold(values - earned[weight, BEST], tested, cluster)))
            rows.append(row)
    over_seeds, over_queries, stands = stacked([one for _, one in told])
    said = judge(over_seeds, over_queries, seeds=len(tested), queries=stands)
    for i, (row, one) in enumerate(told):
        side = SIDES[0] if one.mean > 0 else SIDES[1]
        row |= {
            "over_quiz": one.mean, "lo": float(one.seeds.lo), "hi": float(one.seeds.hi),
            "queries_lo": float(one.queries.lo), "queries_hi": float(one.queries.hi),
            "p": float(said.p_holm[i]), "verdict": side if said.shown[i] else SIDES[2],
        }  # fmt: skip
    return rows


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Return what identity vectors are shown to be worth on models never seen, as plain text."""
    own = [row for row in rows if row["player"] == QUIZ]
    told = "; ".join(
        f"{row['verdict']} at weight {row['preference']:g} ({row['over_quiz']:+.4f})" for row in own
    )
    return f"Identity vectors of models known by a quiz alone, against the best of them on that quiz: {told}."

"""What several calls a query came to: accuracy and cost beside chance and beside what hindsight would have called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES
from bandits.experiment.ask import Judged, Run
from bandits.experiment.sequences import delivered, valued
from bandits.metrics.intervals import SHARES_APART, clustered
from bandits.metrics.regret import comparator, earned_by, played
from bandits.results.by_query import clusters
from bandits.sequential import pairs
from envs.calls import several_of

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
SINGLE, PAIR = "best single call", "best cascade of two"
CHEAPEST, UNTIL = "cheapest right model", "cheapest first until right"
_RIGHT = 0.5  # utility from which a graded answer counts as right


class Got(NamedTuple):
    """What a comparator gets on every row, `(N,)` each: calls, utility, cost and reward."""

    calls: Floats
    utility: Floats
    cost: Floats
    reward: Floats


def turns(run: Run) -> list[dict[str, Any]]:
    """Return the rows of `calls.csv`.

    A row for each policy that may call again, `kind` policy: what `Run.calls` says of it, `accuracy` and `reward` a
    round, `at_random`, what the same sequences in the same shares get where queries are dealt to them at random, and
    `over_random`, how much more accurate the policy is, with its 95 % interval over clusters of queries; for each
    model `added:<model>`, how much accuracy its calls added a round.
    With hindsight, `kind` hindsight, on the same queries: `SINGLE`, the model of the highest mean reward; `PAIR`, the
    exact best fixed cascade of two, `chain` its models and `threshold` the score below which it goes on (NaN: it always
    does); `CHEAPEST`, of each query the cheapest of the models that do best; `UNTIL`, models from the cheapest on until
    one is right, as many calls as there may be: a perfect judge's cascade. Under a budget of cost the first two are
    within it; in all, no call follows the one that reaches what one query may use.

    Args:
        run: a finished one; of one call a query nothing is returned.
    """
    if run.judged is None or not run.calls:
        return []
    rows = [
        {"policy": row["policy"], "kind": "policy", **row, **_beside(run, row["policy"])} for row in run.calls
    ]
    trace = next(iter(run.traces.values()))
    times = played(trace.order, len(run.stream)).astype(np.float64)
    limit = np.inf if run.limits is None else float(run.limits[0]) / trace.order.shape[1]
    for name, (got, more) in hindsight(run, run.judged, times, limit).items():
        mean = {key: float(times @ each / times.sum()) for key, each in got._asdict().items()}
        told = {
            "calls": mean["calls"],
            "accuracy": mean["utility"],
            "paid": mean["cost"],
            "reward": mean["reward"],
        }
        rows.append({"policy": name, "kind": "hindsight", **told, **more})
    return rows


def _beside(run: Run, spec: str) -> dict[str, Any]:
    """Return a policy's accuracy and reward, and how they are beside its own sequences dealt at random."""
    trace, stream = run.traces[spec], run.stream
    order, arms = trace.order.ravel(), trace.arms.ravel()
    made, reward = (earned(sheet, order, arms) for sheet in (stream.utility, run.table))
    share = np.bincount(arms[arms >= 0], minlength=stream.n_arms) / len(arms)
    there = np.where(stream.available, share, 0.0)
    # Where a sequence cannot be made, its share goes to the others.
    weight = there * (share.sum() / np.maximum(there.sum(axis=1, keepdims=True), 1e-300))
    utility, cost = (np.nansum(weight * sheet, axis=1) for sheet in (stream.utility, stream.cost))
    rows = clusters(stream)
    gap = np.bincount(rows[order], weights=made - utility[order])
    found = clustered(gap, np.bincount(rows[order], minlength=len(gap))).within(SHARES_APART)
    return {
        "accuracy": float(made.mean()),
        "reward": float(reward.mean()),
        "at_random": float(utility[order].mean()),
        "paid_at_random": float(cost[order].mean()),
        "over_random": float(found.mean),
        "over_lo": float(found.lo),
        "over_hi": float(found.hi),
    }


def earned(
    sheet: NDArray[np.floating[Any]], order: NDArray[np.integer[Any]], arms: NDArray[np.integer[Any]]
) -> Floats:
    """Return the entry of each call, 0 where none was made."""
    return np.where(arms >= 0, sheet[order, np.maximum(arms, 0)], 0.0)


def hindsight(run: Run, judged: Judged, times: Floats, limit: float) -> dict[str, tuple[Got, dict[str, Any]]]:
    """Return what each comparator gets on every row, and what is said of it.

    Args:
        run: a finished one, of which only the stream and the table are looked at.
        judged: what it was played on.
        times: `(N,)` how often each row was asked.
        limit: of mean cost a query.
    """
    stream, models = judged.stream, run.stream.models[: judged.stream.n_arms]
    plain = [sheet[:, : len(models)] for sheet in (run.stream.utility, run.stream.cost, run.table)]
    one, found = np.ones(len(stream)), dict[str, tuple[Got, dict[str, Any]]]()
    fixed = [comparator(plain[2], k) for k in range(len(models))]
    alone = [Got(one, *(earned_by(sheet, arms) for sheet in plain)) for arms in fixed]
    within = [k for k, got in enumerate(alone) if times @ got.cost <= limit * times.sum() * (1 + 1e-9)]
    if within:
        best = max(within, key=lambda k: (times @ alone[k].reward, -k))
        found[SINGLE] = alone[best], {"chain": models[best]}
    pair = pairs.exact(lambda first: _after(judged, alone[first], first), _scores(stream), times, limit=limit)
    if pair is not None:
        first, second, cut, *got = pair
        always = np.isinf(cut)
        said = {"chain": f"{models[first]}>{models[second]}", "threshold": np.nan if always else cut}
        found[PAIR] = Got(*got), said
    right = plain[0] == np.nanmax(plain[0], axis=1, keepdims=True)
    arm = np.where(right, np.nan_to_num(plain[1]), np.inf).argmin(axis=1)
    found[CHEAPEST] = Got(one, *(earned_by(sheet, arm) for sheet in plain)), {}
    if several_of(stream).calls.reveal == "each":
        found[UNTIL] = _until(judged), {}
    return found


def _scores(stream: Stream) -> Floats:
    """Return `(N, K)` what a fixed cascade goes by: the judge's scores, NaN where none is heard in time."""
    several = several_of(stream)
    unheard = several.scores is None or several.calls.reveal == "end"
    heard = np.full(stream.utility.shape, np.nan) if unheard else several.scores
    return np.asarray(heard, np.float64)


def _after(judged: Judged, absent: Got, first: int) -> tuple[Got, Got]:
    """Return what a first model gets alone, `(N,)`, and with each second one, `(N, K)`; one that lacks is left out.

    Args:
        judged: what was played on.
        absent: what stands in for the first model where it cannot be called.
        first: model.
    """
    stream, k = judged.stream, judged.stream.n_arms
    others = [second for second in range(k) if second != first]
    got = valued(stream, [(first,), *((first, second) for second in others)], judged.worth, judged.preference)
    full = _full(stream, delivered(stream, (first,))[1])
    follows = np.column_stack([np.ones(len(full), bool), *[~full] * len(others)])
    made = [np.where(follows, x, np.nan) for x in got]
    alone = [np.where(np.isnan(x[:, 0]), y, x[:, 0]) for x, y in zip(made, absent[1:], strict=True)]
    both = [np.repeat(x[:, None], k, axis=1) for x in alone]
    for sheet, x in zip(both, made, strict=True):
        sheet[:, others] = np.where(np.isnan(x[:, 1:]), sheet[:, others], x[:, 1:])
    calls = np.ones((len(stream), k))
    calls[:, others] += ~np.isnan(made[2][:, 1:])
    return Got(np.ones(len(stream)), *alone), Got(calls, *both)


def _full(stream: Stream, used: Floats) -> NDArray[np.bool_]:
    """Return `(N,)` whether what calls used, `(N, R)`, reaches what one query may use."""
    room = several_of(stream).calls.room
    return np.zeros(len(used), bool) if room is None else np.asarray((used >= np.array(room)).any(axis=1))


def _until(judged: Judged) -> Got:
    """Return what a perfect judge's cascade gets: models by mean cost until one is right, at most `M` calls.

    No call follows the one that reaches what a query may use.
    """
    several = several_of(judged.stream)
    latest = several._replace(calls=several.calls._replace(combine=None))
    stream = replace(judged.stream, several=latest)
    right = np.nan_to_num(stream.utility) >= _RIGHT
    arms, count, going = np.full(right.shape, -1), np.zeros(len(right), np.int64), np.ones(len(right), bool)
    spent = np.zeros((len(right), len(RESOURCES)))
    for arm in np.argsort(np.nanmean(stream.cost, axis=0), kind="stable"):
        now = np.flatnonzero(going & stream.available[:, arm] & (count < several.calls.most))
        arms[now, count[now]] = arm
        count[now] += 1
        spent[now] += delivered(stream, (int(arm),))[1][now]
        going[now] = ~right[now, arm] & ~_full(stream, spent)[now]
    made, place = np.unique(arms, axis=0, return_inverse=True)
    sequences = [tuple(int(a) for a in row if a >= 0) for row in made]
    at = np.arange(len(arms)), place.ravel()
    got = valued(stream, sequences, judged.worth, judged.preference)
    return Got(count.astype(np.float64), *(sheet[at] for sheet in got))

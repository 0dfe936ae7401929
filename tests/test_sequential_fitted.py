"""Policies of several calls that are fitted on a log: in the loop they do what the searches do on a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bandits.base import check
from bandits.loop import slots
from bandits.policies.sequential.adaptive_consistency import adaptive_consistency
from bandits.policies.sequential.automix import automix
from bandits.policies.sequential.cascade_routing import cascade_routing
from bandits.policies.sequential.frugal import frugal, reached
from bandits.rewards import linear
from bandits.sequential import automix as gates
from bandits.sequential import chains, supermodels, voting
from bandits.sequential import frugal as searches
from bandits.sequential.chains import Judged
from bandits.sequential.estimates import Estimator, Fitted
from bandits.sequential.logged import Logged
from bandits.wrappers import warm
from envs.calls import Calls, Several, best_heard, last, vote
from tests.conftest import make_stream

ARMS, DIM, LOG = 4, 2, 100


def judged(combine=last, levels: int = 0):
    """Models that are better the dearer they are, with a judge, on a grid of so many levels where they are given.

    Its first rows are the log, the others are played.
    """
    rng, plain = np.random.default_rng(2), make_stream(rows=300, seed=4)
    utility = (rng.random(plain.utility.shape) < [0.4, 0.55, 0.7, 0.85]) * 1.0
    context = np.stack([rng.normal(size=300), np.ones(300)], axis=1).astype(np.float32)
    stream = replace(plain, outcomes=replace(plain.outcomes, utility=utility), context=context)
    score = 0.35 * utility + 0.65 * rng.random(utility.shape)
    score = np.float32(np.rint(score * levels) / levels if levels else score).astype(float)
    stream = replace(stream, several=Several(Calls(3, combine=combine, hear="delivered"), score))
    first, rest = (warm.part(stream, rows) for rows in (np.arange(LOG), np.arange(LOG, len(stream))))
    log = Logged(first.context, first.utility, first.cost, first.several.scores, combine=combine)
    return log, rest


def sequences(policy, stream):
    """Return `(T, 3)` calls in file order."""
    return slots.replay(policy, stream, linear, seeds=1, order="given").arms[0]


def table(stream) -> Judged:
    return Judged(stream.utility, stream.cost, stream.several.scores)


@pytest.mark.parametrize("search", ["released", "grid"])
def test_frugal_plays_the_chain_of_its_search(search: str) -> None:
    """With scores on a grid, so that many are equal to a threshold."""
    log, rest = judged(levels=12)
    limit = 0.6 * log.paid.mean(axis=0).max()
    if search == "released":
        chain = searches.search(log.judged(), limit, length=2, points=10)[0]
    else:
        chain = searches.grid(log.judged(), limit, length=2, levels=10)
    policy = frugal(ARMS, DIM, log=log, budget=0.6, search=search, points=10)
    ran, arms = chains.play(table(rest), chain), sequences(policy, rest)
    np.testing.assert_array_equal((arms >= 0).sum(axis=1), ran.calls)
    assert set(ran.calls) == {1, 2}
    for place, model in enumerate(chain.order):
        assert set(arms[ran.calls > place, place]) == {model}


def test_a_threshold_is_reached_in_float32_where_it_is_in_float64() -> None:
    rng = np.random.default_rng(0)
    scores = np.float32(rng.random(2000))
    for threshold in (*np.nextafter(scores[:50].astype(float), 2), *scores[:50].astype(float), 0.3, 1 / 3):
        np.testing.assert_array_equal(
            scores >= np.float32(reached(threshold)), scores.astype(float) >= threshold
        )


@pytest.mark.parametrize("method", ["double", "union"])
def test_automix_plays_the_gate_of_its_search(method: str) -> None:
    log, rest = judged(levels=8)
    told = log.judged()
    pair = gates.Pair(
        told.utility[:, 1], told.utility[:, 3], told.score[:, 1], (told.cost[:, 1], told.cost[:, 3])
    )
    gate, value = gates.fit(pair, method)
    arms = sequences(automix(ARMS, DIM, log=log, order=(1, 3), method=method), rest)
    again = gates.retry(gate, rest.several.scores[:, 1])
    assert 0 < again.sum() < len(again) and np.isfinite(value.lift)
    np.testing.assert_array_equal(
        arms, np.stack([np.ones(len(again)), np.where(again, 3, -1), -np.ones(len(again))], 1)
    )


@pytest.mark.parametrize(("prefixes", "budget"), [(False, 0.5), (True, 0.9)])
def test_cascade_routing_runs_the_sets_of_the_search(prefixes: bool, budget: float) -> None:
    """Query by query, but for values that float32 cannot tell apart; gamma is 0 where estimates differ."""
    log, rest = judged(best_heard)
    cost = log.paid.mean(axis=0)
    assert (np.diff(cost) > 0).all()  # the order of the columns is that of the costs
    fitted = Fitted(log.context.astype(float), log.judged())
    inside = Estimator(fitted, fitted.context, fitted.judged)
    rule = supermodels.Rule(0.0, depth=3, prefixes=prefixes)
    rule = supermodels.fit(log.judged(), cost, inside, budget * cost.max(), rule)
    asked = Estimator(fitted, rest.context.astype(float), table(rest))
    want = supermodels.play(table(rest), cost, asked, rule._replace(gamma=0.0))
    policy = cascade_routing(ARMS, DIM, log=log, budget=budget, depth=3, prefixes=prefixes)
    arms = sequences(policy, rest)
    run = np.array([np.isin(np.arange(ARMS), row) for row in arms])
    assert len(np.unique(want.run, axis=0)) > 2 and want.run.sum(axis=1).max() > 1, np.unique(
        want.run, axis=0
    )
    assert (run == want.run).all(axis=1).mean() > 0.98 - rule.gamma


def test_adaptive_consistency_stops_where_the_search_does() -> None:
    """Six models with three answers among them: as many asked as `voting.vote` draws, of every query."""
    rng, plain = np.random.default_rng(3), make_stream(rows=200, arms=6)
    votes = rng.choice(3, (200, 6), p=[0.8, 0.15, 0.05])
    calls = Calls(6, combine=vote, hear="delivered")
    stream = replace(plain, several=Several(calls, np.full(votes.shape, 0.5), votes=votes))
    order = (4, 1, 5, 0, 2, 3)
    arms = slots.replay(
        adaptive_consistency(6, DIM, order=order, sure=0.88), stream, linear, seeds=1, order="given"
    ).arms[0]
    want = voting.vote(votes[:, order], sure=0.88).drawn
    assert len(set(want)) > 2
    for row, drawn in zip(arms, want, strict=True):
        assert row.tolist() == [*order[:drawn], *[-1] * (6 - drawn)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda log: frugal(ARMS, DIM), "^frugal needs logged outcomes to be fitted on, got none; give --warm-start"),
        (lambda log: frugal(ARMS, DIM, log=log, length=5), "^frugal needs length <= 4"),
        (lambda log: frugal(ARMS, DIM, log=log, length=4, points=200), "^frugal has 192,000,000 chains to search"),
        (lambda log: frugal(ARMS, DIM, log=log, budget=1e-3), "^frugal finds no chain of 2 models within budget=0.001"),
        (lambda log: frugal(ARMS, 9, log=log), "^frugal needs a log of 4 models and 9 features"),
        (lambda log: frugal(ARMS, DIM, log=log._replace(score=None)), "needs a log with a judge's scores, got none$"),
        (lambda log: automix(ARMS, DIM, log=log, order=(1,)), "^automix needs order=SMALL>LARGE, two models, got 1$"),
        (lambda log: automix(ARMS, DIM, log=log, order=(1, 2), method="best"), "^automix needs method to be one of"),
        (lambda log: cascade_routing(ARMS, DIM, log=log, depth=5), "^cascade_routing needs depth <= 4"),
        (lambda log: cascade_routing(30, DIM, log=log, depth=3), "^cascade_routing has 13,980 regressions to fit"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(judged()[0])


def test_contract() -> None:
    log, _ = judged()
    log = log._replace(utility=log.utility[:, :3], cost=log.cost[:, :3], score=log.score[:, :3])
    for policy in (
        frugal(3, DIM, log=log, points=5),
        automix(3, DIM, log=log, order=(0, 2)),
        cascade_routing(3, DIM, log=log),
    ):
        check(policy, 3, DIM)

"""Changes of the world at their edges: the first and the last round of a ramp, what is posted before a lag, roles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.changes import duels
from envs.changes.changes import price, quality
from envs.changes.traffic import _roles
from envs.changes.world import arm, draws, noted, unroll
from envs.contexts.features import tfidf
from envs.outcomes import Outcomes
from envs.stream import Stream
from tests.conftest import make_stream


def right(rows: int = 60) -> Stream:
    """Return a stream on which both models are always right."""
    outcomes = Outcomes(models=("a", "b"), utility=np.ones((rows, 2)), cost=np.ones((rows, 2)), cost_unit="USD",
                        query_id=np.arange(rows).astype(str).astype(object), price=np.array([1.0, 2.0]))  # fmt: skip
    return Stream("right", outcomes, np.ones((rows, 1), np.float32))


def test_a_ramp_begins_with_its_first_share_and_is_whole_at_its_end() -> None:
    """From round 10 on over 4 rounds a quarter more each is lost: 1/4 at round 10, everything from round 13 on."""
    seeds, rounds = 400, 30
    rng = np.random.default_rng(0)
    wide = unroll(right(2000), rng.integers(0, 2000, (seeds, rounds)))
    moved = quality(wide, model="a", change=-1.0, at=10, ramp=4)
    lost = 1 - moved.utility[:, 0].reshape(seeds, rounds).mean(axis=0)
    assert (lost[:10] == 0).all() and (lost[13:] == 1).all()
    np.testing.assert_allclose(lost[10:13], [0.25, 0.5, 0.75], atol=5 * 0.5 / np.sqrt(400))
    at_once = quality(wide, model="a", change=-1.0, at=10).utility[:, 0].reshape(seeds, rounds)
    assert (at_once[:, :10] == 1).all() and (at_once[:, 10:] == 0).all()


def test_a_posted_price_is_the_old_one_until_the_lag_is_over() -> None:
    laid = unroll(right(), np.tile(np.arange(60), (2, 1)))
    moved = price(laid, model="b", factor=0.5, at=0, lag=20)
    np.testing.assert_array_equal(moved.cost[:, 1], 0.5)
    assert moved.world is not None and moved.world.posted is not None
    posted = moved.world.posted.reshape(2, 60, 2)
    np.testing.assert_array_equal(posted[:, :20, 1], 2.0)
    np.testing.assert_array_equal(posted[:, 20:, 1], 1.0)
    np.testing.assert_array_equal(posted[:, :, 0], 1.0)


def test_a_change_that_comes_twice_draws_twice() -> None:
    world = unroll(right(), np.tile(np.arange(60), (2, 1)), seed=3).world
    assert world is not None
    first = draws(world, "quality:a").random(5)
    np.testing.assert_array_equal(first, draws(world, "quality:a").random(5))
    for other in (draws(noted(world, "quality:a"), "quality:a"), draws(world, "quality:b"),
                  draws(world._replace(seed=4), "quality:a")):  # fmt: skip
        assert (other.random(5) != first).all()
    np.testing.assert_array_equal(draws(noted(world, "price:a"), "quality:a").random(5), first)


def test_the_model_of_the_best_value_is_judged_at_the_default_preference() -> None:
    """a: .8 at the dearest cost, b: .61 at a tenth: .6 against .59 at .2; at .25 it would be b."""
    stream = right(4)
    table = replace(stream.outcomes, utility=np.tile([0.8, 0.61], (4, 1)), cost=np.tile([10.0, 1.0], (4, 1)))
    assert arm(replace(stream, outcomes=table), "@value", "price") == 0
    table = replace(table, utility=np.tile([0.8, 0.63], (4, 1)))
    assert arm(replace(stream, outcomes=table), "@value", "price") == 1


def test_the_first_kind_of_traffic_is_the_largest() -> None:
    names = np.array(["x"] * 10 + ["y"] * 30 + ["z"] * 20, object)
    stream = right()
    told = _roles(replace(stream, outcomes=replace(stream.outcomes, dataset=names)))
    assert told == {"@first": "y", "@next": "z"}


def test_a_duel_takes_as_long_as_the_slower_model_and_the_tokens_of_both() -> None:
    stream = make_stream(rows=5, arms=3, features=2)
    rng = np.random.default_rng(1)
    latency, tokens = rng.random((5, 3)), rng.random((5, 3))
    paired = duels.pairs(replace(stream, outcomes=replace(stream.outcomes, latency=latency, tokens=tokens)))
    for k, (i, j) in enumerate(zip(*duels.sides(3), strict=True)):
        np.testing.assert_allclose(paired.outcomes.latency[:, k], np.maximum(latency[:, i], latency[:, j]))
        both = tokens[:, i] if i == j else tokens[:, i] + tokens[:, j]
        np.testing.assert_allclose(paired.outcomes.tokens[:, k], both)
        np.testing.assert_allclose(paired.utility[:, k], (stream.utility[:, i] + stream.utility[:, j]) / 2)


def test_questions_are_weighed_by_words_and_pairs_with_damped_counts() -> None:
    """All angles between four texts, by hand: 1 + ln(count), times ln((1 + n) / (1 + df)) + 1, at length 1."""
    asked = ["red red red car", "car red", "blue sky car", "red car blue sky"]
    terms = [
        [*t.split(), *(f"{a} {b}" for a, b in zip(t.split(), t.split()[1:], strict=False))] for t in asked
    ]
    known = sorted({term for text in terms for term in text})
    weight = np.array([[1 + np.log(text.count(k)) if k in text else 0.0 for k in known] for text in terms])
    weight *= np.log(5 / (1 + (weight > 0).sum(axis=0))) + 1
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    found = tfidf(np.array(asked, object)).astype(float)
    np.testing.assert_allclose(found @ found.T, weight @ weight.T, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_context_of_questions_does_not_depend_on_their_order(seed: int) -> None:
    asked = np.array([f"word{i} of {i % 3} and {i % 5}" for i in range(30)], object)
    order = np.random.default_rng(seed).permutation(30)
    one, two = tfidf(asked).astype(float), tfidf(asked[order]).astype(float)
    np.testing.assert_allclose((one @ one.T)[np.ix_(order, order)], two @ two.T, atol=1e-4)

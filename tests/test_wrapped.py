"""Wrappers one call at a time, against NumPy: what is forbidden, begun anew, heard before a run. See test_pacing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import Feedback, Observation, Policy, example, ranked
from bandits.policies.linear.ridge import Ridge
from bandits.wrappers import budget, promise, warm
from bandits.wrappers.newcomers import Introduced, _begun_from_pool, explore_new
from bandits.wrappers.restart import restart
from tests.conftest import make_stream

K, D = 4, 3
KEY = jax.random.key(0)
ROUND = jnp.array([1.0, -0.5, 1.0])  # a context


def told(worth: bool = True) -> Policy:
    """Return a policy whose index is its state `(K,)`, and which learns nothing."""

    def index(key: Any, state: Any, seen: Observation) -> Any:
        return state + (0.0 if key is None else 0.0 * seen.context[0])

    policy = ranked(lambda key: jnp.zeros(K), index, lambda key, state, seen, arm, heard: state)
    return policy if worth else policy._replace(index=None)


def ridge(costs: np.ndarray) -> Ridge:
    """Return a ridge that foresees these costs `(K,)` of the first resource everywhere, as wide as before a call."""
    weight = jnp.zeros((K, 3, D)).at[:, 0, -1].set(jnp.asarray(costs, jnp.float32))
    return Ridge(jnp.broadcast_to(jnp.eye(D), (K, D, D)), weight, jnp.zeros(K, jnp.int32))


@pytest.mark.parametrize("ranking", [True, False])
def test_a_newcomer_is_called_until_heard_and_the_least_heard_first(ranking: bool) -> None:
    policy = explore_new(told(ranking), K, D, pulls=5)
    state = Introduced(
        jnp.array([3.0, 0, 0, 0]),
        jnp.array([9, 4, 2, 5]),
        jnp.array([True, False, False, False]),
        jnp.array(True),
    )
    seen = example(K, D)[0]
    assert int(policy.act(KEY, state, seen)) == 2  # heard twice; the last has had its five
    away = seen._replace(available=jnp.array([True, True, False, True]))
    assert int(policy.act(KEY, state, away)) == 1
    assert int(policy.act(KEY, state._replace(heard=jnp.array([9, 5, 5, 5])), seen)) == 0
    assert int(policy.act(KEY, state._replace(begun=jnp.array(False)), seen)) == 0


def test_an_arm_that_has_calls_is_no_newcomer() -> None:
    weight = jnp.array([[1.0, 0], [3.0, 2.0], [9.0, 9.0], [0.0, 0.0]])
    arms = Ridge(jnp.zeros((4, 2, 2)), weight, jnp.array([3, 1, 2, 0]))
    begun = _begun_from_pool(arms, jnp.array([False, False, True, True]))
    np.testing.assert_allclose(begun.weight[:3], weight[:3])
    np.testing.assert_allclose(begun.weight[3], (3 * weight[0] + weight[1] + 2 * weight[2]) / 6)


def test_a_price_has_to_move_by_its_share_and_an_arm_is_tested_after_so_many_calls() -> None:
    policy = restart(told(), K, D, repriced=0.2, threshold=1.0, slack=0.0, after=3, ridge=1e9)
    seen, heard = example(K, D)
    update = jax.jit(policy.update)
    state = policy.init(KEY)._replace(price=jnp.array([10.0, 10.0, 1.0, jnp.nan]))
    moved = update(KEY, state, seen._replace(price=jnp.array([11.9, 12.1, 0.7, 5.0])), jnp.int32(3), heard)
    np.testing.assert_array_equal(moved.restarts, [0, 1, 1, 0])
    np.testing.assert_allclose(moved.price, [10.0, 12.1, 0.7, 5.0])
    # Errors of -.8 and then +.8: the fourth call is the first to be tested, and the sums forget at a restart.
    state, errors = policy.init(KEY), (-0.8, -0.8, -0.8, -0.8, -0.8, 0.8, 0.8)
    restarts, below = [], []
    for error in errors:
        state = update(KEY, state, seen, jnp.int32(1), heard._replace(reward=jnp.float32(error)))
        restarts.append(int(state.restarts[1]))
        below.append(round(float(state.below[1]), 3))
    assert restarts == [0, 0, 0, 0, 1, 1, 1]
    assert below == [0, 0, 0, 0.8, 0, 0, 0]


def test_a_restarted_policys_chances_are_those_of_a_coin() -> None:
    inner = told()._replace(chances=lambda key, state, seen: jnp.array([0.7, 0.3, 0.0, 0.0]))
    policy = restart(inner, K, D, explore=0.1)
    seen = example(K, D)[0]._replace(available=jnp.array([True, True, True, False]))
    assert policy.chances is not None
    chances = policy.chances(KEY, policy.init(KEY), seen)
    np.testing.assert_allclose(chances, [0.63 + 0.1 / 3, 0.27 + 0.1 / 3, 0.1 / 3, 0], rtol=1e-5)


def test_a_promise_learns_of_every_model_and_stops_at_what_a_float_may_hide() -> None:
    """Arm 0 is heard like every other; -1 is not heard; a worst case just above what is left is not called."""
    before, after = {"a": jnp.zeros(2)}, {"a": jnp.ones(2)}
    assert [float(promise._kept(jnp.int32(arm), after, before)["a"][0]) for arm in (-1, 0, 1)] == [0, 1, 1]
    worst = np.zeros((K, 3))
    worst[:, 0] = [0.1, 0.2, 0.1, 9.0]
    policy = promise.hard(told(), worst)
    state = jnp.array([1.0, 2.0, 0.0, 3.0])

    def called(left: float) -> int:
        left_over = jnp.array([left, jnp.inf, jnp.inf], jnp.float32)
        return int(policy.act(KEY, state, example(K, D)[0]._replace(budget=left_over)))

    assert called(5.0) == 1 and called(0.15) == 0
    assert called(float(np.float32(0.1))) == -1  # float32(.1) is above .1: rounded up it does not fit
    assert called(float(np.nextafter(np.float32(0.1), np.float32(1)))) == 0


def test_a_cap_holds_posted_and_foreseen_costs_up_to_itself() -> None:
    policy = promise.cap(told(), K, D, limit=2.0)
    costs = ridge(np.array([2.0, 2.1, 1.0, 0.5]))
    single = costs._replace(weight=costs.weight[:, 0])
    state = policy.init(KEY)._replace(policy=jnp.array([1.0, 9.0, 2.0, 8.0]), costs=single)
    seen = example(K, D)[0]._replace(context=ROUND, price=jnp.array([jnp.nan, 1.0, 2.0, 2.5]))
    assert (
        int(policy.act(KEY, state, seen)) == 2
    )  # the second is foreseen above the cap, the last posted above it
    alone = seen._replace(available=jnp.array([True, True, False, True]))
    assert int(policy.act(KEY, state, alone)) == 0
    assert int(policy.act(KEY, state, seen._replace(available=jnp.array([False, True, False, True])))) == -1


def test_a_log_is_heard_once_each_in_an_order_of_the_seeds_own() -> None:
    """A policy that writes down all that it hears: every outcome once, rounds counted down, with the preference."""
    stream = make_stream(rows=12, missing=0.4, seed=3)
    table = np.where(stream.available, stream.utility + 0.25, np.nan)
    total = int(stream.available.sum())

    def update(key: Any, state: Any, seen: Observation, arm: Any, heard: Feedback) -> Any:
        number, kept = state
        line = jnp.concatenate(
            [seen.context, jnp.stack([arm, heard.utility, heard.cost, heard.reward, seen.rounds_left, seen.preference]),
             jax.random.uniform(key, (1,)), seen.available]
        )  # fmt: skip
        return number + 1, kept.at[number].set(line)

    policy = Policy(
        lambda key: (jnp.int32(0), jnp.zeros((total, 6 + 7 + 4))), lambda *_: jnp.int32(0), update
    )
    begun = jax.jit(warm.hear(policy, stream, table, 0.7).init)
    found = [np.asarray(begun(jax.random.key(seed))[1]) for seed in (0, 1)]
    row, arm = np.nonzero(stream.available)
    want = np.column_stack([stream.context[row], arm, stream.utility[row, arm], stream.cost[row, arm], table[row, arm],
                            stream.available[row]])  # fmt: skip
    for lines in found:
        np.testing.assert_array_equal(lines[:, 10], np.arange(total, 0, -1))
        np.testing.assert_allclose(lines[:, 11], 0.7, rtol=1e-6)
        assert len(set(lines[:, 12].tolist())) == total  # each update has a key of its own
        got = lines[:, [*range(10), *range(13, 17)]]
        np.testing.assert_allclose(got[np.lexsort(got.T)], want[np.lexsort(want.T)], rtol=1e-5)
    assert not np.array_equal(found[0][:, :10], found[1][:, :10])
    assert not np.array_equal(found[0][:, 6], arm)


def test_a_prior_counts_the_outcomes_that_there_are(patchy: Any) -> None:
    prior = warm.fit(patchy, np.where(patchy.available, 1.0, np.nan))
    mean = patchy.available.sum(axis=0).mean()
    assert prior.n_eff == pytest.approx(mean) and mean < len(patchy)
    assert prior.ridge == 1.0


@pytest.mark.parametrize(
    ("text", "limit"), [("1.0", 1.0), ("0.9", None), ("0.004/query", None), ("25%", 75.0)]
)
def test_a_budget_pays_for_the_cheapest_call(text: str, limit: float | None) -> None:
    """Two models of cost 1 and 3; the dear one is the more accurate, so 25 % of it over 100 rounds are 75."""
    stream = make_stream(rows=10, arms=2, features=1)
    outcomes = replace(
        stream.outcomes, utility=np.tile([0.0, 1.0], (10, 1)), cost=np.tile([1.0, 3.0], (10, 1))
    )
    stream = replace(stream, outcomes=outcomes)
    if limit is None:
        with pytest.raises(ValueError, match="pays for no call: the least cost of one is 1"):
            budget.parse(text, stream, 100)
    else:
        assert budget.parse(text, stream, 100)[0] == pytest.approx(limit)

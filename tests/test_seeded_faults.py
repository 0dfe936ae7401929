"""Single lines of wrappers, shares and budgets that a plausible fault could change unnoticed, each against its rule."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bandits
from bandits.base import Policy, example
from bandits.loop.replay import Trace
from bandits.policies.linear.forgetting import Discounted
from bandits.policies.linear.ridge import Ridge
from bandits.results.curves import AT
from bandits.results.summary import summarise
from bandits.rewards import linear, reward_table
from bandits.wrappers import budget, warm
from bandits.wrappers.newcomers import explore_new, pooled
from bandits.wrappers.pacing.primal_dual import Past
from bandits.wrappers.restart import restart
from envs.outcomes import Outcomes
from envs.stream import Stream
from tests.conftest import make_stream

KEY = jax.random.key(0)


def test_a_share_of_nothing_is_no_number() -> None:
    """`rare` is asked in the last of 40 rounds alone, `often` in all others: no window before it has a share of it."""
    stream = make_stream(rows=40)
    dataset = np.array(["often"] * 39 + ["rare"], object)
    stream = replace(stream, outcomes=replace(stream.outcomes, dataset=dataset))
    order = np.arange(40, dtype=np.int32)[None]
    trace = Trace(order, np.zeros_like(order))
    frame = summarise(stream, stream.utility, {"p": trace}).curves
    rare = frame[frame["quantity"] == f"{AT}rare:{stream.models[0]}"].set_index("round")["mean"]
    assert rare.loc[40] == 1.0 and rare.drop(40).isna().all() and len(rare) > 20
    unused = frame[frame["quantity"] == f"{AT}often:{stream.models[1]}"].set_index("round")["mean"]
    assert (unused == 0.0).all()


def test_a_budget_of_just_the_cheapest_call_is_one() -> None:
    outcomes = Outcomes(
        models=("a", "b"),
        utility=np.ones((2, 2)),
        cost=np.array([[1.0, 3.0], [2.0, 5.0]]),
        query_id=np.array(["q", "r"], object),
        cost_unit="made up",
    )
    stream = Stream("exact", outcomes, np.ones((2, 1), np.float32))
    assert budget.parse("1", stream, 10)[0] == 1.0
    with pytest.raises(ValueError, match="pays for no call"):
        budget.parse("0.999", stream, 10)


# --- warm -------------------------------------------------------------------------------------------------------------


def recorder(n: int) -> Policy:
    """A policy whose state is what it was taught, in order: rounds left, preference, reward, arm, price of arm 0."""

    def update(key, state, seen, arm, heard):
        rows, at = state
        told = (seen.rounds_left, seen.preference, heard.reward, arm, seen.price[0], seen.available[arm])
        return rows.at[at].set(jnp.stack([jnp.float32(x) for x in told])), at + 1

    return Policy(
        lambda key: (jnp.zeros((n, 6)), jnp.int32(0)), lambda key, state, seen: jnp.int32(0), update
    )


def test_a_log_is_heard_once_by_each_seed_in_an_order_of_its_own(patchy) -> None:
    logged = replace(patchy, outcomes=replace(patchy.outcomes, price=np.array([7.0, 2.0, 3.0, 4.0])))
    table = reward_table(linear, logged)
    n = int(logged.available.sum())
    init = warm.hear(recorder(n), logged, table, 0.6).init
    one, other = (np.asarray(init(jax.random.key(s))[0]) for s in (0, 1))
    np.testing.assert_array_equal(one[:, 0], np.arange(n, 0, -1))  # so many are left, this one counted
    assert (one[:, 1] == np.float32(0.6)).all() and (one[:, 4] == 7.0).all() and one[:, 5].all()
    np.testing.assert_allclose(np.sort(one[:, 2]), np.sort(table[logged.available]), rtol=1e-6)
    np.testing.assert_array_equal(np.bincount(one[:, 3].astype(int)), logged.available.sum(axis=0))
    assert not np.array_equal(one[:, 2], other[:, 2]) and np.array_equal(
        np.sort(one[:, 2]), np.sort(other[:, 2])
    )


def test_both_sides_of_a_split_count_cost_in_the_unit_of_what_is_evaluated(known) -> None:
    dear = known.outcomes.cost * np.where(np.arange(len(known)) < 300, 10.0, 1.0)[:, None]
    logged, rest = warm.split(replace(known, outcomes=replace(known.outcomes, cost=dear)), "300")
    assert logged.cost_scale == rest.cost_scale < replace(logged, unit=0.0).cost_scale / 5


def test_a_pacer_is_charged_posted_prices_where_there_are_any(known, monkeypatch) -> None:
    price = np.array([np.nan, 50.0, np.nan, 60.0])
    logged = replace(known, outcomes=replace(known.outcomes, price=price))
    prior = warm.fit(logged, reward_table(linear, logged))
    monkeypatch.setattr(Past, "after", lambda self, worth, used, cost: (worth, used, cost))
    policy = budget.held(bandits.linucb(4, 6), logged, pacing="primal_dual")
    worth, used, cost = warm.start(policy, prior).init(KEY).pacer.past
    mean = known.cost.mean(axis=0)
    np.testing.assert_allclose(cost[:, 0], [mean[0], 50.0, mean[2], 60.0], rtol=1e-5)
    np.testing.assert_allclose(used[:, :, 0], known.cost, rtol=1e-5)
    assert worth.shape == known.utility.shape


def test_a_discounted_policy_begins_with_the_log_as_one_moment(known) -> None:
    """`V = A` and so both sums are `A - ridge I`: squared weights of one moment are 1 as well."""
    prior = warm.fit(known, reward_table(linear, known), ridge=2.0)
    state = warm.start(bandits.dlinucb(4, 6, ridge=2.0), prior).init(KEY)
    assert isinstance(state, Discounted)
    x = known.context.astype(float)
    np.testing.assert_allclose(state.evidence, np.stack([x.T @ x] * 4), rtol=1e-3, atol=0.05)
    np.testing.assert_array_equal(state.squared, state.evidence)


# --- restart ----------------------------------------------------------------------------------------------------------


def counting() -> Policy:
    """A policy of two arms that counts each one's calls, and calls arm 1 with probability .9."""
    return Policy(
        lambda key: jnp.zeros(2),
        lambda key, state, seen: jnp.int32(1),
        lambda key, state, seen, arm, heard: state.at[arm].add(1.0),
        chances=lambda key, state, seen: jnp.array([0.1, 0.9]),
    )


def told(policy: Policy, state, reward: float, *, price: float = 1.0, arm: int = 1):
    seen, heard = example(2, 3)
    seen = seen._replace(price=jnp.array([1.0, price], jnp.float32))
    return policy.update(KEY, state, seen, jnp.int32(arm), heard._replace(reward=jnp.float32(reward)))


def test_an_arm_is_tested_after_just_so_many_calls_and_begins_anew_whole() -> None:
    policy = restart(counting(), 2, 3, threshold=0.5, slack=0.1, after=3, ridge=1e9)
    state = policy.init(KEY)
    for call in range(3):  # the first three are not tested, however large
        state = told(policy, state, 5.0)
        assert not state.restarts.any() and float(state.above[1]) == 0 and float(state.policy[1]) == call + 1
    state = told(policy, state, 0.0, arm=0)
    state = told(policy, state, 5.0)  # the fourth is: 5 - .1 > .5
    assert state.restarts.tolist() == [0, 1] and state.above.tolist() == [0, 0]
    # Calls of the arm before are forgotten, by the policy and by what foresees; the other arm's are not.
    assert state.policy.tolist() == [1, 1] and state.foreseen.pulls.tolist() == [1, 1]


def test_a_price_is_compared_with_the_one_that_the_arm_began_with() -> None:
    policy = restart(counting(), 2, 3, repriced=0.2)
    state = told(policy, policy.init(KEY), 0.5)
    for price, restarts in ((1.15, 0), (1.19, 0), (1.3, 1), (1.5, 1), (1.05, 1), (1.0, 2)):
        state = told(policy, state, 0.5, price=price)  # against 1, then against 1.3: below 1.04, above 1.56
        assert int(state.restarts[1]) == restarts, price
    fallen = told(policy, told(policy, policy.init(KEY), 0.5), 0.5, price=0.82)
    assert int(fallen.restarts[1]) == 0  # .18 of 1, though .22 of .82


def test_chances_are_shared_with_the_rounds_that_call_at_random() -> None:
    policy = restart(counting(), 2, 3, explore=0.2)
    chances = policy.chances
    assert chances is not None
    seen = example(2, 3)[0]
    np.testing.assert_allclose(
        chances(KEY, policy.init(KEY), seen), [0.8 * 0.1 + 0.1, 0.8 * 0.9 + 0.1], rtol=1e-6
    )
    alone = seen._replace(available=jnp.array([False, True]))
    np.testing.assert_allclose(chances(KEY, policy.init(KEY), alone), [0.08, 0.8 * 0.9 + 0.2], rtol=1e-6)


# --- newcomers --------------------------------------------------------------------------------------------------------


def test_of_two_newcomers_the_less_heard_is_called_and_its_chance_is_one() -> None:
    policy = explore_new(counting_four(), 4, 3, pulls=2)
    seen, heard = example(4, 3)
    before = seen._replace(available=jnp.array([True, True, False, False]))
    state = policy.update(KEY, policy.init(KEY), before, jnp.int32(0), heard)
    assert state.known.tolist() == [True, True, False, False] and policy.chances is not None
    for wanted in (2, 3, 2, 3):
        assert int(policy.act(KEY, state, seen)) == wanted
        assert policy.chances(KEY, state, seen).tolist() == [float(k == wanted) for k in range(4)]
        assert int(policy.act(KEY, state, before)) == 1  # one that has left again is not forced
        state = policy.update(KEY, state, seen, jnp.int32(wanted), heard)
    assert int(policy.act(KEY, state, seen)) == 1
    np.testing.assert_allclose(policy.chances(KEY, state, seen), [0.1, 0.9, 0.0, 0.0])


def counting_four() -> Policy:
    return Policy(
        lambda key: jnp.zeros(4),
        lambda key, state, seen: jnp.int32(1),
        lambda key, state, seen, arm, heard: state.at[arm].add(1.0),
        chances=lambda key, state, seen: jnp.array([0.1, 0.9, 0.0, 0.0]),
    )


def test_a_newcomer_that_has_calls_keeps_what_it_knows() -> None:
    """After a warm start an arm that joins is not new, and neither are arms that are there in the first round."""
    policy = pooled(bandits.linucb(4, 3), 4, 3)
    state = policy.init(KEY)
    assert isinstance(state.policy, Ridge)
    weight = jnp.arange(12.0).reshape(4, 3)
    pulls = jnp.array([3, 1, 0, 5], jnp.int32)
    state = state._replace(policy=state.policy._replace(weight=weight, pulls=pulls))
    seen, heard = example(4, 3)
    three = seen._replace(available=jnp.array([True, True, True, False]))
    first = policy.update(KEY, state, three, jnp.int32(0), heard)
    np.testing.assert_array_equal(first.policy.weight[1:], weight[1:])  # none was met before: none is new
    assert first.met.tolist() == [True, True, True, False]
    state = state._replace(met=jnp.array([True, True, False, False]))
    second = policy.update(KEY, state, seen, jnp.int32(0), heard)
    pool = (3 * weight[0] + 1 * weight[1] + 5 * weight[3]) / 9
    np.testing.assert_allclose(second.policy.weight[2], pool, rtol=1e-6)
    np.testing.assert_array_equal(second.policy.weight[3], weight[3])
    assert second.met.all()

"""Restart and the introduction of newcomers."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bandits
from bandits import rewards
from bandits.base import check, example
from bandits.experiment import worlds
from bandits.experiment.lineup import build
from bandits.loop.replay import replay
from bandits.rewards import accuracy, reward_table
from bandits.wrappers.newcomers import explore_new, pooled
from bandits.wrappers.restart import begun_anew, restart


def page_hinkley(errors: np.ndarray, threshold: float, slack: float) -> int | None:
    """Return the first index at which either cumulative sum exceeds the threshold: the recursion, written out."""
    above = below = 0.0
    for i, error in enumerate(errors):
        above, below = max(0.0, above + error - slack), max(0.0, below - error - slack)
        if max(above, below) > threshold:
            return i
    return None


def test_the_alarm_comes_when_page_hinkley_says(known) -> None:
    """With a huge ridge nothing is foreseen, so errors are the rewards themselves."""
    policy = restart(bandits.ucb1(2, 3), 2, 3, threshold=4.0, slack=0.2, after=1, ridge=1e9)
    state = policy.init(jax.random.key(0))
    seen, told = example(2, 3)
    told_rewards = np.random.default_rng(0).uniform(-0.3, 0.3, 60)
    told_rewards[30:] += 0.8
    restarts = []
    for reward in told_rewards:
        heard = told._replace(reward=jnp.float32(reward))
        state = policy.update(jax.random.key(1), state, seen, jnp.int32(1), heard)
        restarts.append(int(state.restarts[1]))
    first = page_hinkley(told_rewards[1:], 4.0, 0.2)  # the first call only begins the count
    assert first is not None and restarts.index(1) == first + 1
    assert int(state.restarts[0]) == 0


def test_only_the_changed_arm_begins_anew_and_shared_states_as_a_whole() -> None:
    gone = jnp.array([False, True, False])
    begun = begun_anew(
        {"a": jnp.ones((3, 2)), "b": jnp.ones(3)}, {"a": jnp.zeros((3, 2)), "b": jnp.zeros(3)}, gone
    )
    np.testing.assert_array_equal(begun["a"], [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(begun["b"], [1, 0, 1])
    shared = begun_anew({"a": jnp.ones(3), "n": jnp.ones(())}, {"a": jnp.zeros(3), "n": jnp.zeros(())}, gone)
    assert float(shared["n"]) == 0 and not shared["a"].any()
    kept = begun_anew(
        {"a": jnp.ones(3), "n": jnp.ones(())}, {"a": jnp.zeros(3), "n": jnp.zeros(())}, gone & False
    )
    assert float(kept["n"]) == 1 and kept["a"].all()


def test_restart_notices_a_regression_and_seldom_cries_wolf(known) -> None:
    policy = restart(bandits.linucb(4, 6), 4, 6)
    quiet = worlds.changed(known, ["price,model=model-0,factor=1,at=0.5"], seeds=8, rounds=2400)
    broken = worlds.changed(known, ["quality,model=model-0,change=-0.35,at=0.5"], seeds=8, rounds=2400)
    alarms = {}
    for name, world in (("quiet", quiet), ("broken", broken)):
        trace = replay(
            policy, world, reward_table(accuracy, world), seeds=8, probe=lambda state: state.restarts
        )
        assert trace.probed is not None
        alarms[name] = trace.probed
    # s^2 <= .25 / 4 at .9 / .2 answers: the mean time between false alarms is above 10^6 calls.
    assert alarms["quiet"][:, -1].sum() == 0
    assert (alarms["broken"][:, 1199].sum(axis=1) == 0).all()
    assert (alarms["broken"][:, -1, 0] >= 1).all()
    assert alarms["broken"][:, -1, 1:].sum() == 0


def test_a_posted_price_that_jumps_begins_its_arm_anew_at_once(known) -> None:
    world = worlds.changed(
        known, ["price,model=model-3,factor=0.1,at=300", "price,model=model-1,factor=0.9,at=300"], seeds=2
    )
    policy = restart(bandits.linucb(4, 6), 4, 6)
    trace = replay(policy, world, reward_table(accuracy, world), seeds=2, probe=lambda state: state.restarts)
    assert trace.probed is not None
    np.testing.assert_array_equal(trace.probed[:, 300], 0)
    np.testing.assert_array_equal(trace.probed[:, 301], [[0, 0, 0, 1]] * 2)


def test_wrappers_respect_available_and_explore_at_the_stated_rate(patchy, known) -> None:
    table = reward_table(accuracy, patchy)
    for wrapped in (
        restart(bandits.linucb(4, 6), 4, 6, explore=0.5),
        explore_new(bandits.linucb(4, 6), 4, 6),
    ):
        trace = replay(wrapped, patchy, table, seeds=2)
        assert patchy.available[trace.order, trace.arms].all()
    trying = restart(bandits.always(4, 6, model=1), 4, 6, explore=0.2)
    trace = replay(trying, known, reward_table(accuracy, known), seeds=4)
    # A fifth of 2,400 rounds is drawn from 4 arms: .15 leave arm 1, sd .0073; four of them.
    assert (trace.arms != 1).mean() == pytest.approx(0.15, abs=0.03)


def test_a_newcomer_has_its_forced_pulls_at_once_and_no_more(known) -> None:
    world = worlds.changed(known, ["arrive,model=model-2,at=300"], seeds=3)
    policy = explore_new(bandits.always(4, 6, model=1), 4, 6, pulls=20)
    trace = replay(policy, world, reward_table(accuracy, world), seeds=3)
    called = np.flatnonzero(trace.arms[0] == 2)
    np.testing.assert_array_equal(called, np.arange(300, 320))
    plain = replay(policy, known, reward_table(accuracy, known), seeds=3)
    assert (plain.arms == 1).all()  # nobody joins: nothing is forced


@pytest.mark.parametrize("name", ["linucb", "preference"])
def test_a_pooled_newcomer_begins_at_the_mean_of_the_others_by_calls(name: str) -> None:
    """Weights after 40 rounds in NumPy: ridge regressions of the known arms, and one centred on their mean."""
    rng, dim = np.random.default_rng(2), 3
    policy = pooled(bandits.POLICIES[name](4, dim, ridge=2.0), 4, dim)
    state, (seen, told) = policy.init(jax.random.key(0)), example(4, dim)
    without = seen._replace(available=jnp.array([True, True, False, True]), preference=jnp.float32(0.0))
    everyone = without._replace(available=jnp.ones(4, bool))

    def heard(state, seen, x, arm, y):
        told_now = told._replace(reward=jnp.float32(y), utility=jnp.float32(y), cost=jnp.float32(0.0))
        now = seen._replace(context=jnp.asarray(x, jnp.float32))
        return policy.update(jax.random.key(1), state, now, jnp.int32(arm), told_now)

    data: dict[int, list[tuple[np.ndarray, float]]] = {0: [], 1: [], 3: []}
    for _ in range(40):
        x, arm, y = rng.normal(size=dim), int(rng.choice([0, 1, 3], p=[0.6, 0.3, 0.1])), float(rng.normal())
        data[arm].append((x, y))
        state = heard(state, without, x, arm, y)

    def fit(pairs, centre):
        rows = np.array([x for x, _ in pairs]).reshape(-1, dim)
        left = np.array([y for _, y in pairs]) - rows @ centre
        return centre + np.linalg.solve(2.0 * np.eye(dim) + rows.T @ rows, rows.T @ left)

    weight = {arm: fit(pairs, np.zeros(dim)) for arm, pairs in data.items()}
    calls = {arm: len(pairs) for arm, pairs in data.items()}
    pool = sum(calls[a] * weight[a] for a in calls) / sum(calls.values())

    def own(state):
        ridge = state.policy
        return np.asarray(ridge.weight).reshape(4, -1, dim)[2, 0]

    np.testing.assert_array_equal(own(state), 0.0)
    first = (rng.normal(size=dim), 0.7)
    state = heard(state, everyone, first[0], 2, first[1])  # it joins, and is called in its first round
    np.testing.assert_allclose(own(state), fit([first], pool), atol=2e-5)
    second = (rng.normal(size=dim), -0.4)
    state = heard(state, everyone, second[0], 2, second[1])  # the pool is asked once
    np.testing.assert_allclose(own(state), fit([first, second], pool), atol=2e-5)


def test_a_narrow_policy_finds_a_better_newcomer_from_the_pool_and_never_from_nothing(known) -> None:
    """model-3 earns .5 on every query; what joins later earns .9 on every query."""
    utility = np.where(np.arange(4) == 2, 0.9, np.where(np.arange(4) == 3, 0.5, 0.2))
    table = np.tile(utility, (len(known), 1))
    flat = replace(known, outcomes=replace(known.outcomes, utility=table))
    world = worlds.changed(flat, ["arrive,model=model-2,at=300"], seeds=2)
    policy, worth = bandits.linucb(4, 6, alpha=0.05, prior=0.5), reward_table(accuracy, world)
    alone = bandits.linucb(4, 6, alpha=0.05)
    never = replay(alone, world, worth, seeds=2)
    # Its index is at most .05 |x| / sqrt(ridge) < .1 before its first call, and a known arm's mean is .2 at the least.
    assert (never.arms != 2).all()
    found = replay(pooled(alone, 4, 6), world, worth, seeds=2)
    # Known arms are called for about .2 to .5, and so it is believed to be worth, with the widest bound of all.
    assert (found.arms[:, 301:350] == 2).mean() > 0.9
    still = replay(pooled(policy, 4, 6), flat, np.tile(utility, (len(flat), 1)), seeds=2)
    plain = replay(policy, flat, np.tile(utility, (len(flat), 1)), seeds=2)
    np.testing.assert_array_equal(still.arms, plain.arms)  # nobody joins: nothing changes


def test_wrappers_by_spec(known) -> None:
    policy = build("restart(linucb,alpha=1),threshold=8", known, rewards.accuracy)
    check(policy, 4, 6)
    build("explore_new(restart(dlinucb)),pulls=5", known, rewards.accuracy)
    build("pooled(restart(swlinucb))", known, rewards.accuracy)
    for spec, message in (
        ("restart(linucb),limit=3", "no hyperparameter 'limit'"),
        ("again(linucb)", "no wrapper 'again'"),
        ("restart(linucbb)", "no policy 'linucbb'"),
        ("restart(linucb),threshold=0", "threshold > 0"),
        ("pooled(ucb1)", "pooled needs a policy with a ridge posterior"),
    ):
        with pytest.raises(ValueError, match=message):
            build(spec, known, rewards.accuracy)

"""The loop: orders, seeds, chunks."""

from __future__ import annotations

import numpy as np
import pytest

import bandits
from bandits import replay as replay_function
from bandits.loop.lanes import CHUNK
from bandits.loop.orders import orders
from bandits.rewards import accuracy, linear, log_cost, reward_table


def test_orders_are_permutations_repeated_and_cut(known) -> None:
    rows = orders(known, seeds=3, seed=1, rounds=1500)
    for s in range(3):
        assert sorted(rows[s, :600]) == list(range(600)) and sorted(rows[s, 600:1200]) == list(range(600))
        assert len(set(rows[s, 1200:])) == 300
    assert not np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows, orders(known, seeds=3, seed=1, rounds=1500))
    assert not np.array_equal(rows, orders(known, seeds=3, seed=2, rounds=1500))


def test_given_order_is_file_order_and_dataset_order_keeps_datasets_together(known) -> None:
    assert np.array_equal(orders(known, seeds=1, order="given")[0], np.arange(600))
    rows = orders(known, seeds=2, order="dataset")
    for s in range(2):
        names = known.dataset[rows[s]]
        assert (names[1:] != names[:-1]).sum() == len(set(names)) - 1
        assert names[0] == known.dataset[0]
    assert not np.array_equal(rows[0], rows[1])


def test_chunks_do_not_show(known) -> None:
    """A run longer than a chunk begins with the same arms as a run within one: the state goes on."""
    table = reward_table(linear, known)
    policy = bandits.thompson(4, 6)
    longer = replay_function(policy, known, table, seeds=2, rounds=CHUNK + 300)
    shorter = replay_function(policy, known, table, seeds=2, rounds=CHUNK)
    assert np.array_equal(longer.arms[:, :CHUNK], shorter.arms)
    late = longer.arms[:, CHUNK:]
    assert (table[longer.order[:, CHUNK:], late]).mean() > np.nanmean(table)


def test_progress_counts_every_round(known) -> None:
    told: list[int] = []
    replay_function(
        bandits.uniform(4, 6),
        known,
        reward_table(accuracy, known),
        seeds=2,
        rounds=1500,
        progress=told.append,
    )
    assert told == [2 * CHUNK, 2 * 1500]


def test_policies_share_orders(known) -> None:
    table = reward_table(accuracy, known)
    one = replay_function(bandits.uniform(4, 6), known, table, seeds=3, seed=4)
    two = replay_function(bandits.linucb(4, 6), known, table, seeds=3, seed=4)
    assert np.array_equal(one.order, two.order)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"seeds": 0}, "seeds=0"), ({"rounds": 0}, "rounds=0"), ({"order": "backwards"}, "'backwards'")],
)
def test_senseless_options_are_named(known, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replay_function(bandits.uniform(4, 6), known, reward_table(accuracy, known), **options)
    with pytest.raises(ValueError, match="table of shape"):
        replay_function(bandits.uniform(4, 6), known, np.zeros((3, 4)))


def test_linear_reward_is_the_formula(patchy) -> None:
    cost = patchy.cost
    dearest = max(cost[patchy.available[:, k], k].mean() for k in range(4))
    expected = patchy.utility - 0.3 * cost / dearest
    np.testing.assert_allclose(reward_table(linear, patchy, 0.3), expected)
    each = np.linspace(0, 1, len(patchy))
    np.testing.assert_allclose(
        reward_table(linear, patchy, each)[7], patchy.utility[7] - each[7] * cost[7] / dearest
    )


def test_log_cost_is_the_formula_and_zero_at_the_floor(known) -> None:
    worth = reward_table(lambda o, p: log_cost(o, p, floor=0.5, ceiling=5.0), known, 0.3)
    scaled = np.clip((np.log(known.cost) - np.log(0.5)) / (np.log(5.0) - np.log(0.5)), 0, 1)
    np.testing.assert_allclose(worth, known.utility - 0.3 * scaled, rtol=1e-12)
    with pytest.raises(ValueError, match="0 < floor < ceiling"):
        reward_table(lambda o, p: log_cost(o, p, floor=2.0, ceiling=1.0), known)


def _raises(outcome, preference):
    return outcome.utility["x"]


def _wrong_shape(outcome, preference):
    return outcome.utility.mean()


def _infinite(outcome, preference):
    return outcome.utility / (outcome.utility - 1.0)


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (_raises, r"reward _raises \(.*test_replay.py:\d+\) raised IndexError"),
        (_wrong_shape, r"needs to return shape \(600, 4\), got \(\)"),
        (_infinite, "needs to return finite numbers"),
    ],
)
def test_a_broken_reward_is_named_with_its_line(known, reward, message: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        reward_table(reward, known)

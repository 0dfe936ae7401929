"""Looks in the loop: what they open and show, the two-stage learner against NumPy, what it buys and does not buy."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import Policy, check
from bandits.contests import looking
from bandits.contests.looking import LOOK, WITH, WITHOUT
from bandits.loop import slots
from bandits.policies.sequential.look import look
from bandits.rewards import linear
from envs.calls import STOP, Calls
from envs.calls import check as check_calls
from tests.conftest import make_stream

ROUNDS = 500


def pair(gain: float, price: float, rows: int = ROUNDS):
    """A model without and with a look that helps by `gain` where what it shows is positive, and hurts elsewhere."""
    rng, plain = np.random.default_rng(0), make_stream(rows=rows, arms=2 + 1, features=1)
    shown = rng.normal(size=(rows, 1)).astype(np.float32)
    chance = np.column_stack([np.full(rows, 0.5), 0.5 + gain * np.sign(shown[:, 0]), np.zeros(rows)])
    utility = (rng.random((rows, 3)) < chance) * 1.0
    cost = np.column_stack([np.ones(rows), np.ones(rows) + price, np.ones(rows)])
    outcomes = replace(plain.outcomes, utility=utility, cost=cost).select(["model-0", "model-1"])
    return replace(plain, outcomes=outcomes, context=np.ones((rows, 1), np.float32)), shown


@pytest.fixture(scope="module")
def policy():
    return look(3, 1, arm=LOOK, features=1)


def test_the_world_of_a_look() -> None:
    stream, shown = pair(0.4, 0.5)
    made = looking.world(stream, shown)
    np.testing.assert_array_equal(made.utility[:, [WITHOUT, WITH]], stream.utility)
    assert (made.utility[:, LOOK] == 0).all()
    np.testing.assert_allclose(made.cost, np.tile([1.0, 0.5, 1.0], (ROUNDS, 1)))
    check_calls(made.several, (ROUNDS, 3), 3)
    with pytest.raises(ValueError, match=r"^needs of calls need an arm or -1 for each of 3 models"):
        check_calls(made.several._replace(calls=Calls(2, needs=(0, 5, 1))), (ROUNDS, 3), 3)


def test_a_look_opens_what_needs_it_and_shows_what_it_shows() -> None:
    """A policy that takes the last open arm, the look first, as long as all it saw and heard is as it should be."""
    stream, shown = pair(0.4, 0.5, rows=64)
    made = looking.world(stream, shown)

    def act(key, state, seen):
        open_ = jnp.where(state, jnp.where(seen.available, jnp.arange(3), -1).max(), WITHOUT)
        return jnp.where(seen.asked.any() & ~seen.available[WITH], STOP, open_).astype(jnp.int32)

    def update(key, state, seen, arm, told):
        right = (seen.features[LOOK, 0] != 0) == seen.asked[LOOK]
        opened = seen.available[WITH] == seen.asked[LOOK]
        return state & right & opened & (jnp.isnan(told.utility) == (arm == LOOK))

    arms = slots.replay(
        Policy(lambda key: jnp.array(True), act, update, again=True), made, linear, seeds=1
    ).arms
    np.testing.assert_array_equal(arms, np.broadcast_to([LOOK, WITH], arms.shape))


def test_it_is_two_stages_of_linucb(policy) -> None:
    """Every round of a run against regressions in float64, by normal equations."""
    stream, shown = pair(0.4, 0.2, rows=250)
    made = looking.world(stream, shown)
    trace = slots.replay(policy, made, linear, seeds=1, preference=0.1)
    data: dict = {name: ([], []) for name in ("plain0", "after0", "after2", "looking")}

    def index(name, x):
        told, rewards = data[name]
        start = np.zeros(len(x))
        start[-1] = 0.5
        rows = np.array(told).reshape(-1, len(x))
        inverse = np.linalg.inv(np.eye(len(x)) + rows.T @ rows)
        return x @ inverse @ (start + rows.T @ np.array(rewards)) + 1.0 * np.sqrt(x @ inverse @ x)

    same = 0
    for row, arms in zip(trace.order[0], trace.arms[0], strict=True):
        x, after = np.ones(1), np.array([shown[row, 0], 1.0])
        buys = index("looking", x) > index("plain0", x)
        answer = WITH if buys and index("after2", after) > index("after0", after) else WITHOUT
        same += arms.tolist() == ([LOOK, answer] if buys else [WITHOUT, STOP])
        bought, called = LOOK in arms, max(a for a in arms if a != LOOK)
        worth = made.utility[row, called] - 0.1 * (1 + 0.2 * bought) / made.cost_scale
        for name, told in ((f"after{called}", after), ("looking", x)) if bought else ((f"plain{called}", x),):
            data[name][0].append(told)
            data[name][1].append(worth)
    assert same >= 248


def test_it_buys_where_that_pays_and_only_there(policy) -> None:
    earned, bought = [], []
    for gain, price in ((0.45, 0.1), (0.0, 3.0)):
        stream, shown = pair(gain, price)
        made = looking.world(stream, shown)
        trace = slots.replay(policy, made, linear, seeds=2, preference=0.3)
        earned.append(slots.gained(trace, made, linear, 0.3).sum(axis=2)[:, ROUNDS // 2 :].mean())
        bought.append((trace.arms[:, ROUNDS // 2 :] == LOOK).any(axis=2).mean())
    assert bought[0] > 0.9 and bought[1] < 0.05
    stream, shown = pair(0.45, 0.1)
    found = looking.online(stream, np.arange(ROUNDS), revealed=shown, seeds=2)
    assert [rule.name for rule in found] == ["online gate", "online, look then choose"]
    assert found[1].late.lo > 0.1 > found[0].late.mean  # the gate sees nothing that tells the queries apart
    assert "shown" in looking.verdict(found)[1]


def test_contract() -> None:
    for given in ({}, {"arm": 1, "features": 2}, {"arm": 1, "buy": "never"}):
        check(look(3, 2, **given), 3, 2)
    with pytest.raises(ValueError, match=r"^look needs arm < 3, got arm=3$"):
        look(3, 2, arm=3)

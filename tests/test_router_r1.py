"""Router-R1's policy: loss and advantages against a NumPy forward pass, its reward, what training learns."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import check
from bandits.loop import slots
from bandits.policies.llmbandit.identity import first_dense
from bandits.policies.llmbandit.networks import HEADS, Pool
from bandits.policies.sequential import r1_training as training
from bandits.policies.sequential.r1_networks import Frozen, Situation, first_networks
from bandits.policies.sequential.r1_training import Episodes, Schedule
from bandits.policies.sequential.router_r1 import router_r1
from bandits.rewards import linear
from bandits.sequential import router_r1 as rewards
from bandits.sequential.logged import Logged
from envs.calls import Calls, Several, best_heard
from tests.conftest import make_stream

ARMS, DIM, SIZE, WIDTH, TURNS = 3, 2, 4, 8, 3


def net(layers, x):
    for i, layer in enumerate(layers):
        x = x @ np.asarray(layer["weight"], float) + np.asarray(layer["bias"], float)
        x = np.maximum(x, 0) if i < len(layers) - 1 else x
    return x


def attend(block, asking, tokens, there):
    """Multi-head attention, head by head."""
    query, keys, values = (
        net([layer], x) for layer, x in zip(block[:3], (asking, tokens, tokens), strict=True)
    )
    size, heard = query.shape[1] // HEADS, []
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        score = np.where(there, query[:, part] @ keys[:, part].T / np.sqrt(size), -np.inf)
        weight = np.exp(score - score.max(axis=1, keepdims=True))
        heard.append(weight / weight.sum(axis=1, keepdims=True) @ values[:, part])
    hidden = asking + net([block.out], np.concatenate(heard, axis=1))
    return hidden + net(block.feed, hidden)


def forward(networks, frozen, now, turns):
    """Return log-probabilities `(K + 1,)` and the critic's value of one situation, in float64."""
    context, available, asked, heard, spent = (np.asarray(a, float) for a in now)
    told = net(frozen.response, context)
    chance = 1 / (1 + np.exp(-(np.asarray(frozen.pool.vector, float) @ told[:-1] - told[-1])))
    score = np.clip(np.nan_to_num(heard, nan=0.5), 1e-4, 1 - 1e-4)
    said = np.where(asked > 0, np.clip(np.log(score / (1 - score)), -7, 7) / 7, 0.0)
    cost = np.asarray(frozen.pool.cost, float) / float(frozen.unit)
    tokens = np.column_stack([np.asarray(frozen.pool.vector, float), asked, said, cost, chance])
    there, aside = (available + asked) > 0, np.array([spent, asked.sum() / turns])

    def encoded(encoder):
        each = net([encoder.token], tokens)
        each = attend(encoder.among, each, each, there)
        return attend(encoder.pool, np.asarray(encoder.seed, float), each, there)[0]

    actor, critic = networks
    wanted = net(actor.head, np.concatenate([encoded(actor.encoder), context, net([actor.omega], aside)]))
    open_ = (available > 0) & (asked == 0) & (asked.sum() < turns)
    logits = np.append(tokens @ wanted[:-1], wanted[-1])
    logits = np.where(np.append(open_, asked.any() or not open_.any()), logits, -np.inf)
    top = logits.max()
    value = net(critic.head, np.concatenate([encoded(critic.encoder), context, aside]))[0]
    return logits - top - np.log(np.exp(logits - top).sum()), value


@pytest.fixture(scope="module")
def made():
    """Networks, what is frozen, and episodes of two and three turns."""
    rng = np.random.default_rng(0)
    networks = first_networks(rng, DIM, SIZE, WIDTH)
    pool = Pool(jnp.asarray(rng.normal(size=(ARMS, SIZE)), jnp.float32), jnp.asarray([1.0, 2.0, 4.0]))
    frozen = Frozen(first_dense(rng, DIM, 6, SIZE + 1), pool, jnp.float32(4.0))
    context = np.repeat(rng.normal(size=(2, 1, DIM)), TURNS, axis=1)
    asked = np.array([[[0, 0, 0], [0, 1, 0], [0, 1, 1]], [[0, 0, 0], [1, 0, 0], [1, 0, 0]]], bool)
    score = rng.random((2, 1, ARMS))
    now = Situation(
        jnp.asarray(context, jnp.float32),
        jnp.asarray(~asked & (np.arange(ARMS) < [[[3]], [[2]]])),
        jnp.asarray(asked),
        jnp.asarray(np.where(asked, score, np.nan), jnp.float32),
        jnp.asarray([[0.0, 0.5, 1.5], [0.0, 0.25, 0.25]]),
    )
    live = jnp.asarray([[True, True, True], [True, True, False]])
    action = jnp.asarray([[1, 2, ARMS], [0, ARMS, ARMS]])
    old, value = rng.normal(-1, 0.2, (2, TURNS)), rng.normal(0.3, 0.2, (2, TURNS))
    done = Episodes(now, action, jnp.asarray(old, jnp.float32), jnp.asarray(value, jnp.float32), live)
    return networks, frozen, done


@pytest.mark.parametrize("decay", [1.0, 0.9])
def test_advantages_are_those_of_a_loop_over_turns(made, decay: float) -> None:
    done, reward = made[2], np.array([0.7, -0.2])
    told = jax.jit(training.advantages)(done, jnp.asarray(reward), decay)
    advantage, target = (np.asarray(a) for a in told)
    value, last = np.asarray(done.value, float), [2, 1]
    for b in range(2):
        for t in range(TURNS):
            want = 0.0
            for ahead in range(t, last[b] + 1):
                after = value[b, ahead + 1] if ahead < last[b] else reward[b]
                want += decay ** (ahead - t) * (after - value[b, ahead])
            want *= t <= last[b]
            assert float(advantage[b, t]) == pytest.approx(want, abs=1e-5)
            assert float(target[b, t]) == pytest.approx((want + value[b, t]) * (t <= last[b]), abs=1e-5)
    if decay == 1:
        np.testing.assert_allclose(np.asarray(target)[0], reward[0], atol=1e-5)


def test_the_loss_is_that_of_a_numpy_forward_pass(made) -> None:
    networks, frozen, done = made
    advantage, target = (
        np.array([[0.8, -0.4, 1.1], [-0.9, 0.5, 0.0]]),
        np.array([[0.7] * 3, [-0.2, -0.2, 0.0]]),
    )
    schedule = Schedule(turns=TURNS)
    policy, error, entropy, count = 0.0, 0.0, 0.0, 0
    plain = jax.tree.map(np.asarray, done)  # JAX compiles each index anew
    for b, t in np.argwhere(plain.live):
        now = Situation(*(a[b, t] for a in plain.now))
        chances, value = forward(networks, frozen, now, TURNS)
        ratio = np.exp(chances[plain.action[b, t]] - plain.log_chance[b, t])
        policy -= min(ratio * advantage[b, t], np.clip(ratio, 0.8, 1.2) * advantage[b, t])
        error += (value - target[b, t]) ** 2
        finite = chances[np.isfinite(chances)]
        entropy -= (np.exp(finite) * finite).sum()
        count += 1
    want = (policy + 0.5 * error - 0.01 * entropy) / count
    got = training.loss(networks, schedule, frozen, done, jnp.asarray(advantage), jnp.asarray(target))
    assert float(got) == pytest.approx(want, rel=2e-4)
    slope = jax.grad(training.loss)(
        networks, schedule, frozen, done, jnp.asarray(advantage), jnp.asarray(target)
    )
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slope))


def test_an_episode_earns_the_papers_reward() -> None:
    """In order, with the window of costs; the delivered answer is the best heard."""
    utility = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    cost = np.array([[1.0, 2.0, 8.0]] * 3)
    score = np.array([[0.9, 0.4, 0.2], [0.3, 0.2, 0.8], [0.5, 0.5, 0.5]])
    log = Logged(np.ones((3, 1)), utility, cost, score, judge_cost=np.full((3, 3), 0.5), combine=best_heard)
    turn = np.array([[0, 1, -1], [1, -1, 0], [0, -1, -1]])
    rows = np.array([0, 1, 2])
    window, got = training.rewarded(log, rows, turn, rewards.Window((2.0, 3.0)), 0.6)
    want, held = [], rewards.Window((2.0, 3.0))
    for u, c in ((0.0, 4.0), (0.5, 10.0), (0.0, 1.5)):
        held, earned = rewards.cost_reward(held, c)
        want.append(0.4 * u + 0.6 * earned if u > 0 else 0.0)
    np.testing.assert_allclose(got, want, atol=1e-12)
    assert window == held and got[1] == pytest.approx(0.2)


def test_a_batch_of_costs_earns_what_one_after_the_other_does() -> None:
    costs, rng = np.random.default_rng(0).integers(0, 50, 1300) * 1.0, np.random.default_rng(1)
    window, one = rewards.Window(), []
    for cost in costs:
        window, earned = rewards.cost_reward(window, float(cost))
        one.append(earned)
    held, several = rewards.Window(), []
    while len(several) < len(costs):
        size = int(rng.integers(1, 400))
        held, part = rewards.after(held, costs[len(several) : len(several) + size])
        several += part.tolist()
    np.testing.assert_allclose(several, one, atol=1e-12)
    assert held == window
    assert rewards.after(window, np.full(1000, 4.0))[1][-1] == 0.5  # no spread
    with pytest.raises(ValueError, match="needs a cost >= 0"):
        rewards.after(window, [-1.0])


def test_it_learns_what_alpha_asks_for() -> None:
    """A cheap weak and a dear strong model: by cost alone the cheap one, by utility alone the strong one as well."""
    stream, rng = make_stream(rows=160, arms=3, features=1), np.random.default_rng(0)
    utility = (rng.random((160, 3)) < [0.55, 0.3, 0.95]) * 1.0
    cost = np.tile([1.0, 3.0, 30.0], (160, 1))
    outcomes = replace(stream.outcomes, utility=utility, cost=cost)
    score = 0.5 * utility + 0.5 * rng.random(utility.shape)
    several = Several(Calls(2, combine=best_heard, hear="delivered"), score)
    stream = replace(stream, outcomes=outcomes, several=several)
    log = Logged(stream.context, utility, cost, score, combine=best_heard)
    called = []
    for alpha in (0.0, 0.9):
        policy = router_r1(3, stream.dim, log=log, alpha=alpha, turns=2, width=8, rollouts=40)
        arms = slots.replay(policy, stream, linear, seeds=1).arms[0]
        called.append([(arms == k).any(axis=1).mean() for k in range(3)])
    assert called[0][2] > 0.9 and called[1][0] > 0.9 and called[1][2] < 0.1
    check(policy, 3, stream.dim)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 1.2}, "needs 0 <= alpha <= 1"),
        ({"turns": 0}, "needs a whole number turns >= 1"),
        ({"width": 6}, "needs width to be a multiple of 4"),
        ({}, "^router_r1 needs logged outcomes to be fitted on, got none; give --warm-start SHARE$"),
    ],
)
def test_what_it_refuses(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        router_r1(3, 2, **given)

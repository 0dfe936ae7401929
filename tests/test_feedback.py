"""Late feedback: nothing is heard before it is due, nothing is lost or heard twice, and no delay is the plain loop."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bandits
from bandits.base import Feedback, Policy, example
from bandits.loop import feedback
from bandits.loop.feedback import NEVER, Late, constant, due, outstanding, parse, timetable
from bandits.loop.lanes import CHUNK
from bandits.loop.replay import replay
from bandits.policies.tabular.exp4 import advice
from bandits.rewards import accuracy, linear, reward_table

AT_ONCE = Late(constant)  # the queue with nothing in it; `parse("0")` is the plain loop instead


@pytest.mark.parametrize("build", [bandits.linucb, bandits.thompson, bandits.exp3])
def test_no_delay_is_plain_replay(build, known) -> None:
    table, policy = reward_table(linear, known), build(4, 6)
    plain = replay(policy, known, table, seeds=2)
    for late in (parse("0"), AT_ONCE, parse("0", batch=1)):
        queued = replay(policy, known, table, seeds=2, feedback=late)
        np.testing.assert_array_equal(queued.arms, plain.arms)


def counting() -> Policy:
    """Return a policy that hears the number of a round as its reward and whose next arm tells what it has heard."""

    def update(key, state, observation, arm, heard: Feedback):
        return state + heard.reward

    return Policy(lambda key: jnp.zeros(()), lambda key, s, o: (s % 4).astype(jnp.int32), update)


@pytest.mark.parametrize(
    "late", ["3", "uniform,least=0,most=40", "geometric,mean=30,never=0.2", "7,never=0.5"]
)
@pytest.mark.parametrize("batch", [1, 16])
def test_the_arm_of_each_round_tells_exactly_what_was_due(known, late: str, batch: int) -> None:
    """Row i is worth 4^-i-like tell-tale 1 or 0 at random; the sum modulo 4 of what is heard is the next arm."""
    tell = np.random.default_rng(3).integers(0, 2, len(known)).astype(float)
    table = np.tile(tell[:, None], (1, 4))
    rounds = CHUNK + 200
    plan = parse(late, batch=batch)
    assert plan is not None
    trace = replay(counting(), known, table, seeds=3, seed=5, rounds=rounds, feedback=plan)
    after = due(plan, (3, rounds), 5)
    for s in range(3):
        told = np.zeros(rounds + 1)
        inside = (after[s] != NEVER) & (after[s] < rounds)
        # Heard after round `after`, hence seen from the next round on.
        np.add.at(told, after[s][inside] + 1, tell[trace.order[s]][inside])
        np.testing.assert_array_equal(trace.arms[s], np.cumsum(told)[:rounds] % 4)


def test_a_planted_reward_does_not_show_before_it_is_due(known) -> None:
    table = np.zeros((len(known), 4))
    late = parse("50")
    quiet = replay(bandits.thompson(4, 6), known, table, seeds=2, seed=1, feedback=late)
    planted = table.copy()
    planted[quiet.order[0, 100]] = 30.0
    loud = replay(bandits.thompson(4, 6), known, planted, seeds=2, seed=1, feedback=late)
    np.testing.assert_array_equal(loud.arms[0, :151], quiet.arms[0, :151])
    assert (loud.arms[0, 151:] != quiet.arms[0, 151:]).any()


def test_batches_of_one_are_plain_and_larger_ones_are_not(known) -> None:
    table, policy = reward_table(accuracy, known), bandits.linucb(4, 6)
    plain = replay(policy, known, table, seeds=2)
    np.testing.assert_array_equal(
        replay(policy, known, table, seeds=2, feedback=Late(constant, 1)).arms, plain.arms
    )
    batched = replay(policy, known, table, seeds=2, feedback=parse("0", batch=50))
    assert (batched.arms != plain.arms).any()
    assert table[batched.order, batched.arms].mean() > table.mean() + 0.05  # it learns all the same
    # Nothing is heard in the first batch, so every choice there is a tie: the lowest arm.
    assert (batched.arms[:, :50] == 0).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seeds=st.integers(1, 3),
    rounds=st.integers(1, 90),
    batch=st.integers(1, 20),
    spec=st.sampled_from(["0", "11", "geometric,mean=9", "uniform,least=2,most=30", "4,never=0.5"]),
    seed=st.integers(0, 99),
)
def test_nothing_is_lost_or_heard_twice(seeds: int, rounds: int, batch: int, spec: str, seed: int) -> None:
    plan = parse(spec, batch=batch) or AT_ONCE
    after = due(plan, (seeds, rounds), seed)
    times = timetable(after)
    source = np.broadcast_to(times.source, (seeds, times.source.shape[1]))
    assert (after[after != NEVER] >= np.nonzero(after != NEVER)[1]).all()  # never before it was called
    for s in range(seeds):
        at = np.repeat(np.arange(rounds), np.diff(times.first))
        heard = {int(r): int(a) for r, a in zip(source[s], at, strict=True) if r != NEVER}
        assert sum(source[s] != NEVER) == len(heard)  # none twice
        wanted = {t: int(a) for t, a in enumerate(after[s]) if a != NEVER and a < rounds}
        assert heard == wanted  # none lost, none at another time
        assert all(a - t < times.ring for t, a in heard.items())
    left = outstanding(after)
    assert (left >= 0).all() and (left[:, -1] == ((after == NEVER) | (after >= rounds)).sum(axis=1)).all()


def test_chunks_of_the_timetable_are_the_timetable() -> None:
    plan = parse("geometric,mean=40")
    assert plan is not None
    times = timetable(due(plan, (2, 700), 0))
    parts = []
    for begin in range(0, 700, 100):
        source, first = times.chunk(begin, begin + 100)
        parts.append(source[:, : first[-1]])
        assert source.shape[1] & (source.shape[1] - 1) == 0
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), times.source)


def test_delays_have_the_stated_means() -> None:
    rng = np.random.default_rng(0)
    # 40,000 draws: the geometric of mean 20 has an sd of 20.5, its mean one of .1; the uniform one of 30, .15.
    assert feedback.geometric(rng, (4, 10_000), mean=20.0).mean() == pytest.approx(20, abs=0.4)
    drawn = feedback.uniform(rng, (4, 10_000), least=0, most=100)
    assert drawn.mean() == pytest.approx(50, abs=0.6) and drawn.max() == 100
    assert (constant(rng, (4, 10_000), rounds=3, never=0.1) == NEVER).mean() == pytest.approx(0.1, abs=0.006)


def test_full_feedback_hears_every_available_model(patchy) -> None:
    """A policy that counts what it hears of each arm hears each available one once a round."""

    def update(key, state, observation, arm, heard):
        return state.at[arm].add(1.0)

    policy = Policy(
        lambda key: jnp.zeros(4), lambda key, s, o: jnp.argmax(o.available).astype(jnp.int32), update
    )
    table = reward_table(accuracy, patchy)
    plan = parse("0", feedback="full")
    trace = replay(policy, patchy, table, seeds=1, rounds=300, feedback=plan, probe=lambda s: s)
    assert trace.probed is not None
    told = np.cumsum(patchy.available[trace.order[0]], axis=0)
    np.testing.assert_array_equal(trace.probed[0, 1:], told[:-1])


def test_full_feedback_is_the_upper_reference(known) -> None:
    table, policy = reward_table(accuracy, known), bandits.greedy(4, 6)
    one, all_of = (
        replay(policy, known, table, seeds=4, feedback=parse("0", feedback=kind))
        for kind in ("bandit", "full")
    )
    assert table[all_of.order, all_of.arms].mean() > table[one.order, one.arms].mean() + 0.1


def test_a_budget_is_charged_at_the_call_and_remembered_for_the_update(known) -> None:
    table, limits = reward_table(accuracy, known), np.array([150.0, np.inf, np.inf])
    policy = bandits.linucb(4, 6)
    plain = replay(policy, known, table, seeds=2, budget=limits)
    queued = replay(policy, known, table, seeds=2, budget=limits, feedback=AT_ONCE)
    np.testing.assert_array_equal(plain.arms, queued.arms)
    spent = np.where(queued.arms >= 0, known.cost[queued.order, np.maximum(queued.arms, 0)], 0).sum(axis=1)
    assert (spent > 149).all() and (spent < 150 + known.cost.max()).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delay": "soon"}, "no delay 'soon'"),
        ({"delay": "geometric,mean=-1"}, "mean >= 0"),
        ({"delay": "5,never=2"}, "never"),
        ({"delay": "uniform,least=9,most=3"}, "least <= most"),
        ({"batch": 0}, "--batch needs"),
        ({"feedback": "gossip"}, "--feedback needs"),
    ],
)
def test_senseless_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(**options)


def off(trace, table: np.ndarray, late, rate: float, *, at_hearing: bool = False) -> float:
    """Return by how much the loop's losses differ, at most, from a float64 step that stores each call's chance.

    Every step begins from the losses that the loop had: an error of one would come back through the next chances and
    grow e^(sum of rate / sqrt(t) times a loss), a thousandfold in 600 rounds, whatever was right.

    Args:
        trace: with losses `(N,)` and advice `(N K,)` probed.
        table: `(rows, K)` rewards.
        late: of the trace.
        rate: of the weights, before the division by sqrt(t).
        at_hearing: take chance and advice from when the outcome is heard: the mistake that is to be seen.
    """
    n = trace.probed.shape[2] // (1 + 4)
    due, arms, rows = feedback.due(late, trace.order.shape, 4)[0], trace.arms[0], trace.order[0]
    heard, waiting, worst = 1, {}, 0.0

    def divided(losses: np.ndarray, advised: np.ndarray, arm: int) -> np.ndarray:
        weight = np.exp(-rate / np.sqrt(heard) * (losses - losses.min()))
        return advised[:, arm] / max((weight / weight.sum() @ advised)[arm], 1e-30)  # 0 only at the hearing

    for t, (row, arm) in enumerate(zip(rows[:-1], arms[:-1], strict=True)):
        before, advised = np.split(trace.probed[0, t].astype(float), [n])
        advised = advised.reshape(n, 4)
        waiting.setdefault(due[t], []).append((arm, divided(before, advised, arm), table[row, arm]))
        losses = before.copy()
        for called, stored, reward in waiting.pop(t, []):
            share = divided(losses, advised, called) if at_hearing else stored
            losses += (1 - np.clip((reward + 0.2) / 1.2, 0, 1)) * share
            heard += 1
        after = trace.probed[0, t + 1, :n]
        worst = max(worst, np.abs(after - (losses - losses.min())).max() / (1 + np.ptp(losses)))
    return worst


LATE = [("1", 1), ("100", 1), ("0", 50)]
# Exponents stay below 16, so that float32 errs in a chance by about 4 * 16 * 2^-24 = 4e-6 of it, and 50 additions in a
# batch by 50 * 2^-24 = 3e-6 of the losses.
MARGIN = 1e-5


@pytest.mark.parametrize(("delay", "batch"), LATE)
def test_exp3_divides_by_the_chance_of_the_call(delay: str, batch: int, known) -> None:
    late, table = feedback.parse(delay, batch=batch), reward_table(accuracy, known)
    policy, rate = bandits.exp3(4, known.dim), np.sqrt(np.log(4) / 4)

    def probe(state):
        return jnp.append(state.total, jnp.eye(4))  # each arm advises itself

    trace = replay(policy, known, table, seeds=1, seed=4, rounds=600, feedback=late, probe=probe)
    assert off(trace, table, late, rate) < MARGIN < 1e-2 < off(trace, table, late, rate, at_hearing=True)


@pytest.mark.parametrize(("delay", "batch"), LATE)
def test_exp4_keeps_advice_and_chance_of_the_call(delay: str, batch: int, known) -> None:
    """The expert beside arms and the uniform choice advises another arm each round, by lot."""
    late, table = feedback.parse(delay, batch=batch), reward_table(accuracy, known)
    coin = bandits.uniform(4, known.dim)
    policy, rate = bandits.exp4(4, known.dim, experts=[coin]), np.sqrt(np.log(6) / 4)
    seen = example(4, known.dim)[0]

    def probe(state):
        return jnp.append(state.losses.total, advice([coin], state, seen))

    trace = replay(policy, known, table, seeds=1, seed=4, rounds=600, feedback=late, probe=probe)
    assert off(trace, table, late, rate) < MARGIN < 1e-2 < off(trace, table, late, rate, at_hearing=True)


@pytest.mark.parametrize("name", ["exp3", "exp4"])
def test_delay_does_not_pay(name: str, known) -> None:
    """Mean reward over 8 seeds of 2,000 rounds has a standard error of about .5 / sqrt(16000) = .004; four allowed."""
    policy, table = bandits.POLICIES[name](4, known.dim), reward_table(accuracy, known)
    earned = []
    for delay in ("0", "200"):
        trace = replay(policy, known, table, seeds=8, rounds=2000, feedback=feedback.parse(delay))
        earned.append(table[trace.order, trace.arms].mean())
    assert earned[1] < earned[0] + 0.016

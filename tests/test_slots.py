"""Several calls a query: the loop's slots against plain NumPy loops in float64, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bandits
from bandits.base import Policy
from bandits.loop import slots
from bandits.loop.feedback import parse
from bandits.loop.rounds import run_chunk
from bandits.loop.turns import run_turns
from bandits.rewards import linear, reward_table
from envs.calls import STOP, Answers, Calls, Several, best_heard, last
from envs.stream import Stream

FIRST, SECOND, RATE = 0, 3, 0.02
ROUNDS = 1500  # more than a chunk


def scored(stream: Stream, calls: Calls, seed: int = 3) -> Stream:
    """Return the stream with columns `<model>_conf`: a judge that is right about a little more often than not."""
    rng = np.random.default_rng(seed)
    conf = np.clip(0.3 * stream.utility + 0.7 * rng.random(stream.utility.shape), 0, 1).astype(np.float32)
    columns = {f"{model}_conf": conf[:, k] for k, model in enumerate(stream.models)}
    scores = np.stack([columns[f"{model}_conf"] for model in stream.models], axis=1).astype(float)
    return replace(stream, several=Several(calls, scores))


def cascade(n_arms: int) -> Policy:
    """Call one model, then a second where the first one's score is below a threshold, which moves by what it gains."""

    def act(key, threshold, seen):
        del key
        escalate = seen.asked[FIRST] & (seen.heard[FIRST] < threshold)
        then = jnp.where(escalate & ~seen.asked[SECOND], SECOND, STOP)
        return jnp.where(seen.asked.any(), then, FIRST).astype(jnp.int32)

    def update(key, threshold, seen, arm, heard):
        del key, seen
        return jnp.where(arm == SECOND, threshold + RATE * heard.reward, threshold)

    return Policy(lambda key: jnp.float32(0.5), act, update)


def in_numpy(
    stream: Stream, rows: np.ndarray, preference: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return arms `(T, 2)`, slot rewards `(T, 2)` and costs `(T,)` of the cascade, in float64."""
    scores, scale = stream.several.scores, stream.cost_scale  # type: ignore[union-attr]
    threshold, arms, rewards, costs = 0.5, [], [], []
    for row in rows:
        called, cost = [FIRST, STOP], stream.cost[row, FIRST]
        worth = stream.utility[row, FIRST] - preference * cost / scale
        gain = 0.0
        if scores[row, FIRST] < threshold:  # type: ignore[index]
            called[1] = SECOND
            cost += stream.cost[row, SECOND]
            gain = stream.utility[row, SECOND] - preference * cost / scale - worth
            threshold += RATE * gain
        arms.append(called), rewards.append([worth, gain]), costs.append(cost)
    return np.array(arms), np.array(rewards), np.array(costs)


def test_a_cascade_of_two_models_is_that_of_a_numpy_loop(known) -> None:
    stream = scored(known, Calls(most=2, combine=last))
    trace = slots.replay(cascade(4), stream, linear, seeds=2, seed=1, rounds=ROUNDS, preference=0.3)
    assert trace.arms.shape == (2, ROUNDS, 2)
    rewards = slots.gained(trace, stream, linear, 0.3)
    for s in range(2):
        arms, gains, costs = in_numpy(stream, trace.order[s], 0.3)
        # Scores are given in float32; 750 float32 additions of the threshold err by less than 1e-4, and a score falls
        # that near to it once in 10,000 rounds or so.
        assert (arms != trace.arms[s]).any(axis=1).sum() <= 1
        same = (arms == trace.arms[s]).all(axis=1)
        np.testing.assert_allclose(rewards[s][same], gains[same], atol=1e-12)
        called = trace.arms[s] >= 0
        spent = np.where(called, stream.cost[trace.order[s][:, None], np.maximum(trace.arms[s], 0)], 0.0).sum(
            axis=1
        )
        np.testing.assert_allclose(spent[same], costs[same], rtol=1e-12)
        assert 0.1 < called[:, 1].mean() < 0.9  # both kinds of rounds are there


def test_slot_rewards_add_up_to_what_the_delivered_answer_is_worth(known) -> None:
    """Uniform sets of three, of which the answer scored best is delivered."""
    stream = scored(known, Calls(most=3, reveal="end", combine=best_heard))
    trace = slots.replay(bandits.uniform(4, known.dim), stream, linear, seeds=2, rounds=200)
    total = slots.gained(trace, stream, linear).sum(axis=2)
    for s, t in np.ndindex(2, 200):
        row, arms = trace.order[s, t], trace.arms[s, t]
        assert len(set(arms)) == 3 and (arms >= 0).all()
        best = min(arms, key=lambda k: (-stream.several.scores[row, k], k))  # type: ignore[union-attr,index]
        worth = stream.utility[row, best] - 0.2 * stream.cost[row, arms].sum() / stream.cost_scale
        assert total[s, t] == pytest.approx(worth, abs=1e-12)


@pytest.mark.parametrize("reveal", ["each", "end"])
def test_what_is_seen_before_each_slot(reveal: str, known) -> None:
    """A policy calls arms 0, 1, 2 and keeps what it saw and was fed: the last row's scores, room, features, gains."""
    several = Calls(most=3, reveal=reveal, combine=last, room=(1e6, np.inf, np.inf))
    features = np.random.default_rng(0).random((len(known), 4, 2)).astype(np.float32)
    stream = scored(known, several)
    stream = replace(stream, several=stream.several._replace(features=features))  # type: ignore[union-attr]

    seen_by: list[np.ndarray] = []

    def learn(key, state, seen, arm, heard):
        del key
        now = [seen.asked * 1.0, seen.heard, seen.room[:1], seen.features[:, 1], heard.reward[None]]
        after = state.at[arm].set(jnp.concatenate(now))
        jax.debug.callback(lambda x: seen_by.append(np.asarray(x)), after)
        return after

    policy = Policy(
        lambda key: jnp.zeros((3, 14)), lambda k, s, seen: seen.asked.sum().astype(jnp.int32), learn
    )
    trace = slots.replay(policy, stream, linear, seeds=1, rounds=1024, order="given")
    jax.effects_barrier()
    row = trace.order[0, -1]
    np.testing.assert_array_equal(trace.arms[0, -1], [0, 1, 2])
    final = max(
        (x.reshape(3, 14) for x in seen_by), key=lambda x: np.allclose(x[:, 9:13], features[row, :, 1])
    )
    spent = np.cumsum(known.cost[row, :3])
    scores = np.float32(stream.several.scores[row])  # type: ignore[union-attr,index]
    for m in range(3):
        np.testing.assert_array_equal(final[m, :4], np.arange(4) < m)
        heard = np.where(np.arange(4) < m, scores, np.nan) if reveal == "each" else np.full(4, np.nan)
        np.testing.assert_array_equal(final[m, 4:8], heard)
        assert final[m, 8] == pytest.approx(1e6 - (spent[m - 1] if m else 0.0), abs=0.1)
        worth = known.utility[row, m] - 0.2 * spent[m] / known.cost_scale
        before = known.utility[row, m - 1] - 0.2 * spent[m - 1] / known.cost_scale if m else 0.0
        assert final[m, 13] == pytest.approx(worth - before, abs=1e-5)


def test_no_call_follows_the_one_that_reaches_the_room(known) -> None:
    limit = 4.0
    stream = scored(known, Calls(most=4, room=(limit, np.inf, np.inf)))
    trace = slots.replay(bandits.uniform(4, known.dim), stream, linear, seeds=2, rounds=300)
    made = trace.arms >= 0
    cost = np.where(made, known.cost[trace.order[..., None], np.maximum(trace.arms, 0)], 0.0)
    before = np.cumsum(cost, axis=2) - cost
    np.testing.assert_array_equal(made, before < limit)


def test_one_call_a_query_is_the_plain_loop(known) -> None:
    """The same arms, from the same compiled program."""
    policy, table = bandits.ucb1(4, known.dim), reward_table(linear, known)
    plain = bandits.replay(policy, known, table, seeds=2, rounds=100)
    before = run_chunk._cache_size(), run_turns._cache_size()
    one = slots.replay(policy, scored(known, Calls()), linear, seeds=2, rounds=100)
    assert one.arms.shape == (2, 100)
    np.testing.assert_array_equal(plain.arms, one.arms)
    assert (run_chunk._cache_size(), run_turns._cache_size()) == before


@pytest.mark.parametrize(
    ("calls", "options", "message"),
    [
        (Calls(most=5), {}, "^calls a query need to be from 1 to the 4 models, got 5$"),
        (Calls(most=2, reveal="never"), {}, "^reveal needs to be one of each, end, got 'never'$"),
        (Calls(most=2, room=(1.0,)), {}, "^room needs 3 numbers > 0"),
        (Calls(most=2), {"budget": -np.ones(3)}, "^replay needs a budget of 3 numbers > 0"),
        (
            Calls(most=2),
            {"feedback": parse(feedback="full")},
            "hear the models that were called, not all of them$",
        ),
    ],
)
def test_what_several_calls_do_not_have_is_refused(calls: Calls, options: dict, message: str, known) -> None:
    with pytest.raises(ValueError, match=message):
        slots.replay(cascade(4), scored(known, calls), linear, seeds=1, rounds=10, **options)


def test_the_plain_loop_refuses_a_stream_of_several_calls(known) -> None:
    stream = scored(known, Calls(most=2))
    with pytest.raises(ValueError, match=r"needs bandits\.loop\.slots\.replay"):
        bandits.replay(bandits.ucb1(4, known.dim), stream, reward_table(linear, known), seeds=1)


def test_combines_by_hand() -> None:
    answers = Answers(np.array([0.1, 0.9, 0.5]), np.array([[1.0], [2.0], [4.0]]))
    turn, heard = np.array([1, -1, 0]), np.array([0.2, np.nan, 0.7])
    assert last(turn, heard, answers)[:2] == (0.1, [5.0])
    assert best_heard(turn, heard, answers)[:2] == (0.5, [5.0])
    assert best_heard(turn, np.full(3, np.nan), answers)[:2] == (0.1, [5.0])

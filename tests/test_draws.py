"""What is drawn: by its seed, anew for each lane and window, from all there is, and counted from the right round."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import choose, example
from bandits.loop import feedback
from bandits.loop.kernels_blocks import highest
from bandits.loop.lanes import CHUNK, chunks, sheet
from bandits.loop.orders import orders, window_order
from bandits.mmrbench.routers import random
from bandits.off_policy import drawn, targets, trials
from bandits.policies.linear.bootstrap import bootstrap
from bandits.rewards import accuracy, linear, reward_table
from tests.conftest import make_stream


def test_delays_have_a_seed_and_each_lane_its_own_draws() -> None:
    late = feedback.parse("geometric,mean=9")
    assert late is not None
    first, again, other = (feedback.due(late, (3, 200), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5 and (first[0] != first[1]).mean() > 0.5
    np.testing.assert_array_equal(first[:2], feedback.due(late, (2, 200), 0))  # whatever the number of seeds


def test_delays_have_their_whole_distribution() -> None:
    """Geometric of mean m: 0 with probability 1 / (1 + m); uniform: each of least to most, both included."""
    rng = np.random.default_rng(0)
    waits = feedback.geometric(rng, (1, 100_000), mean=4.0)
    assert (waits == 0).mean() == pytest.approx(1 / 5, abs=0.006) and waits.mean() == pytest.approx(
        4, abs=0.07
    )
    counts = np.bincount(feedback.uniform(rng, (1, 100_000), least=2, most=5).ravel(), minlength=7)
    assert counts[:2].sum() == counts[6:].sum() == 0
    np.testing.assert_allclose(counts[2:6], 25_000, atol=700)


@pytest.mark.parametrize(("batch", "after"), [(1, [2, 3, 4, 5]), (3, [2, 5, 5, 5]), (4, [3, 3, 7, 7])])
def test_a_batch_is_heard_after_its_last_round(batch: int, after: list[int]) -> None:
    late = feedback.parse("2", batch=batch)
    assert late is not None
    np.testing.assert_array_equal(feedback.due(late, (1, 10), 0)[0, :4], after)


def test_windows_are_shuffled_each_in_its_own_way() -> None:
    seen = {
        (seed, window): window_order(50, window, seeds=2, seed=seed, order="shuffle")
        for seed in (0, 1)
        for window in (0, 1)
    }
    flat = [tuple(row) for rows in seen.values() for row in rows.tolist()]
    assert len(set(flat)) == 8 and all(sorted(row) == list(range(50)) for row in flat)
    plain = orders(make_stream(rows=50), seeds=2, seed=1)
    assert sorted(plain[0]) == list(range(50))
    given = window_order(5, 3, seeds=2, seed=0, order="given")
    np.testing.assert_array_equal(given, [[0, 1, 2, 3, 4]] * 2)


def test_datasets_come_in_file_order_with_their_own_queries_shuffled() -> None:
    stream = make_stream(rows=60)
    rows = orders(stream, seeds=1, order="dataset", rounds=120)[0]
    for once in (rows[:60], rows[60:]):
        assert sorted(once) == list(range(60))
        names = stream.dataset[once].tolist()
        assert list(dict.fromkeys(names)) == list(dict.fromkeys(stream.dataset.tolist()))
        assert sum(a != b for a, b in pairwise(names)) == len(set(names)) - 1


def test_the_clock_counts_up_from_0_and_down_to_1() -> None:
    stream = make_stream(rows=30)
    whole = sheet(stream, stream.utility, 0.2)
    rows = np.zeros((1, CHUNK + 5), np.int32)
    number, left = (
        np.concatenate(part)
        for part in zip(*(c for c, _ in chunks([whole], rows, total=CHUNK + 5)), strict=True)
    )
    np.testing.assert_array_equal(number, np.arange(2 * CHUNK))
    np.testing.assert_array_equal(left[: CHUNK + 5], np.arange(CHUNK + 5, 0, -1))
    later = next(iter(chunks([whole], rows[:, :10], total=5000, first=3000)))[0]
    assert (later[0][0], later[1][0]) == (3000, 2000)


def test_what_a_sheet_holds_stands_where_the_loop_reads_it() -> None:
    """Utility, reward, then cost, latency and tokens; the preference that each query shows."""
    stream = make_stream(rows=6, missing=0.3)
    worth = np.arange(24.0).reshape(6, 4)
    made = sheet(stream, worth, np.arange(6) / 10)
    np.testing.assert_array_equal(made.outcome[..., 0], stream.utility.astype(np.float32))
    np.testing.assert_array_equal(made.outcome[..., 1], worth)
    np.testing.assert_array_equal(made.outcome[..., 2], stream.cost.astype(np.float32))
    assert np.isnan(made.outcome[..., 3:]).all()
    np.testing.assert_allclose(made.preference, np.arange(6) / 10, rtol=1e-6)


def test_the_kernel_and_the_scan_have_one_rule_for_ties() -> None:
    """The lowest available arm within a relative 1e-5 of the best, on random ties, near ties and gaps."""
    rng = np.random.default_rng(0)
    for scale in (0.3, 40.0, -0.7):
        index = scale * (1 + rng.choice([0, 3e-6, 3e-5, 0.01], (300, 5)))
        available = rng.random((300, 5)) < 0.7
        available[np.arange(300), rng.integers(0, 5, 300)] = True
        want = jax.vmap(choose)(jnp.asarray(index, jnp.float32), jnp.asarray(available))
        found = [highest(len(i), i.astype(np.float32), a) for i, a in zip(index, available, strict=True)]
        np.testing.assert_array_equal(found, want)
        for i, a, arm in zip(index, available, found, strict=True):
            best = i[a].max()
            near = np.flatnonzero(a & (i >= best - 1e-5 * abs(best) * 1.0001))
            assert arm in near and (arm == near[0] or abs(i[near[0]] - best) > 0.9e-5 * abs(best))


def test_random_routes_have_as_many_trials_as_asked_for_and_use_every_model() -> None:
    utility = np.where(np.arange(40)[:, None] % 5 == np.arange(5), np.nan, 0.5)
    made = random(trials=30, seed=1)(utility, utility, np.zeros(40))
    assert len(made.threshold) == 30
    choices = [made.start.copy()]
    for point in range(1, 30):
        choice = choices[-1].copy()
        now = made.point == point
        choice[made.row[now]] = made.arm[now]
        choices.append(choice)
    called = np.array(choices)
    assert not (called == np.arange(40) % 5).any()
    counts = np.stack([(called == k).sum(axis=0) for k in range(5)], axis=1)
    np.testing.assert_allclose(counts.sum(axis=0), 240, atol=5 * np.sqrt(240))


def test_every_head_of_the_bootstrap_is_asked() -> None:
    policy = bootstrap(2, 3, heads=4)
    state = policy.init(jax.random.key(0))
    weight = jnp.zeros((4, 2, 3)).at[jnp.arange(4), 0, -1].set(jnp.arange(4.0))
    asked, seen = policy.index, example(2, 3)[0]
    assert asked is not None
    keys = jax.random.split(jax.random.key(5), 60)
    found = jax.vmap(lambda key: asked(key, state._replace(weight=weight), seen)[0])(keys).tolist()
    assert set(found) == {0.0, 1.0, 2.0, 3.0}
    assert float(asked(None, state._replace(weight=weight), seen)[0]) == 1.5
    # Each outcome counts a Poisson(1) number of times in each head, whose variance is its mean.
    heard = example(2, 3)[1]
    many = bootstrap(2, 3, heads=4000)
    learned = many.update(jax.random.key(1), many.init(jax.random.key(0)), seen, jnp.int32(0), heard)
    x = np.asarray(seen.context)
    times = (1 / (x @ np.asarray(learned.inverse[:, 0]) @ x) - 1 / (x @ x)).round(3)
    assert times.mean() == pytest.approx(1, abs=0.08) and times.var() == pytest.approx(1, abs=0.12)


def test_a_drawn_log_has_a_seed_for_its_coin(known: Any) -> None:
    from bandits import always

    policy, table = always(4, 6, model=1), reward_table(accuracy, known)
    logs = [drawn.draw(policy, known, table, explore=0.5, seed=s, order="given") for s in (0, 1)]
    assert (logs[0].arm != logs[1].arm).any()
    for log in logs:
        np.testing.assert_allclose(log.propensity, np.where(log.arm == 1, 0.5 + 0.5 / 4, 0.5 / 4))
        np.testing.assert_allclose(log.every.sum(axis=1), 1)


def test_a_drawn_log_explores_what_is_available(patchy: Any) -> None:
    from bandits import always

    log = drawn.draw(
        always(4, 6, model=0), patchy, reward_table(accuracy, patchy), explore=0.5, order="given"
    )
    seen = patchy.available[log.row]
    assert seen[np.arange(len(log.row)), log.arm].all()
    want = 0.5 * (np.arange(4) == log.own[:, None]) + 0.5 * seen / seen.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(log.every, want, atol=1e-6)
    np.testing.assert_allclose(log.propensity, want[np.arange(len(log.row)), log.arm], atol=1e-6)


def test_rejection_accepts_by_least_over_own_propensity() -> None:
    """A policy that always calls model 1: accepted are its calls, each with probability min(p) / p, and by the seed."""
    from bandits import always

    n = 4000
    arm = np.ones(n, int)
    arm[::4] = 0
    p = np.where(np.arange(n) % 2 == 1, 0.8, 0.2)
    rounds = SimpleNamespace(
        name="made", models=("a", "b"), arm=arm, context=np.ones((n, 1)), available=np.ones((n, 2), bool), propensity=p,
        preference=0.2, scale=1.0, values={"utility": np.ones(n), "reward": np.ones(n)}, time=np.arange(n, dtype=float),
    )  # fmt: skip
    rounds = type("Made", (SimpleNamespace,), {"__len__": lambda self: n})(**vars(rounds))
    found = [targets.rejection(always(2, 1, model=1), rounds, seed=s) for s in (0, 1)]
    assert (found[0].accepted != found[1].accepted).any() and found[0].bound == 0.2
    kept = found[0].accepted
    assert not kept[arm == 0].any() and kept[(arm == 1) & (p == 0.2)].all()
    assert kept[(arm == 1) & (p == 0.8)].mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 2000))


def test_the_figures_of_the_benchmark_by_plain_loops() -> None:
    """Three logs and four targets: errors, what is left of them in the mean, coverage, width and SharpeRatio@3."""
    rng = np.random.default_rng(0)
    truth = np.array([0.2, 0.5, 0.4, 0.8])
    mean = truth + rng.normal(0.05, 0.3, (3, 4))
    low, high = mean - rng.random((3, 4)), mean + rng.random((3, 4)) * 0.2
    told = trials._scored(np.stack([mean, low, high, 50 + mean], axis=2), truth, logged=0.1)
    error = [[mean[i, j] - truth[j] for j in range(4)] for i in range(3)]
    flat = [e for line in error for e in line]
    assert told["error"] == pytest.approx(sum(abs(e) for e in flat) / 12)
    assert told["rmse"] == pytest.approx((sum(e * e for e in flat) / 12) ** 0.5)
    bias = [sum(error[i][j] for i in range(3)) / 3 for j in range(4)]
    assert told["bias"] == pytest.approx((sum(b * b for b in bias) / 4) ** 0.5)
    spread = [sum((error[i][j] - bias[j]) ** 2 for i in range(3)) / 3 for j in range(4)]
    assert told["sd"] == pytest.approx((sum(spread) / 4) ** 0.5)
    assert told["rmse"] ** 2 == pytest.approx(told["bias"] ** 2 + told["sd"] ** 2)
    assert told["coverage"] == pytest.approx(np.mean((low <= truth) & (truth <= high)))
    assert told["width"] == pytest.approx(np.mean(high - low))
    ratios = []
    for i in range(3):
        best = truth[np.argsort(-mean[i])[:3]]
        ratios.append((best.max() - 0.1) / best.std())
    assert told["sharpe"] == pytest.approx(sorted(ratios)[1])


def test_the_benchmarks_targets_and_logs(known: Any) -> None:
    table = reward_table(linear, known)
    found = trials.targets(known, table, linear)
    assert len(found) == 10
    best = np.argsort(-table.mean(axis=0))[:4]
    assert [f"always,model=model-{k}" for k in best] == [name for name in found if name.startswith("always")]
    for pi in found.values():
        np.testing.assert_allclose(pi.sum(axis=1), 1)
    worth = trials._ridges(known, table)
    scaled = np.exp(5 * worth)
    np.testing.assert_allclose(found["softmax"], scaled / scaled.sum(axis=1, keepdims=True))
    made, row = trials.log_of(known, table, found["softmax"], 5000, np.random.default_rng(0))
    np.testing.assert_array_equal(made.values["reward"], table[row, made.arm])
    np.testing.assert_allclose(made.propensity, found["softmax"][row, made.arm])
    share = np.bincount(made.arm, minlength=4) / 5000
    np.testing.assert_allclose(share, found["softmax"][row].mean(axis=0), atol=5 * 0.5 / np.sqrt(5000))

"""Changes of the world: each does what it promises, and leaves everything else bit-equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import bandits
from bandits.experiment import worlds
from bandits.loop.orders import orders
from bandits.loop.replay import Trace, replay
from bandits.metrics import changing
from bandits.metrics.regret import cumulative_regret
from bandits.rewards import accuracy, linear, reward_table
from envs.changes.changes import (
    CHANGES,
    apply,
    arrive,
    leave,
    mask,
    mix,
    noise,
    outage,
    poison,
    price,
    quality,
)
from envs.changes.scenarios import SCENARIOS
from envs.changes.world import moment, unroll
from envs.contexts import features
from envs.stream import Stream
from tests.conftest import make_stream

SEEDS, ROUNDS = 3, 600
ARRAYS = ("utility", "cost", "context", "posted", "judged")


@pytest.fixture(scope="module")
def laid(known: Stream) -> Stream:
    """The known stream as three seeds ask it."""
    return unroll(known, orders(known, seeds=SEEDS, seed=4), seed=4)


def arrays(stream: Stream) -> dict[str, Any]:
    world = stream.world
    assert world is not None
    return {
        "utility": stream.utility,
        "cost": stream.cost,
        "context": stream.context,
        "posted": np.tile(stream.price, (len(stream), 1)) if world.posted is None else world.posted,
        "judged": stream.utility if world.judged is None else world.judged,
    }


def same(a: Stream, b: Stream, *, but: tuple[str, ...] = ()) -> None:
    """Assert that two worlds are bit-equal in every array but those named."""
    left, right = arrays(a), arrays(b)
    for name in ARRAYS:
        if name not in but:
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)
    assert a.cost_scale == b.cost_scale


def by_seed(values: np.ndarray) -> np.ndarray:
    return values.reshape(SEEDS, ROUNDS, *values.shape[1:])


def others(values: np.ndarray, k: int) -> np.ndarray:
    return np.delete(values, k, axis=1)


def test_an_unrolled_stream_is_the_plain_one_in_the_order_asked(known, laid) -> None:
    rows = orders(known, seeds=SEEDS, seed=4).ravel()
    for name in ("utility", "cost", "context", "dataset"):
        np.testing.assert_array_equal(getattr(laid, name), getattr(known, name)[rows])
    assert laid.cost_scale == known.cost_scale
    policy = bandits.linucb(4, 6)
    plain = replay(policy, known, reward_table(linear, known), seeds=SEEDS, seed=4)
    changed = replay(policy, laid, reward_table(linear, laid), seeds=SEEDS, seed=4)
    np.testing.assert_array_equal(plain.arms, changed.arms)
    np.testing.assert_array_equal(
        cumulative_regret(reward_table(linear, known), plain),
        cumulative_regret(reward_table(linear, laid), changed),
    )


def test_price_scales_the_cost_in_phases_and_the_posted_price_lags(laid) -> None:
    moved = price(laid, model="model-1", factor="0.1/3", at="0.5/450", lag=50)
    ratio = by_seed(moved.cost[:, 1] / laid.cost[:, 1])
    np.testing.assert_allclose(ratio[:, :300], 1.0)
    np.testing.assert_allclose(ratio[:, 300:450], 0.1)
    np.testing.assert_allclose(ratio[:, 450:], 3.0)
    posted = by_seed(arrays(moved)["posted"][:, 1]) / laid.price[1]
    np.testing.assert_allclose(posted[0, [349, 350, 499, 500]], [1, 0.1, 0.1, 3.0])
    same(moved, laid, but=("cost", "posted"))
    np.testing.assert_array_equal(others(moved.cost, 1), others(laid.cost, 1))
    assert moved.world is not None and [at for at, _ in moved.world.marks] == [300, 450]


def test_price_walks_with_the_stated_spread(known) -> None:
    wide = unroll(known, np.tile(np.arange(600), (200, 1)))
    moved = price(wide, model="@dearest", factor=1.0, at=0, walk=0.5)
    log = np.log(moved.cost[:, 3] / wide.cost[:, 3]).reshape(200, 600)
    # Standard deviation of 200 end points: 0.5 up to 0.5 / sqrt(400) = 0.025; three of them.
    assert log[:, -1].std() == pytest.approx(0.5, abs=0.075)
    assert log[:, 149].std() == pytest.approx(0.25, abs=0.0375)
    assert np.abs(np.diff(log, axis=1)).max() < 0.15  # steps of 0.5 / sqrt(600) = 0.02: no jumps


def test_a_walk_that_begins_late_still_ends_with_the_stated_spread(known) -> None:
    wide = unroll(known, np.tile(np.arange(600), (200, 1)))
    moved = price(wide, model="@dearest", factor=1.0, at=0.5, walk=0.5)
    log = np.log(moved.cost[:, 3] / wide.cost[:, 3]).reshape(200, 600)
    np.testing.assert_allclose(log[:, :300], 0.0, atol=1e-12)
    assert log[:, -1].std() == pytest.approx(0.5, abs=0.075)  # as above: three times 0.5 / sqrt(400)


@pytest.mark.parametrize("change", [-0.15, 0.3])
def test_quality_moves_accuracy_by_what_is_stated(laid, change: float) -> None:
    moved = quality(laid, model="model-3", change=change, at=0.5)
    before, after = np.split(by_seed(moved.utility[:, 3]), 2, axis=1)
    was_before, was = np.split(by_seed(laid.utility[:, 3]), 2, axis=1)
    np.testing.assert_array_equal(before, was_before)
    # Flips are Bernoulli draws, one a query, on 600 queries that 3 seeds share: sd below .5 / sqrt(300); 3 of them.
    assert after.mean() - was.mean() == pytest.approx(change, abs=3 * 0.5 / np.sqrt(300))
    assert ((after - was) * np.sign(change) >= 0).all()  # nothing flips the other way
    np.testing.assert_array_equal(others(moved.utility, 3), others(laid.utility, 3))
    same(moved, laid, but=("utility", "judged"))


def test_quality_comes_by_a_ramp_and_refuses_the_impossible(known) -> None:
    wide = unroll(known, orders(known, seeds=40, seed=1))
    moved = quality(wide, model="model-3", change=-0.4, at=200, ramp=200)
    lost = (wide.utility - moved.utility)[:, 3].reshape(40, 600).mean(axis=0)
    # 24,000 cells of 600 queries: a mean over 50 rounds has an sd below .5 / sqrt(600) + rounding; three of them.
    for low, high in ((0, 200), (275, 325), (400, 600)):
        share = np.clip((np.arange(low, high) - 199) / 200, 0, 1).mean()
        assert lost[low:high].mean() == pytest.approx(0.4 * share, abs=0.06)
    with pytest.raises(ValueError, match="accuracy in"):
        quality(wide, model="model-3", change=-0.9)


def test_graded_utility_moves_by_what_is_stated_too(known) -> None:
    graded = replace(known, outcomes=replace(known.outcomes, utility=0.2 + 0.5 * known.utility))
    wide = unroll(graded, orders(graded, seeds=2))
    moved = quality(wide, model="model-0", change=0.2, at=0)
    assert (moved.utility - wide.utility)[:, 0].mean() == pytest.approx(0.2, abs=3 * 0.5 / np.sqrt(600))


def test_outage_and_leave_and_arrive_hide_a_model(laid) -> None:
    for change, gone in (
        (partial(outage, model="model-2", start=0.25, end=300), slice(150, 300)),
        (partial(leave, model="model-2", at=400), slice(400, 600)),
        (partial(arrive, model="model-2", at=0.5), slice(0, 300)),
    ):
        moved = change(laid)
        hidden = np.zeros(ROUNDS, bool)
        hidden[gone] = True
        np.testing.assert_array_equal(by_seed(moved.available)[:, :, 2], np.tile(~hidden, (SEEDS, 1)))
        np.testing.assert_array_equal(others(moved.utility, 2), others(laid.utility, 2))
        there = moved.available[:, 2]
        np.testing.assert_array_equal(moved.utility[there, 2], laid.utility[there, 2])
        np.testing.assert_array_equal(moved.cost[there], laid.cost[there])
        same(moved, laid, but=("utility", "cost", "judged"))


def test_random_outages_have_the_stated_means(known) -> None:
    wide = unroll(known, np.tile(np.arange(600), (100, 1)), seed=3)
    moved = outage(wide, model="model-0", start=0, end=1.0, between=60, repair=20)
    down = ~moved.available[:, 0].reshape(100, 600)
    # Of exponential times up (60) and down (20), begun up: expected share down over T = 600 is
    # f (1 - (1 - exp(-r T)) / (r T)), with f = 1/4, r = 1/60 + 1/20 (the two-state Markov chain in continuous time).
    r = 1 / 60 + 1 / 20
    expected = 0.25 * (1 - (1 - np.exp(-r * 600)) / (r * 600))
    # A seed sees about 7.5 cycles: sd of its share about .25 * sqrt(2 / 7.5) = .13; of 100 seeds .013, three of them.
    assert down.mean() == pytest.approx(expected, abs=0.04)
    starts = (down[:, 1:] & ~down[:, :-1]).sum() / 100
    assert starts == pytest.approx(600 / 80, rel=0.15)


def test_a_model_stays_where_nobody_else_could_answer(patchy) -> None:
    rows = unroll(patchy, orders(patchy, seeds=1))
    moved = outage(rows, model="model-0", start=0, end=600)
    alone = rows.available[:, 0] & ~rows.available[:, 1:].any(axis=1)
    assert alone.any() and moved.available.any(axis=1).all()
    np.testing.assert_array_equal(moved.available[:, 0], alone)
    assert f"stays in {alone.sum()} rounds" in moved.notes[-1]


def test_a_merged_model_lies_between_its_parents_in_each_data_set(known) -> None:
    wide = unroll(known, orders(known, seeds=2))
    moved = arrive(wide, merge="model-0+model-3", between=0.7, at=0.5, model="child")
    assert moved.models[-1] == "child" and "child is synthetic" in moved.outcomes.label
    for name in ("utility", "cost"):
        np.testing.assert_array_equal(getattr(moved, name)[:, :-1], getattr(wide, name))
    for name in ("context", "dataset", "price"):
        np.testing.assert_array_equal(getattr(moved, name)[: len(getattr(wide, name))], getattr(wide, name))
    late = moved.available[:, -1]
    np.testing.assert_array_equal(late.reshape(2, 600)[0], np.arange(600) >= 300)
    np.testing.assert_allclose(moved.cost[late, -1], wide.cost[late][:, [0, 3]].mean(axis=1))
    whole = arrive(wide, merge="model-0+model-3", between=0.7, at=0)
    for name in np.unique(known.dataset.astype(str)):
        inside = wide.dataset == name
        parents = wide.utility[inside][:, [0, 3]].mean(axis=0)
        stated = 0.7 * parents.max() + 0.3 * parents.min()
        # About 200 queries, each a draw between two outcomes: sd below .5 / sqrt(200); three of them.
        assert whole.utility[inside, -1].mean() == pytest.approx(stated, abs=3 * 0.5 / np.sqrt(180))


def test_mix_has_the_stated_proportions_and_moves_whole_queries(known) -> None:
    wide = unroll(known, orders(known, seeds=20))
    moved = mix(wide, phases="topic0:0.8+topic1:0.2/topic2")
    early, late = np.split((moved.dataset.reshape(20, 600)), 2, axis=1)
    # 6,000 draws at .8: sd sqrt(.16 / 6000) = .005; four of them.
    assert (early == "topic0").mean() == pytest.approx(0.8, abs=0.021)
    assert (early == "topic2").sum() == 0 and (late == "topic2").all()
    assert moved.world is not None
    row = moved.world.row
    for name in ("utility", "cost", "context"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(known, name)[row])
    one = row.reshape(20, 600)[0, 300:]
    size = int((known.dataset == "topic2").sum())
    assert len(set(one[:size].tolist())) == size  # every query once before any again


def test_mix_ramps_and_cycles(known) -> None:
    wide = unroll(known, orders(known, seeds=60))
    ramp = mix(wide, phases="topic0/topic1", shape="ramp").dataset.reshape(60, 600) == "topic1"
    cycle = mix(wide, phases="topic0/topic1", shape="cycle", period=300).dataset.reshape(60, 600) == "topic1"
    # Windows of 60 rounds and 60 seeds: 3,600 draws, sd below .0084; four of them, and the window's own slope.
    for begin in (0, 270, 540):
        assert ramp[:, begin : begin + 60].mean() == pytest.approx((begin + 29.5) / 599, abs=0.034)
    swing = (1 - np.cos(2 * np.pi * np.arange(600) / 300)) / 2
    for begin in (0, 120, 300, 420):
        assert cycle[:, begin : begin + 60].mean() == pytest.approx(
            swing[begin : begin + 60].mean(), abs=0.034
        )


@pytest.fixture(scope="module")
def seeing() -> Stream:
    """A stream of 600 queries with text and image embeddings, whose context is made from them."""
    plain, rng = make_stream(), np.random.default_rng(7)
    text, image = (rng.normal(size=(600, 6)) + 1.0 for _ in range(2))
    outcomes = replace(plain.outcomes, text=text, image=image)
    context, _ = features.context(outcomes, dim=8)
    return Stream("seeing", outcomes, context)


def test_mask_takes_a_modality_out_of_the_context_and_flags_it(seeing) -> None:
    wide = unroll(seeing, orders(seeing, seeds=2))
    moved = mask(wide, what="image", share=0.5, at=300)
    flag = moved.context[:, -2].reshape(2, 600)
    assert moved.dim == wide.dim + 1 and (moved.context[:, -1] == 1).all()
    assert (flag[:, :300] == 0).all()
    assert flag[:, 300:].mean() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(600))
    kept = flag.ravel() == 0
    np.testing.assert_array_equal(moved.context[kept][:, :-2], wide.context[kept][:, :-1])
    same(moved, wide, but=("context",))
    blind = mask(mask(wide, what="image", at=0), what="text", at=0)
    np.testing.assert_allclose(blind.context[:, :-3], 0.0, atol=1e-5)  # both gone: nothing is left
    np.testing.assert_array_equal(blind.context[:, -3:], 1.0)


def test_what_mask_leaves_depends_on_the_other_modality_alone(seeing) -> None:
    """The same queries with other images have the same masked context, up to the shared axes of the features."""
    wide = unroll(seeing, np.tile(np.arange(600), (1, 1)))
    left = mask(wide, what="image").context[:, :-2].astype(float)
    units = features.unit_rows(np.asarray(seeing.outcomes.text, float))
    found = np.linalg.lstsq(np.column_stack([units, np.ones(600)]), left, rcond=None)[0]
    np.testing.assert_allclose(np.column_stack([units, np.ones(600)]) @ found, left, atol=1e-4)


def test_noise_has_the_stated_confusion_matrix_and_regret_counts_the_truth(known) -> None:
    wide = unroll(known, orders(known, seeds=10))
    moved = noise(wide, sensitivity=0.9, specificity=0.7, at=0.5)
    assert moved.world is not None and moved.world.judged is not None
    late = np.tile(np.arange(600) >= 300, 10)
    heard, truth = moved.world.judged, wide.utility
    # 12,000 cells, at least 4,000 of each kind: sd below .5 / sqrt(4000) = .008; four of them.
    assert heard[late][truth[late] == 1].mean() == pytest.approx(0.9, abs=0.03)
    assert heard[late][truth[late] == 0].mean() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(heard[~late], truth[~late])
    same(moved, wide, but=("judged",))
    np.testing.assert_array_equal(reward_table(linear, moved), reward_table(linear, wide))
    np.testing.assert_array_equal(moved.heard.utility, heard)
    blurred = noise(wide, sd=0.05).heard.utility
    inside = (blurred > 0) & (blurred < 1)
    assert np.abs(blurred - truth)[inside].std() > 0 and blurred.min() >= 0 and blurred.max() <= 1
    # Half of a normal error around 0 or 1 is clipped away: the rest has the mean sd sqrt(2 / pi).
    assert np.abs(blurred - truth)[inside].mean() == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.03)


def test_poison_reports_a_share_of_one_model_as_something_else(known) -> None:
    wide = unroll(known, orders(known, seeds=10))
    false = poison(wide, model="model-0", share=0.3, to=1.0, at=0.5)
    assert false.world is not None and false.world.judged is not None
    heard, truth = false.world.judged, wide.utility
    late = np.tile(np.arange(600) >= 300, 10)
    moved = heard[late, 0] != truth[late, 0]
    assert (heard[late, 0][moved] == 1).all() and (truth[late, 0] == 0).sum() > 500
    assert moved[truth[late, 0] == 0].mean() == pytest.approx(
        0.3, abs=0.07
    )  # 400 queries: sd .023, three of them
    heard[late, 0] = truth[late, 0]
    np.testing.assert_array_equal(heard, truth)
    np.testing.assert_array_equal(reward_table(linear, false), reward_table(linear, wide))
    for wrong in ({"share": 1.5}, {"to": -0.1}):
        with pytest.raises(ValueError, match=r"poison needs share and to in \[0, 1\]"):
            poison(wide, model="model-0", **wrong)


def test_a_policy_hears_the_judge_and_the_loop_refuses_to_tell_the_truth(known) -> None:
    lying = worlds.changed(known, ["noise,sensitivity=0.0,specificity=0.0"], seeds=2)
    table = reward_table(accuracy, lying)
    with pytest.raises(ValueError, match=r"stream\.heard"):
        replay(bandits.linucb(4, 6), lying, table, seeds=2)
    told, worth = worlds.heard(lying, table, accuracy, 0.2)
    trace = replay(bandits.linucb(4, 6), told, worth, seeds=2)
    # A judge that always says the opposite makes a learner worse than chance, on the truth.
    assert table[trace.order, trace.arms].mean() < table.mean() - 0.1


COMMUTING: list[list[Callable[[Stream], Stream]]] = [
    [partial(price, model="model-0", factor=0.1), partial(quality, model="model-1", change=-0.1)],
    [
        partial(price, model="model-0", factor=0.1, walk=0.3),
        partial(price, model="model-2", factor=2, walk=0.3),
    ],
    [partial(quality, model="model-0", change=0.1), partial(quality, model="model-3", change=-0.1)],
    [
        partial(outage, model="model-0", between=50, repair=20),
        partial(outage, model="model-1", between=50, repair=9),
    ],
    [partial(outage, model="model-0"), partial(quality, model="model-0", change=-0.1)],
    [partial(noise, sd=0.1), partial(quality, model="model-0", change=-0.1), partial(leave, model="model-2")],
    [partial(mix, phases="topic0/topic1"), partial(price, model="model-0"), partial(arrive, model="model-3")],
]


@pytest.mark.parametrize("changes", COMMUTING)
def test_composed_changes_commute(laid, changes) -> None:
    one, other = apply(laid, changes), apply(laid, changes[::-1])
    same(one, other)
    assert one.world is not None and other.world is not None and one.world.marks == other.world.marks


def test_a_mask_commutes_with_what_models_answer(seeing) -> None:
    wide = unroll(seeing, orders(seeing, seeds=2))
    changes = [partial(mask, what="image", share=0.5), partial(quality, model="model-0", change=0.1)]
    same(apply(wide, changes), apply(wide, changes[::-1]))


def test_what_begins_and_ends_is_marked_by_name(laid) -> None:
    changed = apply(
        laid,
        [
            partial(mix, phases="topic0/topic1:2"),
            partial(quality, model="model-0", change=-0.1, at=100, ramp=50),
            partial(outage, model="@dearest", start=200, end=250),
            partial(leave, model="model-1", at=1.0),
        ],
    )
    assert changed.world is not None
    assert changed.world.marks == (
        (100, "quality of model-0"),
        (150, "quality of model-0, all of it"),
        (200, "outage of model-3"),
        (250, "model-3 is back"),
        (300, "traffic topic1:2"),
    )


def test_functions_alone_refuse_the_wrong_order(laid) -> None:
    with pytest.raises(ValueError, match="change mix needs to come before price:model-0"):
        mix(price(laid, model="model-0"), phases="topic0/topic1")
    with pytest.raises(ValueError, match="unrolled stream"):
        price(make_stream(), model="model-0")


@pytest.mark.parametrize("name", SCENARIOS)
def test_same_seed_same_world_and_the_table_stays_as_it_was(seeing, name: str) -> None:
    before = seeing.utility.copy(), seeing.cost.copy(), seeing.context.copy()
    specs = SCENARIOS[name].changes or ("price,model=@best,walk=0.2",)
    options = {"seeds": 2, "rounds": 500}
    one, again, third = (worlds.changed(seeing, specs, seed=s, **options) for s in (5, 5, 6))
    same(one, again)
    assert not np.array_equal(one.context, third.context)
    for was, now in zip(before, (seeing.utility, seeing.cost, seeing.context), strict=True):
        np.testing.assert_array_equal(was, now)
    assert len(one) == 1000 and one.available.any(axis=1).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("price,model=nobody", "no model 'nobody'"),
        ("price,model=model-0,factor=-1", "factor >= 0"),
        ("price,model=model-0,at=early", "a round such as 500"),
        ("price,factor=0.3", "model"),
        ("outage,model=model-0,start=0.6,end=0.4", "start <= end"),
        ("mix,phases=topic0/nowhere", "no stream 'nowhere'"),
        ("mix,phases=topic0/topic1,shape=spiral", "shape steps, ramp, cycle"),
        ("mask,what=sound", "image or text"),
        ("mask,what=image", "needs image embeddings"),
        ("noise,sensitivity=2", r"in \[0, 1\]"),
        ("arrive,merge=model-0", "two different models"),
        ("prices,model=model-0", "no change 'prices'"),
    ],
)
def test_senseless_changes_are_named(known, spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        worlds.changed(known, [spec], seeds=1)


def test_times_are_rounds_or_shares() -> None:
    assert [moment("at", x, 600) for x in (0, 30, 0.5, 1.0, "50%", "0.25", "70", 9000)] == [
        0, 30, 300, 600, 300, 150, 70, 600,
    ]  # fmt: skip


def test_every_change_names_itself_in_one_line() -> None:
    for function in CHANGES.values():
        assert (function.__doc__ or "").splitlines()[0].endswith(".")


def test_phases_recovery_and_adoption_on_a_scripted_trace(known) -> None:
    """A trace that calls the right model 40 rounds after each change is back after 40 rounds."""
    world = worlds.changed(known, ["arrive,model=model-0,at=200", "leave,model=model-3,at=400"], seeds=2)
    table = np.where(world.available, np.array([0.9, 0.2, 0.3, 0.6]), np.nan)
    best = changing.best_of_phase(world, table).reshape(2, 600)
    assert (best[:, :200] == 3).all() and (best[:, 200:] == 0).all()
    arms = np.where(np.arange(600) < 240, 3, 0) * np.ones((2, 1), int)
    trace = Trace(orders(world, seeds=2), arms.astype(np.int32))
    # Behind by .3 / .9 in each of the first 40 rounds: a window of 100 that begins n rounds in is behind by
    # (40 - n) / 100 of it, within 5 % of .9 from n = 25 on. The second change is none to this trace.
    np.testing.assert_array_equal(changing.recovery(world, table, trace), [25.0, 0.0])
    rounds, pulls = changing.adoption(trace, 0, 200, window=100)
    # Called from round 40 on: n calls in 40 + n rounds reach a fifth at n = 10.
    np.testing.assert_array_equal(rounds, [50.0, 50.0])
    np.testing.assert_array_equal(pulls, [10.0, 10.0])
    never = Trace(trace.order, np.full_like(trace.arms, 1))
    assert np.isnan(changing.recovery(world, table, never)).all()
    assert np.isnan(changing.adoption(never, 0, 200)[0]).all()
    assert changing.phase(known).max() == 0 and len(changing.changes_at(known)) == 0

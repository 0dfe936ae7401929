"""Budgets: the promise on random streams, each pacing against its formula, and what an account adds up to."""

from __future__ import annotations

import os
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import bandits
from bandits import replay
from bandits.base import Policy, check, ranked
from bandits.loop import feedback, lanes
from bandits.loop.rounds import run_chunk
from bandits.results import spending as accounts
from bandits.rewards import accuracy, reward_table
from bandits.wrappers import budget, promise
from bandits.wrappers.pacing.adaptive_lp import dual_price
from envs.outcomes import Outcomes
from envs.stream import Stream

ARMS, DIM, ROWS = 4, 3, 48
WORST = np.array([[1.0, 2.0, 3.0], [2.0, 0.5, 8.0], [8.0, 4.0, 1.0], [30.0, 1.0, 2.0]])  # (K, R)
INF = np.full(3, np.inf)


def limited(cost: float) -> np.ndarray:
    return np.array([cost, np.inf, np.inf])


def random_stream(seed: int) -> Stream:
    """Return a stream whose calls use anything up to the worst case of their model, often exactly that."""
    rng = np.random.default_rng(seed)
    seen = rng.random((ROWS, ARMS)) < rng.uniform(0.3, 1.0)
    seen[np.arange(ROWS), rng.integers(0, ARMS, ROWS)] = True
    share = np.where(rng.random((ROWS, ARMS, 3)) < 0.3, 1.0, rng.random((ROWS, ARMS, 3)) ** 3)
    use = np.where(seen[:, :, None], share * WORST, np.nan)
    context = np.hstack([rng.normal(size=(ROWS, DIM - 1)), np.ones((ROWS, 1))]).astype(np.float32)
    outcomes = Outcomes(
        models=tuple("abcd"),
        utility=np.where(seen, rng.random((ROWS, ARMS)), np.nan),
        cost=use[:, :, 0],
        latency=use[:, :, 1],
        tokens=use[:, :, 2],
        query_id=np.arange(ROWS).astype(str).astype(object),
        price=np.where(rng.random(ARMS) < 0.5, WORST[:, 0] / 2, np.nan),
        cost_unit="made up",
    )
    return Stream("random", outcomes, context)


def held(name: str, pacing: str) -> Policy:
    paced = budget.PACINGS[pacing](bandits.POLICIES[name](ARMS, DIM), ARMS, DIM)
    return promise.hard(paced, WORST)


# Every pacing, around policies with and without draws. One instance each, compiled once: a policy is
# compiled by identity, whatever the stream and the budget.
PAIRS = (
    ("linucb", "stop"), ("uniform", "stop"),
    ("linucb", "primal_dual"), ("epsilon", "primal_dual"),
    ("thompson", "threshold"), ("softmax", "threshold"),
    ("preference", "mirror"), ("bootstrap", "mirror"),
    ("linucb", "bwk"), ("epsilon", "bwk"),
    ("thompson", "lp"),
)  # fmt: skip
CAPPED = promise.hard(promise.cap(bandits.squarecb(ARMS, DIM), ARMS, DIM, limit=9.0), WORST)
PROMISED = [*(held(*pair) for pair in PAIRS), CAPPED]


def test_promises_are_tested_for_every_pacing() -> None:
    assert {pacing for _, pacing in PAIRS} == set(budget.PACINGS)


@settings(max_examples=int(os.environ.get("ROUTEBANDIT_FUZZ", "400")), deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    which=st.integers(0, len(PROMISED) - 1),
    sizes=st.tuples(*[st.one_of(st.none(), st.floats(-1.5, 1.2)) for _ in range(3)]),
)
def test_a_promise_is_kept_on_any_stream(seed: int, which: int, sizes: tuple) -> None:
    """Nothing is overspent, every call was affordable in its worst case, and nobody was refused without need."""
    stream = random_stream(seed)
    # From less than a call to more than all of them: 10**-1.5 to 10**1.2 times the mean worst case of 10 calls.
    limits = np.array([np.inf if s is None else 10 * 10**s for s in sizes]) * WORST.mean(axis=0)
    # What a chunk does after the end of a short stream is wasted: chunks of 64 rounds here.
    with mock.patch.object(lanes, "CHUNK", 64):
        trace = replay(
            PROMISED[which], stream, reward_table(accuracy, stream), seeds=1, seed=seed % 97, budget=limits
        )
    left = limits.copy()
    for row, arm in zip(trace.order[0], trace.arms[0], strict=True):
        affordable = (left * (1 - 1e-5) >= WORST).all(axis=1) & stream.available[row]
        if arm < 0:
            assert PROMISED[which] is CAPPED or not affordable.any()
            continue
        assert (WORST[arm] <= left * (1 + 1e-5) + 1e-9).all()
        left -= [stream.cost[row, arm], stream.latency[row, arm], stream.tokens[row, arm]]
        assert (left >= -1e-5 * np.where(np.isinf(limits), 1, limits)).all()


@pytest.mark.parametrize("delay", ["7", "geometric,mean=5"])
def test_a_promise_is_kept_while_outcomes_are_outstanding(delay: str) -> None:
    """A call is charged when made, whenever it is heard: 40 streams, a budget for about a third of the calls."""
    late = feedback.parse(delay)
    for seed in range(40):
        stream = random_stream(seed)
        limits = np.array([np.nanmean(stream.cost) * ROWS / 3, np.inf, np.inf])
        with mock.patch.object(lanes, "CHUNK", 64):
            trace = replay(
                PROMISED[2], stream, reward_table(accuracy, stream), seeds=1, budget=limits, feedback=late
            )
        spent = np.where(trace.arms >= 0, stream.cost[trace.order, trace.arms], 0.0).sum()
        assert 0 < spent <= limits[0] * (1 + 1e-5)


def test_a_policy_sees_what_is_left(known) -> None:
    """Over 3,000 rounds float32 keeps the account to a relative 1e-6: the sum of what rounding lost is kept too."""
    plain = bandits.uniform(4, 6)

    def update(key, state, observation, arm, feedback):
        return observation.budget

    diary = Policy(lambda key: jnp.zeros(3), plain.act, update)
    trace = replay(
        Policy(diary.init, lambda k, s, o: plain.act(k, plain.init(k), o), update),
        known,
        reward_table(accuracy, known),
        seeds=2,
        rounds=3000,
        budget=limited(1e4),
        probe=lambda state: state,
    )
    spent = np.cumsum(known.cost[trace.order, trace.arms], axis=1)
    np.testing.assert_allclose(trace.probed[:, 2:, 0], 1e4 - spent[:, :-2], rtol=1e-6)
    assert np.isinf(trace.probed[:, 2:, 1:]).all()


@pytest.fixture(scope="module")
def free(known):
    """LinUCB without a budget, and its trace: what it spends and earns when it may."""
    policy = bandits.linucb(4, 6, alpha=0.5)
    return policy, replay(policy, known, reward_table(accuracy, known), seeds=6)


def test_without_pacing_the_run_is_the_same_until_the_money_is_gone(known, free) -> None:
    policy, trace = free
    limit = 0.4 * known.cost[trace.order, trace.arms].sum(axis=1).min()
    held = replay(policy, known, reward_table(accuracy, known), seeds=6, budget=limited(limit))
    made = held.arms >= 0
    assert np.array_equal(held.arms[made], trace.arms[made]) and trace.probed is None
    spent = np.where(made, known.cost[held.order, trace.arms], 0.0)
    last = made.sum(axis=1) - 1
    for s in range(6):
        assert made[s, : last[s] + 1].all() and not made[s, last[s] + 1 :].any()
        # One call over, no more.
        assert spent[s].sum() > limit >= spent[s, : last[s]].sum()


@pytest.mark.parametrize("pacing", [p for p in budget.PACINGS if p != "stop"])
def test_pacing_makes_the_money_last_and_pays(pacing: str, known, free) -> None:
    """A budget of 70 % of what the unpaced policy spends: paced, nearly all queries are answered, and more rightly."""
    policy, trace = free
    paced = check(budget.PACINGS[pacing](policy, 4, 6), 4, 6, pacing)
    table = reward_table(accuracy, known)
    limits = limited(0.7 * float(known.cost[trace.order, trace.arms].sum(axis=1).mean()))
    replay(paced, known, table, seeds=6, budget=limits / 2)
    before = run_chunk._cache_size()
    runs = {
        name: replay(which, known, table, seeds=6, budget=limits)
        for name, which in (("stop", policy), (pacing, paced))
    }
    # Another budget compiles nothing; the unpaced policy had not met any yet.
    assert run_chunk._cache_size() <= before + 1
    told = accounts.account(known, table, runs, limits).set_index("policy")
    assert told.loc[pacing, "unanswered"] < 0.05 * 600 < told.loc["stop", "unanswered"]
    # A share of .3 unanswered costs .3 of the reward; a standard error over 6 x 600 calls is below .01.
    assert told.loc[pacing, "reward"] > told.loc["stop", "reward"] + 0.03
    # The overshoot is at most one call.
    assert told.loc[pacing, "spent_most"] * limits[0] <= limits[0] + known.cost.max()


def probed(pacing: str, known, policy: Policy | None = None, limit: float = 700.0):
    """Return the trace, the dual price before each round, and each round's cost, of two seeds."""
    paced = budget.PACINGS[pacing](policy or bandits.linucb(4, 6), 4, 6)
    table = reward_table(accuracy, known)
    trace = replay(paced, known, table, seeds=2, budget=limited(limit), probe=paced.price)
    return trace, trace.probed[:, :, 0], np.where(trace.arms >= 0, known.cost[trace.order, trace.arms], 0.0)


def test_primal_dual_price_is_the_formula(known) -> None:
    """cbar <- .95 cbar + .05 c, lambda <- clip(lambda + .05 (cbar / B - 1), 0, 5), recomputed in float64."""
    trace, price, cost = probed("primal_dual", known)
    rate = 700.0 / 600
    for s in range(2):
        smooth, dual = rate, 0.0
        for t in range(int((trace.arms[s] >= 0).sum())):
            assert price[s, t] == pytest.approx(dual, abs=2e-4)
            allowed = known.price <= known.price.max() / (1 + dual)
            assert dual < 1e-4 or allowed[trace.arms[s, t]]
            smooth = 0.95 * smooth + 0.05 * cost[s, t]
            dual = min(max(dual + 0.05 * (smooth / rate - 1), 0.0), 5.0)
    assert price.max() > 0.1


def test_bwk_and_mirror_prices_are_the_formulas(known) -> None:
    rate = 700.0 / 600
    trace, price, cost = probed("bwk", known)
    weight = np.cumsum(np.sqrt(np.log(2) / 600) * (cost / rate - 1), axis=1)
    share = np.exp(weight) / (1 + np.exp(weight))
    made = trace.arms[:, 1:] >= 0
    np.testing.assert_allclose(price[:, 1:][made], share[:, :-1][made], rtol=2e-4)
    trace, price, cost = probed("mirror", known)  # once in debt, the step is from what is left a round
    left = (700.0 - np.cumsum(cost, axis=1) + cost) / (600 - np.arange(600))
    moves = 0.03 * (cost / rate - np.clip(left / rate, 0, 1))
    expected = 0.1 * np.exp(np.cumsum(moves, axis=1))
    made = trace.arms[:, 1:] >= 0
    np.testing.assert_allclose(price[:, 1:][made], expected[:, :-1][made], rtol=2e-4)


def test_threshold_opens_what_the_formula_opens(known) -> None:
    """A worth of 1 for every arm, and a draw among them: a call is below the bar and fits, or is the cheapest."""

    def index(key, state, seen):
        drawn = 0.0 if key is None else jax.random.uniform(key, (4,))
        return jnp.ones(4) + drawn

    alike = ranked(lambda key: jnp.zeros(()), index, lambda key, state, seen, arm, heard: state)
    trace, _, cost = probed("threshold", known, policy=alike)
    posted = known.price
    for s in range(2):
        spent = np.concatenate([[0.0], np.cumsum(cost[s])])
        for t in np.flatnonzero(trace.arms[s] >= 0):
            opened, due = spent[t // 100 * 100], 700.0 * (t // 100 + 1) * 100 / 600
            z = np.clip((spent[t] - opened) / (due - opened), 0, 1)
            bar = (np.e * posted.max() / posted.min()) ** z / (np.e * posted.max())
            open_arms = (posted * bar <= 1 + 1e-4) & (posted <= due - spent[t] + 1e-2)
            assert open_arms[trace.arms[s, t]] or trace.arms[s, t] == 0


@pytest.mark.parametrize("seed", range(20))
def test_lp_price_solves_the_linear_program(seed: int) -> None:
    """By strong duality the Lagrangian at the price, plus the price times the limit, is HiGHS's optimum."""
    rng = np.random.default_rng(seed)
    worth, load = rng.random((30, 4)), rng.lognormal(0, 1, (30, 4)) * rng.uniform(0.2, 3)
    load[:, 0] = 0.05
    price = float(dual_price(jnp.asarray(worth), jnp.asarray(load[:, :, None]), jnp.full(30, 1 / 30)))
    answer = linprog(
        -worth.ravel() / 30,
        A_ub=load.reshape(1, -1) / 30,
        b_ub=[1.0],
        A_eq=np.repeat(np.eye(30), 4, axis=1),
        b_eq=np.ones(30),
        method="highs",
    )
    dual = (worth - price * load).max(axis=1).mean() + price
    np.testing.assert_allclose(dual, -answer.fun, atol=2e-4)


@pytest.mark.parametrize("pacing", [name for name in budget.PACINGS if name != "stop"])
def test_a_pacing_needs_an_index(pacing: str) -> None:
    with pytest.raises(ValueError, match=f"pacing {pacing} needs a policy with an index"):
        budget.PACINGS[pacing](bandits.uniform(4, 6), 4, 6)


def test_a_cap_forbids_dear_calls_and_answers_nothing_where_all_are(known) -> None:
    table = reward_table(accuracy, known)
    capped = promise.cap(bandits.uniform(4, 6), 4, 6, limit=2.5)  # posted are 1, 2, 3, 4
    trace = replay(capped, known, table, seeds=2, budget=INF)
    assert set(np.unique(trace.arms)) == {0, 1}
    free = {"a": trace}
    told = accounts.account(known, table, free, limited(1e9), cap=2.5)
    expected = (known.cost[trace.order, trace.arms] > 2.5).sum(axis=1).mean()
    assert told["over_cap"].item() == pytest.approx(expected) and expected > 0
    none = promise.cap(bandits.linucb(4, 6, alpha=0.5), 4, 6, limit=0.5)
    silent = replay(none, known, table, seeds=1, rounds=50, budget=INF, probe=lambda s: s.policy.pulls)
    assert (silent.arms == -1).all() and (silent.probed == 0).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", [120, np.inf, np.inf]),
        ("0.5/query", [400, np.inf, np.inf]),
        ("cost=2/query,tokens=7", [1600, np.inf, 7]),
        ("latency=50%", [np.inf, 400 * 6.0, np.inf]),
    ],
)
def test_forms_of_a_budget(text: str, expected: list) -> None:
    stream = exact()
    np.testing.assert_allclose(budget.parse(text, stream, 800), expected)


def exact(latency: bool = True) -> Stream:
    """Return two queries: model b is the better single model, takes 4 and 8 seconds and 3 and 5 of cost."""
    outcomes = Outcomes(
        models=("a", "b"),
        utility=np.array([[1.0, 1.0], [0.0, 1.0]]),
        cost=np.array([[1.0, 3.0], [2.0, 5.0]]),
        latency=np.array([[1.0, 4.0], [1.0, 8.0]]) if latency else None,
        tokens=np.array([[5.0, 7.0], [np.nan, 9.0]]) if not latency else np.full((2, 2), 6.0),
        query_id=np.array(["q", "r"], object),
        cost_unit="made up",
    )
    return Stream("exact", outcomes, np.ones((2, 1), np.float32))


def test_a_share_is_of_the_best_single_model() -> None:
    np.testing.assert_allclose(budget.parse("30%", exact(), 100)[0], 0.3 * 4.0 * 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-3", "needs an amount > 0, got '-3'"),
        ("0", "needs an amount > 0"),
        ("0%", "needs an amount > 0"),
        ("nan", "needs an amount > 0"),
        ("inf/query", "needs an amount > 0"),
        ("much", "such as 12.5, 30% or 0.0005/query, got 'much'"),
        ("0.4", "pays for no call: the least cost of one is 1"),
        ("money=3", "no resource 'money'"),
        ("cost=3,cost=4", "names cost twice"),
        ("latency=3", "budget on latency needs a table that records it; this one records cost, tokens"),
        ("tokens=3", "1 lack it, the first for model 'a', query 'r'"),
        ("cost=", "such as 12.5"),
    ],
)
def test_senseless_budgets_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        budget.parse(text, exact(latency=False), 10)
    assert "\n" not in str(raised.value)


def test_a_list_of_budgets_is_parted_at_commas_unless_they_name_resources() -> None:
    assert budget.forms(["10%, 20%", "cost=3,tokens=4"]) == ["10%", "20%", "cost=3,tokens=4"]


def test_replay_refuses_a_budget_of_another_shape(known) -> None:
    with pytest.raises(ValueError, match="a budget of 3 numbers > 0"):
        replay(bandits.uniform(4, 6), known, reward_table(accuracy, known), budget=np.zeros(3))


def test_an_account_adds_up_by_hand() -> None:
    stream = exact()
    table = reward_table(accuracy, stream)
    order = np.array([[0, 1], [1, 0]], np.int32)
    arms = np.array([[1, -1], [0, 0]], np.int32)
    told = accounts.account(stream, table, {"p": bandits.Trace(order, arms)}, limited(4.0)).iloc[0]
    # Spent 3 and 3 of 4; earned 1 + 0 and 0 + 1 over two rounds each.
    assert told["spent_cost"] == pytest.approx(0.75) and told["reward"] == pytest.approx(0.5)
    assert told["out_at"] == 2 and told["unanswered"] == 0.5
    # Query q costs 1 for a reward of 1; the 3 that are left buy 3/5 of r at model b: (1 + 0.6) / 2.
    assert told["within"] == pytest.approx(0.8)
    # Mixtures have means a (1.5, .5) and b (4, 1); 1.5 a query was spent: a alone, .5.
    assert told["mixture"] == pytest.approx(0.5) and told["over_mixture"] == pytest.approx(0.0)


def test_burn_down_describes_the_run(known) -> None:
    trace, _, cost = probed("mirror", known)
    down = accounts.burn_down(known, {"p": trace}, limited(700.0))
    left = down[down.quantity == "left:cost"]
    assert left["round"].iloc[[0, -1]].tolist() == [1, 600]
    np.testing.assert_allclose(left["mean"].iloc[-1], 1 - cost.sum(axis=1).mean() / 700)
    assert (down[down.quantity == "price:cost"]["mean"] > 0).all()


def test_a_held_policy_is_the_wrappers_in_order(known) -> None:
    wrapped = budget.held(
        bandits.linucb(4, 6, alpha=0.5), known, pacing="mirror,step=0.1", hard=True, cap=2.5
    )
    state = wrapped.init(jax.random.key(0))
    assert isinstance(state, promise.Capped) and wrapped.price(state).tolist() == pytest.approx([0.1] * 3)
    with pytest.raises(ValueError, match="no pacing 'mirrors'; did you mean mirror"):
        budget.held(bandits.linucb(4, 6, alpha=0.5), known, pacing="mirrors")


def test_a_pacing_is_asked_whether_it_sets_a_price() -> None:
    assert [name for name in budget.PACINGS if not budget.priced(name)] == ["stop"]
    assert budget.priced("mirror,step=0.1")

"""Pacing one call at a time, against NumPy: what is charged, forbidden and planned for what is left."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import example
from bandits.policies.linear.ridge import Ridge
from bandits.wrappers import budget
from bandits.wrappers.pacing.paced import Means, Usage
from bandits.wrappers.pacing.primal_dual import Past, charged
from tests.test_wrapped import KEY, ROUND, D, K, ridge, told


@pytest.mark.parametrize("pacing", ["mirror", "bwk", "lp"])
def test_expected_costs_are_charged_at_the_price(pacing: str) -> None:
    """200 draws of worth, cost and price: the highest of worth less charge, by the formula of each docstring."""
    rng = np.random.default_rng(0)
    policy = budget.PACINGS[pacing](told(), K, D)
    start = policy.init(KEY)
    seen = example(K, D)[0]._replace(context=ROUND, budget=jnp.array([50.0, jnp.inf, jnp.inf]),
                                     rounds_left=jnp.float32(20.0))  # fmt: skip
    n = 200
    worth, cost = rng.random((n, K)), rng.lognormal(0, 1, (n, K))
    price = rng.choice([0.02, 0.1, 0.4], n)
    target = 2.5
    unit = 1.0 if pacing == "lp" else target  # the price is in rewards a unit, or a round's budget
    charge = cost * price[:, None] / unit
    if pacing == "bwk":  # alpha .1, width |x|
        charge = np.maximum(charge * (1 - 0.1 * np.linalg.norm(ROUND)), 0)

    def one(worth: Any, cost: Any, price: Any) -> Any:
        weight = jnp.zeros((K, 3, D)).at[:, 0, -1].set(cost)
        none = Means(jnp.zeros((K, 3)), jnp.zeros(K))
        usage = Usage(ridge(np.zeros(K))._replace(weight=weight), none)
        rest: dict[str, Any] = {} if pacing == "lp" else {"target": jnp.array([target, jnp.inf, jnp.inf])}
        if pacing == "bwk":
            rest["rounds"] = jnp.float32(40.0)
        pacer = start.pacer._replace(price=jnp.zeros(3).at[0].set(price), usage=usage, **rest)
        return policy.act(KEY, start._replace(policy=worth, pacer=pacer), seen)

    arms = jax.jit(jax.vmap(one))(*(jnp.asarray(x, jnp.float32) for x in (worth, cost, price)))
    net = np.sort(worth - charge, axis=1)
    clear = net[:, -1] - net[:, -2] > 1e-4
    assert clear.sum() > 150
    np.testing.assert_array_equal(np.asarray(arms)[clear], (worth - charge).argmax(axis=1)[clear])
    if (
        pacing != "lp"
    ):  # in the first round the target is what is left a round, and the price the pacing's first
        first = 0.1 if pacing == "mirror" else 0.0
        np.testing.assert_allclose(start.pacer.price, np.full(3, first), rtol=1e-6)


def test_the_ceiling_and_the_scale_of_primal_dual_in_numpy() -> None:
    """ctil = log(c / c_min) / log(c_max / c_min), three decades at most; above c_max / (1 + price) none is called."""
    cost = np.array([[1e-6, 2.0], [1.0, 2.0], [100.0, 2.0], [3.0, 2.0]])
    for price in ([0.0, 0.0], [2.0, 0.0], [0.5, 0.3]):
        charge, below = charged(jnp.asarray(cost, jnp.float32), jnp.asarray(price))
        least = max(1e-6, 1e-3 * 100)
        scaled = np.log(np.maximum(cost[:, 0], least) / least) / np.log(100 / least)
        np.testing.assert_allclose(charge, scaled * price[0], rtol=1e-5)  # no spread: the second is free
        want = (cost <= cost.max(axis=0) / (1 + np.array(price))) | (np.array(price) <= 0)
        np.testing.assert_array_equal(below, want.all(axis=1))


def test_a_log_prices_the_least_that_fits() -> None:
    past = Past(jnp.array([0.0, 1.0, 2.0]), jnp.array([[5.0, 1.0, 0.0], [3.0, 1.0, 0.0], [2.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(past.first(jnp.array([3.0, 0.5, 9.0])), [1.0, 2.0, 0.0])


def test_what_no_call_has_told_counts_as_the_least_and_posted_prices_come_first() -> None:
    means = Means(
        jnp.array([[6.0, 0, 0], [10.0, 0, 0], [0.0, 0, 0], [0.0, 0, 0]]), jnp.array([3.0, 2.0, 0.0, 0.0])
    )
    nan = jnp.nan
    np.testing.assert_allclose(means.expected(jnp.array([nan, nan, nan, nan]))[:, 0], [2, 5, 2, 2])
    np.testing.assert_allclose(means.expected(jnp.array([nan, 1.0, 7.0, nan]))[:, 0], [2, 1, 7, 1])
    after = means.heard(jnp.int32(2), jnp.array([4.0, 1.0, 0.0]))
    np.testing.assert_allclose(after.expected(jnp.full(4, nan))[:, 0], [2, 5, 4, 2])
    usage = Usage(ridge(np.array([0.1, 4.0, -1.0, 3.0])), means)  # a line may cross 0, a cost does not
    np.testing.assert_allclose(usage.expected(ROUND)[:, 0], [0.5, 4.0, 0.0, 3.0], rtol=1e-6)


def test_where_nothing_may_be_called_the_cheapest_available_is() -> None:
    """One round left that fits no call: threshold forbids all, and the cheapest of those there is called."""
    policy = budget.PACINGS["threshold"](told(), K, D)
    seen = example(K, D)[0]._replace(
        price=jnp.array([2.0, 1.0, 5.0, 9.0]),
        budget=jnp.array([0.5, jnp.inf, jnp.inf]),
        rounds_left=jnp.float32(1.0),
    )
    state = policy.init(KEY)._replace(policy=jnp.array([1.0, 0.0, 2.0, 3.0]))
    assert int(policy.act(KEY, state, seen)) == 1
    assert int(policy.act(KEY, state, seen._replace(available=jnp.array([True, False, True, True])))) == 0


def test_a_program_is_solved_for_what_is_left_after_the_call() -> None:
    """lp, one query in a window of 8: two arms, worth 1 at a cost of 3 and .4 at 1; what is left a round decides.

    At 2.9 a round the dear one has to be as good as the cheap one: 1 - 3 p = .4 - p, p = .3. At 4 nothing binds, nor
    would it at 2.9 if the call that was just made had not been paid for.
    """
    policy = budget.PACINGS["lp"](told(), 2, D, resolve_every=2, window=8)
    seen, heard = example(2, D)
    state = policy.init(KEY)
    weight = jnp.zeros((2, 3, D)).at[:, 0, -1].set(jnp.array([3.0, 1.0]))
    costs = Ridge(
        jnp.zeros((2, D, D)), weight, jnp.zeros(2, jnp.int32)
    )  # so sure that a call changes nothing
    pacer = state.pacer._replace(usage=state.pacer.usage._replace(costs=costs))
    state = state._replace(policy=jnp.array([1.0, 0.4]), pacer=pacer)
    update = jax.jit(policy.update)
    for left, wanted in ((2.9, 0.3), (4.0, 0.0)):
        now = seen._replace(context=ROUND, rounds_left=jnp.float32(5.0),
                            budget=jnp.array([4 * left + 3.0, jnp.inf, jnp.inf]))  # fmt: skip
        call = heard._replace(
            cost=jnp.float32(3.0), latency=jnp.float32(jnp.nan), tokens=jnp.float32(jnp.nan)
        )
        after = update(KEY, state, now, jnp.int32(0), call)
        assert float(after.pacer.price[0]) == pytest.approx(wanted, rel=2e-3)
        late = update(KEY, state, now._replace(rounds_left=jnp.float32(6.0)), jnp.int32(0), call)
        assert np.isnan(late.pacer.price[0])  # five rounds to come: no program now


def test_a_bar_rises_with_what_is_spent_over_six_decades_of_cost_at_most() -> None:
    """Half of a bin's budget is spent: (UB e / LB)^.5 LB / e, with LB = 1 / c_max and UB / LB at most a million."""
    policy = budget.PACINGS["threshold"](told(), K, D, bin_size=10)
    seen, heard = example(K, D)
    state = policy.init(KEY)
    update = jax.jit(policy.update)
    for cheapest, ratio in ((0.004, 1000.0), (1e-9, 1e6)):
        price = jnp.array([cheapest, 4.0, 1.0, 2.0])
        now = seen._replace(
            price=price, rounds_left=jnp.float32(20.0), budget=jnp.array([100.0, jnp.inf, jnp.inf])
        )
        begun = update(KEY, state, now, jnp.int32(1), heard)
        np.testing.assert_allclose(begun.pacer.price[0], 1 / (4 * np.e), rtol=1e-5)  # nothing is spent yet
        later = now._replace(rounds_left=jnp.float32(15.0), budget=jnp.array([75.0, jnp.inf, jnp.inf]))
        after = update(KEY, begun, later, jnp.int32(1), heard)
        np.testing.assert_allclose(after.pacer.price[0], (ratio * np.e) ** 0.5 / (4 * np.e), rtol=1e-4)
        # The second bin begins at what the first has left unspent: 25 of 50, and so 75 are due until round 20.
        second = now._replace(rounds_left=jnp.float32(10.0), budget=jnp.array([75.0, jnp.inf, jnp.inf]))
        after = update(KEY, after, second, jnp.int32(1), heard)
        np.testing.assert_allclose(
            [after.pacer.price[0], after.pacer.opened[0]], [1 / (4 * np.e), 25.0], rtol=1e-5
        )


def test_the_dual_price_follows_smoothed_spend_between_its_ends() -> None:
    """cbar <- .9 cbar + .1 c / B and lambda <- clip(lambda + .5 (cbar - 1), 0, 2), three calls one after the other."""
    policy = budget.PACINGS["primal_dual"](told(), K, D, step=0.5, smoothing=0.1, highest=2.0)
    seen, heard = example(K, D)
    now = seen._replace(budget=jnp.array([30.0, jnp.inf, jnp.inf]), rounds_left=jnp.float32(10.0))
    state, smooth, price = policy.init(KEY), 1.0, 0.0
    update = jax.jit(policy.update)
    for paid in (12.0, 99.0, 0.0, 0.0, 3.0):
        state = update(KEY, state, now, jnp.int32(0), heard._replace(cost=jnp.float32(paid)))
        smooth = 0.9 * smooth + 0.1 * paid / 3
        price = min(max(price + 0.5 * (smooth - 1), 0.0), 2.0)
        np.testing.assert_allclose([state.pacer.smooth[0], state.pacer.price[0]], [smooth, price], rtol=1e-5)
    assert price == 2.0
    spare = update(KEY, state._replace(pacer=state.pacer._replace(price=jnp.zeros(3), smooth=jnp.zeros(3))), now,
                   jnp.int32(0), heard._replace(cost=jnp.float32(0.0)))  # fmt: skip
    assert float(spare.pacer.price[0]) == 0.0

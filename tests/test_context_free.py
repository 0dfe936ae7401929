"""The context-free and adversarial policies against their formulas, and against streams with a known answer."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq

from bandits.base import Feedback, Observation, Policy, example
from bandits.experiment import worlds
from bandits.experiment.ask import Ask
from bandits.experiment.lineup import bounds_of, ranged
from bandits.experiment.play import finish
from bandits.loop.replay import replay
from bandits.policies.tabular.beta_thompson import beta_thompson
from bandits.policies.tabular.counts import Counts, unit
from bandits.policies.tabular.elimination import successive_elimination, survivors
from bandits.policies.tabular.exp3 import exp3
from bandits.policies.tabular.exp4 import exp4
from bandits.policies.tabular.klucb import klucb
from bandits.policies.tabular.klucb import upper_bound as klucb_index
from bandits.policies.tabular.ucb1 import ucb1
from bandits.policies.tabular.ucb1 import upper_bound as ucb1_index
from bandits.rewards import linear, reward_table
from bandits.sweeps.scenarios import compare

ALL = (ucb1, klucb, beta_thompson, exp3, exp4, successive_elimination)
UNIT = {"low": 0.0, "high": 1.0}


def heard(reward: float) -> Feedback:
    """Return a feedback of this reward."""
    return example(2, 1)[1]._replace(reward=jnp.float32(reward))


def seen(n_arms: int, available: Any = None) -> Observation:
    """Return an observation of two features."""
    observation = example(n_arms, 2)[0]
    return observation if available is None else observation._replace(available=jnp.asarray(available))


def play(policy: Policy, rewards: NDArray[np.float64], seeds: int) -> NDArray[np.int32]:
    """Return the `(S, T)` arms called on `rewards` `(T, K)`, every seed with randomness of its own."""
    base = seen(rewards.shape[1])
    table = jnp.asarray(rewards, jnp.float32)

    def one_seed(key: jax.Array) -> jax.Array:
        def step(state: Any, xs: Any) -> Any:
            key, row = xs
            to_act, to_learn = jax.random.split(key)
            arm = policy.act(to_act, state, base)
            return policy.update(to_learn, state, base, arm, heard(0.0)._replace(reward=row[arm])), arm

        return jax.lax.scan(step, policy.init(key), (jax.random.split(key, len(table)), table))[1]

    return np.asarray(jax.jit(jax.vmap(one_seed))(jax.random.split(jax.random.key(0), seeds)))


@pytest.mark.parametrize("factory", ALL)
def test_finds_the_best_of_three_arms(factory: Any) -> None:
    """Means .2, .4, .9: uniform earns .5 a round. Each policy's regret bound at T = 2000 leaves more than .6.

    The loosest is Exp4's, `2 sqrt(T K ln N) <= 2 sqrt(2000 * 3 * ln 6) = 207` (N = 6 experts), on rewards that the
    range 1.2 scales: 249 of a best 1800 leaves .77 a round. Successive elimination drops an arm of gap g by the
    time that four widths are below g: after about 330 calls of gap .5 (900 rounds lose at most 0.4 each, on
    average) it plays the best, which leaves .7. The mean of 8 seeds has a standard error of at most .5 / sqrt(8 *
    2000) = .004, so .65 is many of them below.
    """
    rewards = (np.random.default_rng(1).random((2000, 3)) < [0.2, 0.4, 0.9]).astype(float)
    arms = play(factory(3, 2), rewards, 8)
    assert np.take_along_axis(rewards[None], arms[..., None], 2).mean() > 0.65


@pytest.mark.parametrize("factory", ALL)
def test_never_calls_what_is_unavailable(factory: Any) -> None:
    policy, open_now = factory(4, 2), np.array([False, True, False, True])
    act, update = jax.jit(policy.act), jax.jit(policy.update)
    state = policy.init(jax.random.key(0))
    for t in range(30):
        key = jax.random.key(t)
        arm = act(key, state, seen(4, open_now))
        assert open_now[int(arm)]
        state = update(key, state, seen(4, open_now), arm, heard(t % 2))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ucb1(2, 1, alpha=-1), "ucb1 needs alpha >= 0, got alpha=-1"),
        (lambda: klucb(2, 1, c=math.nan), "klucb needs c >= 0, got c=nan"),
        (lambda: beta_thompson(2, 1, prior=0), "beta_thompson needs prior > 0, got prior=0"),
        (lambda: exp3(2, 1, low=1, high=0), "exp3 needs numbers low < high, got low=1, high=0"),
        (lambda: exp4(2, 1, eta=0), "exp4 needs eta > 0, got eta=0"),
        (lambda: exp4(2, 1, experts="abc"), "exp4 needs experts to be policies, got 'a'"),  # type: ignore[arg-type]
        (
            lambda: successive_elimination(2, 1, delta=2),
            "successive_elimination needs 0 <= delta <= 1, got delta=2",
        ),
    ],
)
def test_refuses_what_is_out_of_range(build: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        build()
    assert str(error.value) == message


def test_rewards_are_clipped_to_the_range() -> None:
    rewards = jnp.array([-2.0, -0.2, 0.4, 1.0, 3.0])
    np.testing.assert_allclose(unit(rewards, -0.2, 1.0), [0, 0, 0.5, 1, 1], atol=1e-7)


def test_ucb1_index_is_the_formula() -> None:
    pulls, mean = np.array([3.0, 10.0, 87.0]), np.array([0.9, 0.5, 0.1])
    expected = mean + 0.7 * np.sqrt(2 * np.log(100) / pulls)
    got = ucb1_index(Counts(jnp.asarray(pulls, jnp.float32), jnp.asarray(mean, jnp.float32)), 0.7)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_ucb1_and_klucb_try_every_arm_first() -> None:
    for factory in (ucb1, klucb):
        assert play(factory(5, 2), np.ones((5, 5)), 1).tolist() == [[0, 1, 2, 3, 4]]


def test_klucb_index_is_the_root_that_scipy_finds() -> None:
    rng = np.random.default_rng(2)
    pulls, mean = rng.integers(1, 400, 20).astype(float), rng.uniform(0.02, 0.98, 20)
    played = math.log(pulls.sum())

    def root(n: float, p: float, c: float) -> float:
        allowed = (played + c * math.log(played)) / n
        kl = lambda q: p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)) - allowed  # noqa: E731
        top = 1 - 1e-15
        return top if kl(top) < 0 else brentq(kl, p, top)

    for c in (0.0, 3.0):
        counts = Counts(jnp.asarray(pulls, jnp.float32), jnp.asarray(mean, jnp.float32))
        expected = [root(n, p, c) for n, p in zip(pulls, mean, strict=True)]
        # Float32 logarithms leave an error of 1e-7 in a divergence whose slope is least for many pulls.
        np.testing.assert_allclose(klucb_index(counts, c), expected, atol=2e-5)


def test_klucb_index_at_means_of_zero_and_one() -> None:
    """`d(0, q) = -ln(1 - q)`, so the index at mean 0 is `1 - t^(-1/n)`; at mean 1 it is 1."""
    counts = Counts(jnp.array([10.0, 90.0]), jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(klucb_index(counts, 0.0), [1 - 100 ** (-1 / 10), 1.0], atol=1e-5)


def test_beta_thompson_counts_successes_and_failures() -> None:
    policy = beta_thompson(2, 1, prior=0.5, **UNIT)
    state = policy.init(jax.random.key(0))
    for t, (arm, reward) in enumerate([(0, 1), (0, 0), (0, 1), (1, 0)]):
        state = policy.update(jax.random.key(t), state, seen(2), jnp.int32(arm), heard(reward))
    assert state.success.tolist() == [2.5, 0.5]
    assert state.failure.tolist() == [1.5, 1.5]


def test_beta_thompson_counts_a_fraction_as_a_success_that_often() -> None:
    """2,000 trials of reward .3: mean 600, deviation sqrt(2000 * .3 * .7) = 20.5; four of them allowed."""
    policy = beta_thompson(2, 1, **UNIT)
    keys = jax.random.split(jax.random.key(3), 2000)
    state = policy.init(keys[0])
    after = jax.jit(jax.vmap(lambda k: policy.update(k, state, seen(2), jnp.int32(0), heard(0.3))))(keys)
    assert abs(float((after.success[:, 0] - 1).sum()) - 600) < 82


def test_beta_thompson_calls_as_often_as_an_arm_is_best() -> None:
    """P(Beta(3,1) > Beta(1,1)) = E[Beta(3,1)] = 3/4; 4,000 draws have a deviation of .007; four allowed."""
    policy = beta_thompson(2, 1)
    state = policy.init(jax.random.key(0))._replace(success=jnp.array([3.0, 1.0]))
    arms = jax.jit(jax.vmap(lambda k: policy.act(k, state, seen(2))))(
        jax.random.split(jax.random.key(4), 4000)
    )
    assert abs(float((arms == 0).mean()) - 0.75) < 0.028


def shares(policy: Policy, state: Any, observation: Observation, n_arms: int) -> NDArray[np.float64]:
    """Return how often each arm is drawn in 20,000 draws from one state."""
    keys = jax.random.split(jax.random.key(5), 20_000)
    arms = jax.jit(jax.vmap(lambda k: policy.act(k, state, observation)))(keys)
    return np.bincount(np.asarray(arms), minlength=n_arms) / len(keys)


def test_exp3_draws_with_the_probabilities_of_the_formula() -> None:
    policy, n_arms = exp3(3, 1, eta=0.8, **UNIT), 3
    history = [(0, 0.2), (1, 0.9), (2, 0.1), (1, 0.5), (0, 0.4)]
    losses, state, update = np.zeros(n_arms), policy.init(jax.random.key(0)), jax.jit(policy.update)
    for t, (arm, reward) in enumerate(history, start=1):
        chance = np.exp(-0.8 * math.sqrt(math.log(3) / (3 * t)) * losses)
        chance /= chance.sum()
        losses[arm] += (1 - reward) / chance[arm]
        told = heard(reward)._replace(chance=jnp.float32(chance[arm]))
        state = update(jax.random.key(t), state, seen(n_arms), jnp.int32(arm), told)
    np.testing.assert_allclose(state.total - state.total.min(), losses - losses.min(), rtol=1e-5)
    expected = np.exp(-0.8 * math.sqrt(math.log(3) / (3 * 6)) * losses)
    # 20,000 draws: deviation at most .0036 a share; four allowed.
    np.testing.assert_allclose(shares(policy, state, seen(n_arms), 3), expected / expected.sum(), atol=0.0144)


def test_exp3_leaves_an_arm_as_it_stood_while_it_cannot_be_called() -> None:
    """Certain loss 1 for all that is open: a policy that charges the closed arm nothing would come to prefer it."""
    policy, closed = exp3(3, 1, **UNIT), seen(3, [True, True, False])

    def step(state: Any, key: jax.Array) -> Any:
        arm = policy.act(key, state, closed)
        told = heard(0.0)._replace(chance=policy.chances(key, state, closed)[arm])
        return policy.update(key, state, closed, arm, told), None

    keys = jax.random.split(jax.random.key(0), 200)
    state = jax.lax.scan(step, policy.init(keys[0]), keys)[0]
    # The estimated losses of the open arms have mean 200 each, as the closed one is charged.
    assert shares(policy, state, seen(3), 3)[2] < 0.6


def test_exp4_weighs_its_experts_by_the_formula() -> None:
    """Two policies with a fixed mind, so that the advice is known: NumPy follows the same losses in float64."""
    n_arms = 3
    stubborn = [
        Policy(lambda k: jnp.zeros(()), lambda k, s, o, a=a: jnp.int32(a), lambda k, s, o, a, f: s)
        for a in (2, 1)
    ]
    policy = exp4(n_arms, 1, eta=1.3, experts=stubborn, **UNIT)
    advice = np.vstack([np.eye(3), np.full((1, 3), 1 / 3), np.eye(3)[[2, 1]]])
    losses, state, update = np.zeros(6), policy.init(jax.random.key(0)), jax.jit(policy.update)
    for t, (arm, reward) in enumerate([(0, 0.2), (1, 0.9), (2, 0.1), (1, 0.7)], start=1):
        weight = np.exp(-1.3 * math.sqrt(math.log(6) / (3 * t)) * losses)
        chance = (weight / weight.sum()) @ advice
        losses += advice[:, arm] * (1 - reward) / chance[arm]
        told = heard(reward)._replace(chance=jnp.float32(chance[arm]))
        state = update(jax.random.key(t), state, seen(n_arms), jnp.int32(arm), told)
    np.testing.assert_allclose(state.losses.total, losses - losses.min(), rtol=1e-5, atol=1e-5)
    weight = np.exp(-1.3 * math.sqrt(math.log(6) / (3 * 5)) * losses)
    expected = (weight / weight.sum()) @ advice
    np.testing.assert_allclose(shares(policy, state, seen(n_arms), 3), expected, atol=0.0144)


def test_exp4_follows_the_expert_that_reads_the_query() -> None:
    """The best arm flips with the sign of a feature: an arm alone earns .5, its ridge expert learns to earn 1.

    The bound `2 sqrt(T K ln N)` is `2 sqrt(3000 * 2 * ln 5) = 197` of 3000, scaled by 1.2: at least .92 - the few
    rounds in which the expert itself learns. Anything above .8 is out of reach without the expert.
    """
    policy, rng = exp4(2, 2), np.random.default_rng(6)
    sign = jnp.asarray(rng.choice([-1.0, 1.0], 3000), jnp.float32)
    base = seen(2)

    def step(state: Any, xs: Any) -> Any:
        key, side = xs
        observation = base._replace(context=jnp.stack([side, 1.0]))
        arm = policy.act(key, state, observation)
        reward = (arm == (side > 0)).astype(jnp.float32)
        chance = policy.chances(key, state, observation)[arm]
        told = heard(0.0)._replace(reward=reward, chance=chance)
        return policy.update(key, state, observation, arm, told), reward

    keys = jax.random.split(jax.random.key(7), 3000)
    rewards = jax.lax.scan(step, policy.init(keys[0]), (keys, sign))[1]
    assert float(rewards.mean()) > 0.8


def test_exp4_learns_from_the_advice_that_it_followed() -> None:
    """A random expert advises the same arm in `act` and in `update` of one round: only its own losses grow by it."""
    coin = Policy(
        lambda k: jnp.zeros(()),
        lambda k, s, o: jax.random.randint(k, (), 0, 4).astype(jnp.int32),
        lambda k, s, o, a, f: s,
    )
    policy = exp4(4, 1, experts=[coin], **UNIT)

    def blamed(seed: jax.Array, arm: jax.Array) -> jax.Array:
        state = policy.init(jax.random.key(seed))
        return policy.update(jax.random.key(99), state, seen(4), arm, heard(0.0)).losses.total[5] > 0

    # The least loss is taken off, and an arm alone that was not called has 0: the coin is blamed for one arm only.
    by_arm = jax.vmap(jax.vmap(blamed, in_axes=(None, 0)), in_axes=(0, None))
    table = np.asarray(jax.jit(by_arm)(jnp.arange(12), jnp.arange(4)))
    assert (table.sum(axis=1) == 1).all()
    assert len(set(table.argmax(axis=1))) > 1

    def followed(seed: jax.Array) -> jax.Array:
        state = policy.init(jax.random.key(seed))
        certain = jnp.full(6, 1e6).at[5].set(0.0)  # all trust in the coin
        state = state._replace(losses=state.losses._replace(total=certain))
        return policy.act(jax.random.key(98), state, seen(4))

    assert np.array_equal(jax.jit(jax.vmap(followed))(jnp.arange(12)), table.argmax(axis=1))


def test_successive_elimination_drops_an_arm_when_its_bounds_say_so() -> None:
    """Arm 0 always 1, arm 1 always 0: taken in turn until `1 - w(n_0) > w(n_1)`, found here by search."""
    delta, n_arms = 0.2, 2
    width = lambda n: math.sqrt(math.log(4 * n_arms * n * n / delta) / (2 * n))  # noqa: E731
    rounds = next(t for t in range(2, 1000) if 1 - width(-(-t // 2)) > width(t // 2))
    arms = play(successive_elimination(2, 1, delta=delta, **UNIT), np.tile([1.0, 0.0], (80, 1)), 1)[0]
    assert arms[:rounds].tolist() == ([0, 1] * rounds)[:rounds]
    assert set(arms[rounds:].tolist()) == {0}


def test_successive_elimination_never_drops_the_last_arm() -> None:
    counts = Counts(jnp.array([1000.0, 1000.0]), jnp.array([0.9, 0.1]))
    assert survivors(counts, jnp.array([False, True]), 0.1, 1.0).tolist() == [False, True]
    assert survivors(counts, jnp.array([True, True]), 0.1, 1.0).tolist() == [True, False]


def test_a_run_gives_index_policies_the_range_of_its_own_rewards(known) -> None:
    """At preference 1 many rewards lie below -0.2: each run's estimates are of rewards that are not clipped."""
    table = reward_table(linear, known, 1.0)
    assert (table < -0.2).any()
    low, high = float(table.min()), float(table.max())
    assert bounds_of(table) == (low, high) and bounds_of(np.ones((2, 2))) == (1.0, 2.0)
    ask = Ask(policies=("ucb1", "ucb1,low=-3"), preference="0,1", seeds=2, rounds=200)
    by_name = {run.name: run for run in finish(known, ask)}
    run = by_name["preference=1"]
    mine, given = (
        replay(ucb1(known.n_arms, known.dim, low=a, high=b), known, table, seeds=2, rounds=200).arms
        for a, b in ((low, high), (-3.0, 1.0))
    )
    np.testing.assert_array_equal(run.traces["ucb1"].arms, mine)
    np.testing.assert_array_equal(run.traces["ucb1,low=-3"].arms, given)
    assert run.bounds == (low, high)
    assert ranged("restart(exp3),threshold=8") and not ranged("linucb") and not ranged("klucb,low=-1,high=2")


def test_scenarios_give_index_policies_the_range_too(known) -> None:
    """What hears the range by itself plays as one which is given the changed world's own range."""
    name, played = "price-cut", {"seeds": 2, "rounds": 200}
    world = worlds.changed(known, worlds.scenario(name).changes, **played)
    low, high = bounds_of(reward_table(linear, world, 1.0))
    specs = ["klucb", f"klucb,low={low!r},high={high!r}"]
    mine, given = compare(known, specs, linear, preference=1.0, scenarios=[name], **played)
    assert low < -0.2 and mine["regret"] == given["regret"] and mine["cost"] == given["cost"]

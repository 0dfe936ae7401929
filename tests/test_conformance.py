"""Every registered policy keeps the contract of `bandits/base.py`; the registry itself is the list."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import bandits
from bandits import POLICIES
from bandits.base import Feedback, Policy, chances_of, check, choose, example
from bandits.experiment import worlds
from bandits.experiment.lineup import WRAPPERS
from bandits.loop import blocks, kernels_blocks
from bandits.loop.replay import Trace, replay
from bandits.loop.rounds import run_chunk
from bandits.policies.dueling import DUELLISTS
from bandits.policies.llmbandit.tasks import Log
from bandits.rewards import accuracy, linear, reward_table
from bandits.wrappers import budget
from bandits.wrappers.budget import PACINGS
from envs.changes import duels
from envs.stream import Stream
from tests.conftest import make_stream

# Greedy is the reference that may fail: an arm whose rewards are positive keeps it from ever trying another.
# Elimination is sure, not quick: it needs about (range / gap)^2 log T calls of an arm before it drops one, far more
# than this stream has; its rule is tested on a scripted sequence.
LEARNERS = [n for n in POLICIES if n not in ("uniform", "always", "greedy", "successive_elimination")]


def build(name: str, n_arms: int, dim: int) -> Policy:
    # Others are told the reward of the run; this one would weigh cost where the suite weighs accuracy alone.
    needs = {
        "always": {"model": 1},
        "ebucb": {"reward": accuracy},
        "hierarchical": {"reward": accuracy},
        "llmbandit": {"log": past(n_arms, dim), "rollouts": 2},
    }
    return POLICIES[name](n_arms, dim, **needs.get(name, {}))


def past(n_arms: int, dim: int) -> Log:
    """Return a log from the known stream's own world, for a policy that is trained before the run."""
    stream = make_stream(rows=200, arms=n_arms, features=dim - 1, seed=7)
    return Log(stream.context, stream.utility, stream.cost)


class Built(dict[str, Policy]):
    """One instance each, for the streams of this suite (4 arms, 6 features), built when it is first asked for."""

    def __missing__(self, name: str) -> Policy:
        self[name] = build(name, 4, 6)
        return self[name]


@pytest.fixture(scope="module")
def built() -> Built:
    """Policies compile by identity, so a test that builds its own compiles again."""
    return Built()


@pytest.mark.parametrize("name", POLICIES)
def test_contract(name: str) -> None:
    check(build(name, 3, 4), 3, 4, name)


@pytest.mark.parametrize("name", POLICIES)
def test_docstring_first_line_is_listed(name: str) -> None:
    first = (POLICIES[name].__doc__ or "").splitlines()[0]
    assert 20 < len(first) <= 120 and first.endswith((".", ")"))


@pytest.mark.parametrize("name", POLICIES)
def test_respects_available_and_repeats(name: str, built, patchy) -> None:
    table = reward_table(accuracy, patchy)
    first = replay(built[name], patchy, table, seeds=2, seed=5, rounds=300)
    called = patchy.available[first.order, first.arms]
    assert called.all()
    again = replay(built[name], patchy, table, seeds=2, seed=5, rounds=300)
    assert np.array_equal(first.arms, again.arms) and np.array_equal(first.order, again.order)


@pytest.fixture(scope="module")
def failing(known: Stream) -> Stream:
    """The known stream in which two models fail at random: 40 rounds from repair to failure, 20 to repair."""
    fails = "start=0,end=1.0,between=40,repair=20"
    changes = [f"outage,model=model-0,{fails}", f"outage,model=model-3,{fails}"]
    world = worlds.changed(known, changes, seeds=2, seed=5, rounds=300)
    out = ~world.available
    assert out[:, [0, 3]].any(axis=0).all() and out[:, [0, 3]].all(axis=1).any()  # each, and both at once
    return world


def called_only_what_was_there(stream: Stream, trace: Trace) -> bool:
    """Whether every call that was made (-1 is none) was of a model that could be called."""
    made = trace.arms >= 0
    return bool(made.any() and stream.available[trace.order[made], trace.arms[made]].all())


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_calls_a_model_that_is_out(name: str, built, failing) -> None:
    trace = replay(built[name], failing, reward_table(accuracy, failing), seeds=2, seed=5)
    assert called_only_what_was_there(failing, trace) and (trace.arms >= 0).all()


@pytest.mark.parametrize("name", DUELLISTS)
def test_no_duellist_calls_a_pair_of_which_one_is_out(name: str, failing) -> None:
    paired = duels.pairs(failing)
    table = reward_table(accuracy, paired)
    heard, told = worlds.heard(paired, table, accuracy, 0.2, kind="dueling")
    trace = replay(DUELLISTS[name](10, 6), heard, told, seeds=2, seed=5)
    first, second = (side[trace.arms] for side in duels.sides(4))
    there = failing.available[trace.order]
    for side in (first, second):
        assert np.take_along_axis(there, side[:, :, None], axis=2).all()


@pytest.mark.parametrize("name", WRAPPERS)
def test_no_wrapper_calls_a_model_that_is_not_there(name: str, built, patchy, failing) -> None:
    policy = WRAPPERS[name](built["linucb"], 4, 6)
    for stream in (patchy, failing):
        trace = replay(policy, stream, reward_table(accuracy, stream), seeds=2, seed=5, rounds=300)
        assert called_only_what_was_there(stream, trace) and (trace.arms >= 0).all()


@pytest.mark.parametrize("name", PACINGS)
def test_no_pacing_calls_a_model_that_is_not_there(name: str, built, patchy, failing) -> None:
    # About half of what calling the middle models for 300 rounds costs: the pacing has to choose.
    limits = np.array([300.0, np.inf, np.inf])
    soft = budget.held(built["linucb"], failing, pacing=name)
    hard = budget.held(built["linucb"], failing, pacing=name, hard=True, cap=4.0)
    for policy, stream in ((soft, patchy), (soft, failing), (hard, failing)):
        table = reward_table(linear, stream)
        trace = replay(policy, stream, table, seeds=2, seed=5, rounds=300, budget=limits)
        assert called_only_what_was_there(stream, trace)


@pytest.mark.parametrize("name", POLICIES)
def test_seed_of_many_equals_seed_alone(name: str, built, known) -> None:
    table = reward_table(accuracy, known)
    together = replay(built[name], known, table, seeds=3, seed=2, rounds=120)
    alone = replay(built[name], known, table, seeds=1, seed=2, rounds=120)
    assert np.array_equal(together.order[0], alone.order[0])
    # Batched and single arithmetic may round differently, so a near tie may fall the other way and then spread.
    assert (together.arms[0] == alone.arms[0]).mean() > 0.9


@pytest.mark.parametrize("name", LEARNERS)
def test_beats_uniform_on_a_known_answer(name: str, built, known) -> None:
    table = reward_table(accuracy, known)
    trace = replay(built[name], known, table, seeds=8, seed=0, rounds=2400)
    earned = table[trace.order, trace.arms].mean()
    # Uniform earns the table's mean, about (.9 + .2 + .2 + .5) / 4, with a standard error below
    # .5 / sqrt(8 * 2400) = .0036 over its draws: four of them are .0145. A context-free learner can find the .5 arm,
    # a contextual one the .9 of each topic.
    assert earned > table.mean() + 0.0145


@pytest.mark.parametrize("name", POLICIES)
def test_no_retrace_for_another_seed_or_preference(name: str, built, known) -> None:
    table = reward_table(accuracy, known)
    replay(built[name], known, table, seeds=2, rounds=40)
    before = compiled()
    replay(built[name], known, table, seeds=2, seed=9, rounds=60, preference=1.0)
    assert compiled() == before


def compiled() -> tuple[int, int, int]:
    """Return how often the loop has been compiled: the scan, what blocks have computed ahead, and their kernel."""
    return run_chunk._cache_size(), blocks._ahead._cache_size(), len(kernels_blocks.replay_rounds.signatures)


@pytest.mark.parametrize(
    ("name", "other"), [("klucb", {}), ("thompson", {"ridge": 7.0}), ("thompson", {"v": 7.0})]
)
def test_a_retrace_would_be_seen(name: str, other: dict, known) -> None:
    """Another instance of a scanned policy is another program; of one in blocks whose draws JAX makes, another form."""
    table = reward_table(accuracy, known)
    counted = []
    for policy in (build(name, 4, 6), POLICIES[name](4, 6, **other)):
        replay(policy, known, table, seeds=2, rounds=40)
        counted.append(compiled())
    assert counted[0] != counted[1]


def test_ties_go_to_the_lowest_arm_within_tolerance() -> None:
    index = jnp.array([0.5, 1.0 - 5e-6, 1.0, 1.0])
    assert int(choose(index, jnp.array([True, True, True, True]))) == 1
    assert int(choose(index, jnp.array([True, False, True, True]))) == 2
    assert int(choose(jnp.array([1.0, 2.0, jnp.inf, jnp.inf]), jnp.array([True, True, False, True]))) == 3
    assert int(choose(jnp.full(4, -jnp.inf), jnp.array([False, False, True, True]))) == 2


def _uniform_like(act=None, update=None, init=None) -> Policy:
    plain = bandits.uniform(3, 4)
    return Policy(init or plain.init, act or plain.act, update or plain.update)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (_uniform_like(act=lambda k, s, o: jnp.float32(1)), "int32 scalar"),
        (_uniform_like(act=lambda k, s, o: jnp.int32(0)), "only arm 1 was available"),
        (_uniform_like(update=lambda k, s, o, a, f: (s, s)), "needs to return a state like init's"),
        (_uniform_like(update=lambda k, s, o, a, f: s + 0.5), "changed a state array"),
        ("linucb", "needs to return a bandits.Policy"),
    ],
)
def test_check_names_the_broken_part(broken, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(broken, 3, 4, "mine")


def test_a_policy_hears_only_its_own_outcome(known) -> None:
    """A policy that turns what it heard into its next arm shows in the trace what it heard."""

    def code(utility, cost, reward):
        return 10.0 * abs(utility + 2.0 * cost + 3.0 * reward)

    def update(key, state, observation, arm, heard: Feedback):
        return code(heard.utility, heard.cost, heard.reward)

    def act(key, state, observation):
        return (state.astype(jnp.int32) % 4).astype(jnp.int32)

    echo = Policy(lambda key: jnp.zeros(()), act, update)
    table = reward_table(bandits.rewards.linear, known)
    trace = replay(echo, known, table, seeds=2)
    row, arm = trace.order[:, :-1], trace.arms[:, :-1]
    expected = code(known.utility[row, arm], known.cost[row, arm], table[row, arm]).astype(int) % 4
    # Float32 may fall on the other side of a whole number, about once in a hundred thousand rounds.
    assert (trace.arms[:, 1:] == expected).mean() > 0.999


def learned(policy: Policy, rounds: int = 40):
    """Return a state after some calls, each arm's outcome another, and an observation with one arm closed."""
    seen, heard = example(4, 6)
    state = policy.init(jax.random.key(0))

    def step(state, xs):
        key, arm = xs
        context = jax.random.uniform(key, (6,)).at[-1].set(1.0)
        now = seen._replace(context=context, rounds_left=jnp.float32(7))
        told = heard._replace(reward=arm / 4 + 0.1 * context[0], utility=arm / 4, chance=0.25)
        return policy.update(key, state, now, arm, told), None

    arms = jnp.arange(rounds, dtype=jnp.int32) % 4
    state, _ = jax.lax.scan(step, state, (jax.random.split(jax.random.key(1), rounds), arms))
    return state, seen._replace(available=jnp.array([True, True, False, True]))


def wrapped(policy: Policy) -> dict[str, Policy]:
    return {
        "plain": policy,
        "restart": WRAPPERS["restart"](policy, 4, 6, explore=0.3),
        "explore_new": WRAPPERS["explore_new"](policy, 4, 6),
    }


@pytest.mark.parametrize("label", ["plain", "restart", "explore_new"])
@pytest.mark.parametrize("name", POLICIES)
def test_act_calls_the_highest_index_and_as_often_as_chances_say(name: str, label: str, built) -> None:
    """Chi-square over 20,000 keys; 4 arms and 27 policies in 3 wrappers: a false alarm of 1e-7 each is 1e-5 in all."""
    policy = wrapped(built[name])[label]
    state, seen = learned(policy)
    # Where the arm has no chances of its own to be compared, that act agrees with the index is seen from fewer keys.
    keys = jax.random.split(jax.random.key(3), 500 if policy.chances is None else 20_000)
    arms = np.asarray(jax.jit(jax.vmap(lambda k: policy.act(k, state, seen)))(keys))
    if policy.index is not None:
        ranks = jax.vmap(lambda k: choose(policy.index(k, state, seen), seen.available))
        differ = (np.asarray(jax.jit(ranks)(keys)) != arms).sum()
        assert differ <= len(keys) / 10_000, label  # a tie may round otherwise
    if policy.chances is not None:
        chance = np.asarray(chances_of(policy, keys[0], state, seen), float)
        assert chance.sum() == pytest.approx(1, abs=1e-5)
        count = np.bincount(arms, minlength=4)
        sure = chance * len(keys) < 5  # too few to be compared by chi-square
        assert (count[sure] <= 30).all() and (count[chance == 0] == 0).all()
        expected = chance[~sure] * len(keys)
        statistic = ((count[~sure] - expected) ** 2 / expected).sum()
        assert statistic < chi2.ppf(1 - 1e-7, 3), label


@pytest.mark.parametrize("name", POLICIES)
def test_a_pacing_takes_every_policy_with_an_index_and_says_why_not_another(name: str, built) -> None:
    for pacing in set(PACINGS) - {"stop"}:
        if built[name].index is None:
            with pytest.raises(ValueError, match=f"^pacing {pacing} needs a policy with an index"):
                PACINGS[pacing](built[name], 4, 6)
        else:
            check(PACINGS[pacing](built[name], 4, 6), 4, 6, name)


# Four kinds of index (a width, a draw of the arm's, a draw of the round's, counts alone) under every pacing; every
# other policy under one, in turn.
_EVERY = ("linucb", "thompson", "epsilon", "klucb")
_PACED = [(name, pacing) for name in _EVERY for pacing in PACINGS]
_PACED += zip([n for n in POLICIES if n not in _EVERY], itertools.cycle(PACINGS), strict=False)


@pytest.mark.parametrize(("name", "pacing"), _PACED)
def test_a_wrapper_that_does_nothing_changes_nothing(name: str, pacing: str, built, known) -> None:
    if built[name].index is None:
        pacing = "stop"  # the only one that weighs no index
    table, limits = reward_table(linear, known), np.array([400.0, np.inf, np.inf])
    idle = {
        "restart": {"threshold": 1e9, "explore": 0.0, "repriced": 1e9},
        "explore_new": {"pulls": 0},
    }
    around = [WRAPPERS[w](built[name], 4, 6, **hyper) for w, hyper in idle.items()]
    arms = []
    for policy in (built[name], *around):
        paced = PACINGS[pacing](policy, 4, 6)
        # A probe has the plain policy scanned too: the block kernel may break a near tie otherwise.
        trace = replay(paced, known, table, seeds=1, rounds=200, budget=limits, probe=lambda s: jnp.zeros(()))
        arms.append(trace.arms)
    assert all(np.array_equal(arms[0], other) for other in arms[1:])

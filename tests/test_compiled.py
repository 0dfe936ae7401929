"""Do the policies with a kernel of their own call what the plain scan and a plain float64 loop call?"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import jax
import numba
import numpy as np
import pytest

import bandits
from bandits import POLICIES, reward_table
from bandits.base import played_form_of
from bandits.forms.form import Heard, Seen, leaves
from bandits.kernels import SPAN, lower, pointer, reach
from bandits.loop import blocks, lanes, scan
from bandits.loop.compiled import _drawn, compiled
from bandits.loop.kernels_counts import logarithm
from bandits.loop.keys import seed_keys
from bandits.loop.replay import Case, replay, shared
from bandits.policies.linear.bootstrap import hearings
from tests.conftest import make_stream

SPECS = [
    ("hybrid", {"alpha": 0.5, "ridge": 2.0}),
    ("swlinucb", {"window": 40}),  # leaves within a block
    ("swlinucb", {"window": 150, "ridge": 0.5}),
    ("averaged", {"ridge": 2.0}),
    ("glm", {"alpha": 0.5, "ridge": 0.5}),
    ("bootstrap", {"heads": 3, "ridge": 2.0}),
    ("ucb1", {"alpha": 0.2, "low": -0.5}),
]
ROUNDS = 2048  # two chunks, both of them full: the scan learns from what fills a chunk up too


@pytest.fixture(scope="module")
def irregular():
    """A stream of contexts that hardly ever tie, with outcomes missing and one price unknown."""
    stream = make_stream(rows=ROUNDS, missing=0.3, seed=2)
    context = stream.context.copy()
    context[:, :-1] += np.random.default_rng(3).normal(0, 0.2, (ROUNDS, stream.dim - 1)).astype(np.float32)
    price = np.where(np.arange(stream.n_arms) == 1, np.nan, stream.price)
    return replace(stream, outcomes=replace(stream.outcomes, price=price), context=context)


@pytest.mark.parametrize(("spec", "hyper"), SPECS)
def test_a_kernel_calls_and_learns_what_the_scan_and_a_plain_loop_do(
    spec: str, hyper: dict, irregular
) -> None:
    stream, keys = irregular, seed_keys(3, 2)
    policy = POLICIES[spec](stream.n_arms, stream.dim, **hyper)
    assert compiled(policy, shared(stream))
    preference = np.random.default_rng(0).uniform(0, 0.6, len(stream))
    case = Case(reward_table(bandits.rewards.linear, stream, preference), preference)
    rows = np.stack([np.random.default_rng(s).permutation(ROUNDS) for s in range(2)])
    arms, states = [], []
    for how in (scan.Scan, lanes.player):
        playing, sheets = how(policy, keys, shared(stream)), lanes.sheets(stream, [case]) * 2
        parts = [called for _, ((called, _),) in lanes.rounds([playing], sheets, rows, total=ROUNDS)]
        arms.append(np.concatenate(parts, axis=1))
        states.append(leaves(jax.tree.map(np.asarray, playing.carry[0])))
    np.testing.assert_array_equal(*arms)
    assert len(np.unique(arms[0])) > 1
    for name, array in states[0].items():
        np.testing.assert_allclose(states[1][name], array, atol=2e-3, err_msg=name)
    gap = gaps(policy, stream, preference, rows[0], arms[1][0], keys[0])
    assert gap.max() < 2e-3, f"{gap.max()} at round {gap.argmax()}"


def gaps(policy, stream, preference, rows: np.ndarray, called: np.ndarray, key) -> np.ndarray:
    """Return how far the called arm's index is below the highest in each round, by the form in float64."""
    form = played_form_of(policy)
    state = leaves(policy.init(key))
    has = {
        name: np.array(state[name], dtype).reshape(shape)
        for name, (dtype, shape) in form.layout(stream.n_arms, stream.dim).items()
    }
    if hasattr(form, "heads"):
        heads, hearings = (np.asarray(a)[0] for a in _drawn(form.heads, key[None], np.arange(len(rows))))
    found = np.zeros(len(rows))
    for t, (row, arm) in enumerate(zip(rows, called, strict=True)):
        draw = SimpleNamespace(integers=lambda m, t=t: heads[t], poisson=lambda rate, m, t=t: hearings[t])
        weight = preference[row]
        seen = Seen(
            stream.context[row].astype(float), stream.available[row], stream.price, stream.cost_scale,
            lambda u, c, w=weight: u - w * c / stream.cost_scale, weight, draw,
        )  # fmt: skip
        index = form.index(has, seen)
        assert seen.available[arm]
        found[t] = index[seen.available].max() - index[arm]
        for name, (at, value) in form.changes(
            has, seen, arm, Heard(stream.utility[row, arm], stream.cost[row, arm])
        ).items():
            has[name][at] = value
    return found


@pytest.mark.parametrize(("spec", "hyper"), SPECS)
def test_what_is_called_first_does_not_depend_on_how_many_rounds_come(
    spec: str, hyper: dict, irregular
) -> None:
    policy = POLICIES[spec](irregular.n_arms, irregular.dim, **hyper)
    table = reward_table(bandits.rewards.linear, irregular)
    whole = replay(policy, irregular, table, seeds=2, rounds=1200).arms
    for rounds in (1, 15, 16, 17, 63, 1089):  # ends within a span of a block, at its edge, and a round after
        np.testing.assert_array_equal(
            replay(policy, irregular, table, seeds=2, rounds=rounds).arms, whole[:, :rounds]
        )


@pytest.mark.parametrize("d", [1, 2, 7, 64])
def test_vectors_of_columns_are_multiplied_as_numpy_does(d: int) -> None:
    rng = np.random.default_rng(d)
    u, here, told = rng.random(d, np.float32), rng.random((d, 40), np.float32), rng.random(SPAN, np.float32)
    lowered, found = here.copy(), np.full(SPAN + 1, np.float32(9.0))
    _reached(u, here, 3, found)
    _lowered(u, told, lowered, 3)
    np.testing.assert_allclose(found[:SPAN], u @ here[:, 3 : 3 + SPAN], rtol=1e-5)
    assert found[SPAN] == 9.0
    here[:, 3 : 3 + SPAN] -= np.outer(u, told)
    np.testing.assert_allclose(lowered, here, atol=1e-6)


@numba.njit
def _reached(u, here, first, told):
    reach(len(u), here.shape[1], pointer(u, 0), pointer(here, first), pointer(told, 0))


@numba.njit
def _lowered(u, told, here, first):
    lower(len(u), here.shape[1], pointer(u, 0), pointer(told, 0), pointer(here, first))


@pytest.mark.parametrize("spec", ["averaged", "glm"])
def test_a_reward_that_no_kernel_knows_is_scanned(spec: str, known) -> None:
    policy = POLICIES[spec](known.n_arms, known.dim, reward=bandits.rewards.log_cost)
    assert not compiled(policy, shared(known))
    assert compiled(POLICIES[spec](known.n_arms, known.dim), shared(known))


def test_the_logarithm_of_ucb1_is_that_of_the_scan() -> None:
    counts = np.concatenate([np.arange(1, 50_000), 2 ** np.arange(16, 25), [3_141_592]]).astype(np.float32)
    ours = np.array([logarithm(x) for x in counts])
    np.testing.assert_array_equal(ours, np.asarray(jax.jit(jax.numpy.log)(counts)))
    np.testing.assert_allclose(ours[1:], np.log(counts[1:].astype(float)), rtol=1e-7)


def test_klucb_has_no_kernel(known) -> None:
    assert not compiled(POLICIES["klucb"](known.n_arms, known.dim), shared(known))


def test_hybrid_is_scanned_where_prices_change(known) -> None:
    policy = bandits.hybrid(known.n_arms, known.dim)
    assert not compiled(policy, shared(known)._replace(price=None))


def test_one_core_and_two_give_the_same(monkeypatch, known) -> None:
    policy, table = bandits.bootstrap(known.n_arms, known.dim), reward_table(bandits.rewards.linear, known)
    monkeypatch.setattr(blocks, "cores", lambda: 1)
    alone = replay(policy, known, table, seeds=5)
    monkeypatch.setattr(blocks, "cores", lambda: 2)
    assert (alone.arms == replay(policy, known, table, seeds=5).arms).all()


def test_hearings_are_the_librarys_poisson_numbers() -> None:
    keys = jax.random.split(jax.random.key(0), 200)
    drawn = jax.vmap(hearings, in_axes=(0, None))(keys, 8)
    np.testing.assert_array_equal(drawn, jax.vmap(lambda key: jax.random.poisson(key, 1.0, (8,)))(keys))

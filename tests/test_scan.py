"""Does it matter how many devices share out a policy's lanes?"""

from __future__ import annotations

import jax
import numpy as np
import pytest

import bandits
from bandits import POLICIES, reward_table
from bandits.loop import feedback, lanes, scan
from bandits.loop.keys import seed_keys
from bandits.loop.replay import Case, replay
from bandits.loop.rounds import Chunk, Shared
from bandits.wrappers import budget
from tests.conftest import make_stream
from tests.test_conformance import build

pytestmark = pytest.mark.skipif(len(jax.local_devices()) < 2, reason="JAX was given one device only")


@pytest.fixture(scope="module")
def wide():
    """Features as many as a policy has in earnest: small products are computed in another way."""
    return make_stream(rows=300, arms=10, features=63, seed=3)


def on(monkeypatch, many: int, *given, **options):
    """Return the trace with so many devices."""
    monkeypatch.setattr(scan, "devices", lambda: jax.local_devices()[:many])
    return replay(*given, **options)


# Kernels of their own play these; the scan of one linear policy, linucb, stands for them. `auto` is `averaged`.
KERNELS = ("auto", "averaged", "bootstrap", "dlinucb", "glm", "hybrid", "swlinucb")
LARGE = (
    "paired",
    "feelgood",
    "balanced",
    "corral",
)  # whose states take half a minute each at that many features


@pytest.mark.parametrize("name", [n for n in POLICIES if n not in ("always", "llmbandit", *KERNELS)])
def test_two_devices_call_what_one_calls(name: str, wide, known, monkeypatch) -> None:
    monkeypatch.setattr(lanes, "player", scan.Scan)  # linear policies too
    wide = known if name in LARGE else wide
    policy, table = build(name, wide.n_arms, wide.dim), reward_table(bandits.rewards.linear, wide)
    given = (policy, wide, table)
    alone, both = (on(monkeypatch, n, *given, seeds=5, rounds=300) for n in (1, 2))
    assert len(np.unique(alone.arms)) > 1
    np.testing.assert_array_equal(alone.arms, both.arms)


def test_so_it_is_with_late_feedback_budgets_and_probes(known, monkeypatch) -> None:
    policy = budget.held(POLICIES["swlinucb"](known.n_arms, known.dim), known, pacing="primal_dual")
    table, limits = reward_table(bandits.rewards.linear, known), np.array([900.0, np.inf, np.inf])
    late = feedback.parse("uniform,least=0,most=9")
    options = {"seeds": 3, "budget": limits, "feedback": late, "probe": policy.price}
    alone, both = (on(monkeypatch, n, policy, known, table, **options) for n in (1, 2))
    np.testing.assert_array_equal(alone.arms, both.arms)
    np.testing.assert_array_equal(alone.probed, both.probed)


def test_what_is_carried_can_be_taken_and_given_back(known, monkeypatch) -> None:
    """A checkpoint holds the lanes as one, whatever they are shared out over."""
    policy, table = POLICIES["hybrid"](known.n_arms, known.dim), reward_table(bandits.rewards.linear, known)
    (sheet,) = lanes.sheets(known, [Case(table)])
    rows = np.random.default_rng(0).integers(0, len(known), (3, lanes.CHUNK))
    chunk = Chunk(*(None if a is None else a[rows] for a in sheet))
    number = np.arange(lanes.CHUNK)
    clock = (number, np.full(lanes.CHUNK, 9000, np.float32))
    shared = Shared(jax.numpy.asarray(known.price, np.float32), jax.numpy.float32(known.cost_scale))
    called = []
    for given, back in ((1, 2), (2, 1)):
        monkeypatch.setattr(scan, "devices", lambda given=given: jax.local_devices()[:given])
        first = scan.Scan(policy, seed_keys(0, 3), shared)
        first.play(clock, chunk)
        monkeypatch.setattr(scan, "devices", lambda back=back: jax.local_devices()[:back])
        second = scan.Scan(policy, seed_keys(0, 3), shared)
        second.carry = first.carry
        called.append((second.play(clock, chunk)[0], first.play(clock, chunk)[0]))
    for other, own in called:
        np.testing.assert_array_equal(other, own)


@pytest.mark.parametrize(
    ("name", "options", "shared_out"),
    [("neurallinear", {"width": 64}, False), ("neurallinear", {}, True), ("dropout", {}, True)],
)
def test_programs_that_call_lapack_stay_on_one_device(
    name: str, options: dict[str, int], shared_out: bool, known, monkeypatch
) -> None:
    """Several at once can wait for each other for ever. Small posteriors are inverted without LAPACK."""
    monkeypatch.setattr(scan, "devices", jax.local_devices)
    used = []
    placed = scan.Scan._placed

    def spy(self, parts):
        used.extend(self._devices)
        return placed(self, parts)

    monkeypatch.setattr(scan.Scan, "_placed", spy)
    table = reward_table(bandits.rewards.linear, known)
    replay(POLICIES[name](known.n_arms, known.dim, **options), known, table, seeds=4, rounds=100)
    assert (len(set(used)) > 1) == shared_out


def test_groups_are_small_and_even() -> None:
    assert scan.groups(1) == (1, 1)
    for lanes_ in range(2, 200):
        many, size = scan.groups(lanes_)
        assert many % 2 == 0 and 1 <= size <= scan.TOGETHER
        assert many * size >= lanes_ > many * (size - 1)

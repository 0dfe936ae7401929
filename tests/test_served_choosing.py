"""Policies that sample, choose among policies or guard one, in service: as in a run, round by round, in NumPy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2_contingency

import bandits
from bandits.base import Feedback, Policy, example, form_of
from bandits.experiment.lineup import build
from bandits.folders.export import formless
from bandits.rewards import linear, reward_table
from bandits.serving.router import Router
from tests.conftest import make_stream
from tests.test_router import DRAWN, FEATURES, INDEXED, JOINED, served

KEY = jax.random.key(0)


def played(spec: str, number: int = 60) -> tuple[Router, Any, Policy]:
    """Play calls on both sides, drawn by the policy's probabilities where it has them, which are then told."""
    stream = make_stream()
    router, policy = served(spec, stream=stream)
    table, rng = reward_table(linear, stream), np.random.default_rng(5)
    begin = example(stream.n_arms, stream.dim)[0]._replace(cost_scale=jnp.float32(stream.cost_scale))
    step, state = jax.jit(policy.update), policy.init(KEY)
    known = None if policy.chances is None else jax.jit(policy.chances)
    for row in range(number):
        if "horizon" in router.learned:  # a service does not know how many rounds are to come; a run does
            router.learned["horizon"][...] = number
        seen = begin._replace(context=jnp.asarray(stream.context[row]), rounds_left=jnp.float32(number))
        choice = router.choose(stream.context[row, :-1])
        each = None if known is None else np.asarray(known(KEY, state, seen))
        if (mine := decided(router, stream.context[row])) is not None:
            np.testing.assert_allclose(mine, each, atol=2e-4)
        arm = int(rng.choice(4, p=None if each is None else each / each.sum(dtype=float)))
        chance = 1.0 if each is None else min(float(each[arm]), 1.0)
        utility, cost = stream.utility[row, arm], stream.cost[row, arm]
        given = [jnp.float32(x) for x in (utility, cost, table[row, arm], 0.0, 0.0, chance)]
        state = step(KEY, state, seen, jnp.int32(arm), Feedback(*given))
        called = choice._replace(arm=arm, model=stream.models[arm], chance=chance)
        router.learn(called, utility=utility, cost=cost)
    return router, state, policy


def decided(router: Router, context: np.ndarray) -> np.ndarray | None:
    """Return the probabilities of the next call, None where the policy does not learn by them."""
    seen = router._seen(context.astype(float), 0.2, np.ones(4, bool))
    return router.settings.form.decide(router.learned, seen).chances


@pytest.mark.parametrize(
    "spec",
    [
        "corral,of=averaged+ebucb,eta=0.5",
        "balanced,of=exp3+linucb:prior=1",
        "conservative(exp3),model=model-2,radius=0.3,low=-0.2",
    ],
)
def test_what_was_learned_is_the_same_after_the_same_calls(spec: str, tmp_path: Path) -> None:
    router, state, _ = played(spec)
    alike(router, state)
    router.save(tmp_path / "policy.npz")
    again = bandits.load(tmp_path / "policy.npz")
    assert all(np.array_equal(again.learned[name], array) for name, array in router.learned.items())
    one, two = (r.choose(np.ones(FEATURES), available=["model-1"]) for r in (router, again))
    assert one.model == two.model == "model-1"


def alike(router: Router, state: Any) -> None:
    """Assert that a router has learned what the replayed policy has."""
    kept = router.settings.form.arrays(state)
    for name, array in router.learned.items():
        if name != "lot":  # of random numbers
            np.testing.assert_allclose(array.squeeze(), kept[name].squeeze(), atol=3e-4, err_msg=name)


@pytest.mark.parametrize("spec", ["ids,prior=1,v=2", "feelgood,prior=1,v=0.5,optimism=0.3,memory=20"])
def test_samplers_call_as_often_as_in_a_run(spec: str) -> None:
    """4,000 decisions of each in one state; homogeneous at 1e-4."""
    router, state, policy = played(spec, 25)
    alike(router, state)
    x = np.append(np.eye(FEATURES)[1], 1.0)
    seen = example(4, FEATURES + 1)[0]._replace(context=jnp.asarray(x, jnp.float32))
    keys = jax.random.split(KEY, 4000)
    theirs = np.asarray(jax.jit(jax.vmap(lambda key: policy.act(key, state, seen)))(keys))
    mine = [router.choose(x[:-1]).arm for _ in range(4000)]
    counts = np.array([np.bincount(arms, minlength=4) for arms in (mine, theirs)])
    counts = counts[:, counts.sum(axis=0) > 20]
    assert counts.shape[1] >= 2 and chi2_contingency(counts).pvalue > 1e-4


def test_outcomes_may_come_in_another_order_than_their_calls() -> None:
    """Each choice keeps whose call it was: two calls in turn, heard the later one first."""
    router, _ = served("balanced,of=always:model=model-0+always:model=model-3")
    first = router.choose(np.ones(FEATURES))
    router.learn(first, utility=1.0, cost=0.0)
    second = router.choose(np.ones(FEATURES))
    assert (first.model, second.model, second.kept) == ("model-0", "model-3", (1,))
    router.learn(first, utility=1.0, cost=0.0)  # another of the first one's calls
    router.learn(second, utility=0.0, cost=0.0)
    assert router.learned["calls"].tolist() == [2, 1]
    assert router.learned["total"][0] == 2.0 > 1 / 6 + 1e-9 > router.learned["total"][1]
    for kept in ((), (2,), (-1,), (0.0,), "0", None, (0, 0)):
        with pytest.raises(ValueError, match=r"^learn needs what choose kept of the call, got [^\n]*$"):
            router.learn(first._replace(kept=kept), utility=1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", [*INDEXED, *JOINED, *DRAWN, "exp3", "beta_thompson", "bootstrap", "uniform"])
def test_every_form_comes_back_from_its_file(spec: str, tmp_path: Path) -> None:
    """Numbers by themselves too: the rounds of exp3 once came back as arrays of one, which `load` refused."""
    router, _ = served(spec)
    router.save(tmp_path / "policy.npz")
    again = bandits.load(tmp_path / "policy.npz")
    assert again.settings == router.settings
    for name, array in router.learned.items():
        assert again.learned[name].shape == array.shape and np.array_equal(again.learned[name], array)


@pytest.mark.parametrize(
    "spec", ["balanced,of=klucb+exp4", "corral,of=exp4+klucb", "conservative(exp4),model=model-1"]
)
def test_what_is_made_of_a_policy_without_a_form_has_none_and_says_which(spec: str) -> None:
    stream = make_stream()
    assert form_of(build(spec, stream, linear, checked=False)) is None
    assert formless(spec, stream, linear) == f"'exp4', of which {spec!r} is made, has none"
    assert formless("neuralucb", stream, linear) == "'neuralucb' has none"

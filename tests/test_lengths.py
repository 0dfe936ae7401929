"""Length-aware rewards against plain loops over one query at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits.base import Feedback, Policy, example
from bandits.experiment.lineup import build
from bandits.rewards import REWARDS, Outcome, reward_table
from tests.conftest import make_stream

length_aware = REWARDS["length_aware"]


def plain(form: str, utility, tokens, *, limit: float = 2048.0, margin: float = 512.0) -> list[float]:
    known = [t for t in tokens if t == t]
    low, high, median = min(known), max(known), float(np.median(known))
    terms = []
    for u, length in zip(utility, tokens, strict=True):
        right = u >= 0.5
        if length != length:
            term = 0.0
        elif form == "kimi":
            gain = 0.0 if high == low else 0.5 - (length - low) / (high - low)
            term = gain if right else min(0.0, gain)
        elif form == "overlong":
            over = length - (limit - margin)
            term = 0.0 if over <= 0 else -1.0 if length > limit else -over / margin
        else:
            best = max(2 * low, median)
            term = 0.0 if not right else 1.0 if length <= best else float(np.exp(1 - length / best))
        terms.append(term)
    return terms


@pytest.mark.parametrize("form", ["kimi", "overlong", "two_threshold"])
def test_each_form_is_its_formula_query_by_query(form: str) -> None:
    rng = np.random.default_rng(1)
    shape = (200, 5)
    utility = (rng.random(shape) < 0.5).astype(float)
    tokens = np.where(rng.random(shape) < 0.2, np.nan, rng.integers(1, 3000, shape).astype(float))
    tokens[:, 0] = rng.integers(1, 3000, 200)  # one is always known
    tokens[:5] = 700.0
    cost = rng.random(shape)
    outcome = Outcome(utility, cost, np.full(shape, np.nan), tokens, 2.0)
    expected = [plain(form, u, t) for u, t in zip(utility, tokens, strict=True)]
    base = utility - 0.3 * cost / 2.0
    found = length_aware(outcome, 0.3, form=form, weight=0.7)
    np.testing.assert_allclose(found, base + 0.7 * np.array(expected), atol=1e-12)
    single = Outcome(*(jnp.asarray(a) for a in (utility[7], cost[7], cost[7], tokens[7])), 2.0)
    np.testing.assert_allclose(length_aware(single, 0.3, form=form, weight=0.7), found[7], atol=2e-6)


def test_a_table_without_tokens_and_wrong_settings_are_named() -> None:
    stream = make_stream(rows=30)
    with pytest.raises(ValueError, match="needs output tokens, the table records none"):
        reward_table(length_aware, stream)
    outcome = Outcome(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)), 1.0)
    with pytest.raises(ValueError, match="form=kimi, overlong, two_threshold, got 'lipo'"):
        length_aware(outcome, 0.2, form="lipo")
    for name in ("weight", "correct"):
        with pytest.raises(ValueError, match=f"needs {name} to be a finite number, got {name}=nan"):
            length_aware(outcome, 0.2, **{name: float("nan")})
    with pytest.raises(ValueError, match="0 < margin < limit"):
        length_aware(outcome, 0.2, form="overlong", limit=10, margin=10)


def heard_rewards() -> Policy:
    """A policy whose state is the sum of rewards that it heard, and which calls the first arm there is."""
    return Policy(
        lambda key: jnp.float32(0),
        lambda key, state, seen: jnp.argmax(seen.available).astype(jnp.int32),
        lambda key, state, seen, arm, told: state + told.reward,
    )


@pytest.mark.parametrize("form", ["kimi", "overlong", "two_threshold"])
def test_running_references_are_those_of_the_latest_calls_alone(form: str) -> None:
    from bandits.wrappers.own_length import own_length

    rng = np.random.default_rng(4)
    n, window = 40, 6
    utility = (rng.random(n) < 0.6).astype(float)
    tokens = np.where(rng.random(n) < 0.15, np.nan, rng.integers(1, 3000, n).astype(float))
    tokens[0] = np.nan  # the first call records none
    cost = rng.random(n)
    seen, _ = example(3, 2)
    seen = seen._replace(preference=jnp.float32(0.3), cost_scale=jnp.float32(2.0))
    policy = own_length(heard_rewards(), 3, 2, form=form, weight=0.7, window=window)
    state, key = policy.init(jax.random.key(0)), jax.random.key(1)
    update = jax.jit(policy.update)
    past: list[float] = []
    for i in range(n):
        before = float(state.policy)
        told = Feedback(*(jnp.float32(v) for v in (utility[i], cost[i], 5.0, np.nan, tokens[i])))
        state = update(key, state, seen, jnp.int32(0), told)
        term = 0.0
        if tokens[i] == tokens[i]:
            past.append(tokens[i])
            group = past[-window:]
            term = plain(form, [utility[i]] * len(group), group)[-1]
        want = utility[i] - 0.3 * cost[i] / 2.0 + 0.7 * term
        if tokens[i] != tokens[i]:
            want = 5.0  # without tokens the run's own reward stays
        assert float(state.policy) - before == pytest.approx(want, abs=2e-5)


def test_the_wrapper_is_named_in_a_spec_and_keeps_the_index() -> None:
    stream = make_stream(rows=30)
    spec = "own_length(linucb),form=two_threshold,window=20"
    policy = build(spec, stream, REWARDS["linear"])
    assert policy.index is not None and policy.init(jax.random.key(0)).lengths.shape == (20,)
    for wrong, said in (
        ("form=lipo", "got form=lipo"),
        ("window=1", "window"),
        ("margin=4000", "margin below limit"),
    ):
        with pytest.raises(ValueError, match=said):
            build(f"own_length(linucb),{wrong}", stream, REWARDS["linear"])

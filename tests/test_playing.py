"""What programs work in, counted from shapes: bytes, nothing is run."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from bandits.base import Policy
from bandits.experiment.ask import Ask
from bandits.policies import POLICIES
from commands import memory, playing
from tests.conftest import make_stream

F = jax.ShapeDtypeStruct


def traced(function: Any, *shapes: tuple[int, ...]) -> Any:
    return jax.make_jaxpr(function)(*(F(shape, jnp.float32) for shape in shapes)).jaxpr


def test_a_product_counts_three_times_and_what_is_computed_on_the_way_not_at_all() -> None:
    assert playing.working(traced(lambda a, b: jnp.exp(a) + b, (50, 60), (50, 60))) == 0
    assert playing.working(traced(lambda a, x: jnp.tanh(a @ x), (50, 60), (60,))) == 3 * 4 * 50


def test_a_matrix_is_laid_out_anew_for_a_matrix_and_not_for_a_vector() -> None:
    assert playing.working(traced(lambda a, b: a @ b, (50, 60), (60, 7))) == 3 * 4 * 350 + 4 * (3000 + 420)
    halved = traced(
        lambda a, b: (a / 2) @ b, (50, 60), (60, 7)
    )  # what is computed is laid out as it is wanted
    assert playing.working(halved) == 3 * 4 * 350 + 4 * 420


def test_products_count_while_they_are_needed() -> None:
    def two(a: Any, x: Any) -> Any:
        first = a @ x  # its last use is the second product
        return (a @ first)[0]

    assert playing.working(traced(two, (50, 50), (50,))) == 2 * 3 * 4 * 50


def test_the_largest_branch_counts_beside_what_is_held() -> None:
    def either(a: Any, x: Any) -> Any:
        kept = a @ x
        chosen = jax.lax.cond(kept[0] > 0, lambda: (a[:20] @ x).sum(), lambda: (a[:30] @ x).sum())
        return kept + chosen

    assert playing.working(traced(either, (50, 60), (60,))) == 3 * 4 * (50 + 30)


def test_what_only_the_training_reads_counts_for_the_groups_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """64 hidden units of 4,096 remembered rounds; a program with LAPACK is never played in two groups at once."""
    monkeypatch.setattr("envs.cores.cores", lambda: 2)
    arms, dim = 10, 65
    policy = POLICIES["neurallinear"](arms, dim, width=64)
    one = playing.working(playing._traced(policy, arms, dim))
    assert one >= 4 * 4096 * (dim + 3 * 64)
    kept = 16 * playing._SCANNED
    assert playing._working(policy, arms, dim, 16) == 8 * one + kept
    policy = POLICIES["neuralucb"](arms, dim)
    one = playing.working(playing._traced(policy, arms, dim))
    assert playing._working(policy, arms, dim, 16) == 2 * 8 * one + kept


def test_gradients_of_every_arm_count() -> None:
    """NeuralUCB has a gradient of each of its weights for each arm."""
    arms, dim, width = 30, 40, 32
    found = playing.working(playing._traced(POLICIES["neuralucb"](arms, dim, width=width), arms, dim))
    assert found >= 4 * arms * (dim * width)


def test_a_policy_is_asked_for_its_state_and_not_for_its_name() -> None:
    """Large ones are there twice when a run begins: where JAX made them, and in groups."""

    def made(places: int) -> Policy:
        def act(key: Any, state: Any, seen: Any) -> Any:
            return jnp.int32(0)

        return Policy(lambda key: jnp.zeros((places, 1000)), act, lambda key, state, *_: state)

    stream, ask = make_stream(rows=50, arms=3, features=4), Ask(policies=("x",), seeds=4)
    small, large = (playing.playing(made(places), stream, ask, 1) for places in (1000, 1250))
    assert large - small == 2 * 4 * 250 * 4000


def test_late_feedback_counts_what_is_heard_and_no_kernel() -> None:
    stream = make_stream(rows=2000, arms=3, features=4)
    chunk = 4 * 1024 * (21 * 3 + 4 * 6)
    soon, delayed = (
        memory.estimate(stream, Ask(policies=("ucb1",), seeds=4, delay=delay)) for delay in (None, "500")
    )
    assert 0 < delayed - soon <= 5 * chunk + 4 * playing._SCANNED

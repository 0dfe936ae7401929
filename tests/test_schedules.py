"""Do chances, temperatures and learning rates follow their formulas at every round, not at one only?"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bandits
from bandits.base import example
from bandits.policies.linear.affine import form_of

K, D, KEYS = 3, 4, 20_000
MEANS = np.array([0.9, 0.5, 0.2])
ROUNDS = (1, 4, 50, 900)


def frequencies(policy: Any, rounds: int) -> np.ndarray:
    """Return `(K,)` how often each arm is called at a round, with ridge estimates of exactly `MEANS`.

    The state is the policy's own after being set: all weight on the constant column, `rounds` pulls in all.
    """
    state = policy.init(jax.random.key(0))
    weight = jnp.zeros((K, D)).at[:, -1].set(jnp.asarray(MEANS, jnp.float32)).reshape(state.weight.shape)
    pulls = jnp.asarray([rounds - 1, 0, 0], state.pulls.dtype)  # the coming round is one more
    state = state._replace(weight=weight, pulls=pulls)
    seen = example(K, D)[0]
    arms = jax.jit(jax.vmap(lambda key: policy.act(key, state, seen)))(
        jax.random.split(jax.random.key(1), KEYS)
    )
    return np.bincount(np.asarray(arms), minlength=K) / KEYS


def close(got: np.ndarray, want: np.ndarray) -> None:
    """Five standard errors of a share of 20,000 draws: at most .018, one false alarm in 1.7 million shares."""
    np.testing.assert_array_less(np.abs(got - want), 5 * np.sqrt(want * (1 - want) / KEYS) + 1e-4)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_epsilon_explores_with_a_chance_that_falls_with_the_round(rounds: int) -> None:
    """`epsilon / (1 + decay t)`, shared out over all arms."""
    policy = bandits.epsilon(K, D, epsilon=0.6, decay=0.05)
    chance = 0.6 / (1 + 0.05 * rounds)
    close(frequencies(policy, rounds), np.array([1 - chance, 0, 0]) + chance / K)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_softmax_cools_with_the_round(rounds: int) -> None:
    """Probability in proportion to `exp(mean / (temperature / t^decay))`."""
    policy = bandits.softmax(K, D, temperature=2.0, decay=0.3)
    scaled = np.exp(MEANS / (2.0 / rounds**0.3))
    close(frequencies(policy, rounds), scaled / scaled.sum())


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.8])
def test_squarecb_learns_at_a_rate_that_grows_with_the_round(rounds: int, exponent: float) -> None:
    """`1 / (K + gamma t^exponent gap)` for all arms but the best (2002.04926, Algorithm 1)."""
    policy = bandits.squarecb(K, D, gamma=5.0, exponent=exponent)
    chance = 1 / (K + 5.0 * rounds**exponent * (MEANS[0] - MEANS))
    chance[0] = 1 - chance[1:].sum()
    close(frequencies(policy, rounds), chance)


def test_what_is_played_in_blocks_has_the_same_schedule() -> None:
    """The kernel takes a round's weights from the form: at every round those that `act` uses."""
    for policy, want in (
        (bandits.squarecb(K, D, gamma=5.0, exponent=0.8), lambda t: 5.0 * t**0.8),
        (bandits.squarecb(K, D, gamma=2.0), lambda t: 2.0 * t**0.5),
    ):
        form = form_of(policy)
        assert form is not None
        for t in ROUNDS:
            weights = form.weights(jax.random.key(0), jnp.float32(t), example(K, D)[0])
            assert float(weights.rate) == pytest.approx(want(t), rel=1e-5)

"""Keys of the project draw what JAX's keys draw."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bandits import threefry

SEEDS = (0, 1, 7, 2**31 - 1, 2**31, 2**32 - 1, 2**32 + 5, 2**40 + 3, -1)
# Known answers of Random123, the library of the paper's authors (kat_vectors, threefry2x32 with 20 rounds).
KNOWN = (
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
)


def words(key: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))


@pytest.mark.parametrize(("key", "counter", "want"), KNOWN)
def test_the_hash_has_the_known_answers_of_its_authors(
    key: tuple[int, int], counter: tuple[int, int], want: tuple[int, int]
) -> None:
    got = threefry.hashed(*(jnp.uint32(word) for word in (*key, *counter)))
    assert tuple(int(word) for word in got) == want


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds_splits_and_folds_are_those_of_jax(seed: int) -> None:
    ours, theirs = threefry.key(seed), jax.random.key(seed)
    np.testing.assert_array_equal(words(ours), words(theirs))
    np.testing.assert_array_equal(
        words(jax.random.split(ours, (3, 2))), words(jax.random.split(theirs, (3, 2)))
    )
    for number in (0, 5, jnp.int32(-3), jnp.uint32(2**32 - 1)):
        one, other = (words(jax.random.fold_in(key, number)) for key in (ours, theirs))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 3, 4), (0,)])
def test_draws_are_those_of_jax(shape: tuple[int, ...]) -> None:
    ours, theirs = threefry.key(11), jax.random.key(11)
    for kind in (jnp.uint8, jnp.uint16, jnp.uint32):
        one, other = (np.asarray(jax.random.bits(key, shape, kind)) for key in (ours, theirs))
        np.testing.assert_array_equal(one, other)
    draws = {
        "uniform": lambda key: jax.random.uniform(key, shape),
        "normal": lambda key: jax.random.normal(key, shape),
        "gumbel": lambda key: jax.random.gumbel(key, shape),
        "randint": lambda key: jax.random.randint(key, shape, 0, 37),
        "bernoulli": lambda key: jax.random.bernoulli(key, 0.3, shape),
    }
    for name, draw in draws.items():
        np.testing.assert_array_equal(np.asarray(draw(ours)), np.asarray(draw(theirs)), name)


def test_draws_are_those_of_jax_in_a_program_of_many_seeds() -> None:
    """As a replay asks for them: keys side by side, folded in a scan."""

    def many(keys: jax.Array) -> jax.Array:
        def step(key: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
            now = jax.random.fold_in(key, t)
            return key, jnp.append(jax.random.normal(now, (4,)), jax.random.randint(now, (), 0, t + 1))

        return jax.vmap(lambda key: jax.lax.scan(step, key, jnp.arange(9))[1])(keys)

    both = (jax.vmap(make)(jnp.arange(3)) for make in (threefry.key, jax.random.key))
    one, other = (np.asarray(jax.jit(many)(keys)) for keys in both)
    np.testing.assert_array_equal(one, other)


def test_gamma_and_beta_are_those_of_jax_to_the_last_digit() -> None:
    ours, theirs = threefry.key(5), jax.random.key(5)
    for draw in (
        lambda key: jax.random.gamma(key, 0.4, (500,)),
        lambda key: jax.random.beta(key, 2.0, 3.0, (500,)),
    ):
        np.testing.assert_allclose(np.asarray(draw(ours)), np.asarray(draw(theirs)), rtol=1e-5)

"""Keys of randomness whose draws are JAX's own at a fraction of the time on a processor.

JAX hashes with Threefry-2x32 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", 20
rounds). On a CPU it compiles the rounds as a loop, which keeps XLA from joining them with what needs the numbers: a
policy's draw in a scan takes 4 to 20 times what the same hash takes written out, as here. So every key of a run is made
by `key`; `jax.random` takes it as any other. The bits are JAX's own. Of what it computes from them, gamma and beta
may differ in the last digit, as XLA joins other operations.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from bandits.late import jax, jnp

_TURNS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def key(seed: int | jax.Array) -> jax.Array:
    """Return the key of a seed; what is drawn from it is what `jax.random.key(seed)` gives.

    Args:
        seed: `()`, whole.
    """
    return jax.random.key(seed, impl=_written_out())


def hashed(first: Any, second: Any, high: Any, low: Any) -> tuple[Any, Any]:
    """Return Threefry-2x32 of a counter in two words under a key in two words, uint32 of shapes that broadcast."""
    words = first, second, first ^ second ^ jnp.uint32(_PARITY)
    high, low = high + words[0], low + words[1]
    for group in range(5):
        for turn in _TURNS[group % 2]:
            high = high + low
            low = high ^ ((low << jnp.uint32(turn)) | (low >> jnp.uint32(32 - turn)))
        high = high + words[(group + 1) % 3]
        low = low + words[(group + 2) % 3] + jnp.uint32(group + 1)
    return high, low


def _of_places(words: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Return the two hashed words of each place of an array: its number is the counter."""
    size = math.prod(shape)
    if size >= 2**32:
        raise ValueError(f"a draw needs fewer than 2**32 numbers, got {size}")
    place = jax.lax.iota(jnp.uint32, size).reshape(shape)
    return hashed(words[0], words[1], jnp.zeros_like(place), place)


def _seeded(seed: Any) -> jax.Array:
    """Return the `(2,)` uint32 words of a whole number: its upper half, 0 up to 32 bits, and its lower."""
    seed = jnp.asarray(seed)
    high = jax.lax.shift_right_logical(seed, seed.dtype.type(32))
    return jnp.stack([high.astype(jnp.uint32), seed.astype(jnp.uint32)])


def _split(words: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.stack(_of_places(words, shape), axis=-1)


def _folded(words: jax.Array, data: Any) -> jax.Array:
    high, low = _seeded(data)
    return jnp.stack(hashed(words[0], words[1], high, low))


def _bits(words: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    high, low = _of_places(words, shape)
    if bit_width == 64:
        return (high.astype(jnp.uint64) << 32) | low.astype(jnp.uint64)
    return (high ^ low).astype(f"uint{bit_width}")


@cache
def _written_out() -> Any:
    """Return the implementation as JAX knows it, made at its first use."""
    from jax.extend.random import define_prng_impl

    return define_prng_impl(
        key_shape=(2,),
        seed=_seeded,
        split=_split,
        random_bits=_bits,
        fold_in=_folded,
        name="threefry2x32_written_out",
        tag="fry2",
    )

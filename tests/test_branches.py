"""Is a rare branch that of the lane, whether all lanes share its condition or each has its own?"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bandits.branches import rarely


def chosen(due: jax.Array, x: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    return rarely(due, lambda x, s: (x.sum() * x + s, s), lambda x, s: (x, s + 1), x, shift)


def test_lanes_take_their_own_branch() -> None:
    x, shift = jnp.arange(6.0).reshape(3, 2), jnp.float32(10.0)
    for due in ([False, True, False], [False] * 3, [True] * 3):
        due = jnp.array(due)
        moved, kept = jax.jit(jax.vmap(chosen, in_axes=(0, 0, None)))(due, x, shift)
        for lane in range(3):
            want = chosen(due[lane], x[lane], shift)
            np.testing.assert_allclose(moved[lane], want[0])
            np.testing.assert_allclose(kept[lane], want[1])
    alike = jax.vmap(chosen, in_axes=(None, 0, None))(jnp.array(True), x, shift)[0]
    np.testing.assert_allclose(alike, x.sum(axis=1, keepdims=True) * x + 10)


def test_what_is_not_due_in_any_lane_is_not_computed() -> None:
    """The dear side is in a branch of its own, reached only where a lane is due: no select computes it."""
    called = []

    def dear(x: jax.Array) -> jax.Array:
        return jax.pure_callback(lambda a: called.append(1) or np.asarray(a), x, x, vmap_method="sequential")

    run = jax.jit(jax.vmap(lambda due, x: rarely(due, dear, lambda x: x, x)))
    run(jnp.zeros(4, bool), jnp.ones((4, 2))).block_until_ready()
    assert not called
    run(jnp.arange(4) == 2, jnp.ones((4, 2))).block_until_ready()
    assert len(called) == 1

"""A branch that stays one when many runs are played side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bandits.late import jax, jnp


def rarely(due: jax.Array, then: Callable[..., Any], otherwise: Callable[..., Any], *given: Any) -> Any:
    """Return `then(*given)` where it is due, else `otherwise(*given)`, as `jax.lax.cond`.

    Under `vmap` a `cond` whose condition differs between lanes becomes a choice between two results that are both
    computed, in every round. Here the lanes are then asked one after the other, and only where one of them is due. A
    condition that all lanes share is `cond`'s affair, as ever.

    Args:
        due: `()` bool.
        then, otherwise: pure functions that read nothing of a lane but what they are given.
        given: pytrees of arrays.
    """

    def one(due: jax.Array, given: Any) -> Any:
        return jax.lax.cond(due, then, otherwise, *given)

    from jax.custom_batching import custom_vmap

    chosen = custom_vmap(one)

    def lanes(size: int, batched: Any, due: jax.Array, given: Any) -> tuple[Any, Any]:
        alike, axes = not batched[0], jax.tree.map(lambda own: 0 if own else None, batched[1])
        if alike:
            result = jax.vmap(lambda given: one(due, given), in_axes=(axes,), axis_size=size)(given)
        else:
            every = jax.tree.map(
                lambda a, own: a if own else jnp.broadcast_to(a, (size, *a.shape)), given, batched[1]
            )
            result = jax.lax.cond(
                due.any(),
                lambda: jax.lax.map(lambda lane: one(*lane), (due, every)),
                lambda: jax.vmap(otherwise)(*every),
            )
        return result, jax.tree.map(lambda _: True, result)

    chosen.def_vmap(lanes)
    return chosen(due, given)

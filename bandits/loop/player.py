"""How a policy is played: linear policies in blocks of rounds or by a kernel, every other one a round at a time.

A player holds what a policy's lanes carry from chunk to chunk. `foresee` makes ready what a coming chunk needs and no
earlier one decides, and may be called from another thread while `play` plays the chunk before; both are called for
each chunk in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bandits.base import Policy, State
from bandits.late import jax
from bandits.loop import blocks
from bandits.loop import compiled as kernels
from bandits.loop.blocks import Blocks
from bandits.loop.compiled import Compiled, compiled
from bandits.loop.rounds import Account, Ring, Shared
from bandits.loop.scan import Scan
from bandits.loop.turns import Turns
from bandits.policies.linear.affine import form_of

Player = Scan | Blocks | Compiled


def keyless(policy: Policy) -> bool:
    """Return whether a kernel plays a policy that asks nothing of its key, and so nothing of JAX."""
    return blocks.keyless(policy) or kernels.keyless(policy)


def player(
    policy: Policy,
    keys: Sequence[jax.Array],
    shared: Shared,
    *,
    account: Account | None = None,
    ring: Ring | None = None,
    probe: Callable[[State], jax.Array] | None = None,
    full: bool = False,
    turns: Turns | None = None,
) -> Player:
    """Return what plays a policy.

    Args:
        policy: three pure functions.
        keys: of each lane's randomness, see `bandits.loop.keys`.
        shared: what is the same for all lanes.
        account: `(S, R)`, in runs with a budget.
        ring: for what is heard late.
        probe: `(state) -> array`, read before each round, or None.
        full: whether the outcome of every available model is heard.
        turns: of a policy that may call again for a query; None: one call.
    """
    plain = turns is None and ring is None and probe is None and not full
    plain = plain and (keyless(policy) or jax.default_backend() == "cpu")
    if plain and compiled(policy, shared):
        return Compiled(policy, keys, shared, account=account)
    if plain and form_of(policy) is not None:
        return Blocks(policy, keys, shared, account=account)
    return Scan(policy, keys, shared, account=account, ring=ring, probe=probe, full=full, turns=turns)

"""D-LinUCB replayed by a numba kernel (`bandits.loop.kernels_discounts`), which calls what the plain scan calls.

The scan solves for every arm in every round, `O(K d^3)`; the kernel takes an arm's matrix apart once in 24 of its
pulls. On another platform than the CPU, and with late feedback, the scan runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy, form_of
from bandits.forms.forgetting import Fading
from bandits.late import jax, jnp
from bandits.loop.blocks import charged, real_rounds, shared_out
from bandits.loop.keys import made
from bandits.loop.rounds import Account, Carry, Chunk, Shared, start


def discount_of(policy: Policy) -> Fading | None:
    """Return what sets a plain `dlinucb` apart, or None where the policy is another, or learns in another way."""
    form = form_of(policy)
    return form if isinstance(form, Fading) else None


class Discounts:
    """A `dlinucb`'s lanes on their way through the chunks; see `bandits.loop.player`."""

    def __init__(
        self, policy: Policy, keys: Sequence[jax.Array], shared: Shared, *, account: Account | None = None
    ) -> None:
        discount = discount_of(policy)
        assert discount is not None
        del shared  # prices and scales, which no index of this policy reads
        self._discount = discount
        self.carry = start(policy, jnp.stack(made(keys))), account, None

    @property
    def carry(self) -> Carry:
        """What all lanes carry into the next chunk, `(S, ...)`."""
        return self._state, self._account, None

    @carry.setter
    def carry(self, whole: Carry) -> None:
        state, self._account, _ = whole
        self._state: Any = jax.tree.map(np.array, state)  # written to

    def foresee(self, clock: Any, chunk: Chunk) -> None:
        """Make nothing ready: all that an index needs is in the chunk."""
        del clock, chunk

    def play(
        self, clock: Any, chunk: Chunk, foreseen: None, late: None = None
    ) -> tuple[NDArray[np.int32], None]:
        """Return the `(S, C)` arms called in a chunk."""
        from bandits.loop.kernels_discounts import replay_discounted

        real = real_rounds(clock)
        state, called = self._state, np.zeros(np.shape(chunk.context)[:2], np.int32)

        def one(s: int) -> None:
            sums = [np.array(part[s], np.float64) for part in state[:3]]
            reward = np.ascontiguousarray(chunk.outcome[s, :real, :, 1], np.float32)
            lane = chunk.context[s, :real], chunk.available[s, :real], reward
            begin, how = int(state.round[s]), self._discount
            numbers = how.gamma, how.alpha, how.ridge
            whole: Any = (*lane, tuple(sums), state.since[s], begin, *numbers, called[s, :real])
            replay_discounted(*whole)
            for part, learned in zip(state[:3], sums, strict=True):
                part[s] = learned

        shared_out(one, range(len(called)))
        self._state = state._replace(round=state.round + np.int32(real))
        if self._account is not None:
            self._account = charged(self._account, chunk, called[:, :real])
        return called, None

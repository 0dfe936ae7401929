"""Lanes played a round at a time: in small groups, which JAX's devices share out among them, one a core.

Groups are small, since their states should stay in a core's cache: with K=10 and d=64 on two cores `hybrid` makes
62,000 rounds a second in groups of five and 35,000 in groups of sixteen, `bootstrap` 150,000 and 107,000. (Where all is
the loop's own overhead it is the other way round: `klucb` makes a third at five of what it makes at sixteen.) Neither
their size nor their program depends on the machine, so the numbers do not either.

The groups are called one after the other, from one thread, and JAX runs those of several devices at once. (One call for
all devices, with `jax.shard_map`, is as fast, but compiled in another way: `barp` and `dropout` then round otherwise on
two cores than on one.) A program that calls LAPACK stays on one device: in jaxlib 0.10.2 such a call (a batch of
Cholesky factors, say) holds a thread of XLA's pool until other threads have done its parts, and where as many programs
run as there are threads, all wait for ever. A larger pool would help, and take back most of what the devices bring.
LAPACK itself is held to one thread: its matrices are small (33 x 33 in `neurallinear`), and OpenBLAS would part each of
them between all cores and have its threads wait for each other (on a busy machine, 170 ms of processor time a refit and
seed in the place of 7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy, State
from bandits.late import jax, jnp
from bandits.loop.blas import blas
from bandits.loop.keys import made
from bandits.loop.rounds import Account, Carry, Chunk, Due, Ring, Shared, run_chunk, start
from bandits.loop.turns import Turns, run_turns

if TYPE_CHECKING:
    from bandits.loop.rounds import Clock

TOGETHER = 8  # lanes at most in a group


def groups(lanes: int) -> tuple[int, int]:
    """Return how many groups lanes are parted into and of how many each; an even number, for two cores or more."""
    many = 1 if lanes == 1 else 2 * -(-lanes // (2 * TOGETHER))
    return many, -(-lanes // many)


def devices() -> list[jax.Device]:
    """Return what groups are shared out over. `JAX_NUM_CPU_DEVICES`, set before JAX is imported, says how many."""
    return list(jax.local_devices())


class Scan:
    """A policy's lanes on their way through the chunks; see `bandits.loop.player`."""

    def __init__(
        self,
        policy: Policy,
        keys: Sequence[jax.Array],
        shared: Shared,
        *,
        account: Account | None = None,
        ring: Ring | None = None,
        probe: Callable[[State], jax.Array] | None = None,
        full: bool = False,
        turns: Turns | None = None,
    ) -> None:
        keys = made(keys)
        self._probe, self._lanes = probe, len(keys)
        self._program: Any = run_chunk if turns is None else run_turns
        self._how = (policy, probe, full if turns is None else turns)
        many, size = groups(len(keys))
        # The last group is filled up with the last lane; nothing of that is kept.
        row = np.minimum(np.arange(many * size), len(keys) - 1).reshape(many, size)
        self._rows = [slice(r[0], r[-1] + 1) if len(set(r)) == size else r for r in row]
        self._shares_out = many > 1 and len(devices()) > 1  # until its program is known to call LAPACK
        self._devices = devices()[:1] * many
        self._keys = self._placed([jnp.stack([keys[i] for i in r]) for r in row])
        self._shared = self._placed([shared] * many)
        self.carry = start(policy, jnp.stack(keys)), account, ring

    @property
    def carry(self) -> Carry:
        """What all lanes carry into the next chunk, `(S, ...)`."""
        home = [jax.device_put(part, self._devices[0]) for part in self._carries]
        whole: Carry = jax.tree.map(lambda *parts: jnp.concatenate(parts)[: self._lanes], *home)
        return whole

    @carry.setter
    def carry(self, whole: Carry) -> None:
        self._carries = self._placed([jax.tree.map(lambda a, r=r: a[r], whole) for r in self._rows])

    def _placed(self, parts: list[Any]) -> list[Any]:
        """Return what each group has, on its device."""
        return [jax.device_put(part, device) for part, device in zip(parts, self._devices, strict=True)]

    def foresee(self, clock: Clock, chunk: Chunk) -> None:
        """Nothing can be made ready before the chunk is played."""

    def play(
        self, clock: Clock, chunk: Chunk, foreseen: None = None, late: Due | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
        """Return the `(S, C)` arms called in a chunk, `(S, C, M)` of several calls, and what the probe read."""
        called, read = [], []
        if self._shares_out:
            self._share_out(self._given(0, clock, chunk, late))
        with blas().limit(limits=1):
            for i in range(len(self._rows)):
                self._carries[i], arms, probed = self._program(*self._given(i, clock, chunk, late))
                called.append(arms)
                read.append(probed)
            # JAX returns before its programs have run: the limit has to last until they have, which asking waits for.
            arms = np.concatenate([np.asarray(a) for a in called])[: self._lanes]
        if self._probe is None:
            return arms, None
        return arms, np.concatenate([np.asarray(r) for r in read])[: self._lanes]

    def _given(self, i: int, clock: Clock, chunk: Chunk, late: Due | None) -> tuple[Any, ...]:
        """Return what a group's program is called with."""
        rows = self._rows[i]
        heard = None if late is None else _heard(late, rows)
        return *self._how, self._carries[i], self._keys[i], self._shared[i], clock, _of(chunk, rows), heard

    def _share_out(self, given: tuple[Any, ...]) -> None:
        """Give the groups to all devices, unless the program calls what must not be called on several at once."""
        self._shares_out = False
        if "custom_call" not in self._program.lower(*given).as_text():
            usable = devices()
            self._devices = [usable[i % len(usable)] for i in range(len(self._rows))]
            self._carries, self._keys, self._shared = map(
                self._placed, (self._carries, self._keys, self._shared)
            )


def _of(chunk: Chunk, rows: slice | NDArray[np.integer[Any]]) -> Chunk:
    """Return what some lanes meet."""
    return Chunk(*(None if a is None else a[rows] for a in chunk))


def _heard(late: Due, rows: slice | NDArray[np.integer[Any]]) -> Due:
    """Return what some lanes hear."""
    source = late.source if len(late.source) == 1 else late.source[rows]  # one clock for all lanes
    return Due(_of(late.rows, rows), source, late.rounds)

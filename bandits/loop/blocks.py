"""Linear policies replayed in blocks of rounds.

A policy built from a `Form` (`bandits.policies.linear.affine`) is replayed by a numba kernel
(`bandits.loop.kernels_blocks`) that gives the arms of the plain scan, exact ties aside. What the form weighs in
(bonuses, random draws, targets) is computed ahead by JAX for a whole chunk, from the same keys. On an AMD EPYC the
kernel makes 2.7 times the rounds of the scan at d=64 and 6.2 times at d=768, since the scan reads every inverse in
every round; `make bench` measures both. On another platform than the CPU the scan runs, but
for policies that ask nothing of JAX (`keyless`): those a kernel plays anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES, Policy
from bandits.forms.exploring import Bonus, Gaps, Weights
from bandits.late import jax, jnp, mapped
from bandits.loop.blas import blas
from bandits.loop.keys import made
from bandits.loop.rounds import Account, Carry, Chunk, Shared, begin, feedback_of, observe, start
from bandits.policies.linear.affine import Form, form_of, heard_reward
from envs.cores import cores

if TYPE_CHECKING:
    from bandits.base import State
    from bandits.loop.rounds import Clock

_AVX_512 = ("SkylakeX", "Cooperlake", "SapphireRapids")  # as OpenBLAS calls them


class Blocks:
    """A linear policy's lanes on their way through the chunks; see `bandits.loop.player`."""

    def __init__(
        self, policy: Policy, keys: Sequence[jax.Array], shared: Shared, *, account: Account | None = None
    ) -> None:
        form = form_of(policy)
        assert form is not None
        self._form, self._shared = form, shared
        self._constant: Weights | None = None
        if keyless(policy):
            self.carry = begin(policy, len(keys)), account, None
            return
        self._keys = jnp.stack(made(keys))
        self.carry = start(policy, self._keys), account, None

    @property
    def carry(self) -> Carry:
        """What all lanes carry into the next chunk, `(S, ...)`."""
        return self._state, self._account, None

    @carry.setter
    def carry(self, whole: Carry) -> None:
        state, self._account, _ = whole
        self._state: Any = mapped(partial(np.array, order="C"), state)  # the kernel writes to it
        self._heard = self._state.pulls.sum(axis=1, dtype=np.float32)

    def foresee(self, clock: Clock, chunk: Chunk) -> Any:
        """Return what `Weights` and targets a chunk has; each of its rounds teaches, whatever is called."""
        if constant(self._form):
            return self._constantly(chunk)
        n_arms = self._state.inverse.shape[1]
        ahead = _ahead(self._form, n_arms, self._keys, self._heard, self._shared, clock, chunk)
        self._heard = self._heard + np.float32(real_rounds(clock))
        return jax.tree.map(np.asarray, ahead)

    def _constantly(self, chunk: Chunk) -> tuple[Weights, NDArray[np.float32]]:
        """Return what `_ahead` returns where the weights are the same in every round and the reward is learned."""
        taught = np.array(chunk.outcome[..., 1:2])
        if self._constant is None:
            plain, arms = self._form.explore.weights(None, None), taught.shape[:3]  # type: ignore[arg-type]
            shapes = taught.shape, arms, arms, arms[:2]
            self._constant = Weights(*(np.full(s, x, np.float32) for s, x in zip(shapes, plain, strict=True)))
        for array in (taught, *self._constant):
            array.flags.writeable = False  # as what comes from JAX: the kernel is compiled once for both
        return self._constant, taught

    def play(
        self, clock: Clock, chunk: Chunk, foreseen: Any, late: None = None
    ) -> tuple[NDArray[np.int32], None]:
        """Return the `(S, C)` arms called in a chunk."""
        real = real_rounds(clock)
        called = _replayed(self._form, self._state, foreseen, chunk, real)
        if self._account is not None:
            self._account = charged(self._account, chunk, called[:, :real])
        return called, None


def constant(form: Form) -> bool:
    """Return whether a form weighs every round alike and learns the reward, so that nothing has to be computed."""
    return isinstance(form.explore, Bonus) and not form.targets and form.target is heard_reward


def keyless(policy: Policy) -> bool:
    """Return whether a policy that is played in blocks asks nothing of its key."""
    form = form_of(policy)
    return form is not None and constant(form)


def real_rounds(clock: Clock) -> int:
    """Return how many rounds of a chunk there are: the rest is after the end."""
    return min(len(clock[0]), int(clock[1][0]))


@partial(jax.jit, static_argnums=(0, 1))
def _ahead(
    form: Form, n_arms: int, keys: jax.Array, heard: jax.Array, shared: Shared, clock: Clock, chunk: Chunk
) -> tuple[Weights, jax.Array]:
    """Return the `Weights` of every round of a chunk, `(S, C, K, m)`, `(S, C, K)` twice and `(S, C)`, and what each arm
    would teach, `(S, C, K, m)`."""
    m = form.targets[0] if form.targets else 1

    def one(key: jax.Array, heard: jax.Array, now: Chunk, number: jax.Array, left: jax.Array) -> Any:
        to_act, _ = jax.random.split(jax.random.fold_in(key, number))
        seen = observe(shared, now, None, left)
        weights = form.weights(to_act, heard, seen)
        taught = jax.vmap(lambda told: form.target(seen, feedback_of(told)))(now.outcome)
        mean = jnp.asarray(weights.mean, jnp.float32)
        mean = mean if form.targets or mean.ndim == 0 else mean[:, None]
        mean = jnp.broadcast_to(mean, (n_arms, m))
        width, plus = (jnp.broadcast_to(jnp.float32(x), (n_arms,)) for x in (weights.width, weights.plus))
        return Weights(mean, width, plus, jnp.float32(weights.rate)), taught.reshape(n_arms, m)

    number, left = clock
    rounds = heard[:, None] + jnp.arange(1, len(number) + 1, dtype=jnp.float32)
    by_round = jax.vmap(one, in_axes=(None, 0, 0, 0, 0))
    result: tuple[Weights, jax.Array] = jax.vmap(by_round, in_axes=(0, 0, 0, None, None))(
        keys, rounds, chunk, number, left
    )
    return result


def _replayed(
    form: Form, state: State, ahead: tuple[Weights, jax.Array], chunk: Chunk, rounds: int
) -> NDArray[np.int32]:
    """Return the `(S, C)` arms of so many rounds, and change the state to what they taught; each seed has a core."""
    from bandits.loop.kernels_blocks import replay_rounds, room, upright

    seeds, arms, dim, _ = state.inverse.shape
    targets = form.targets[0] if form.targets else 1
    called, block = np.zeros(chunk.context.shape[:2], np.int32), block_of(dim)
    together = together_of(arms, dim, block)
    (mean, width, plus, rate), taught = ahead

    def play(s: int) -> None:
        way = [x[s, :rounds] for x in (mean, width, plus)]
        way.append(rate[s, :rounds] if isinstance(form.explore, Gaps) else None)
        lane = upright(chunk.context[s, :rounds], block), chunk.available[s, :rounds].view(np.uint8)
        learned = state.inverse[s], state.weight[s].reshape(arms, targets, dim)
        space = room(arms, targets, dim, block)
        whole: Any = (*lane, *way, taught[s, :rounds], *learned, space, together, called[s, :rounds])
        replay_rounds(*whole)
        state.pulls[s] += np.bincount(called[s, :rounds], minlength=arms).astype(state.pulls.dtype)

    shared_out(play, range(seeds))
    return called


def block_of(dim: int) -> int:
    """Return the rounds a block: more for larger matrices, which have to be read once a block."""
    return 64 if dim <= 96 else 96 if dim <= 256 else 256


@cache
def together_of(arms: int, dim: int, block: int) -> int:
    """Return how many arms' inverses are multiplied by a block's contexts as one matrix.

    All, unless OpenBLAS runs its AVX-512 kernels, which take products of at most 100^3 faster than larger ones.
    """
    small = 100**3 // (dim * dim * block)
    fast = any(library.get("architecture") in _AVX_512 for library in blas().info())
    return min(arms, small) if fast and small else arms


def shared_out(work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
    """Return what `work` makes of each part, in order, on as many cores as there are; BLAS has one for each."""
    with blas().limit(limits=1):
        return list((map if cores() == 1 or len(parts) == 1 else _threads().map)(work, parts))


def taken_up(work: Callable[[Any], object], parts: Iterator[Any]) -> None:
    """Have `work` done on each part by whichever core is free; a part is made when it is taken, one at a time."""
    turn, ended = Lock(), Event()

    def some(_: int) -> None:
        try:
            while True:
                with turn:
                    part = None if ended.is_set() else next(parts, None)
                if part is None:
                    return
                work(part)
        except BaseException:
            ended.set()
            raise

    try:
        shared_out(some, range(cores()))
    finally:
        ended.set()  # Ctrl-C ends the others after their part


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())


def charged(account: Account, chunk: Chunk, called: NDArray[np.int32]) -> Account:
    """Return the accounts after a chunk's calls."""
    met = np.asarray(chunk.outcome)[:, : called.shape[1]]
    told = np.take_along_axis(met, called[:, :, None, None], axis=2)[:, :, 0]
    return account.pay(
        np.nan_to_num(told[..., -len(RESOURCES) :]).sum(axis=1, dtype=np.float64).astype(np.float32)
    )

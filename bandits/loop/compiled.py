"""Policies that have a kernel of their own (numba), which calls what the plain scan calls, exact ties aside.

`dlinucb` by `kernels_discounts`; `swlinucb`, and `glm` under the linear reward, by `kernels_weighed`; `averaged` under
the same reward by `kernels_averaged`; `hybrid` where posted prices stay by `kernels_hybrid`; `bootstrap` by
`kernels_bagged`; `ucb1` by `kernels_counts`. With late feedback the scan runs; so it does on another platform than the
CPU, but for what asks nothing of JAX (`keyless`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy, played_form_of
from bandits.forms import Averaging, Bagged, Bounds, Fading, Joint, Logistic, Windowed
from bandits.late import jax, jnp, mapped
from bandits.loop.blocks import block_of, charged, real_rounds, shared_out, together_of
from bandits.loop.keys import made
from bandits.loop.rounds import Account, Carry, Chunk, Shared, begin, start
from bandits.policies.linear.bootstrap import head_of, hearings

if TYPE_CHECKING:
    from bandits.base import State
    from bandits.loop.rounds import Clock

Array = NDArray[Any]


class Met(NamedTuple):
    """What one lane meets in `C` rounds, and what a kernel reads of it: copied where it is asked for.

    Attributes:
        context: `(C, d)` float32.
        available: `(C, K)` bool.
        preference: `(C,)` float32.
        outcome: `(C, K, 2 + R)` float32, as `Chunk` has it.
        posted: `(C, K)` prices.
        scale: of cost.
    """

    context: Array
    available: Array
    preference: Array
    outcome: Array
    posted: Array
    scale: Array

    @property
    def utility(self) -> Array:
        """`(C, K)` float32."""
        return np.ascontiguousarray(self.outcome[..., 0])

    @property
    def reward(self) -> Array:
        """`(C, K)` float32."""
        return np.ascontiguousarray(self.outcome[..., 1])

    @property
    def cost(self) -> Array:
        """`(C, K)` float32 in units of the scale."""
        return np.ascontiguousarray(self.outcome[..., 2] / self.scale)

    @property
    def price(self) -> Array:
        """`(C, K)` float32 in units of the scale, NaN where none is posted."""
        return np.ascontiguousarray(self.posted / self.scale)


# (form, the lane's state, written to, what it meets, what was drawn for it ahead, (C,) arms to fill)
Play = Callable[[Any, Any, Met, Any, Array], None]


class Compiled:
    """Such a policy's lanes on their way through the chunks; see `bandits.loop.player`."""

    def __init__(
        self, policy: Policy, keys: Sequence[jax.Array], shared: Shared, *, account: Account | None = None
    ) -> None:
        self._form = played_form_of(policy)
        self._play = PLAYS[type(self._form)]
        self._price, self._scale = np.asarray(shared.price), np.asarray(shared.cost_scale)
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
        self._state: Any = mapped(partial(np.array, order="C"), state)  # written to

    def foresee(self, clock: Clock, chunk: Chunk) -> Any:
        """Return what chance a chunk has: which head decides, and which of them hear a call."""
        del chunk
        if not isinstance(self._form, Bagged):
            return None
        return jax.tree.map(np.asarray, _drawn(self._form.heads, self._keys, clock[0]))

    def play(
        self, clock: Clock, chunk: Chunk, foreseen: Any, late: None = None
    ) -> tuple[NDArray[np.int32], None]:
        """Return the `(S, C)` arms called in a chunk."""
        real = real_rounds(clock)
        called = np.zeros(np.shape(chunk.context)[:2], np.int32)

        def one(s: int) -> None:
            state = mapped(lambda a: a[s] if a.ndim > 1 else a[s : s + 1], self._state)
            drawn = None if foreseen is None else tuple(a[s, :real] for a in foreseen)
            self._play(self._form, state, self._met(chunk, s, real), drawn, called[s, :real])

        shared_out(one, range(len(called)))
        if self._account is not None:
            self._account = charged(self._account, chunk, called[:, :real])
        return called, None

    def _met(self, chunk: Chunk, s: int, real: int) -> Met:
        """Return what a lane meets."""
        told = chunk.outcome[s, :real]
        posted = (
            np.broadcast_to(self._price, told.shape[:2]) if chunk.price is None else chunk.price[s, :real]
        )
        return Met(
            chunk.context[s, :real], chunk.available[s, :real], chunk.preference[s, :real], told, posted, self._scale
        )  # fmt: skip


@partial(jax.jit, static_argnums=0)
def _drawn(heads: int, keys: jax.Array, number: jax.Array) -> Any:
    """Return the head that decides `(S, C)` and how often each hears the call `(S, C, M)`, as the scan draws them."""

    def one(key: jax.Array, number: jax.Array) -> Any:
        to_act, to_learn = jax.random.split(jax.random.fold_in(key, number))
        return head_of(to_act, heads), hearings(to_learn, heads)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))(keys, number)


def _asked(met: Met, block: int) -> tuple[Array, Array]:
    """Return a lane's contexts and what is available, as kernels that go in blocks read them."""
    from bandits.loop.kernels_blocks import upright

    return upright(met.context, block), met.available.view(np.uint8)


def _calls(called: Array, pulls: Array) -> Array:
    """Return the calls of each arm, in the dtype of `pulls (K,)`."""
    return np.bincount(called, minlength=len(pulls)).astype(pulls.dtype)


def _fading(form: Fading, state: State, met: Met, drawn: None, called: Array) -> None:
    from bandits.loop.kernels_discounts import replay_discounted

    # In float64: what float32 rounds in an index is never carried on.
    sums = tuple(np.array(part, np.float64) for part in state[:3])
    lane, numbers = (met.context, met.available, met.reward), (form.gamma, form.alpha, form.ridge)
    whole: Any = (*lane, sums, state.since, int(state.round[0]), *numbers, called)
    replay_discounted(*whole)
    for part, learned in zip(state[:3], sums, strict=True):
        part[:] = learned
    state.round[:] += np.int32(len(called))


def _windowed(form: Windowed, state: State, met: Met, drawn: None, called: Array) -> None:
    from bandits.loop.kernels_weighed import replay_windowed, room

    inverse, weight, pulls = state.arms
    (arms, dim), begin = weight.shape, int(state.at[0])
    block, window = block_of(dim), (state.context, state.arm, state.reward)
    space = room(arms, 1, 2, dim, block), np.empty(2 * block, np.int32)
    lane = *_asked(met, block), met.reward, np.float32(form.alpha)
    whole: Any = (*lane, inverse, weight, *window, begin, *space, together_of(arms, dim, block), called)
    replay_windowed(*whole)
    pulls += _calls(called, pulls)
    state.at[:] = (begin + len(called)) % form.window


def _averaged(form: Averaging, state: State, met: Met, drawn: None, called: Array) -> None:
    from bandits.loop.kernels_averaged import replay_averaged, room

    inverse, weight, pulls = state.models
    models, arms, dim = weight.shape
    block, heard = block_of(dim), pulls[0].astype(np.float32)
    lane = *_asked(met, block), met.utility, met.cost, met.price, met.preference
    numbers = np.float32(form.alpha), np.float32(form.noise) ** 2
    learned = inverse.reshape(-1, dim, dim), weight.reshape(-1, dim), heard, state.evidence, state.spent
    space, together = room(models, arms, dim, block), together_of(models * arms, dim, block)
    whole: Any = (*lane, *numbers, *learned, space, together, called)
    replay_averaged(*whole)
    pulls += _calls(called, pulls[0])


def _logistic(form: Logistic, state: State, met: Met, drawn: None, called: Array) -> None:
    from bandits.loop.kernels_weighed import replay_logistic, room

    inverse, weight, pulls = state
    arms, targets, dim = weight.shape
    block = block_of(dim)
    lane = *_asked(met, block), met.utility, met.cost, met.preference, np.float32(form.alpha)
    space = room(arms, targets, 1, dim, block)
    whole: Any = (*lane, inverse, weight, space, together_of(arms, dim, block), called)
    replay_logistic(*whole)
    pulls += _calls(called, pulls)


def _bagged(form: Bagged, state: State, met: Met, drawn: Any, called: Array) -> None:
    from bandits.loop.kernels_bagged import replay_bagged, room

    heads, arms, dim = state.weight.shape
    space = room(heads, arms, dim), np.zeros((heads, arms), np.int32)
    lane = met.context, met.available.view(np.uint8), met.reward, *drawn
    whole: Any = (*lane, *state, *space, called)
    replay_bagged(*whole)


def _hybrid(form: Joint, state: State, met: Met, drawn: None, called: Array) -> None:
    from bandits.loop.kernels_hybrid import replay_hybrid, room

    price, (arms, dim), block = (
        np.nan_to_num(met.posted[0] / met.scale),
        state.weight.shape,
        16 if met.context.shape[1] <= 96 else 32,
    )
    learned = state.shared, state.beta, state.inverse, state.weight
    numbers = price, np.float32(form.alpha), np.float32(form.ridge)
    space = room(arms, dim, block), together_of(arms, dim, block)
    whole: Any = (*_asked(met, block), met.reward, *numbers, *learned, *space, called)
    replay_hybrid(*whole)
    # A_k^-1 B_k = (I - ridge A_k^-1) (I, p_k I), see there.
    known = np.eye(dim, dtype=np.float32) - np.float32(form.ridge) * state.inverse
    state.cross[..., :dim] = known
    np.multiply(price[:, None, None], known, out=state.cross[..., dim:])


def _counted(form: Bounds, state: State, met: Met, drawn: None, called: Array) -> None:
    from bandits.loop.kernels_counts import replay_counts

    bounds = np.array([form.low, form.high - form.low, form.weight], np.float32)
    whole: Any = (met.available, met.reward, *bounds, state.pulls, state.mean, called)
    replay_counts(*whole)


PLAYS: dict[type, Play] = {
    Fading: _fading,
    Windowed: _windowed,
    Averaging: _averaged,
    Logistic: _logistic,
    Bagged: _bagged,
    Joint: _hybrid,
    Bounds: _counted,
}


def compiled(policy: Policy, shared: Shared) -> bool:
    """Return whether a policy has a kernel of its own, at these prices."""
    form = played_form_of(policy)
    if isinstance(form, Bounds) and form.kind != "hoeffding":
        return False
    return type(form) in PLAYS and not (shared.price is None and isinstance(form, Joint))


def keyless(policy: Policy) -> bool:
    """Return whether a policy with a kernel of its own asks nothing of its key; what a log has taught it might."""
    form = played_form_of(policy)
    return type(form) in PLAYS and not isinstance(form, Bagged) and policy.init is policy.form.init

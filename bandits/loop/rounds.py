"""The compiled half of the loop: a chunk of rounds for some lanes, and the queue of what is heard late."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bandits import threefry
from bandits.base import RESOURCES, Feedback, Observation, Policy, State, example
from bandits.late import jax, jnp, mapped


class Chunk(NamedTuple):
    """What `S` seeds meet in `C` rounds; `outcome` stacks utility, reward and `RESOURCES` last."""

    context: Any  # (S, C, d)
    available: Any  # (S, C, K)
    outcome: Any  # (S, C, K, 2 + R)
    preference: Any  # (S, C)
    price: Any = None  # (S, C, K) where posted prices change; None: those of the stream throughout
    scores: Any = (
        None  # (S, C, K) what a judge says of each answer, with several calls a query; None: nothing
    )
    features: Any = None  # (S, C, K, e) what is known of each arm before it is called; None: nothing
    votes: Any = None  # (S, C, K) codes of the answers; None: none
    revealed: Any = None  # (S, C, K, e) what each arm shows once it was called; None: nothing


class Account(NamedTuple):
    """What each run has spent of each of `RESOURCES`, `(S, R)`: the sum, what rounding has kept out of it, the limit.

    Ten thousand float32 additions are off by up to a call; with the second term (Kahan 1965) they are not.
    """

    spent: jax.Array
    owed: jax.Array
    limits: jax.Array

    def pay(self, used: jax.Array) -> Account:
        """Return the account after `used`."""
        due = used + self.owed
        spent = self.spent + due
        return Account(spent, due - (spent - self.spent), self.limits)


class Ring(NamedTuple):
    """What a late update needs of the round that it belongs to, at `round % W`: `arm` `(S, W)`, `budget` `(S, W, R)`.

    `budget` is None in a run without one, `chance` `(S, W)` and `kept` (any tree) where the policy has no `chances` or
    `keep`. With `M` calls a query `arm` is `(S, W, M)`, what is kept has an axis of `M` too, and there is no `chance`.
    """

    arm: jax.Array
    budget: jax.Array | None
    chance: jax.Array | None = None
    kept: Any = None


def ring(
    policy: Policy,
    lanes: int,
    places: int,
    n_arms: int,
    dim: int,
    *,
    budgeted: bool,
    calls: int | None = None,
) -> Ring:
    """Return the ring of a run before its first round; with `calls`, of up to so many a query."""
    each = () if calls is None else (calls,)

    def room(like: Any) -> jax.Array:
        return jnp.zeros((lanes, places, *each, *like.shape), like.dtype)

    arm, one = jnp.int32(0), jnp.float32(1)
    kept = None
    if policy.keep is not None:
        state = jax.eval_shape(policy.init, threefry.key(0))
        kept = jax.tree.map(room, jax.eval_shape(policy.keep, state, example(n_arms, dim)[0]))
    return Ring(
        room(arm),
        jnp.zeros((lanes, places, len(RESOURCES)), jnp.float32) if budgeted else None,
        None if policy.chances is None or calls is not None else room(one),
        kept,
    )


class Due(NamedTuple):
    """What is heard in a chunk: `rows` of the slots, `source` `(S or 1, E)` their rounds, `rounds` `()` of the run."""

    rows: Chunk
    source: Any
    rounds: Any


class Shared(NamedTuple):
    """What is the same for all: `price` `(K,)` as posted, None where that changes, and `cost_scale` `()`."""

    price: jax.Array | None
    cost_scale: jax.Array


Clock = tuple[Any, ...]  # number of each round, rounds left, and where some are heard late their slots
Carry = tuple[State, Account | None, Ring | None]


@partial(jax.jit, static_argnums=0)
def start(policy: Policy, keys: jax.Array) -> State:
    """Return the state of every seed before the first round."""
    return jax.vmap(policy.init)(keys)


def begin(policy: Policy, lanes: int) -> State:
    """Return what `start` returns, in NumPy, of a policy that asks nothing of its key."""
    return mapped(lambda part: np.broadcast_to(part, (lanes, *np.shape(part))), policy.init(None))  # type: ignore[arg-type]


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def run_chunk(
    policy: Policy,
    probe: Callable[[State], jax.Array] | None,
    full: bool,
    carry: Carry,
    keys: jax.Array,
    shared: Shared,
    clock: Clock,
    chunk: Chunk,
    late: Due | None = None,
) -> tuple[Carry, jax.Array, jax.Array | None]:
    """Return the states and accounts after a chunk, the `(S, C)` arms called in it and what the probe read.

    The `clock`, round number and rounds left `(C,)` and with late feedback the first and the last slot of each
    round, is the same for every seed and stays outside the `vmap`: a policy that branches on it alone keeps a real
    branch, where one on its own state would run both sides each round.
    """

    def one_round(carry: Carry, key: jax.Array, now: Chunk, number: jax.Array, left: jax.Array) -> Any:
        state, account, ring = carry
        to_act, to_learn = jax.random.split(jax.random.fold_in(key, number))
        budget = None if account is None else account.limits - account.spent
        observation = observe(shared, now, budget, left)
        arm = policy.act(to_act, state, observation)
        read = None if probe is None else probe(state)
        # The compiler drops it where no update reads it.
        chance: Any = 1.0 if policy.chances is None else policy.chances(to_act, state, observation)[arm]
        heard = now.outcome[arm]
        if account is not None:
            heard = jnp.where(arm >= 0, heard, 0.0)
            account = account.pay(jnp.nan_to_num(heard[-len(RESOURCES) :]))
        if ring is None:
            state = policy.update(to_learn, state, observation, arm, feedback_of(heard, chance))
        else:
            kept = None if policy.keep is None else policy.keep(state, observation)
            ring = noted(ring, number, Ring(arm, observation.budget, chance, kept))
        return (state, account, ring), (arm, read)

    def hear(
        state: State, key: jax.Array, ring: Ring, now: Chunk, source: jax.Array, rounds: jax.Array
    ) -> State:
        number = jnp.maximum(source, 0)
        _, to_learn = jax.random.split(jax.random.fold_in(key, number))
        place = number % len(ring.arm)
        budget = None if ring.budget is None else ring.budget[place]
        # A slot without a round teaches nothing: at half a round left it is no policy's time to train either.
        left = jnp.where(source >= 0, jnp.maximum(rounds - number, 1).astype(jnp.float32), 0.5)
        observation = observe(shared, now, budget, left)
        # Where every outcome is heard, none came by chance.
        chance = 1.0 if full or ring.chance is None else ring.chance[place]
        kept = jax.tree.map(lambda a: a[place], ring.kept)

        def one(state: State, key: jax.Array, arm: jax.Array, counts: jax.Array) -> State:
            told = now.outcome[arm]
            told = told if ring.budget is None else jnp.where(arm >= 0, told, 0.0)
            after = policy.update(key, state, observation, arm, feedback_of(told, chance, kept))
            return jax.tree.map(lambda new, old: jnp.where(counts, new, old), after, state)

        if not full:
            return one(state, to_learn, ring.arm[place], source >= 0)

        def each(arm: jax.Array, state: State) -> State:
            return one(state, jax.random.fold_in(to_learn, arm), arm, (source >= 0) & now.available[arm])

        return jax.lax.fori_loop(0, now.available.shape[0], each, state)

    def hear_all(slot: jax.Array, state: State, ring: Ring, rows: Chunk, late: Due) -> State:
        now = jax.tree.map(lambda a: a[:, slot], rows)
        alike = late.source.shape[0] == 1  # one clock for all seeds keeps a policy's branch on it
        source = late.source[0, slot] if alike else late.source[:, slot]
        axes = (0, 0, 0, 0, None if alike else 0, None)
        return jax.vmap(hear, in_axes=axes)(state, keys, ring, now, source, late.rounds)

    def step(carry: Carry, xs: Any) -> Any:
        now, number, left, *slots = xs
        after, called = jax.vmap(one_round, in_axes=(0, 0, 0, None, None))(carry, keys, now, number, left)
        if late is not None:
            state, account, ring = after
            body = partial(hear_all, ring=ring, rows=late.rows, late=late)
            after = jax.lax.fori_loop(slots[0], slots[1], body, state), account, ring
        return after, called

    by_round = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), chunk)
    after, (arms, read) = jax.lax.scan(step, carry, (by_round, *clock))
    return after, jnp.asarray(arms).T, None if read is None else jnp.swapaxes(read, 0, 1)


def observe(shared: Shared, now: Chunk, budget: jax.Array | None, left: jax.Array) -> Observation:
    """Return what a policy sees of one round; `budget` None is no limit."""
    price: Any = shared.price if now.price is None else now.price
    budget = jnp.full(len(RESOURCES), jnp.inf, jnp.float32) if budget is None else budget
    return Observation(now.context, now.available, price, now.preference, shared.cost_scale, budget, left)


def feedback_of(heard: jax.Array, chance: Any = 1.0, kept: Any = None) -> Feedback:
    """Return what a policy hears of one outcome `(2 + R,)`."""
    utility, reward, cost, latency, tokens = heard
    return Feedback(utility, cost, reward, latency, tokens, chance, kept)


def noted(ring: Ring, number: jax.Array, now: Ring) -> Ring:
    """Return the ring of one seed with this round in its place."""
    place = number % len(ring.arm)

    def put(places: jax.Array, value: Any) -> jax.Array:
        return places.at[place].set(value)

    return Ring(
        put(ring.arm, now.arm),
        None if ring.budget is None else put(ring.budget, now.budget),
        None if ring.chance is None else put(ring.chance, now.chance),
        jax.tree.map(put, ring.kept, now.kept),
    )

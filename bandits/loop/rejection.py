"""An online policy on a log by rejection: the loop's round, in which only what the log can answer is played.

`act`, `chances`, `keep` and `update` are called as in `bandits.loop.rounds`, with the same observations, feedback and
keys, numbered by the rounds accepted: what is accepted is, call by call, the run of the loop on those queries.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bandits.base import Policy
from bandits.late import jax, jnp
from bandits.loop.rounds import Chunk, Shared, feedback_of, observe


@partial(jax.jit, static_argnums=0)
def accepted(
    policy: Policy, key: jax.Array, shared: Shared, met: Chunk, arms: jax.Array, coin: jax.Array
) -> jax.Array:
    """Return `(n,)`, which logged rounds are of the policy's own run.

    Where the policy calls the logged model and the coin fell so, the round is accepted and learned from; else nothing
    happened: the next round is met in the same state with the same key. (The key says nothing of the log, and whether a
    round is accepted says nothing of its query, so accepted queries are as those of the log; Li et al. 2011,
    1003.5956, Theorem 1.)

    Args:
        policy: pure functions.
        key: of its randomness, as the loop has it.
        shared: what is the same in all rounds.
        met: `(n, ...)` what is met; `outcome` is `(n, 2 + R)`, of the logged model alone.
        arms: `(n,)` models called in the log.
        coin: `(n,)` bool.
    """

    def one_round(carry: Any, xs: Any) -> Any:
        state, number = carry
        now, logged, heads, left = xs
        to_act, to_learn = jax.random.split(jax.random.fold_in(key, number))
        seen = observe(shared, now, None, left)
        own = policy.act(to_act, state, seen)
        chance: Any = 1.0 if policy.chances is None else policy.chances(to_act, state, seen)[own]
        kept = None if policy.keep is None else policy.keep(state, seen)
        taken = (own == logged) & heads
        after = policy.update(to_learn, state, seen, own, feedback_of(now.outcome, chance, kept))
        state = jax.tree.map(lambda new, old: jnp.where(taken, new, old), after, state)
        return (state, number + taken), taken

    left = jnp.arange(len(arms), 0, -1, jnp.float32)
    taken = jax.lax.scan(one_round, (policy.init(key), jnp.int32(0)), (met, arms, coin, left))[1]
    return jnp.asarray(taken)

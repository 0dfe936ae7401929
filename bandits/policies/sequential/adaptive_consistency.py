"""Adaptive-Consistency in a run: models are asked in order until the leading answer is settled."""

from __future__ import annotations

from bandits import require
from bandits.base import Feedback, Observation, Policy, State
from bandits.late import jax, jnp

STOP = -1  # as `envs.calls.STOP`


def adaptive_consistency(n_arms: int, dim: int, *, order: tuple[int, ...], sure: float = 0.95) -> Policy:
    """Ask models in order until the answer that leads is settled by their votes (Adaptive-Consistency).

    Aggarwal, Madaan, Yang and Mausam (2023, arXiv 2305.11860), equation 2: stop once P(theta > 1/2) under
    Beta(v1 + 1, v2 + 1) exceeds `sure`, with v1 and v2 the counts of the two commonest answers. The paper draws one
    model many times; here each model is asked once. Made for `--deliver vote`, of a table with `<model>_prediction`;
    where no answer is told, all of the order are asked.

    Args:
        n_arms: `K`.
        dim: `d`, not used.
        order: arms in the order of their calls; on the command line their names, as in `order=a>b>c`.
        sure: probability at which asking stops, in [0.5, 1].

    Raises:
        ValueError: an arm named twice or that is none, or a number out of range.
    """
    del dim
    for arm in order:
        require.within("adaptive_consistency", 0, n_arms - 1, order=arm)
    if len(order) != len(set(order)) or not order:
        raise ValueError(
            f"adaptive_consistency needs an order that names each model once, got {len(order)} models"
        )
    require.within("adaptive_consistency", 0.5, 1, sure=sure)
    chain = jnp.asarray(order, jnp.int32)

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        del key, state
        open_ = seen.available[chain]
        then = chain[open_.argmax()]
        first = jnp.where(open_.any(), then, seen.available.argmax()).astype(jnp.int32)
        if seen.asked is None:
            return first
        going = open_.any() if seen.votes is None else open_.any() & ~(settled(seen.votes) > sure)
        return jnp.where(seen.asked.any(), jnp.where(going, then, STOP), first).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> State:
        del key, seen, arm, told
        return state

    return Policy(lambda key: jnp.zeros((), jnp.int32), act, update, again=True)


def settled(votes: jax.Array) -> jax.Array:
    """Return P(the leading answer stays ahead), `()`, from `(K,)` codes of the answers heard, -1 for none."""
    known = votes >= 0
    alike = (votes[:, None] == votes) & known
    count = jnp.where(known, alike.sum(axis=1), 0)
    leader = votes[count.argmax()]
    second = jnp.where(votes == leader, 0, count).max()
    return 1 - jax.scipy.special.betainc(count.max() + 1.0, second + 1.0, 0.5)

"""AutoMix in a run: a gate on what a verifier says of the small model's answer, fitted on a log."""

from __future__ import annotations

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy, State
from bandits.late import jax, jnp
from bandits.sequential import automix as gates
from bandits.sequential.automix import METHODS, Gate, Pair
from bandits.sequential.logged import Logged, needed

STOP = -1  # as `envs.calls.STOP`


def automix(
    n_arms: int,
    dim: int,
    *,
    order: tuple[int, ...],
    log: Logged | None = None,
    method: str = "union",
    bins: int = 8,
) -> Policy:
    """Call a small model, and a large one where the gate with the highest lift on a log says so (AutoMix).

    Aggarwal, Madaan et al. (NeurIPS 2024, arXiv 2310.12963), section 4; see `bandits.sequential.automix`. The verifier
    is the run's judge. Lift is a slope and rewards tiny cheap moves. Nothing is learned online; `--deliver last`
    belongs to it.

    Args:
        n_arms: `K`.
        dim: `d`.
        order: the small and the large model; on the command line their names, as in `order=a>b`.
        log: judged outcomes of every model on rows that are not evaluated; the command gives those of `--warm-start`.
        method: which gates are tried, one of `threshold`, `double`, `triple`, `pomdp`, `greedy` and `union`.
        bins: thresholds are multiples of one over this, >= 2.

    Raises:
        ValueError: no log, no two models, or none of the gates has a lift.
    """
    for arm in order:
        require.within("automix", 0, n_arms - 1, order=arm)
    if len(order) != 2 or order[0] == order[1]:
        raise ValueError(f"automix needs order=SMALL>LARGE, two models, got {len(order)}")
    require.one_of("automix", METHODS, method=method)
    require.whole("automix", 2, bins=bins)
    found = needed("automix", log, n_arms, dim)
    judged, (small, large) = found.judged(), order
    verifier = 0.0 if found.judge_cost is None else float(np.mean(found.judge_cost[:, small]))
    costs = np.asarray(found.cost)[:, small], judged.cost[:, large]
    pair = Pair(judged.utility[:, small], judged.utility[:, large], judged.score[:, small], costs, verifier)
    gate, _ = gates.fit(pair, method, bins=bins)

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        del key, state
        open_ = seen.available
        other = jnp.where(open_[large], large, open_.argmax())
        first = jnp.where(open_[small], small, other).astype(jnp.int32)
        if seen.asked is None or seen.heard is None:
            return first
        alone = seen.asked[small] & (seen.asked.sum() == 1) & open_[large]
        then = jnp.where(alone & again(gate, seen.heard[small]), large, STOP)
        return jnp.where(seen.asked.any(), then, first).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> State:
        del key, seen, arm, told
        return state

    return Policy(lambda key: jnp.zeros((), jnp.int32), act, update, again=True)


def again(gate: Gate, verified: jax.Array) -> jax.Array:
    """Return `()` bool, whether a gate tries an answer again: `automix.retry` of one score; False where it is NaN."""
    if gate.actions:
        place = jnp.floor(jnp.nan_to_num(verified) * (len(gate.actions) - 1) + 0.5).astype(jnp.int32)
        tried = jnp.asarray(gate.actions, bool)[jnp.clip(place, 0, len(gate.actions) - 1)]
        return tried & ~jnp.isnan(verified)
    inside = [(verified >= low) & (verified <= high) for low, high in gate.spans]
    return jnp.stack(inside).any() if inside else jnp.array(False)

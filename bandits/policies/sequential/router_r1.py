"""Router-R1: calls of several models in turn, trained by PPO on a log (arXiv 2506.09033, NeurIPS 2025)."""

from __future__ import annotations

from bandits import require
from bandits.base import Feedback, Observation, Policy, State
from bandits.late import jax, jnp
from bandits.policies.llmbandit.networks import HEADS
from bandits.policies.sequential.r1_networks import Situation, log_chances
from bandits.sequential.logged import Logged, needed

STOP = -1  # as `envs.calls.STOP`


def router_r1(
    n_arms: int,
    dim: int,
    *,
    log: Logged | None = None,
    alpha: float = 0.6,
    turns: int = 4,
    width: int = 32,
    rollouts: int = 150,
    seed: int = 0,
) -> Policy:
    """Call models in turn until stopping is the most probable action, trained on a log by PPO (Router-R1).

    Its reward is the paper's: `(1 - alpha) u + alpha r_cost` where the delivered answer is worth anything, 0 where it
    is not, with `r_cost` from the last thousand episodes' costs; the format is kept by masking invalid calls. The
    utility `u` is that of the answer which the run delivers (`--deliver`). Nothing is learned online, and the run's
    preference is not seen: `alpha` is the weight of cost.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        log: judged outcomes of every model on rows that are not evaluated; the command gives those of `--warm-start`.
        alpha: weight of cost, in [0, 1].
        turns: calls of a query at most, >= 1; the paper has 4.
        width: hidden units, a multiple of 4.
        rollouts: of PPO, >= 1.
        seed: of the training; the command trains once for each seed of a run, with draws from this and that one.
    """
    require.within("router_r1", 0, 1, alpha=alpha)
    require.whole("router_r1", 0, seed=seed)
    require.whole("router_r1", 1, width=width, rollouts=rollouts, turns=turns)
    if width % HEADS:
        raise ValueError(f"router_r1 needs width to be a multiple of {HEADS}, got width={width}")
    found = needed("router_r1", log, n_arms, dim)
    from bandits.policies.sequential.r1_training import Schedule, train  # here, since only training needs it

    most = min(turns, n_arms)
    trained = train(
        found, seed=seed, schedule=Schedule(turns=most, alpha=alpha, rollouts=rollouts, width=width)
    )

    def act(key: jax.Array, state: State, seen: Observation) -> jax.Array:
        del key
        networks, frozen = state
        asked = jnp.zeros(n_arms, bool) if seen.asked is None else seen.asked
        heard = jnp.full(n_arms, jnp.nan) if seen.heard is None else seen.heard
        spent = jnp.float32(0) if seen.spent is None else seen.spent[0] / frozen.unit
        now = Situation(seen.context, seen.available, asked, heard, spent)
        best = log_chances(networks.actor, frozen, now, most).argmax()
        return jnp.where(best == n_arms, STOP, best).astype(jnp.int32)

    def update(key: jax.Array, state: State, seen: Observation, arm: jax.Array, told: Feedback) -> State:
        del key, seen, arm, told
        return state

    return Policy(lambda key: trained, act, update, again=True)

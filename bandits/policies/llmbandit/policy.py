"""LLM Bandit: a preference-conditioned policy over any set of models (arXiv 2502.02743, Eq. 5 and appendix B.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandits import require
from bandits.base import Feedback, Observation, Policy, State
from bandits.late import jax
from bandits.policies.llmbandit.networks import HEADS, Pool, Trained, decide

if TYPE_CHECKING:
    from bandits.policies.llmbandit.tasks import Log

MATCHES = ("token", "identity")
PICKS = ("discrimination", "random")


def policy(trained: Trained, pool: Pool | None = None) -> Policy:
    """Return the policy that calls the most probable model of a pool and learns nothing online.

    The paper's policy is trained on logs: the state is what was trained, and `update` returns it as it is.

    Args:
        trained: from `llmbandit_training.train`.
        pool: of the `K` models in the stream's order; None: those trained on.
    """
    begun = trained, trained.pool if pool is None else pool

    def init(key: jax.Array) -> State:
        del key
        return begun

    def act(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        del key
        arm: jax.Array = decide(*state, observation)
        return arm

    def chances(key: jax.Array, state: State, observation: Observation) -> jax.Array:
        return jax.nn.one_hot(act(key, state, observation), len(observation.available))

    def update(
        key: jax.Array, state: State, observation: Observation, arm: jax.Array, feedback: Feedback
    ) -> State:
        del key, observation, arm, feedback
        return state

    return Policy(init, act, update, chances=chances)


def llmbandit(
    n_arms: int,
    dim: int,
    *,
    log: Log | None = None,
    quiz: int = 0,
    pick: str = "discrimination",
    match: str = "token",
    width: int = 32,
    rollouts: int = 150,
    seed: int = 0,
) -> Policy:
    """Call the best match of query and preference, trained on logged outcomes of all models (LLM Bandit).

    Nothing is learned online. With a quiz, half of the models (drawn by the seed) are kept from the training and
    come in by their answers to a quiz alone: a pool that the policy has never seen in part.

    Args:
        n_arms: `K`.
        dim: `d`, the constant column included.
        log: outcomes of every model on rows that are not evaluated; the command gives those of `--train-share`.
        quiz: queries put to a new model, >= 1; 0 trains on all models.
        pick: quiz queries by `discrimination` or at `random`.
        match: what the network's output is multiplied with: the `identity` alone (Eq. 5) or the `token`, see `scores`.
        width: hidden units, a multiple of 4.
        rollouts: of PPO, >= 1.
        seed: of the training; the command trains once for each seed of a run, with draws from this and that one.
    """
    require.whole("llmbandit", 0, quiz=quiz, seed=seed)
    require.whole("llmbandit", 1, width=width, rollouts=rollouts)
    require.one_of("llmbandit", MATCHES, match=match)
    require.one_of("llmbandit", PICKS, pick=pick)
    if width % HEADS:
        raise ValueError(f"llmbandit needs width to be a multiple of {HEADS}, got width={width}")
    if log is None:
        raise ValueError("llmbandit needs logged outcomes to train on, got none; give --train-share SHARE")
    if np.shape(log.utility)[1:] != (n_arms,) or np.shape(log.context)[1:] != (dim,):
        raise ValueError(
            f"llmbandit needs a log of {n_arms} models and {dim} features, got utility {np.shape(log.utility)}"
            f" and context {np.shape(log.context)}"
        )
    from bandits.policies.llmbandit import training  # here, since only its training needs it
    from bandits.policies.llmbandit.tasks import Schedule

    schedule = Schedule(match=match, width=width, rollouts=rollouts)
    if not quiz:
        return policy(training.train(log, seed=seed, schedule=schedule))
    known = training.half(n_arms, seed)
    trained = training.train(training.part(log, columns=known), seed=seed, schedule=schedule)
    rows = training.quiz_rows(trained, log, known, size=quiz, pick=pick, seed=seed)
    return policy(trained, training.enrol(trained, log, known, rows))

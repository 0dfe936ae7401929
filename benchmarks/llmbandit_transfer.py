"""LLM Bandit on models that it never saw: trained on half of the twin's models, routing among the other half.

For each training seed: a fifth of the queries trains, the others evaluate; half of the models is drawn. One policy
trains on all models; the other on the first half, and takes in the second by a quiz. Both route the same queries among
the second half. Two baselines on the same log: one ridge of utility and one of cost for each of the new models (which
reads all their logged outcomes, as `all` does), and the one new model of the highest mean reward on the random quizzes.
`python benchmarks/llmbandit_transfer.py -h` has the options.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bandits import rewards
from bandits.base import Observation, example
from bandits.metrics.intervals import student
from bandits.mmrbench import splits
from bandits.policies.llmbandit import training as llmbandit_training
from bandits.policies.llmbandit.networks import Pool, Trained, decide
from bandits.policies.llmbandit.policy import MATCHES
from bandits.policies.llmbandit.tasks import Log, Schedule
from bandits.wrappers import warm
from envs import stream

RANDOM_QUIZZES = 5  # drawn for each training seed
_BY_ROW = Observation(0, None, None, 0, None, None, None)  # type: ignore[arg-type]
_decide = jax.jit(jax.vmap(decide, in_axes=(None, None, _BY_ROW)))


def route(trained: Trained, pool: Pool, evaluated: stream.Stream, preference: Any) -> Any:
    """Return the `(T,)` arms called; the policy learns nothing online, so the order of the queries does not matter."""
    observation, _ = example(evaluated.n_arms, evaluated.dim)
    observation = observation._replace(
        context=jnp.asarray(evaluated.context),
        price=jnp.full(evaluated.n_arms, jnp.nan),  # what a new model costs is known from its quiz alone
        preference=jnp.asarray(preference, jnp.float32),
        cost_scale=jnp.float32(evaluated.cost_scale),
    )
    return np.asarray(_decide(trained, pool, observation))


def columns(pool: Pool, chosen: Any) -> Pool:
    """Return the pool of these models."""
    return Pool(pool.vector[chosen], pool.cost[chosen])


def policies(log: Log, quiz: int, seed: int, schedule: Schedule) -> dict[str, list[tuple[Trained, Pool]]]:
    """Return each way to come to a policy among the new models, with its pool of them."""
    known = llmbandit_training.half(log.utility.shape[1], seed)
    new = np.delete(np.arange(log.utility.shape[1]), known)
    on_all = llmbandit_training.train(log, seed=seed, schedule=schedule)
    on_half = llmbandit_training.train(
        llmbandit_training.part(log, columns=known), seed=seed, schedule=schedule
    )

    def enrolled(pick: str, seed: int) -> tuple[Trained, Pool]:
        rows = llmbandit_training.quiz_rows(on_half, log, known, size=quiz, pick=pick, seed=seed)
        return on_half, columns(llmbandit_training.enrol(on_half, log, known, rows), new)

    return {
        "all": [(on_all, columns(on_all.pool, new))],
        "half": [enrolled("discrimination", seed)],
        "half, random quiz": [enrolled("random", RANDOM_QUIZZES * seed + i) for i in range(RANDOM_QUIZZES)],
    }


def ridge(logged: stream.Stream, evaluated: stream.Stream, preference: Any) -> Any:
    """Return the `(T,)` arms of the highest predicted utility less preference times predicted cost."""
    prior = warm.fit(logged, rewards.reward_table(rewards.linear, logged))
    utility, cost = (evaluated.context @ prior.weight[name].T for name in ("utility", "cost in scale"))
    return (utility - preference[:, None] * cost).argmax(axis=1)


def quizzed(logged: stream.Stream, rows: Any, preference: Any) -> int:
    """Return the model of the highest mean reward on these logged rows, at the mean preference."""
    table = rewards.reward_table(rewards.linear, logged, float(np.mean(preference)))
    return int(np.nanmean(table[rows], axis=0).argmax())


def one_seed(seed: int, quiz: int, schedule: Schedule) -> dict[str, dict[str, float]]:
    """Return the mean reward of every way and reference, at every preference."""
    every = stream.load("all")
    outcomes = every.outcomes
    split = splits.make(outcomes, "all", tuple(dict.fromkeys(outcomes.dataset)), "in", 0.2, seed)[0]
    log = Log(every.context[split.train], every.utility[split.train], every.cost[split.train])
    new = np.delete(np.arange(every.n_arms), llmbandit_training.half(every.n_arms, seed))
    tested = outcomes.take(split.test).select([every.models[k] for k in new])
    evaluated = stream.Stream("the new half", tested, every.context[split.test])
    past = outcomes.take(split.train).select([every.models[k] for k in new])
    logged = stream.Stream("their log", past, every.context[split.train], unit=evaluated.cost_scale)
    draws = [
        np.random.default_rng(RANDOM_QUIZZES * seed + i).permutation(len(logged))[:quiz]
        for i in range(RANDOM_QUIZZES)
    ]
    built = policies(log, quiz, seed, schedule)
    found = {}
    drawn = np.random.default_rng(seed).uniform(0, 2, len(evaluated))
    for name, preference in (("0", 0.0), ("0.2", 0.2), ("0.5", 0.5), ("1", 1.0), ("uniform(0,2)", drawn)):
        shown = np.broadcast_to(preference, len(evaluated))
        table = rewards.reward_table(rewards.linear, evaluated, shown)
        means = {
            way: float(
                np.mean([table[np.arange(len(table)), route(*one, evaluated, shown)].mean() for one in ones])
            )
            for way, ones in built.items()
        }
        references = {
            "ridge": table[np.arange(len(table)), ridge(logged, evaluated, shown)].mean(),
            "best by quiz": np.mean([table[:, quizzed(logged, rows, shown)].mean() for rows in draws]),
            "best single": table.mean(axis=0).max(),
            "uniform": table.mean(),
            "oracle": table.max(axis=1).mean(),
        }
        found[name] = {**means, **{k: float(v) for k, v in references.items()}}
    return found


def main() -> None:
    """Print the figures of every seed and their means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quiz", type=int, default=32, help="queries put to each new model")
    parser.add_argument("--rollouts", type=int, default=Schedule().rollouts, help="of PPO")
    parser.add_argument("--match", choices=MATCHES, default="token", help="identity: Eq. 5 to the letter")
    given = parser.parse_args()
    schedule = Schedule(match=given.match, rollouts=given.rollouts)
    ways = ("all", "half", "half, random quiz", "ridge", "best by quiz", "best single", "uniform", "oracle")
    print(
        f"{stream.load().outcomes.label}; quiz {given.quiz}; match {given.match}; mean reward among the new half"
    )
    print(f"{'seed':>4} {'preference':>12}", *(f"{w:>18}" for w in ways), f"{'half / all':>11}", "seconds")
    rows: dict[str, list[list[float]]] = {}
    for seed in range(given.seeds):
        started = time.perf_counter()
        for name, means in one_seed(seed, given.quiz, schedule).items():
            figures = [*(means[w] for w in ways), means["half"] / means["all"]]
            rows.setdefault(name, []).append(figures)
            _line(str(seed), name, figures, f"{time.perf_counter() - started:.0f}")
    for name, figures in rows.items():
        _line("mean", name, list(np.mean(figures, axis=0)), "")
        for end, values in zip(("low", "high"), student(np.array(figures)), strict=True):
            _line(end, name, list(values), "95 % over training seeds")


def _line(seed: str, preference: str, figures: list[float], tail: str) -> None:
    print(
        f"{seed:>4} {preference:>12}",
        *(f"{f:18.4f}" for f in figures[:-1]),
        f"{figures[-1]:11.3f}",
        tail,
        flush=True,
    )


if __name__ == "__main__":
    main()

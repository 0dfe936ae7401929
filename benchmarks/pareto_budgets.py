"""Pacing on ParetoBandit's table (arXiv 2604.00136) beside the paper's figures: seven budgets, and a price that moves.

    python benchmarks/pareto_budgets.py published          reward and spend at the seven budgets of the paper
    python benchmarks/pareto_budgets.py phases --plot F    the dear model at a tenth of its cost in the second third;
                                                           F is a page (.html) or a picture (.svg)

The first 1,785 rows are the log of a warm start and the last 1,824 the stream; contexts are 25 whitened principal
components of the given embeddings and a constant; `n_eff` and `alpha` are the paper's. `phases` plays `dlinucb`, which
keeps its ridge (Russac, Vernade, Cappe 2019), in place of the paper's own lazily discounted form, which lets it fade.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bandits  # from a checkout, installed or not
import envs
from bandits import rewards
from bandits.base import Observation, Policy
from bandits.metrics.knapsack import best_mixture
from bandits.results import spending as accounts
from bandits.wrappers import budget, warm

DATA = Path(__file__).resolve().parents[2] / "shared" / "outcomes" / "pareto_k3.jsonl.gz"
LOGGED = "1785"
# USD a query: reward of the paper and the share of the budget that it spent (facts of its budget table).
PUBLISHED = {
    2.9e-5: (0.793, 0.98), 8.3e-5: (0.813, 1.00), 2.3e-4: (0.859, 1.00), 6.6e-4: (0.898, 0.98),
    1.9e-3: (0.917, 0.91), 5.3e-3: (0.924, 0.89), 1.5e-2: (0.929, 0.74),
}  # fmt: skip
# Without what the log spent at each price, primal_dual begins at the price 0, as the paper's pacer does.
COLD_PRICE = "primal_dual from price 0"
PACINGS = (COLD_PRICE, "primal_dual", "primal_dual,step=0.02", "mirror", "bwk", "lp", "threshold")
DEAR = 2  # gemini-2.5-pro
MODERATE = 6.6e-4  # USD a query
Start = Callable[[Policy, str], Policy]


def load(path: Path) -> tuple[Any, Start]:
    """Return the stream with the log's mean costs as posted prices, and what paces a policy on a ridge, warm."""
    whole = envs.load("all", data=path, dim=25, whiten=True)
    logged, stream = warm.split(whole, LOGGED)
    prior = warm.fit(logged, rewards.reward_table(rewards.accuracy, logged), n_eff=1164.0)
    posted = replace(stream.outcomes, price=logged.cost.mean(axis=0))
    silent = prior._replace(used=np.zeros_like(prior.used))

    def start(policy: Policy, label: str) -> Policy:
        held = budget.held(policy, stream, pacing=label.partition(" ")[0])
        return warm.start(held, silent if label == COLD_PRICE else prior)

    return replace(stream, outcomes=posted), start


def published(path: Path, seeds: int) -> pd.DataFrame:
    """Return ours beside theirs at every budget, for each pacing."""
    stream, start = load(path)
    table = rewards.reward_table(rewards.accuracy, stream)
    rows = []
    for pacing in PACINGS:
        policy = start(bandits.linucb(stream.n_arms, stream.dim, alpha=0.01), pacing)
        for each, (theirs, share) in PUBLISHED.items():
            limits = budget.parse(f"{each}/query", stream, len(stream))
            trace = bandits.replay(policy, stream, table, seeds=seeds, budget=limits)
            told = accounts.account(stream, table, {pacing: trace}, limits).iloc[0]
            rows.append(
                {
                    "pacing": pacing,
                    "budget": each,
                    "reward": told.reward,
                    "published": theirs,
                    "difference": told.reward - theirs,
                    "mixture": told.mixture,
                    "over_mixture": told.over_mixture,
                    "over_lo": told.over_lo,
                    "over_hi": told.over_hi,
                    "within": told.within,
                    "spent": told.spent_cost,
                    "spent_most": told.spent_most,
                    "published_spent": share,
                    "unanswered": told.unanswered,
                }
            )
    return pd.DataFrame(rows)


def at_the_right_price(path: Path) -> pd.DataFrame:
    """Return what a linear policy could earn: ridges of the log, at the one price that spends each budget."""
    whole = envs.load("all", data=path, dim=25, whiten=True)
    logged, stream = warm.split(whole, LOGGED)
    prior = warm.fit(logged, rewards.reward_table(rewards.accuracy, logged))
    table, every = rewards.reward_table(rewards.accuracy, stream), np.arange(len(stream))
    worth = stream.context @ prior.weight["reward"].T
    cost = np.maximum(stream.context @ prior.weight["cost"].T, 0.25 * prior.mean[:, 0])
    rows = []
    for each, (theirs, _) in PUBLISHED.items():
        low, high = (
            -3.0,
            12.0,
        )  # logs of a price: nothing is spent at the highest, and nothing spared at the lowest
        for _ in range(40):
            called = (worth - np.exp((low + high) / 2) * cost).argmax(axis=1)
            dear = stream.cost[every, called].mean() > each
            low, high = ((low + high) / 2, high) if dear else (low, (low + high) / 2)
        called = (worth - np.exp(high) * cost).argmax(axis=1)
        spent, earned = stream.cost[every, called].sum(), table[every, called].mean()
        mixture = float(best_mixture(table, stream.cost, spent)) / len(stream)
        rows.append({"budget": each, "reward": earned, "published": theirs, "mixture": mixture})
    return pd.DataFrame(rows).assign(over_mixture=lambda found: found.reward - found.mixture)


def phased(stream: Any, seed: int) -> Any:
    """Return the stream in an order of its own with the dear model at a tenth of its cost in the second third."""
    rows = np.random.default_rng([seed, 11]).permutation(len(stream))
    third = len(stream) // 3
    outcomes = stream.outcomes.take(rows[: 3 * third])
    cost = outcomes.cost.copy()
    cost[third : 2 * third, DEAR] /= 10
    return replace(stream, outcomes=replace(outcomes, cost=cost), context=stream.context[rows[: 3 * third]])


def unstopped(policy: Policy) -> Policy:
    """Return the policy told of a moderate budget a query that the loop knows nothing of: paced, but never stopped."""

    def told(observation: Observation) -> Observation:
        return observation._replace(budget=jnp.array([MODERATE, jnp.inf, jnp.inf]) * observation.rounds_left)

    return Policy(
        policy.init,
        lambda key, state, observation: policy.act(key, state, told(observation)),
        lambda key, state, observation, arm, feedback: policy.update(
            key, state, told(observation), arm, feedback
        ),
    )


def spend(policy: Policy, stream: Any, seeds: int) -> np.ndarray:
    """Return `(S, T)` the cost of each call."""
    costs = []
    for seed in range(seeds):
        moved = phased(stream, seed)
        table = rewards.reward_table(rewards.accuracy, moved)
        trace = bandits.replay(policy, moved, table, seeds=1, seed=seed, order="given")
        costs.append(moved.cost[trace.order[0], trace.arms[0]])
    return np.stack(costs)


def build(pacing: str, stream: Any, start: Start) -> Policy:
    """Return forgetting LinUCB (`dlinucb`), warm and paced to the moderate budget."""
    return unstopped(start(bandits.dlinucb(stream.n_arms, stream.dim, alpha=0.01), pacing))


def fixed_price(stream: Any, start: Start) -> str:
    """Return the pacing that holds the one price at which the first phase spends its budget, by halving."""
    third, low, high = len(stream) // 3, -9.0, 0.0
    for _ in range(8):
        pacing = f"mirror,step=1e-9,start={np.exp((low + high) / 2):.3g}"
        over = spend(build(pacing, stream, start), stream, 4)[:, :third].mean() > MODERATE
        low, high = ((low + high) / 2, high) if over else (low, (low + high) / 2)
    return pacing


def phases(path: Path, seeds: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return spend by budget in each phase for every pacing, and each run's costs."""
    stream, start = load(path)
    names = {p: p for p in ("primal_dual", "primal_dual,step=0.02", "mirror", "mirror,step=0.1")}
    names |= {(p := fixed_price(stream, start)): f"fixed price ({p})"}
    costs = {name: spend(build(pacing, stream, start), stream, seeds) for pacing, name in names.items()}
    rows = []
    for name, cost in costs.items():
        thirds = [part.mean() / MODERATE for part in np.split(cost, 3, axis=1)]
        rows.append({"pacing": name, **{f"phase {i + 1}": x for i, x in enumerate(thirds)}})
    return pd.DataFrame(rows), costs


def plot(costs: dict[str, np.ndarray], path: Path) -> None:
    """Write a plot of spend by budget, smoothed over 100 rounds, mean over seeds; a page, or a picture as .svg."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, cost in costs.items():
        mean = np.convolve(cost.mean(axis=0) / MODERATE, np.full(100, 0.01), mode="valid")
        figure.add_scatter(x=np.arange(100, len(mean) + 100), y=mean, name=name)
    third = cost.shape[1] // 3
    figure.add_hline(1.0, line_dash="dot")
    figure.add_vrect(
        third, 2 * third, opacity=0.1, fillcolor="black", annotation_text="dear model at a tenth"
    )
    figure.update_layout(xaxis_title="round", yaxis_title="spend by budget, last 100 rounds")
    if path.suffix == ".html":
        figure.write_html(path, include_plotlyjs=True)
    else:
        figure.update_layout(
            template="plotly_white", width=900, height=420, legend={"orientation": "h", "y": -0.2}
        )
        figure.write_image(path)


def main() -> None:
    """Run what was asked for and print it."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("what", choices=["published", "phases"])
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--plot", type=Path, metavar="FILE.html")
    asked = options.parse_args()
    if asked.what == "published":
        frame = published(asked.data, asked.seeds)
    else:
        frame, costs = phases(asked.data, asked.seeds)
        if asked.plot is not None:
            plot(costs, asked.plot)
    print(frame.to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    main()

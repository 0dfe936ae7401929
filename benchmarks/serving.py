"""Microseconds a decision in service, by NumPy alone: `python benchmarks/serving.py [--models 10] [--features 33]`.

The median and the 99th percentile of 2,000 calls of `Router.choose`, and the median of `Router.learn`, on one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from bandits import forms
from bandits.folders.export import routed
from bandits.forms import exploring
from bandits.rewards import linear
from bandits.serving.router import Choice, Router
from bandits.serving.settings import Settings
from envs.contexts.projection import Projection

CALLS, EMBEDDED = 2_000, 64  # calls timed; numbers of a text and of an image embedding
WAYS = {
    "bonus (linucb, greedy)": (exploring.Bonus(1.0), 1),
    "bonus of two targets (preference)": (exploring.Bonus(1.0), 2),
    "version space (regcb)": (exploring.VersionSpace(0.1), 1),
    "posterior (thompson)": (exploring.Posterior(0.25), 1),
    "coin (epsilon)": (exploring.Coin(0.3, 0.02), 1),
    "boltzmann (softmax)": (exploring.Boltzmann(1.0, 0.5), 1),
    "gaps (squarecb)": (exploring.Gaps(20.0, 0.5), 1),
}


def main() -> None:
    """Print a line for each way to explore."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", type=int, default=10)
    options.add_argument("--features", type=int, default=33, help="The constant included.")
    given = options.parse_args()
    print(f"{given.models} models, {given.features} features\n{'way':36}choose, us    p99, us  learn, us")
    for name, (explore, targets) in WAYS.items():
        chosen, learned = measured(made(explore, targets, given.models, given.features))
        print(
            f"{name:36}{np.median(chosen):10.0f} {np.quantile(chosen, 0.99):10.0f} {np.median(learned):10.0f}"
        )


def measured(router: Router) -> tuple[list[float], list[float]]:
    """Return the microseconds of each choice, and of each update."""
    text, image = np.random.default_rng(1).normal(size=(2, CALLS, EMBEDDED))
    choices: list[Choice] = []
    chosen = timed(lambda i: choices.append(router.choose(text[i], image[i])))
    return chosen, timed(lambda i: router.learn(choices[i], utility=0.5, cost=0.01))


def made(explore: exploring.Explore, targets: int, models: int, features: int) -> Router:
    """Return a router that has learned from 1,000 calls of random models."""
    rng = np.random.default_rng(0)
    settings = Settings(
        policy="timed",
        form=forms.Ridges(explore, 1.0, 2 if targets == 2 else 1),
        reward="linear",
        preference=0.2,
        cost_scale=1.0,
        models=tuple(f"model-{k}" for k in range(models)),
        price=(None,) * models,
        label="random numbers",
        sha256="0" * 64,
    )
    axes = rng.normal(size=(2 * EMBEDDED, features - 1)) / 20
    plain = Projection(("text", "image"), (EMBEDDED, EMBEDDED), "concat", np.zeros(2 * EMBEDDED), axes)
    context = np.hstack([rng.normal(size=(1_000, features - 1)) / 20, np.ones((1_000, 1))])
    calls = context, rng.integers(0, models, 1_000), rng.random((1_000, targets))
    return routed(settings, plain, linear, 0.0, calls)


def timed(call: Callable[[int], None]) -> list[float]:
    """Return how long each call took, in microseconds."""
    taken = []
    for i in range(CALLS):
        begun = time.perf_counter()
        call(i)
        taken.append((time.perf_counter() - begun) * 1e6)
    return taken


if __name__ == "__main__":
    main()

"""Microseconds a decision in service, by NumPy alone: `python benchmarks/serving.py [--models 10] [--features 33]`.

The median and the 99th percentile of 2,000 calls of `Router.choose`, and the median of `Router.learn`, on one core, for
every policy that can be exported; the last line decides by the text of a question (20 words), without an embedding.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bandits.base import form_of
from bandits.forms.form import taken
from bandits.policies import POLICIES
from bandits.rewards import linear
from bandits.serving.router import Choice, Router
from bandits.serving.settings import Settings
from bandits.wrappers.conservative import conservative
from envs.contexts.projection import Projection, fitted
from envs.contexts.words import embed, words

CALLS, EMBEDDED = 2_000, 64  # calls timed; numbers of a text and of an image embedding
WORDS = 20  # of a question


def main() -> None:
    """Print a line for each policy."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", type=int, default=10)
    options.add_argument("--features", type=int, default=33, help="The constant included.")
    given = options.parse_args()
    print(f"{given.models} models, {given.features} features\n{'policy':36}choose, us    p99, us  learn, us")
    queries = list(np.random.default_rng(1).normal(size=(CALLS, 2, EMBEDDED)))
    axes = np.random.default_rng(0).normal(size=(2 * EMBEDDED, given.features - 1)) / 20
    plain = Projection(("text", "image"), (EMBEDDED, EMBEDDED), "concat", np.zeros(2 * EMBEDDED), axes)
    for name, factory in POLICIES.items():
        if name == "llmbandit":  # is trained on a log
            continue
        policy = factory(given.models, given.features, **({"model": 0} if name == "always" else {}))
        if (form := form_of(policy)) is not None:
            tell(name, made(name, policy, form.served, plain, given.models), queries)
    guarded = conservative(POLICIES["averaged"](given.models, given.features), given.models, given.features)
    tell(
        "conservative(averaged)",
        made("conservative", guarded, form_of(guarded), plain, given.models),
        queries,
    )
    asked, by_text = texts(given.features)
    policy = POLICIES["linucb"](given.models, given.features)
    router = made("linucb", policy, form_of(policy).served, by_text, given.models)
    tell("linucb, by the text of a question", router, [(text,) for text in asked])


def tell(name: str, router: Router, queries: list[Any]) -> None:
    """Print how long a router's choices and updates take."""
    choices: list[Choice] = []
    chosen = timed(lambda i: choices.append(router.choose(*queries[i])))
    learned = timed(lambda i: router.learn(choices[i], utility=0.5, cost=0.01))
    print(f"{name:36}{np.median(chosen):10.0f} {np.quantile(chosen, 0.99):10.0f} {np.median(learned):10.0f}")


def made(name: str, policy: Any, form: Any, projection: Projection, models: int) -> Router:
    """Return a router before its first call."""
    settings = Settings(
        policy=name,
        form=form,
        reward="linear",
        preference=0.2,
        cost_scale=1.0,
        models=tuple(f"model-{k}" for k in range(models)),
        price=(0.5,) * models,
        label="random numbers",
        sha256="0" * 64,
    )
    arrays = taken(form, policy.init(jax.random.key(0)), models, projection.features)
    return Router(settings, projection, arrays, linear, np.random.default_rng(0))


def texts(features: int) -> tuple[list[str], Projection]:
    """Return questions of random words, and the context of their TF-IDF."""
    rng = np.random.default_rng(2)
    asked = [" ".join(f"word{i}" for i in rng.integers(0, 3_000, WORDS)) for _ in range(CALLS)]
    known = words(np.array(asked, object), EMBEDDED)
    rows = np.array([embed(known, text) for text in asked])
    return asked, fitted({"text": rows}, fusion="concat", dim=features - 1, whiten=False)._replace(
        words=known
    )


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

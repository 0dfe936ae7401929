"""The far side of `peers.py`, run by the peers' interpreter: each library behind `act` and `learn`, and the clock.

    .venv-peers/bin/python benchmarks/adapters.py STREAMS.npz LIBRARY OUT.npz

Reads `context` `(R, T, d)` and `table` `(R, T, K)`, rewards in [0, 1]; writes `arms` `(R, T)` and `seconds` `(R,)`.
A library is given what is good for it: contexts in its own form and the policy itself are made before the clock starts.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import random
import sys
import time
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Peer(NamedTuple):
    """A policy of some library, before its first round.

    Attributes:
        contexts: one a round, in the form that the library reads.
        act: `(context) -> arm`.
        learn: `(context, arm, reward)`, after every round.
    """

    contexts: Sequence[Any]
    act: Callable[[Any], int]
    learn: Callable[[Any, int, float], object]


def mabwiser(context: Floats, arms: int) -> Peer:
    """LinUCB, alpha 1, l2 1"""
    from mabwiser.mab import MAB, LearningPolicy

    mab = MAB(list(range(arms)), LearningPolicy.LinUCB(alpha=1.0, l2_lambda=1.0))
    mab.fit([0], [0.0], np.zeros((1, context.shape[1])))  # it acts after a fit only; this one teaches nothing
    return Peer(context[:, None, :], mab.predict, lambda x, k, r: mab.partial_fit([k], [r], x))


def coba(context: Floats, arms: int) -> Peer:
    """LinUCBLearner, alpha 1, disjoint by crossing contexts with one-hot arms"""
    from coba.learners import LinUCBLearner

    learner = LinUCBLearner(alpha=1, features=["ax"])
    actions = [tuple(row) for row in np.eye(arms).tolist()]
    return Peer(
        [tuple(x) for x in context.tolist()],
        lambda x: actions.index(learner.predict(x, actions)[0]),
        lambda x, k, r: learner.learn(x, actions[k], r, 1.0),
    )


def contextualbandits(context: Floats, arms: int) -> Peer:
    """LinUCB, alpha 1, lambda 1, Sherman-Morrison in float32"""
    from contextualbandits.online import LinUCB

    policy = LinUCB(
        arms, alpha=1.0, lambda_=1.0, fit_intercept=False, use_float=True, method="sm", random_state=1
    )

    def learn(x: Floats, arm: int, reward: float) -> None:
        policy.partial_fit(x, np.array([arm]), np.array([reward]))

    return Peer(context[:, None, :], lambda x: int(policy.predict(x)[0]), learn)


def river(context: Floats, arms: int) -> Peer:
    """LinUCBDisjoint, precisions 1; its width has the noise in it and no alpha: sqrt(1 + x'A^-1 x)"""
    from river.bandit import LinUCBDisjoint

    policy, every = LinUCBDisjoint(alpha=1.0, beta=1.0, seed=0), list(range(arms))
    return Peer(
        [dict(enumerate(x)) for x in context.tolist()],
        lambda x: policy.pull(every, context=x),
        lambda x, k, r: policy.update(k, x, r),
    )


def obp(context: Floats, arms: int) -> Peer:
    """LinUCB, epsilon (its name for alpha) 1, asked and told every round"""
    # The package as a whole imports torch and more, which its online policies do not use: only they are loaded.
    root = importlib.metadata.distribution("obp").locate_file("obp")
    for name, folder in (("obp", root), ("obp.policy", root / "policy")):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(folder)]
    sys.modules.setdefault("torch", mock.MagicMock(Tensor=Peer))  # read in annotations alone
    from obp.policy.linear import LinUCB

    policy = LinUCB(dim=context.shape[1], n_actions=arms, epsilon=1.0, random_state=0)
    return Peer(
        context[:, None, :],
        lambda x: int(policy.select_action(x)[0]),
        lambda x, k, r: policy.update_params(action=k, reward=r, context=x),
    )


def paretobandit(context: Floats, arms: int) -> Peer:
    """DisjointLinUCBPolicy, alpha 1, lambda 1, no forgetting, no prices"""
    from pareto_bandit import DisjointLinUCBPolicy

    names = [str(k) for k in range(arms)]
    policy = DisjointLinUCBPolicy(names, dim=context.shape[1], alpha=1.0, init_lambda=1.0, seed=0)
    return Peer(
        context, lambda x: int(policy.select_arm(x)[0]), lambda x, k, r: policy.update(names[k], x, r)
    )


def paretorouter(context: Floats, arms: int) -> Peer:
    """BanditRouter around the same policy, equal prices, no cost penalty"""
    from pareto_bandit import BanditRouter, FeatureService

    router = BanditRouter(
        {str(k): {"blended_cost_per_m": 1.0} for k in range(arms)},
        feature_service=FeatureService.for_precomputed(context.shape[1]),
        alpha=1.0,
        init_lambda=1.0,
        forgetting_factor=1.0,
        cost_penalty=0.0,
        bandit_seed=0,
    )
    asked: dict[str, str] = {}

    def act(x: Floats) -> int:
        model, log = router.route(x)
        asked["last"] = log.request_id
        return int(model)

    return Peer(context, act, lambda x, k, r: router.process_feedback(asked["last"], r))


def vw_regcb(context: Floats, arms: int) -> Peer:
    """cb_explore_adf --regcbopt --mellowness 0.001: optimistic, contexts crossed with arms"""
    import vowpalwabbit

    # The default mellowness, 0.1, explores so much that a tenth of a point of reward is lost; costs lie in [0, 1].
    vw = vowpalwabbit.Workspace("--cb_explore_adf --regcbopt --mellowness 0.001 -q xa --quiet")
    draw, actions = random.Random(0), [f"|a m{k}" for k in range(arms)]

    def learn(x: str, arm: int, reward: float) -> None:
        told = [x, *actions]
        told[arm + 1] = f"0:{1 - reward}:1 {actions[arm]}"
        vw.learn(told)

    def act(x: str) -> int:
        return draw.choices(range(arms), vw.predict([x, *actions]))[0]

    return Peer([f"shared {_text(x)}" for x in context.tolist()], act, learn)


def vw_epsilon(context: Floats, arms: int) -> Peer:
    """cb_explore --epsilon 0.05: its fastest, without confidence bounds"""
    import vowpalwabbit

    vw = vowpalwabbit.Workspace(f"--cb_explore {arms} --epsilon 0.05 --quiet")
    draw, chance = random.Random(0), [0.0]

    def act(x: str) -> int:
        shares = vw.predict(x)
        arm = draw.choices(range(arms), shares)[0]
        chance[0] = shares[arm]
        return arm

    def learn(x: str, arm: int, reward: float) -> None:
        vw.learn(f"{arm + 1}:{1 - reward}:{chance[0]} {x}")

    return Peer([_text(x) for x in context.tolist()], act, learn)


def _text(x: list[float]) -> str:
    # Names, not bare numbers: with those it was seen to learn almost nothing.
    return "|x " + " ".join(f"f{i}:{v:.6g}" for i, v in enumerate(x))


class Library(NamedTuple):
    """One row: what people call it, its name in a package index, how it is built, rounds at most that it is given."""

    title: str
    package: str
    build: Callable[[Floats, int], Peer]
    rounds: int = 1 << 30


LIBRARIES = {
    "coba": Library("coba", "coba", coba, 3_000),
    "mabwiser": Library("MABWiser", "mabwiser", mabwiser, 6_000),
    "contextualbandits": Library("contextualbandits", "contextualbandits", contextualbandits),
    "river": Library("river", "river", river),
    "vw_regcb": Library("Vowpal Wabbit", "vowpalwabbit", vw_regcb),
    "vw_epsilon": Library("Vowpal Wabbit", "vowpalwabbit", vw_epsilon),
    "paretorouter": Library("ParetoBandit", "paretobandit", paretorouter),
    "paretobandit": Library("ParetoBandit", "paretobandit", paretobandit),
    "obp": Library("Open Bandit Pipeline", "obp", obp),
}


def play(build: Callable[[Floats, int], Peer], context: Floats, table: Floats) -> tuple[list[int], float]:
    """Return the `(T,)` arms that a peer called, each reward heard before the next round, and the seconds it took."""
    peer, rewards, arms = build(context, table.shape[1]), table.tolist(), []
    begun = time.perf_counter()
    for x, row in zip(peer.contexts, rewards, strict=True):
        arm = peer.act(x)
        peer.learn(x, arm, row[arm])
        arms.append(arm)
    return arms, time.perf_counter() - begun


def main() -> None:
    """Play all streams of a file with one library."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("streams", metavar="STREAMS.npz")
    parser.add_argument("library", metavar="LIBRARY")
    parser.add_argument("out", metavar="OUT.npz")
    asked = parser.parse_args()
    library = asked.library
    given, build = np.load(asked.streams), LIBRARIES[library].build
    context, table = given["context"].astype(float), given["table"].astype(float)
    play(build, context[0, :50], table[0, :50])  # imports, and whatever else is done once
    arms, seconds = zip(*(play(build, *one) for one in zip(context, table, strict=True)), strict=True)
    version = importlib.metadata.version(LIBRARIES[library].package)
    np.savez(asked.out, arms=np.array(arms, np.int32), seconds=np.array(seconds), version=version)


if __name__ == "__main__":
    main()

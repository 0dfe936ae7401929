"""The numbers that measured tables and published figures stand on: none of them changes without being meant to.

Defaults are part of what is promised: docs/policies.md, docs/scenarios.md and docs/table2.md were measured with these.
Whoever changes one measures those tables again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from bandits import POLICIES
from bandits.experiment.ask import Ask
from bandits.experiment.lineup import WRAPPERS
from bandits.loop.feedback import DELAYS
from bandits.metrics import changing, intervals, regret, verdict
from bandits.metrics.off_policy import intervals as ope
from bandits.metrics.off_policy import models
from bandits.mmrbench.online import Sweep
from bandits.mmrbench.protocol import Protocol
from bandits.mmrbench.routers import REFERENCES, ROUTERS
from bandits.off_policy import objectives, valued, words
from bandits.policies.dueling import DUELLISTS
from bandits.policies.llmbandit import identity, ppo, tasks
from bandits.rewards import PREFERENCE
from bandits.wrappers.budget import PACINGS
from envs.changes.changes import CHANGES
from envs.changes.scenarios import SCENARIOS
from envs.contexts import features
from envs.twin import copula, generate

REGISTRIES: dict[str, dict[str, Callable[..., Any]]] = {
    "policy": POLICIES, "duellist": DUELLISTS, "wrapper": WRAPPERS, "pacing": PACINGS, "router": ROUTERS,
    "reference": REFERENCES, "delay": DELAYS, "change": CHANGES,
}  # fmt: skip
DEFAULTS = {
    "policy linucb": "alpha=1.0 ridge=1.0 prior=0.0",
    "policy thompson": "v=0.25 ridge=1.0 prior=0.0",
    "policy epsilon": "epsilon=0.3 decay=0.02 ridge=1.0",
    "policy preference": "alpha=1.0 ridge=1.0 prior=0.0",
    "policy squarecb": "gamma=20.0 exponent=0.5 ridge=1.0",
    "policy averaged": "alpha=0.5 noise=0.4 least=1.0 middle=10.0 most=1000000.0 ridge=1.0 prior=1.0 "
    "indicators=0",
    "policy swlinucb": "window=1000 alpha=1.0 ridge=1.0",
    "policy dlinucb": "gamma=0.997 alpha=1.0 ridge=1.0",
    "policy greedy": "ridge=1.0 prior=0.0",
    "policy softmax": "temperature=1.0 decay=0.5 ridge=1.0",
    "policy regcb": "mode=optimistic c=0.1 ridge=1.0",
    "policy hybrid": "alpha=1.0 ridge=1.0",
    "policy paired": "alpha=1.0 ridge=1.0 own=0.5 models=()",
    "policy glm": "alpha=0.2 ridge=1.0",
    "policy bootstrap": "heads=8 ridge=1.0",
    "policy barp": "lr=0.03 entropy=0.01 width=64 batch=32",
    "policy llmbandit": "log=None quiz=0 pick=discrimination match=token width=32 rollouts=150 seed=0",
    "policy neuralucb": "alpha=0.1 ridge=0.1 width=32 depth=2 diagonal=True lr=0.0003 "
    "train_every=20 train_steps=20 batch=64 memory=4096",
    "policy neuralts": "nu=0.1 ridge=0.1 width=32 depth=2 diagonal=True lr=0.0003 "
    "train_every=20 train_steps=20 batch=64 memory=4096",
    "policy neurallinear": "ridge=1.0 shape=6.0 noise=0.02 width=32 depth=2 lr=0.001 "
    "train_every=50 train_steps=50 batch=64 memory=4096",
    "policy dropout": "rate=0.2 initial=10 width=64 depth=2 lr=0.001 "
    "train_every=20 train_steps=20 batch=64 memory=4096",
    "policy ucb1": "alpha=1.0 low=-0.2 high=1.0",
    "policy klucb": "c=0.0 low=-0.2 high=1.0",
    "policy beta_thompson": "prior=1.0 low=-0.2 high=1.0",
    "policy exp3": "eta=1.0 low=-0.2 high=1.0",
    "policy exp4": "eta=1.0 experts=() low=-0.2 high=1.0",
    "policy successive_elimination": "delta=0.1 alpha=1.0 low=-0.2 high=1.0",
    "policy balanced": "of=averaged+klucb bases=() bound=0.2 width=0.2 delta=0.05 shared=True low=-0.2 high=1.0",
    "policy corral": "of=averaged+klucb bases=() eta=0.1 low=-0.2 high=1.0",
    "policy ids": "v=0.25 ridge=1.0 prior=0.0 draws=128",
    "policy feelgood": "v=0.25 optimism=0.05 most=1.0 ridge=1.0 prior=0.0 draws=32 memory=64",
    "policy auto": "indicators=0",
    "policy ebucb": "alpha=0.5 noise=0.4 spread=0.2 prior=1.0",
    "policy hierarchical": "alpha=0.5 noise=0.4 spread=0.3 level=0.3 slope=0.1 difficulty=0.2 prior=1.0",
    "policy always": "fallback=()",
    "duellist fgts": "eta=1.0 mu=0.1 ridge=1.0 lr=0.003 steps=5 batch=32 memory=2048",
    "duellist duel_ucb": "alpha=0.5 ridge=1.0",
    "wrapper restart": "threshold=12.0 slack=0.1 after=30 explore=0.02 repriced=0.2 ridge=1.0",
    "wrapper explore_new": "pulls=20",
    "wrapper own_length": "form=kimi weight=1.0 window=100 correct=0.5 limit=2048.0 margin=512.0",
    "wrapper conservative": "model=0 a=0.1 delta=0.05 noise=0.5 size=1.0 ridge=1.0 radius=None low=0.0",
    "pacing primal_dual": "step=0.05 smoothing=0.05 start=0.0 highest=5.0",
    "pacing threshold": "bin_size=100",
    "pacing mirror": "step=0.03 start=0.1 ridge=1.0",
    "pacing bwk": "z=1.0 alpha=0.1 step=None ridge=1.0",
    "pacing lp": "resolve_every=32 window=128 start=0.1 ridge=1.0",
    "router knn": "k=50 metric=cosine",
    "router kmeans": "clusters=20 seed=42",
    "router kmeansnew": "clusters=20 seed=42",
    "router linearmf": "rank=128 alpha=1.0 seed=42",
    "router mlp": "first=256 second=128 epochs=50 batch=32 lr=0.001 seed=42",
    "router mlpmf": "latent=64 first=256 second=128 epochs=50 batch=32 lr=0.001 seed=42",
    "router cmr": "width=512 layers=2 heads=8 epochs=20 batch=64 lr=0.0001 decay=0.0001 seed=42",
    "reference random": "trials=50 seed=42",
    "reference oracle": "ties=lowest",
    "delay constant": "rounds=0 never=0.0",
    "delay uniform": "least=0 most=100 never=0.0",
    "delay geometric": "mean=50.0 never=0.0",
    "change mix": "shape=steps at= period=0.5",
    "change price": "factor=0.5 at=0.5 walk=0.0 lag=0",
    "change quality": "change=-0.2 at=0.5 ramp=0 label=",
    "change mask": "what=image share=1.0 at=0",
    "change poison": "share=0.2 to=0.0 at=0",
    "change censor": "model=all share=0.5 when=any at=0",
    "change judge": "at=0 low=0.0 high=1.0",
    "change noise": "sensitivity=1.0 specificity=1.0 sd=0.0 at=0",
    "change outage": "start=0.4 end=0.6 between=0 repair=0",
    "change arrive": "model= at=0.3 merge= between=0.5",
    "change leave": "at=0.7",
}


def defaults(function: Callable[..., Any]) -> str:
    """Return the defaults of a function as `name=value`, functions among them left out."""
    given = inspect.signature(function).parameters.values()
    shown = [p for p in given if p.default is not inspect.Parameter.empty and not callable(p.default)]
    return " ".join(f"{p.name}={p.default}" for p in shown)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_hyperparameters(kind: str) -> None:
    found = {f"{kind} {name}": told for name, f in REGISTRIES[kind].items() if (told := defaults(f))}
    assert found == {name: told for name, told in DEFAULTS.items() if name.split()[0] == kind}


def test_options_of_a_run_a_protocol_and_a_sweep() -> None:
    asked = {name: value for name, value in Ask._field_defaults.items() if value is not None}
    assert asked == {
        "reward": "linear", "preference": "0.2", "budget": (), "pacing": "stop", "hard": False, "fit": "all",
        "change": (), "feedback": "bandit", "seeds": 20, "seed": 0, "order": "shuffle",
        "calls": 1, "deliver": "last", "parallel": False,
    }  # fmt: skip
    assert PREFERENCE == 0.2
    assert Protocol._field_defaults == {
        "dataset": "all", "mode": "22", "split": "in", "train_share": 0.2, "routers": ("all",), "random_state": 42,
        "seeds": 1, "missing": "mean", "resamples": 2000,
    }  # fmt: skip
    assert Sweep._field_defaults == {
        "preferences": (0.0, 0.03, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0), "reward": "linear", "seeds": 5, "seed": 0,
        "warm_start": True,
    }  # fmt: skip


def test_what_a_verdict_and_an_estimate_from_a_log_are_made_with() -> None:
    assert (verdict.ALPHA, verdict.FEWEST_SEEDS, verdict.FEWEST_QUERIES) == (0.05, 3, 30)
    assert (objectives.LEAST, words.EXPLORE, valued.CLIPS) == (1e-3, 0.1, (2.0, 5.0, 10.0, 30.0, 100.0))
    assert defaults(models.cross_fitted) == "weight=None parts=3 seed=0"
    assert defaults(models.propensities) == "parts=5 seed=0 least=0.001"
    assert defaults(models.ridge) == "penalty=1.0"
    assert defaults(changing.recovery) == "window=100 within=0.05"
    assert defaults(changing.recovery_interval) == "window=100 within=0.05 resamples=400 seed=0"
    assert defaults(changing.adoption) == "share=0.2 window=100"
    assert defaults(intervals.student) == defaults(intervals.band) == "level=0.95 within=(-inf, inf)"
    assert defaults(regret.exponent) == "skip=0.5"
    for interval in (ope.student, ope.gaussian):
        assert defaults(interval) == "alpha=0.05"
    assert defaults(ope.bootstrap) == "resamples=1000 alpha=0.05 seed=0"


def test_what_contexts_and_the_twin_are_made_with() -> None:
    assert (features.NORM, features.HASHED, features.COMPONENTS) == (0.1, 2**16, 64)
    assert defaults(features.context) == "modality=both fusion=concat dim=32 whiten=False context=embeddings"
    assert (copula.SKILL_SHARE, copula.FEATURES, copula.COST_SPREAD, copula.COST_HARDNESS) == (
        0.2,
        64,
        1.0,
        0.5,
    )
    parts = (copula.SCENARIO, copula.DATASET, copula.BLUR, copula.SKILL, copula.NOISE)
    assert parts == (1.5, 1.0, 0.4, 1.0, 0.4)
    assert (copula.SPLIT, copula.TRAIN_SHARE) == (42, 0.2)
    assert defaults(generate.make) == "dim=32 seed=0 progress=None"


def test_what_llmbandit_is_trained_with() -> None:
    """Published in arXiv 2502.02743, or chosen once and measured by `transfer --new-models`."""
    assert tuple(identity.Settings()) == (16, 32, 300, 256, 5e-3, 4.0, 1.0)
    assert tuple(tasks.Schedule())[1:] == ("token", 32, 500, 256, 5e-3, 150, 512, 3, 3e-4, 1.5)
    assert (ppo._CLIP, ppo._MIX, tasks._PREFERENCE) == (0.2, 0.2, 2.0)


def test_scenarios() -> None:
    """As docs/scenarios.md has measured them."""
    shift = "mix,phases=@first:0.8+@next:0.2/@first:0.2+@next:0.8"
    assert {name: (one.changes, one.delay, one.batch) for name, one in SCENARIOS.items()} == {
        "stationary": ((), "0", 1),
        "price-cut": (("price,model=@best,factor=0.01,at=0.5",), "0", 1),
        "silent-regression": (("quality,model=@value,change=-0.4,at=0.5",), "0", 1),
        "outage": (("outage,model=@value,start=0.4,end=0.6",), "0", 1),
        "new-model": (("arrive,model=@value,at=0.3",), "0", 1),
        "merged-model": (
            (
                "arrive,merge=@best+@second,between=0.8,at=0.3,model=merged",
                "price,model=merged,factor=0.02,at=0",
            ),
            "0",
            1,
        ),
        "traffic-shift": ((shift,), "0", 1),
        "blind": (("mask,what=@seen,at=0.5",), "0", 1),
        "noisy-judge": (("noise,sd=0.3",), "0", 1),
        "late-feedback": ((), "geometric,mean=200,never=0.1", 1),
        "everything": (
            (
                shift,
                "price,model=@best,factor=0.01,at=0.3",
                "quality,model=@value,change=-0.2,at=0.6",
                "outage,model=@second,start=0.7,end=0.8",
                "noise,sd=0.3",
            ),
            "geometric,mean=50",
            1,
        ),
    }

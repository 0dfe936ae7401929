"""Estimators against Open Bandit Pipeline's own code on ten random logs, to 1e-9: python benchmarks/obp_agreement.py.

That package (0.5.5) asks for old versions of others, so it gets an environment of its own, made in a temporary folder;
its estimators need NumPy, SciPy, pandas and scikit-learn alone. Where it cannot be installed, this says so and stops.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bandits.metrics import off_policy as ope
from bandits.metrics.off_policy import tuning

LOGS, TOLERANCE = 10, 1e-9
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "tqdm")

# Run by the other environment. The package's __init__ and its checks import torch, to say whether something is a
# tensor; nothing is one here, so an empty class stands for it.
THEIRS = """
import importlib, json, sys, types
from pathlib import Path
import numpy as np
import importlib.util
root = Path(importlib.util.find_spec("obp").origin).parent
for name in ("obp", "obp.ope"):
    package = types.ModuleType(name)
    package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    sys.modules[name] = package
torch = types.ModuleType("torch")
torch.Tensor = torch.tensor = type("Tensor", (), {})
sys.modules["torch"] = torch
e = importlib.import_module("obp.ope.estimators")
found = []
for path in sys.argv[1:]:
    x = np.load(path)
    n = len(x["reward"])
    base = dict(reward=x["reward"], action=x["arm"], position=np.zeros(n, int), pscore=x["p"],
                action_dist=x["pi"][:, :, None])
    q = dict(estimated_rewards_by_reg_model=x["q"][:, :, None])
    fixed = dict(reward=x["reward"], action=x["arm"], position=np.zeros(n, int), action_dist=x["fixed"][:, :, None])
    value = lambda estimator, **more: float(estimator.estimate_policy_value(**base, **more))
    found.append({
        "replay": float(e.ReplayMethod().estimate_policy_value(**fixed)),
        "ips": value(e.InverseProbabilityWeighting()),
        "ips clipped at 2": value(e.InverseProbabilityWeighting(lambda_=2.0)),
        "snips": value(e.SelfNormalizedInverseProbabilityWeighting()),
        "sub-Gaussian .1": value(e.SubGaussianInverseProbabilityWeighting(lambda_=0.1)),
        "dm": float(e.DirectMethod().estimate_policy_value(action_dist=base["action_dist"], **q)),
        "dr": value(e.DoublyRobust(), **q),
        "dr clipped at 2": value(e.DoublyRobust(lambda_=2.0), **q),
        "sndr": value(e.SelfNormalizedDoublyRobust(), **q),
        "switch-dr at 2": value(e.SwitchDoublyRobust(lambda_=2.0), **q),
        "dros at 3": value(e.DoublyRobustWithShrinkage(lambda_=3.0), **q),
        "mse score, ips clipped at 2": float(e.InverseProbabilityWeighting(lambda_=2.0)._estimate_mse_score(
            **base, use_bias_upper_bound=True, delta=0.05)),
    })
print(json.dumps(found))
"""


def made(seed: int) -> dict[str, np.ndarray]:
    """Return a random log: propensities, a target, one that is certain, rewards and a model of them."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(50, 3000)), int(rng.integers(2, 12))
    p, pi = rng.dirichlet(np.full(k, 0.7), n), rng.dirichlet(np.full(k, 0.7), n)
    p = 0.9 * p + 0.1 / k
    arm = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    reward = (rng.random(n) < 0.5).astype(float) if seed % 2 else rng.normal(0.4, 0.3, n)
    fixed = np.eye(k)[rng.integers(0, k, n)]
    return {
        "arm": arm, "p": p[np.arange(n), arm], "pi": pi, "fixed": fixed, "reward": reward, "q": rng.random((n, k)),
    }  # fmt: skip


def ours(x: dict[str, np.ndarray]) -> dict[str, float]:
    """Return what this package makes of a log."""
    at = np.arange(len(x["arm"])), x["arm"]
    w, r, q, v = x["pi"][at] / x["p"], x["reward"], x["q"][at], ope.dm(x["pi"], x["q"])
    clipped = ope.ips(w, r, clip=2)
    values: dict[str, Any] = {
        "replay": ope.replay(x["fixed"][at], r), "ips": ope.ips(w, r), "ips clipped at 2": clipped,
        "snips": ope.snips(w, r), "sub-Gaussian .1": ope.subgaussian(w, r, shrink=0.1), "dm": v,
        "dr": ope.dr(w, r, q, v), "dr clipped at 2": ope.dr(w, r, q, v, clip=2), "sndr": ope.sndr(w, r, q, v),
        "switch-dr at 2": ope.switch_dr(w, r, q, v, threshold=2), "dros at 3": ope.dros(w, r, q, v, shrink=3),
        "mse score, ips clipped at 2": tuning.mse_score(clipped, w, np.minimum(w, 2), r),
    }  # fmt: skip
    return {name: float(np.mean(value)) for name, value in values.items()}


def environment(folder: Path, run: Callable[..., Any] = subprocess.run) -> Path | None:
    """Return the interpreter of an environment with the package in it; None where it cannot be installed."""
    python = folder / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    steps = (
        [sys.executable, "-m", "venv", str(folder / "env")],
        [*pip, *PACKAGES],
        [*pip, "--no-deps", "--ignore-requires-python", "obp==0.5.5"],
    )
    for step in steps:
        done = run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            print(f"Open Bandit Pipeline cannot be installed here, nothing was compared: {reason}")
            return None
    return python


def main() -> int:
    """Compare, print the largest difference of each estimator; 1 where one is beyond the tolerance."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = environment(folder)
        if python is None:
            return 0
        logs = [made(seed) for seed in range(LOGS)]
        places = [folder / f"{i}.npz" for i in range(LOGS)]
        for place, log in zip(places, logs, strict=True):
            np.savez(place, **log)
        done = subprocess.run(
            [str(python), "-c", THEIRS, *map(str, places)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"Open Bandit Pipeline's estimators did not run: {done.stderr.strip().splitlines()[-1]}")
            return 1
        theirs = json.loads(done.stdout)
    worst = {n: max(abs(ours(x)[n] - t[n]) for x, t in zip(logs, theirs, strict=True)) for n in theirs[0]}
    for estimator, apart in worst.items():
        print(f"{estimator}: largest difference over {LOGS} logs {apart:.1e}")
    return int(max(worst.values()) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())

"""Microseconds that an exported router takes for a decision: 10 models, 33 features, the median of 2,000 queries.

Run: python benchmarks/decision.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import bandits
import envs

QUERIES = 2000


def router(policy: str) -> bandits.serving.Router:
    """Return what a run of the command with this policy has learned, exported and loaded again."""
    simulate = [sys.executable, str(Path(__file__).resolve().parents[1] / "simulate.py")]
    with tempfile.TemporaryDirectory() as folder:
        ran = [
            "--policy",
            policy,
            "--stream",
            "ocr",
            "--seeds",
            "2",
            "--rounds",
            "500",
            "--out",
            f"{folder}/run",
        ]
        subprocess.run([*simulate, *ran], check=True, capture_output=True)
        exported = ["export", f"{folder}/run", "--policy", policy, "--out", f"{folder}/policy.npz"]
        subprocess.run([*simulate, *exported], check=True, capture_output=True)
        return bandits.load(f"{folder}/policy.npz")


def main() -> None:
    """Print one line a policy, as Markdown."""
    where = envs.load("ocr").outcomes
    print("| policy | microseconds a decision |\n|---|---|")
    for policy in ("linucb", "preference"):
        serving, taken = router(policy), []
        for text, image in zip(where.text[:QUERIES], where.image[:QUERIES], strict=True):
            begun = time.perf_counter()
            serving.choose(text, image)
            taken.append(time.perf_counter() - begun)
        print(f"| `{policy}` | {np.median(taken) * 1e6:.0f} |")


if __name__ == "__main__":
    main()

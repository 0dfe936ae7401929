"""Seconds that `ope` takes on a log of a million rows, and the most memory: python benchmarks/off_policy.py."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, MODELS, FEATURES = 1_000_000, 8, 8
SIMULATE = Path(__file__).resolve().parents[1] / "simulate.py"


def made(path: Path) -> None:
    """Write a uniform log whose utility depends on the context."""
    rng = np.random.default_rng(0)
    x, arm = rng.standard_normal((ROWS, FEATURES)).astype(np.float32), rng.integers(0, MODELS, ROWS)
    chance = 1 / (1 + np.exp(-x[np.arange(ROWS), arm % FEATURES]))
    columns = {f"x{i}": x[:, i] for i in range(FEATURES)}
    names = np.array([f"model-{k}" for k in range(MODELS)], object)
    frame = pd.DataFrame(
        {"model": names[arm], "utility": (rng.random(ROWS) < chance) * 1.0, "cost": 1.0 + arm}
    )
    pd.concat([frame.assign(propensity=1 / MODELS), pd.DataFrame(columns)], axis=1).to_parquet(path)


def main() -> None:
    """Make the log, value three targets on it, print seconds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.parquet"
        made(log)
        for policies in (("uniform", "always,model=model-0"), ("uniform", "linucb", "learned,objective=mtr")):
            asked = [word for spec in policies for word in ("--policy", spec)]
            started = time.perf_counter()
            subprocess.run([sys.executable, str(SIMULATE), "ope", str(log), *asked], check=True)
            seconds = time.perf_counter() - started
            most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
            print(f"{ROWS:,} rows, {', '.join(policies)}: {seconds:.1f} s, {most:.2f} GiB at most")


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    main()

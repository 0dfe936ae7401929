"""What `--dry-run` says a run takes of memory, beside what it takes: `python benchmarks/estimates.py [NAME ...]`.

Every run is `simulate.py` in a process of its own. Its growth is its peak resident memory less that of the same command
on 64 queries of three models with three features, which has loaded the same libraries and the same programs. Both are
run once before they are measured: to compile a program takes 100 MB more for a moment, the first time on a machine.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

SCRIPT = Path(__file__).resolve().parents[1] / "simulate.py"


class Shape(NamedTuple):
    """A table and what is played on it: `dim` features, the constant included; 0: from questions."""

    rows: int
    arms: int
    dim: int
    policies: tuple[str, ...] = ("linucb",)
    seeds: int = 20
    more: tuple[str, ...] = ()
    suffix: str = ".parquet"


SHAPES = {
    "K=100, d=64": Shape(20_000, 100, 64),
    "K=10, d=1536": Shape(4_000, 10, 1536, seeds=3),
    "K=500, ucb1": Shape(20_000, 500, 8, ("ucb1",)),
    "T=990,000, d=64": Shape(990_000, 10, 64, seeds=1),
    "60,000 x 44": Shape(60_000, 44, 0, ("linucb", "greedy", "ucb1")),
    "60,000 x 44, CSV": Shape(60_000, 44, 0, ("linucb", "greedy", "ucb1"), suffix=".csv"),
    "32 seeds": Shape(11_000, 10, 64, seeds=32),
    "hybrid": Shape(11_000, 10, 64, ("hybrid",)),
    "bootstrap": Shape(11_000, 10, 64, ("bootstrap",)),
    "averaged": Shape(11_000, 10, 64, ("averaged",)),
    "neuralucb": Shape(4_000, 10, 64, ("neuralucb",), seeds=8),
    "thompson": Shape(11_000, 10, 64, ("thompson",)),
    "hybrid, d=256": Shape(6_000, 10, 256, ("hybrid",), seeds=8),
    "neuralucb, d=256": Shape(2_000, 10, 256, ("neuralucb",), seeds=16),
    "neurallinear": Shape(2_000, 10, 256, ("neurallinear",), seeds=16),
    "dropout": Shape(2_000, 10, 256, ("dropout",), seeds=16),
    "barp": Shape(11_000, 50, 64, ("barp",)),
    "ids": Shape(6_000, 10, 64, ("ids",)),
    "feelgood": Shape(6_000, 10, 64, ("feelgood",)),
    "swlinucb": Shape(11_000, 10, 64, ("swlinucb",)),
    "glm": Shape(11_000, 10, 64, ("glm",)),
    "exp3, K=200": Shape(6_000, 200, 8, ("exp3",)),
    "corral": Shape(4_000, 10, 64, ("corral",), seeds=8),
    "linucb, delayed": Shape(6_000, 10, 64, more=("--delay", "500")),
    "three preferences": Shape(20_000, 20, 64, more=("--preference", "0,0.5,1")),
    "a price changes": Shape(11_000, 10, 64, seeds=5, more=("--change", "price,model=@best,at=.5,factor=.1")),
}
SMALL = Shape(64, 3, 3)


def main() -> None:
    """Print a line for each shape."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", help=f"of {', '.join(SHAPES)}")
    options.add_argument("--make", nargs=5, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.make:
        make(Path(given.make[0]), *map(int, given.make[1:]))
        return
    bare: dict[tuple[str, ...], float] = {}
    print(f"{'shape':20} {'libraries, MB':>14} {'growth, MB':>11} {'estimate, MB':>13} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.names or SHAPES:
            shape = SHAPES[name]
            kind = (*shape.policies, *shape.more, shape.suffix, str(shape.dim == 0))
            if kind not in bare:
                small = shape._replace(rows=64, arms=3, dim=3 if shape.dim else 0, seeds=1)
                run(Path(folder), small)  # compiles
                bare[kind] = run(Path(folder), small)[0]
            run(Path(folder), shape)  # compiles
            growth = run(Path(folder), shape)[0] - bare[kind]
            said = run(Path(folder), shape, "--dry-run")[1]
            print(
                f"{name:20} {bare[kind]:14,.0f} {growth:11,.0f} {said:13,.0f} {said / growth:6.2f}",
                flush=True,
            )


def run(folder: Path, shape: Shape, *more: str) -> tuple[float, float]:
    """Return the peak resident memory of a run, and what it says of memory (0 where nothing), in MiB."""
    path = folder / f"{shape.rows}x{shape.arms}x{shape.dim}{shape.suffix}"
    if not path.is_file():  # in a process of its own: a child's peak counts from its parent's size
        sizes = map(str, (shape.rows, shape.arms, shape.dim, 0))
        subprocess.run([sys.executable, __file__, "--make", str(path), *sizes], check=True)
    policies = [word for spec in shape.policies for word in ("--policy", spec)]
    sizes = ["--seeds", str(shape.seeds), "--dim", str(max(shape.dim - 1, 1) if shape.dim else 32)]
    words = ["--data", str(path), *policies, *sizes, *shape.more, "--out", str(folder / "run"), *more]
    process = subprocess.Popen([sys.executable, str(SCRIPT), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = re.search(r"^memory +about ([\d,]+) MiB", process.stdout.read(), re.M)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run of {shape} failed")
    return usage.ru_maxrss / 1024, float(said[1].replace(",", "")) if said else 0.0


def make(path: Path, rows: int, arms: int, dim: int, seed: int) -> None:
    """Write a table of this many rows: embeddings of `dim - 1` features, or questions alone."""
    sys.path.insert(0, str(SCRIPT.parent))
    from envs.outcomes import Outcomes
    from envs.tables import formats

    rng = np.random.default_rng(seed)
    words = np.array([f"word{i}" for i in range(3000)])
    asked = (
        [" ".join(words[rng.integers(0, len(words), 12)]) for _ in range(rows)] if not dim else [""] * rows
    )
    table = Outcomes(
        models=tuple(f"model{k}" for k in range(arms)),
        utility=rng.random((rows, arms)).round(3),
        cost=rng.random((rows, arms)).round(6),
        query_id=np.array([f"q{i:07d}" for i in range(rows)], object),
        dataset=np.array([f"set{i % 5}" for i in range(rows)], object),
        question=np.array(asked, object),
        text=rng.normal(size=(rows, dim - 1)).astype(np.float32) if dim else None,
    )
    formats.write(table, path)


if __name__ == "__main__":
    main()

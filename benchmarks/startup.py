"""How long a command takes to begin and to end, beside `python -c "import jax, numba"`, as ratios of CPU seconds.

    python benchmarks/startup.py [--repeats 5] [--first] [--root DIR]

Every run is a process of its own; user and system time of it and its children is what is compared, the least of some
repetitions, since a shared machine drifts and other work on it counts in wall time only. `--first` adds the first run
ever: an empty home and empty caches, against the warm one. `--root` measures another checkout beside this one.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a warm start reads compiled modules
HERE = Path(__file__).resolve().parents[1]
IMPORTS = ("-c", "import jax, numba")
RUN = ("simulate.py", "--policy", "linucb", "--stream", "vqa")
CACHES = ("ROUTEBANDIT_CACHE", "NUMBA_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME")


def spent(
    words: Sequence[str], root: Path, environment: Mapping[str, str] | None = None
) -> tuple[float, float]:
    """Return the CPU and the wall seconds of a Python process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=root, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def warm(root: Path, repeats: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Return the least CPU and wall seconds of what is asked in turn."""
    table = folder / "outcomes.csv"
    if not table.is_file():
        made(table)
    asked = {
        "import jax, numba": IMPORTS,
        "run": (*RUN, "--out", str(folder / "run")),
        "decide, 5,000 rows": ("simulate.py", "decide", str(table), "--out", str(folder / "decided")),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    for _ in range(repeats + 1):
        for name, words in asked.items():
            found[name].append(spent(words, root))
    return {name: (min(c for c, _ in each[1:]), min(w for _, w in each[1:])) for name, each in found.items()}


def first(root: Path, folder: Path) -> tuple[float, float]:
    """Return the CPU and the wall seconds of a run that finds nothing cached."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        kept = {name: value for name, value in os.environ.items() if name not in CACHES}
        own = {"HOME": home, "NUMBA_CACHE_DIR": f"{home}/numba", "PYTHONDONTWRITEBYTECODE": "1"}
        return spent((*RUN, "--out", f"{home}/run"), root, kept | own)


def made(path: Path) -> None:
    """Write a table of 5,000 rows and six models, with questions and costs; it is made up."""
    import numpy as np

    rng, rows, models = np.random.default_rng(0), 5_000, "abcdef"
    level = rng.uniform(0.4, 0.8, (20, len(models)))
    lines = [",".join(["query_id", "dataset", "question", *(f"{m}_score,{m}_cost" for m in models)])]
    for i in range(rows):
        right = rng.random(len(models)) < level[i % 20]
        cost = rng.lognormal(np.arange(len(models)) - 8, 0.3)
        cells = ",".join(f"{int(r)},{c:.6f}" for r, c in zip(right, cost, strict=True))
        lines.append(f"q{i},d{i % 20},what is asked about picture {i} of kind {i % 37}?,{cells}")
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Print a row for each command: CPU and wall seconds, and both against the imports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--root", type=Path, default=HERE)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = warm(asked.root, asked.repeats, Path(folder))
        print("| what | CPU, s | of the imports' | wall, s | of the imports' |\n|---|---|---|---|---|")
        base = found["import jax, numba"]
        for name, (cpu, wall) in found.items():
            print(f"| {name} | {cpu:.2f} | {cpu / base[0]:.2f} | {wall:.2f} | {wall / base[1]:.2f} |")
        if asked.first:
            cpu, wall = first(asked.root, Path(folder))
            own = found["run"]
            print(
                "\n| first run ever | CPU, s | of the warm run's | wall, s | of the warm run's |\n|---|---|---|---|---|"
            )
            print(f"| run | {cpu:.2f} | {cpu / own[0]:.2f} | {wall:.2f} | {wall / own[1]:.2f} |")


if __name__ == "__main__":
    main()

"""MMR-Bench's protocol on a large table: `python benchmarks/protocol.py --rows 60000 --models 44`.

The table is made up and has embeddings of its own. `simulate.py mmrbench` runs on it in a process of its own, once with
few queries, which compiles, and then `--repeats` times; the stages of the one that took the least processor time are
printed, with seconds by the clock and of the processor, and how much memory the process has had at most by then.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from reference import peak_memory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# What is timed: a module's function, and the row that its time is added to; where a router walks, the router's name.
STAGES = {
    ("envs.tables.formats", "read"): "reading",
    ("envs.tables.copies", "grouped"): "near copies",
    ("bandits.mmrbench.splits", "select"): "selecting",
    ("bandits.mmrbench.trial", "case"): "splitting",
    ("bandits.mmrbench.trial", "walk"): "training and asking",
    ("bandits.mmrbench.contest", "contest"): "contest with the best model",
    ("bandits.mmrbench.scores", "score"): "scores",
    ("bandits.mmrbench.resampling", "resampled"): "resamples",
}
COMPILED = 2_000  # queries of the run that compiles


def make(path: Path, rows: int, models: int, dim: int = 64) -> None:
    """Write a table whose embeddings tell something of who answers and of what that costs."""
    from envs.outcomes import Outcomes
    from envs.tables import formats

    rng = np.random.default_rng(0)
    text = rng.normal(size=(rows, dim)).astype(np.float32)
    chance = 1 / (1 + np.exp(-(text @ rng.normal(size=(dim, models)) / 8 + rng.normal(size=models))))
    price = np.exp(
        1.5 * rng.normal(size=models) - 7 + 0.4 * text[:, :1] + 0.2 * rng.normal(size=(rows, models))
    )
    table = Outcomes(
        models=tuple(f"model-{k:02d}" for k in range(models)),
        utility=(rng.random((rows, models)) < chance).astype(np.float64),
        cost=price.round(8),
        query_id=np.array([f"q{i}" for i in range(rows)], object),
        dataset=np.array([f"set{d:02d}" for d in rng.integers(0, 11, rows)], object),
    )
    formats.write(table, path)
    np.savez(path.with_suffix(".embeddings.npz"), text=text)


def timed(rows: dict[str, list[float]], function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a function that adds its seconds, by the clock and of the processor, to a row."""

    def run(*given: Any, **more: Any) -> Any:
        began, busy = time.perf_counter(), time.process_time()
        result = function(*given, **more)
        row = rows.setdefault(f"{name}: {given[0].spec}" if name.startswith("training") else name, [0, 0, 0])
        row[0] += time.perf_counter() - began
        row[1] += time.process_time() - busy
        row[2] = peak_memory()
        return result

    return run


def measured(arguments: list[str]) -> None:
    """Run the command and print the stages as JSON."""
    import simulate

    rows: dict[str, list[float]] = {}
    for (module, name), row in STAGES.items():
        held = importlib.import_module(module)
        setattr(held, name, timed(rows, getattr(held, name), row))
    sys.argv = ["simulate.py", "mmrbench", *arguments]
    began = time.perf_counter()
    try:
        simulate.main()
    except SystemExit as ended:
        if ended.code:
            raise
    whole = [time.perf_counter() - began, time.process_time(), peak_memory()]
    known = np.sum(list(rows.values()), axis=0)[:2]
    print(json.dumps(rows | {"the rest, imports too": [*(whole[:2] - known), whole[2]], "in all": whole}))


def main() -> None:
    """Print a row for each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000, help="queries, of which a fifth trains")
    parser.add_argument("--models", type=int, default=44)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--router", action="append", help="repeatable; knn and linearmf unless given")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measured(asked.one)
        return
    more = [f"--resamples={asked.resamples}", *(f"--router={r}" for r in asked.router or ("knn", "linearmf"))]
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for rows in (COMPILED, *[asked.rows] * asked.repeats):
            path = Path(folder) / f"{rows}.parquet"
            if not path.exists():
                make(path, rows, asked.models)
            out = Path(folder) / "rows.csv"
            command = [
                sys.executable,
                __file__,
                "--one",
                "--data",
                str(path),
                "--mode=11",
                *more,
                f"--out={out}",
            ]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            found.append(json.loads(said.splitlines()[-1]))
        least = min(found[1:], key=lambda rows: rows["in all"][1])
    print("| stage | s | processor s | peak MB |\n|---|---|---|---|")
    for name, (clock, busy, memory) in least.items():
        print(f"| {name} | {clock:.2f} | {busy:.2f} | {memory:,.0f} |")


if __name__ == "__main__":
    main()

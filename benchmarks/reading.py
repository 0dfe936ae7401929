"""Time and memory of reading a million rows of CSV, beside pyarrow's own reader; each in a process of its own.

`many models` is a table of 60,000 queries (of `--rows` a share) and 44 models, MMR-Bench's shape. Seconds are the least
of some runs, by the clock and of the processor; the two readers take turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from reference import peak_memory

KINDS = ("wide", "long", "routerbench", "many models")
MODELS, SHARE, REPEATS = 44, 0.06, 3  # of `many models`: its rows are fewer


def make(path: Path, kind: str, rows: int) -> None:
    """Write a table of this many rows."""
    rng = np.random.default_rng(0)
    if kind == "many models":
        many(path, int(rows * SHARE), rng)
        return
    score, cost = rng.random((rows, 2)).round(2), rng.random((rows, 2)).round(6)
    stems = [
        f"q{i:07d},dataset{i % 20},what is the answer to question number {i} of them all?"
        for i in range(rows)
    ]
    if kind == "long":
        lines = [f"{stems[i // 2]},model{i % 2},{score[i, 0]},{cost[i, 0]}" for i in range(rows)]
        head = "query_id,dataset,question,model,score,cost_usd"
    else:
        lines = [f"{s},{a[0]},{a[1]},{c[0]},{c[1]}" for s, a, c in zip(stems, score, cost, strict=True)]
        head = "query_id,dataset,question,a_score,b_score,a_cost,b_cost"
        if kind == "routerbench":
            head = "sample_id,eval_name,prompt,a,b,a|total_cost,b|total_cost"
    path.write_text("\n".join([head, *lines]))


def many(path: Path, rows: int, rng: np.random.Generator) -> None:
    """Write a table of many models."""
    columns = [f"model{k}_{field}" for field in ("score", "cost") for k in range(MODELS)]
    head = ["query_id", "dataset", "question", *columns]
    cells = np.hstack([rng.random((rows, MODELS)).round(3), rng.random((rows, MODELS)).round(6)]).tolist()
    with path.open("w") as file:
        file.write(",".join(head) + "\n")
        for i, own in enumerate(cells):
            question = f"what is the answer to question number {i} of them all?"
            file.write(f"q{i:07d},dataset{i % 11},{question},{','.join(map(str, own))}\n")


def measured(path: str, reader: str) -> None:
    """Read once and print the seconds and the bytes that the process grew by at its peak."""
    import pandas  # noqa: F401  (with Arrow's functions, what a run loads anyway: loading is no part of reading)
    import pyarrow.compute
    import pyarrow.csv

    from envs.tables import formats

    before = peak_memory()
    began, busy = time.perf_counter(), time.process_time()
    held = pyarrow.csv.read_csv(path) if reader == "pyarrow" else formats.read(path)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    print(seconds, busy, (peak_memory() - before) * 2**20, len(held))


def main() -> None:
    """Print a line for each kind: both times, their ratio, and memory in sizes of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", action="append", choices=KINDS, help="repeatable; all unless given")
    parser.add_argument("--one", nargs=2, metavar=("PATH", "READER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measured(*asked.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.kind or KINDS:
            path = Path(folder) / f"{kind}.csv"
            make(path, kind, asked.rows)
            found: dict[str, list[list[float]]] = {"pyarrow": [], "routebandit": []}
            for _ in range(REPEATS):
                for reader, runs in found.items():
                    command = [sys.executable, __file__, "--one", str(path), reader]
                    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
                    runs.append([float(number) for number in said[:3]])
            least = {reader: np.min(runs, axis=0) for reader, runs in found.items()}
            (theirs, own, _), (ours, busy, grown) = least["pyarrow"], least["routebandit"]
            print(
                f"{kind}: pyarrow {theirs:.2f} s ({own:.2f} of the processor), ours {ours:.2f} s ({busy:.2f});"
                f" {ours / theirs:.1f} x ({busy / own:.1f} x), {grown / path.stat().st_size:.1f} x the file",
                flush=True,
            )


if __name__ == "__main__":
    main()

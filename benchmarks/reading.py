"""Time and memory of reading a million rows of CSV, beside pyarrow's own reader; each in a process of its own."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KINDS = ("wide", "long", "routerbench")


def make(path: Path, kind: str, rows: int) -> None:
    """Write a table of this many rows."""
    rng = np.random.default_rng(0)
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


def measured(path: str, reader: str) -> None:
    """Read once and print the seconds and the bytes that the process grew by at its peak."""
    import pyarrow.csv

    from envs.tables import formats

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    held = pyarrow.csv.read_csv(path) if reader == "pyarrow" else formats.read(path)
    seconds = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(seconds, grown * 1024, len(held))


def main() -> None:
    """Print a line for each kind: both times, their ratio, and memory in sizes of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=2, metavar=("PATH", "READER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measured(*asked.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = Path(folder) / f"{kind}.csv"
            make(path, kind, asked.rows)
            found = {}
            for reader in ("pyarrow", "routebandit"):
                command = [sys.executable, __file__, "--one", str(path), reader]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
                found[reader] = (float(said[0]), float(said[1]) / path.stat().st_size)
            (theirs, _), (ours, memory) = found["pyarrow"], found["routebandit"]
            print(
                f"{kind}: pyarrow {theirs:.2f} s, ours {ours:.2f} s ({ours / theirs:.1f} x), {memory:.1f} x the file"
            )


if __name__ == "__main__":
    main()

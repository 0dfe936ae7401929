"""Peak memory and rates of streamed runs: `python benchmarks/memory.py [--rounds 1000000,10000000] [--dir DIR]`.

LinUCB, one seed, ten models, contexts of length 32, on streams from `make-stream` (calibrated twin). Every run is a
process of its own; beside it stands the rate of the same policy on the stream's first 11,000 rows in memory, timed in
the same process just before. Absolute times drift with the machine; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CONTEXT = {"modality": "both", "fusion": "concat", "dim": 32, "whiten": False}
IN_MEMORY, REPEATS = 11_000, 7


def main() -> None:
    """Make the streams that are not there yet, run them, print a line each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", default="1000000,10000000")
    options.add_argument("--dir", default=None, help="Where streams are kept; a temporary folder otherwise.")
    options.add_argument("--child", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        child(Path(given.child))
        return
    with tempfile.TemporaryDirectory() as temporary:
        print("rounds      file MB  make s  peak MB   run s  loop rounds/s  in memory rounds/s  ratio")
        for rounds in map(int, given.rounds.split(",")):
            path = Path(given.dir or temporary) / f"stream-{rounds}.parquet"
            began = time.perf_counter()
            if not path.is_file():
                script = Path(__file__).resolve().parents[1] / "simulate.py"
                words = ["make-stream", "--rounds", str(rounds), "--out", str(path)]
                subprocess.run([sys.executable, str(script), *words], check=True, capture_output=True)
            made = time.perf_counter() - began
            said, peak = measured(path)
            print(
                f"{rounds:<10,} {path.stat().st_size / 1e6:8,.0f} {made:7.0f} {peak:8,.0f} {said['run']:7.1f}"
                f" {said['loop']:14,.0f} {said['memory']:19,.0f} {said['loop'] / said['memory']:6.2f}",
                flush=True,
            )


def measured(path: Path) -> tuple[dict[str, float], float]:
    """Return what a child said, and its peak resident memory in MiB."""
    here = Path(__file__).resolve()
    process = subprocess.Popen([sys.executable, str(here), "--child", str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run on {path} failed")
    return json.loads(said), usage.ru_maxrss / 1024  # KiB on Linux


def child(path: Path) -> None:
    """Run the stream, print seconds and rates as JSON."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import bandits
    from bandits.experiment import ask as asks
    from bandits.publish import streamed
    from envs.windows import survey

    began = time.perf_counter()
    table = survey.opened(path, **CONTEXT)
    rate = in_memory(table, bandits)
    marks: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        again = time.perf_counter()
        streamed.run(
            table,
            asks.Ask(("linucb",), seeds=1),
            Path(place) / "run",
            {"command": "", "context": CONTEXT},
            progress=lambda rounds: marks.append((time.perf_counter(), rounds)),
        )
        run = time.perf_counter() - again
    # The first chunk compiles; what comes after it is the loop.
    loop = sum(rounds for _, rounds in marks[2:]) / (marks[-1][0] - marks[1][0])
    print(json.dumps({"run": run, "loop": loop, "memory": rate, "whole": time.perf_counter() - began}))


def in_memory(table, bandits) -> float:
    """Return rounds a second of the loop in memory on the first rows of the table, the median of some."""
    from envs.outcomes import Outcomes
    from envs.stream import Stream

    piece = next(table.pieces())
    n = min(IN_MEMORY, len(piece))
    outcomes = Outcomes(
        models=table.models,
        utility=piece.utility[:n],
        cost=piece.cost[:n],
        query_id=np.arange(n).astype(str).astype(object),
        price=table.price,
    )
    stream = Stream("first rows", outcomes, piece.context[:n], unit=table.cost_scale)
    policy = bandits.linucb(stream.n_arms, stream.dim)
    rewards = bandits.reward_table(bandits.rewards.linear, stream)
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        bandits.replay(policy, stream, rewards, seeds=1)
        seconds.append(time.perf_counter() - began)
    return n / float(np.median(seconds[1:]))


if __name__ == "__main__":
    main()

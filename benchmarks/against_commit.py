"""Whether plain runs are as fast as at an earlier commit: both checkouts in turn, and the ratio of their medians.

`python benchmarks/against_commit.py COMMIT [REPEATS]`, by default 15 pairs. Each repeat times plain LinUCB on the
twin's `all` (10,370 rounds, 10 models, 33 features), with one seed and with 8, in a process of each checkout that
stays warm; the two take turns, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
TIMED = """
import sys, time
import bandits, envs
stream = envs.load("all")
policy = bandits.linucb(stream.n_arms, stream.dim)
table = bandits.reward_table(bandits.rewards.linear, stream)
def run(seeds):
    begun = time.perf_counter()
    bandits.replay(policy, stream, table, seeds=seeds)
    return time.perf_counter() - begun
for seeds in (1, 8):
    run(seeds)
print("ready", flush=True)
for line in sys.stdin:
    print(run(int(line)), flush=True)
"""


def started(folder: Path) -> subprocess.Popen[str]:
    """Return a warm process of a checkout, which times a run for each number of seeds that it is told."""
    process = subprocess.Popen(
        [sys.executable, "-c", TIMED], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if said(process) != "ready":
        raise SystemExit(f"{folder} could not be timed")
    return process


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line of a process."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def timed(process: subprocess.Popen[str], seeds: int) -> float:
    """Return the seconds of one run."""
    assert process.stdin is not None
    print(seeds, file=process.stdin, flush=True)
    return float(said(process))


def main(commit: str, repeats: int = 15) -> None:
    """Print seconds before and now, the ratio of medians and the quartiles of the paired ratios."""
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        git = ["git", "-C", str(HERE), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(before), commit], check=True)
        try:
            processes = [started(before), started(HERE)]
            for seeds in (1, 8):
                seconds = np.array([[timed(p, seeds) for p in processes] for _ in range(repeats)])
                old, new = np.median(seconds, axis=0)
                low, high = np.quantile(seconds[:, 1] / seconds[:, 0], (0.25, 0.75))
                best = seconds.min(axis=0)
                print(
                    f"{seeds} seeds: {old:.4f} s before, {new:.4f} s now, ratio {new / old:.3f}, paired ratios"
                    f" {low:.3f} to {high:.3f} (quartiles), of the fastest {best[1] / best[0]:.3f}"
                )
            for process in processes:
                process.kill()
                process.wait()
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("repeats", nargs="?", type=int, default=15)
    main(**vars(parser.parse_args()))

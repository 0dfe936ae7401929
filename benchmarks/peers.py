"""LinUCB beside what other libraries offer, round by round on the same streams: `make bench-peers`.

    python benchmarks/peers.py [LIBRARY ...] [--rounds 11000] [--python .venv-peers/bin/python]

K=10, d=64, rewards 0/1, the model heard after every round. Three streams: the speed is the median over them, with
everything on one core; rewards are means a round over the same rounds of all three, so differences are paired. A peer
runs in the peers' own interpreter (`adapters.py`); ours is timed again beside each, since a shared machine drifts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from adapters import LIBRARIES
from reference import numpy_linucb, seconds, stream

from bandits import linucb, replay, reward_table, rewards

ROOT = Path(__file__).resolve().parents[1]
ARMS, DIM, STREAMS = 10, 64, 3
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Given(NamedTuple):
    """What everybody plays: `R` streams, and their contexts `(R, T, d)` and rewards `(R, T, K)`."""

    streams: list[Any]
    context: NDArray[np.float32]
    table: NDArray[np.float64]

    def reached(self, arms: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the `(R, T')` rewards of the `(R, T')` arms called in the first rounds."""
        table = self.table[:, : arms.shape[1]]
        reached: NDArray[np.float64] = np.take_along_axis(table, arms[:, :, None], axis=2)[:, :, 0]
        return reached


def given(rounds: int, dim: int = DIM, arms: int = ARMS) -> Given:
    """Return the streams of the benchmark; the reward is the utility, 0 or 1."""
    streams = [stream(rounds, dim, arms, seed) for seed in range(STREAMS)]
    tables = [reward_table(rewards.accuracy, one) for one in streams]
    return Given(streams, np.stack([one.context for one in streams]), np.stack(tables))


def ours(met: Given, policy: Any, which: int = 0) -> NDArray[np.int32]:
    """Return the `(T,)` arms that a policy of ours calls on a stream in its own order."""
    arms: NDArray[np.int32] = replay(
        policy, met.streams[which], met.table[which], seeds=1, order="given"
    ).arms[0]
    return arms


def peer(python: Path, library: str, met: Given, rounds: int) -> tuple[NDArray[np.int32], float, str]:
    """Return the `(R, rounds)` arms that a library calls, its rounds a second and its version.

    Raises:
        RuntimeError: the library is not there or fails; the message is the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams, out = Path(folder, "streams.npz"), Path(folder, "out.npz")
        np.savez(streams, context=met.context[:, :rounds], table=met.table[:, :rounds])
        command = [python, ROOT / "benchmarks" / "adapters.py", streams, library, out]
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
        with np.load(out) as said:
            return said["arms"], rounds / float(np.median(said["seconds"])), str(said["version"])


def rows(met: Given, libraries: list[str], python: Path) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row as they are measured: ours, NumPy, then the libraries."""
    policy, every = linucb(ARMS, DIM, alpha=1.0, ridge=1.0), met.table.shape[1]
    own = met.reached(np.stack([ours(met, policy, r) for r in range(STREAMS)]))
    numpy = met.reached(np.stack([numpy_linucb(x, t) for x, t in zip(met.context, met.table, strict=True)]))

    def cells(what: str, rounds: int, rate: float | None, reward: Any) -> tuple[str, ...]:
        beside = every / seconds(
            ours, met, policy, repeats=21
        )  # a peer takes seconds, one of ours hundredths
        rate = rate or beside
        gaps = own[:, :rounds].mean(axis=1) - reward.mean(axis=1)
        paired = f"{gaps.mean():+.4f} ({gaps.min():+.4f} to {gaps.max():+.4f})"
        means = (f"{x.mean():.4f}" for x in (reward, own[:, :rounds], numpy[:, :rounds]))
        return what, f"{rounds:,}", f"{rate:,.0f}", f"{beside:,.0f}", f"{beside / rate:.1f}", *means, paired

    yield cells("routebandit: linucb", every, None, own)
    plain = every / seconds(numpy_linucb, met.context[0], met.table[0], repeats=5)
    yield cells("NumPy, Sherman-Morrison in float32", every, plain, numpy)
    for name in libraries:
        library = LIBRARIES[name]
        rounds, what = min(every, library.rounds), (library.build.__doc__ or "").strip()
        try:
            arms, rate, version = peer(python, name, met, rounds)
        except RuntimeError as error:
            said = str(error).replace("|", "/")[:100]
            yield f"{library.title}: {what}", f"did not run: {said}", *[""] * 7
            continue
        yield cells(f"{library.title} {version}: {what}", rounds, rate, met.reached(arms))


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(LIBRARIES)}; default all"
    )
    parser.add_argument(
        "--rounds", type=int, default=11_000, help="of each stream; slow libraries play fewer"
    )
    parser.add_argument("--python", type=Path, default=ROOT / ".venv-peers" / "bin" / "python")
    asked = parser.parse_args()
    if unknown := set(asked.libraries) - set(LIBRARIES):
        parser.error(f"LIBRARY needs to be of {', '.join(LIBRARIES)}, got {', '.join(sorted(unknown))}")
    if not asked.python.exists():
        parser.error(f"--python: no {asked.python}; `make bench-peers` makes the peers' environment")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core for everybody, those we start included
    met = given(asked.rounds)
    print(
        "| what | rounds | rounds a second | ours beside it | ours / it | reward | ours | NumPy | ours - it |"
    )
    print(f"|{'---|' * 9}")
    with threadpool_limits(1, user_api="blas"):
        for row in rows(met, asked.libraries or list(LIBRARIES), asked.python):
            print(f"| {' | '.join(row)} |", flush=True)
    fixed, best = met.table.mean(axis=1).max(axis=1).mean(), met.table.max(axis=2).mean()
    print(
        f"\nReward a round on the first `rounds` of three streams; `ours - it`: mean and range. On all {asked.rounds:,}"
    )
    print(
        f"rounds: at random {met.table.mean():.4f}, best fixed model {fixed:.4f}, best of each round {best:.4f}."
    )


if __name__ == "__main__":
    main()

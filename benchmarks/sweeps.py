"""What a sweep on a Dask cluster costs beside its work: `python benchmarks/sweeps.py [--jobs 2000] [--workers 4]`.

A local cluster plays many short jobs, each another `linucb` on a file of made-up outcomes. CPU seconds of scheduler and
workers, less those of the same jobs played one after the other by one process, are the overhead; wall time is printed
beside it. Half-way a worker is killed: how many jobs are lost, and how many are computed again, is counted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

GRID = """
streams = ["{table}"]
seeds = 2
rounds = 200
policies = [{{name = "linucb", alpha = [{alphas}]}}]
"""
ALONE = 50  # jobs that one process plays, to know what the work is


def asked(folder: Path, jobs: int) -> tuple[list[Any], dict[str, Any]]:
    """Return the jobs of a sweep over so many settings, and their streams."""
    from startup import made

    from bandits.sweeps import plan

    table, grid = folder / "outcomes.csv", folder / "grid.toml"
    made(table)
    grid.write_text(GRID.format(table=table, alphas=", ".join(f"{0.1 + i / 1000:.3f}" for i in range(jobs))))
    began = time.process_time()
    streams: dict[str, Any] = {}
    found = plan.jobs(grid, streams=streams)
    print(f"{len(found):,} jobs planned in {time.process_time() - began:.1f} CPU s")
    return found, streams


def clock() -> float:
    """Return the CPU seconds of the process that it is called in."""
    return time.process_time()


def main() -> None:
    """Print one row: CPU a job, of which work and overhead, and what a killed worker costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    from distributed import Client, LocalCluster

    from bandits.sweeps import engines
    from bandits.sweeps.job import Job
    from commands.sweep import work

    with tempfile.TemporaryDirectory() as place:
        planned, streams = asked(Path(place), given.jobs)
        jobs = {job.digest: tuple(job) for job in planned}
        own_dask = partial(engines.dask, work, streams=streams, home=lambda job: Job(*job).home)
        names = list(jobs)
        work(names[0], jobs[names[0]])  # loads and compiles
        began = clock()
        for name in names[:ALONE]:
            assert not work(name, jobs[name])[2]
        alone = (clock() - began) / len(names[:ALONE])
        with LocalCluster(n_workers=given.workers, threads_per_worker=1, dashboard_address=None) as cluster:
            address = cluster.scheduler_address
            with Client(address) as client:
                first = {f"warm {i}": jobs[names[0]] for i in range(4 * given.workers)}
                list(own_dask(first, address=address))
                before, own, began = sum(client.run(clock).values()), clock(), time.perf_counter()
                done = list(own_dask(jobs, address=address))
                wall = time.perf_counter() - began
                spent = sum(client.run(clock).values()) - before + clock() - own
                failed = sum(bool(error) for _, _, error in done)
                some = {n: jobs[n] for n in names[: given.jobs // 4]}
                lost, again = killed(client, partial(own_dask, some, address=address))
    each = spent / len(jobs)
    print(
        "| jobs | workers | CPU a job, ms | work, ms | overhead, ms | wall a job, ms | failed | lost by a kill |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {len(jobs):,} | {given.workers} | {1e3 * each:.1f} | {1e3 * alone:.1f} | {1e3 * (each - alone):.1f} |"
        f" {1e3 * wall / len(jobs):.1f} | {failed} | {lost} of {again} |"
    )


def killed(client: Any, play: Callable[[], Iterator[Any]]) -> tuple[int, int]:
    """Return how many jobs failed when a worker was killed early on, and how many there were."""
    failed, count = 0, 0
    victim = next(iter(client.run(os.getpid).values()))
    for count, (_, _, error) in enumerate(play(), 1):
        failed += bool(error)
        if count == 20:
            os.kill(victim, signal.SIGKILL)
    return failed, count


if __name__ == "__main__":
    main()

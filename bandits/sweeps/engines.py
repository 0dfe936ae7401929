"""Where jobs are computed: joblib's processes on this machine, or the workers of a Dask cluster.

Both survive a killed worker. Dask gives what it was doing to another. joblib's pool breaks as a whole, so a new one
takes what is left, what was under way last: a job that kills its worker does not keep the others from being done.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Any

_DEATHS = 3  # workers lost in a row, without a job done in between, before what is left is given up
_WAIT = 30.0  # seconds for a scheduler and a first worker to answer

Done = tuple[str, str, str]  # a job's name, its result or "", and what went wrong or ""
Work = Callable[[str, Any], Done]


def local(work: Work, jobs: Mapping[str, Any], *, workers: int = -1) -> Iterator[Done]:
    """Yield what comes of each job, in the order in which they end, from processes of this machine.

    Args:
        work: `(name, job) -> (name, result, error)`, importable; it raises nothing.
        jobs: by name.
        workers: processes, -1: one for each core. Each has one thread for its linear algebra.
    """
    from joblib import Parallel, delayed, effective_n_jobs, parallel_config

    # loky replaces a worker that has grown by 300 MB and warns of it; nothing is lost by that.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
    at_once = effective_n_jobs(workers)
    # A pool of one would be this process itself: then it is one of two that gets a job, the other waits.
    ahead = 1 if at_once == 1 else 2 * at_once
    left, deaths, why = dict(jobs), 0, ""
    while left and deaths < _DEATHS:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            pool = Parallel(
                max(2, at_once), pre_dispatch=ahead, return_as="generator_unordered", batch_size=1
            )
            try:
                with closing(pool(delayed(work)(name, job) for name, job in list(left.items()))) as ended:
                    for done in ended:
                        deaths = 0
                        del left[done[0]]
                        yield done
            except BrokenProcessPool as error:
                deaths, why = deaths + 1, str(error).partition(". ")[0]
                under_way = list(left)[:at_once]
                left = {name: left[name] for name in [*list(left)[len(under_way) :], *under_way]}
    for name in left:
        yield name, "", f"gave up after {_DEATHS} lost workers: {why}"


def dask(work: Work, jobs: Mapping[str, Any], *, address: str) -> Iterator[Done]:
    """Yield what comes of each job, in the order in which they end, from the workers of a Dask cluster.

    Args:
        work, jobs: as for `local`; the workers need to be able to import `work`.
        address: of the scheduler, `tcp://host:port`.

    Raises:
        ValueError: `distributed` is not installed, or no scheduler or no worker answers.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ValueError("--engine dask needs distributed: pip install 'routebandit[cluster]'") from None
    try:
        client = Client(address, timeout=_WAIT)
    except (OSError, ValueError) as error:
        raise ValueError(f"--address {address}: no Dask scheduler answers: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_WAIT)
        except TimeoutError:
            raise ValueError(
                f"--address {address}: the scheduler has no workers; start one by `dask worker {address}`"
            ) from None
        names = {client.submit(work, name, job, pure=False): name for name, job in jobs.items()}
        for future in as_completed(list(names)):
            lost = future.exception()
            why = " ".join(f"{type(lost).__name__}: {lost}".split())
            yield (names[future], "", why) if lost else future.result()
            future.release()

"""Where jobs are computed: joblib's processes on this machine, or the workers of a Dask cluster.

Both survive a killed worker. Dask gives what it was doing to another. joblib's pool breaks as a whole and a new one
takes what is left, except what was under way: that comes last and alone, so that a job that kills its worker is found
out and nothing else is lost with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from types import MappingProxyType
from typing import Any

_TRIES = 2  # of a job alone in its pool, after it was under way when another broke
_WAIT = 30.0  # seconds for a scheduler and a first worker to answer

Done = tuple[str, str, str]  # a job's name, its result or "", and what went wrong or ""
Work = Callable[..., Done]


def local(work: Work, jobs: Mapping[str, Any], *, workers: int = -1) -> Iterator[Done]:
    """Yield what comes of each job, in the order in which they end, from processes of this machine.

    Args:
        work: `(name, job) -> (name, result, error)`, importable; it raises nothing.
        jobs: by name.
        workers: processes, -1: one for each core. Each has one thread for its linear algebra.
    """
    from joblib import effective_n_jobs

    # loky replaces a worker that has grown by 300 MB and warns of it; nothing is lost by that.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
    at_once = effective_n_jobs(workers)
    left, suspects = dict(jobs), dict[str, Any]()
    while left:
        try:
            for done in _pool(work, left, at_once):
                del left[done[0]]
                yield done
        except BrokenProcessPool:
            suspects |= {name: left.pop(name) for name in list(left)[:at_once]}
    for name, job in suspects.items():
        yield _alone(work, name, job)


def _alone(work: Work, name: str, job: Callable[..., Any]) -> Done:
    why = ""
    for _ in range(_TRIES):
        try:
            (done,) = _pool(work, {name: job}, 1)
            return done
        except BrokenProcessPool as error:
            why = " ".join(str(error).split(". ")[0].split())
    return name, "", why


def _pool(work: Work, jobs: Mapping[str, Any], at_once: int) -> Iterator[Done]:
    """Yield what comes of the jobs from one pool.

    Raises:
        BrokenProcessPool: a worker was killed.
    """
    from joblib import Parallel, delayed, parallel_config

    # A stop cancels what is under way: that it does is no news, and its advice is for another kind of loop.
    warnings.filterwarnings("ignore", message=r"\d+ tasks (which|have)", module="joblib")
    with parallel_config(backend="loky", inner_max_num_threads=1):
        # A pool of one would be this process itself: then it is one of two that gets a job, the other waits.
        ahead = 1 if at_once == 1 else 2 * at_once
        pool = Parallel(max(2, at_once), pre_dispatch=ahead, return_as="generator_unordered", batch_size=1)
        with closing(pool(delayed(work)(name, job) for name, job in list(jobs.items()))) as ended:
            yield from ended


def dask(
    work: Work,
    jobs: Mapping[str, Any],
    *,
    address: str,
    streams: Mapping[str, Any] = MappingProxyType({}),
    home: Callable[[Any], str] = str,
) -> Iterator[Done]:
    """Yield what comes of each job, in the order in which they end, from the workers of a Dask cluster.

    Args:
        work, jobs: as for `local`; the workers need to be able to import `work`.
        address: of the scheduler, `tcp://host:port`.
        streams: what jobs share, by name; each worker is sent it once, and `work` gets it as a third argument.
        home: the name of what a job shares.

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
        sent = {name: client.scatter(stream, broadcast=True) for name, stream in streams.items()}
        names = {
            client.submit(work, name, job, *([sent[home(job)]] if sent else []), pure=False): name
            for name, job in jobs.items()
        }
        for future in as_completed(list(names)):
            lost = future.exception()
            why = " ".join(f"{type(lost).__name__}: {lost}".split())
            yield (names[future], "", why) if lost else future.result()
            future.release()

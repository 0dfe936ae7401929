"""What speed is measured against: LinUCB in NumPy with Sherman-Morrison, a stream to run it on, the machine's peak."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from envs.outcomes import Outcomes
from envs.stream import Stream

Floats = NDArray[np.floating[Any]]


def stream(rounds: int, dim: int, arms: int, seed: int = 0) -> Stream:
    """Return a stream of `rounds` queries: unit-norm contexts with a constant, 0/1 utilities linear in them."""
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(rounds, dim)).astype(np.float32)
    context /= np.linalg.norm(context[:, :-1], axis=1, keepdims=True)
    context[:, -1] = 1.0
    chance = 0.5 + context[:, :-1] @ rng.normal(size=(dim - 1, arms)) * 0.25
    outcomes = Outcomes(
        models=tuple(f"m{k}" for k in range(arms)),
        utility=(rng.random((rounds, arms)) < chance).astype(float),
        cost=rng.lognormal(size=(rounds, arms)),
        query_id=np.arange(rounds).astype(str).astype(object),
        cost_unit="made up",
    )
    return Stream("benchmark", outcomes, context)


def numpy_linucb(
    context: Floats, table: Floats, alpha: float = 1.0, dtype: DTypeLike = np.float32
) -> NDArray[np.int32]:
    """Return the arms that LinUCB calls, one round after the other: what a careful user writes without a compiler."""
    x, r = np.ascontiguousarray(context, dtype), np.asarray(table, dtype)
    (rounds, dim), arms = x.shape, r.shape[1]
    inverse, weight = np.repeat(np.eye(dim, dtype=dtype)[None], arms, axis=0), np.zeros((arms, dim), dtype)
    called = np.empty(rounds, np.int32)
    for t in range(rounds):
        along = inverse @ x[t]
        index = weight @ x[t] + alpha * np.sqrt(along @ x[t])
        best = index.max()
        k = called[t] = int((index >= best - 1e-5 * abs(best)).argmax())
        gain = along[k] / (1.0 + along[k] @ x[t])
        inverse[k] -= np.outer(gain, along[k])
        weight[k] += (r[t, k] - weight[k] @ x[t]) * gain
    return called


def seconds(work: Callable[..., object], *given: Any, repeats: int = 3) -> float:
    """Return the median time of some work; it is done once before, so that nothing compiles while it is measured."""
    work(*given)
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work(*given)
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def least(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the least processor time of some work, which other programs disturb less than the clock."""
    work()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def peak_memory() -> float:
    """Return the peak memory of this process in MB: Linux's, of the program itself (`ru_maxrss` knows its parent's)."""
    said = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(said.split()[0]) / 1024


def sgemm_peak(size: int = 2048) -> float:
    """Return floating-point operations a second of a large single-precision matrix product, in the threads allowed."""
    a = np.random.default_rng(0).random((size, size), np.float32)
    taken = []
    for _ in range(7):
        begun = time.perf_counter()
        a @ a
        taken.append(time.perf_counter() - begun)
    return 2 * size**3 / min(taken)

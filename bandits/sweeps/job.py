"""A job: one policy on one stream for one reward, with all its preferences, budgets and seeds; and its result file.

A result is determined by its job, so its file is named by the sha256 of all that determines it and never written
twice: a sweep that was stopped goes on where it was, and two sweeps share what both need.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bandits
import envs
from bandits import rows as tables
from bandits.base import RESOURCES
from bandits.experiment import ask as runs
from bandits.experiment import several
from bandits.experiment.play import finish
from bandits.folders import write as artefacts
from bandits.late import jax
from bandits.metrics.intervals import clustered
from bandits.metrics.regret import BASELINES, comparator, earned_by, played, rewards
from bandits.results import withheld
from bandits.results.by_query import clusters
from envs import selection

if TYPE_CHECKING:
    from envs.stream import Stream

OWN = re.compile(r"[^\s,()]+\.py(?=:)")  # a user's own file in a spec
CONTEXT = (
    "modality",
    "fusion",
    "dim",
    "whiten",
    "context",
)  # arguments of `envs.load` that leave the table as it is
PATHS = ("name", "data", "prices")  # those that can be paths
_HEARD = (
    "calls",
    "deliver",
    "judge",
    "judge_column",
    "judge_cost",
    "within_query",
    "parallel",
    "abstain",
    "seed",
)  # of an ask, what is heard of a query's calls goes by
_KEPT = 16  # jobs after which compiled programs are dropped: each policy leaves some MB
_begun = itertools.count(1)
_last: list[Any] = []  # a stream and its sha256


class Job(NamedTuple):
    """What to compute, complete and in plain values, so that any process on any machine can.

    Attributes:
        ask: the fields of an `Ask` of a single policy; a user's own files by their absolute paths.
        load: keyword arguments of `envs.load`, paths absolute too.
        stream: what people call the table and the rows of it that are asked.
        known: all that determines the result; its sha256 names the file.
    """

    ask: dict[str, Any]
    load: dict[str, Any]
    stream: str
    known: dict[str, Any]

    @property
    def digest(self) -> str:
        """The sha256 of all that determines the result."""
        return hashlib.sha256(_text(self.known).encode()).hexdigest()

    @property
    def home(self) -> str:
        """What tells its stream from those of other jobs of a sweep."""
        return _text([self.load, self.known["data"]])

    @property
    def policy(self) -> str:
        """What competes: the policy's spec, how it spends, what it sees of a query."""
        ask, seen = self.known["ask"], (f"{k}={v}" for k, v in self.known["context"].items())
        return "; ".join([*ask["policies"], *[f"pacing {ask['pacing']}"] * bool(ask["budget"]), *seen])

    @property
    def title(self) -> str:
        """What people call the job."""
        ask = self.known["ask"]
        return f"{self.policy} on {self.stream}, reward {ask['reward']}, preference {ask['preference']}"


def job(ask: runs.Ask, load: dict[str, Any], stream: Stream, data: str, label: str) -> Job:
    """Return the job of this ask on a loaded stream.

    Args:
        ask: of one policy.
        load: what the stream was loaded by.
        stream: the `Stream`.
        data: `sha256` of its table.
        label: of the numbers that are played, changes of the stream included.
    """
    known = {
        "ask": ask._asdict(),
        "context": {k: load[k] for k in CONTEXT if k in load},
        "data": data,
        "label": label,
        "models": stream.models,
        "own files": _own_files(ask),
        "versions": versions(),
    }
    specs = {k: _absolute(getattr(ask, k)) for k in ("reward", "pacing")}
    lists = {k: tuple(map(_absolute, getattr(ask, k))) for k in ("policies", "change")}
    paths = {k: str(Path(load[k]).absolute()) for k in PATHS if k in load and Path(load[k]).exists()}
    called = [stream.name, *(f"{k} {load[k]}" for k in ("prices", "models", "embed") if k in load)]
    return Job(ask._asdict() | specs | lists, load | paths, "; ".join(called), known)


def _absolute(spec: str) -> str:
    return OWN.sub(lambda found: str(Path(found[0]).absolute()), spec)


def _own_files(ask: runs.Ask) -> list[str]:
    """Return the sha256 of each of the user's own files that an ask names."""
    specs = (*ask.policies, ask.reward, ask.pacing, *ask.change)
    paths = dict.fromkeys(path for spec in specs for path in OWN.findall(spec))
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def loaded(ask: runs.Ask, load: dict[str, Any]) -> Any:
    """Return the stream of a job, with what its judge says where a query may have several calls.

    Raises:
        ValueError: as `envs.load` and `several.judged`.
    """
    stream = envs.load(**load)
    path = load.get("data") or (load["name"] if selection.is_path(load.get("name", "all")) else None)
    return stream if ask.calls == 1 else several.judged(stream, ask, path)


def sha256(stream: Stream) -> str:
    """Return the sha256 of all that a run or a context can depend on in a table."""
    outcomes = stream.outcomes
    digest = hashlib.sha256(artefacts.fingerprint(outcomes).encode())
    for texts in (outcomes.dataset, outcomes.scenario, outcomes.group_id, outcomes.question):
        digest.update("\0".join(texts.astype(str)).encode())
    for array in (outcomes.price, outcomes.latency, outcomes.tokens):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    digest.update((several.fingerprint(stream) or "").encode())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """Return the versions of the libraries and the sha256 of this project's own source: it changes without a number."""
    digest = hashlib.sha256()
    for package in (envs, bandits):
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return {**artefacts.versions(), "source": digest.hexdigest()}


def result(job: Job, stream: Stream | None = None) -> str:
    """Compute a job and return its result file: the same bytes wherever it is computed.

    JSON: all that determined it, and under `runs` for each preference and budget lists with a number for each seed:
    `reward`, `accuracy` and `cost` a round; `regret_*` against each reference, `spent_*` of each resource and
    `unanswered` queries, a run. `over_fixed` is the difference in reward a round from the best fixed choice, query by
    query: its interval `lo`, `hi` and `p` over clusters of `queries`. With `abstain`, what `results.withheld` has.

    Args:
        job: what to compute.
        stream: of the job, where this process has been sent it; None: it is loaded here.

    Raises:
        ValueError: the table, a user's file or the versions here are not those that the job was made with; or as
            `play.finish`.
    """
    if next(_begun) % _KEPT == 0 and "jax" in sys.modules:
        jax.clear_caches()  # type: ignore[no-untyped-call]
    ask = runs.Ask(**job.ask)
    if versions() != job.known["versions"]:
        raise ValueError(
            f"this worker has {versions()}, the sweep was asked for with {job.known['versions']}"
        )
    if _own_files(ask) != job.known["own files"]:
        raise ValueError("a file that its specs name is not what it was when the sweep began")
    if stream is None:
        stream = _loaded(json.dumps(job.load), runs.Ask((), **{k: getattr(ask, k) for k in _HEARD}))
    if (data := _sha256(stream)) != job.known["data"]:
        raise ValueError(f"the table of {stream.name} has sha256 {data} here, not {job.known['data']}")
    seen = {k: job.load[k] for k in CONTEXT if k in job.load}
    return _text(
        {**job.known, "runs": [measured(run, ask.abstain) for run in finish(stream, ask, context=seen)]}
    )


def _sha256(stream: Stream) -> str:
    """Return `sha256`, computed once for a stream that comes again: most jobs of a worker have the last one's."""
    if not (_last and _last[0] is stream):
        _last[:] = stream, sha256(stream)
    return str(_last[1])


@lru_cache(2)
def _loaded(load: str, ask: runs.Ask) -> Any:
    """Return the stream; the jobs of a worker mostly share it."""
    return loaded(ask, json.loads(load))


def measured(run: runs.Run, abstain: float | None = None) -> dict[str, Any]:
    """Return what a finished run of one policy came to, lists with a number for each seed; see `result`."""
    ((spec, trace),) = run.traces.items()
    stream, order = run.stream, trace.order
    hindsight = {"cost": stream.cost, "dataset": stream.dataset, "times": played(order, len(stream))}
    best = {
        b: earned_by(run.table, comparator(stream.single(run.table), b, **hindsight))[order]
        for b in BASELINES
    }
    sheets = {"reward": run.table, "accuracy": stream.utility, "cost": stream.cost}
    got = {name: rewards(sheet, trace) for name, sheet in sheets.items()}
    limits = np.full(len(RESOURCES), np.inf) if run.limits is None else run.limits
    used = [
        name for name, limit in zip(RESOURCES, limits, strict=True) if name == "cost" or np.isfinite(limit)
    ]
    return {
        "preference": run.preference,
        "budget": run.budget,
        "rounds": order.shape[1],
        **{name: each.mean(axis=1).tolist() for name, each in got.items()},
        **{f"regret_{name}": (earned - got["reward"]).sum(axis=1).tolist() for name, earned in best.items()},
        **{f"spent_{name}": rewards(getattr(stream, name), trace).sum(axis=1).tolist() for name in used},
        "over_fixed": _over_fixed(run, got["reward"] - best["best_fixed"], order),
        "unanswered": (trace.arms < 0).sum(axis=1).tolist(),
        **withheld.by_seed(run, spec, abstain),
    }


def _over_fixed(run: runs.Run, gap: NDArray[np.float64], order: NDArray[np.int32]) -> dict[str, Any]:
    """Return how certain a difference `(S, T)` from the best fixed choice is over other queries."""
    cluster = clusters(run.stream)[order].ravel()
    rounds = np.bincount(cluster)
    asked = rounds > 0
    found = clustered(np.bincount(cluster, gap.ravel())[asked], rounds[asked])
    return {"lo": float(found.lo), "hi": float(found.hi), "p": float(found.p), "queries": int(asked.sum())}


def _text(value: Any) -> str:
    return json.dumps(tables.plain(value), sort_keys=True, ensure_ascii=False)

"""The protocol by which defaults are chosen: how much of the way from the best fixed model to uniform a policy loses.

`python benchmarks/defaults.py --tables FOLDER [--choose | --quick] [--log 10%] [--policy SPEC ...] [--on NAME ...]`.
Settings are chosen on `CHOSEN_ON` only (`--choose` runs `CANDIDATES` there), frozen in `FROZEN`, then reported once
on the streams of `TWIN` and `RECORDED`. 0 is as good as the best model in hindsight, below 0 better, 1 as bad as
choosing at random. Recorded tables are read from FOLDER where it has them; the twin is always there. Reward `linear` at
preference 0.2; a mark says that the policy is shown to differ from the best fixed model (`>` better, `<` worse) by the
one rule of `bandits.metrics.verdict`, over seeds and queries, corrected for all policies of the stream. What a policy
got on a stream is kept in `--kept`, by the source that decides it, so that a stopped report goes on.

With `--log` every policy begins as `--warm-start` has it, the rows of the log are not evaluated, and a second table
says by how much reward a query each ends below the best fixed model. `BEST` in a spec is the best model of the log.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import envs
from bandits import POLICIES, Policy, replay, reward_table, rewards
from bandits.experiment.lineup import WRAPPERS, bounds_of, build
from bandits.folders.write import fingerprint
from bandits.metrics.intervals import clustered, paired
from bandits.metrics.regret import comparator
from bandits.metrics.verdict import judge
from bandits.results.by_query import clusters
from bandits.wrappers import warm

CHOSEN_ON = ("ocr", "pareto_k3")
TWIN = ("vqa", "math", "all")
RECORDED = (
    "pareto_k4.jsonl.gz", "routerbench_zs_part.csv.gz", "routerarena_sub10.csv.gz", "judge_r1.csv.gz",
    "judge_gpt_mini.csv.gz", "cascade_llama.csv.gz", "mmmu_pro.csv.gz", "worldcuisines_mc.csv.gz",
)  # fmt: skip
CANDIDATES = (
    "linucb", "linucb,alpha=0.3,prior=1", "linucb,alpha=0.1,prior=1",
    "averaged,alpha=0.25", "averaged", "averaged,alpha=1",
    "ebucb,alpha=0.25", "ebucb", "ebucb,alpha=1", "ebucb,prior=0.5",
    "thompson", "thompson,v=0.3,prior=1", "ids", "ids,prior=1",
    "preference,alpha=0.3,prior=1",
    "balanced,of=averaged+ebucb", "balanced,of=averaged+ebucb,width=0.05,bound=0.05", "corral,of=averaged+ebucb",
    "ucb1,alpha=0.1", "klucb",
)  # fmt: skip
# The best setting of each method by `--choose`, and the papers' own of LinUCB.
FROZEN = (
    "linucb", "linucb,alpha=0.1,prior=1", "averaged", "ebucb", "balanced,of=averaged+ebucb", "corral,of=averaged+ebucb",
    "ids,prior=1", "thompson,v=0.3,prior=1", "preference,alpha=0.3,prior=1", "ucb1,alpha=0.1", "klucb",
    "feelgood,prior=1",
)  # fmt: skip
# What keeps a promise about a model that an engineer plays already has one to begin with: only after a log.
GUARDED = "conservative(averaged),model=BEST,radius=1,low=-0.2"
QUICK = ("linucb", "averaged", "ebucb")
PREFERENCE = 0.2
OLD = "linucb"  # the setting whose loss others are measured by


class Got(NamedTuple):
    """What a policy got: `earned` `(S,)` a query by seed, `ahead` `(N,)` of the best fixed model by query."""

    earned: NDArray[np.float64]
    ahead: NDArray[np.float64]


class Column(NamedTuple):
    """A stream's results, `(P,)` each: share lost in the mean and by the worst seed, mark, reward lost a query.

    `half` is half the wider of the two 95 % intervals of `short`, over seeds and over queries.
    """

    lost: NDArray[np.float64]
    worst: NDArray[np.float64]
    mark: NDArray[np.str_]
    short: NDArray[np.float64]
    half: NDArray[np.float64]


class Posed(NamedTuple):
    """What is played: the stream, its `(N, K)` rewards, and the log that came before, None where there is none."""

    stream: envs.Stream
    table: NDArray[np.float64]
    logged: envs.Stream | None


def posed(stream: envs.Stream, share: str | None) -> Posed:
    """Return the stream without the log that is set aside from it."""
    logged, rest = (None, stream) if share is None else warm.split(stream, share)
    return Posed(rest, reward_table(rewards.linear, rest), logged)


def opened(place: str, rows: int) -> envs.Stream:
    """Return a stream of at most so many rows, drawn once for all policies; `place+dataset` has the data sets shown."""
    path, beside, _ = place.partition("+dataset")
    stream = envs.load(path, context="+dataset" if beside else "embeddings")
    if len(stream) <= rows:
        return stream
    kept = np.sort(np.random.default_rng(0).permutation(len(stream))[:rows])
    return envs.Stream(stream.name, stream.outcomes.take(kept), stream.context[kept], stream.notes)


def source(spec: str) -> str:
    """Return the sha256 of the files that every policy and wrapper that a spec names is made of."""
    offered = {**POLICIES, **WRAPPERS}
    files: set[str] = set()
    for word in re.findall(r"\w+", spec):
        if word in offered:
            gathered(offered[word].__module__, files)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def gathered(module: str, files: set[str]) -> None:
    """Add the file of a module of policies, and of every such module that it takes something from."""
    path = str(sys.modules[module].__file__)
    if path in files:
        return
    files.add(path)
    for value in vars(sys.modules[module]).values():
        other = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        # The list of all policies is not what one is made of.
        if str(other).startswith(("bandits.policies.", "bandits.wrappers.")):
            gathered(str(other), files)


def begun(given: Posed, spec: str) -> Policy:
    """Return the policy of a spec, which knows the log where there is one."""
    logged = given.logged
    if logged is None:
        return build(spec, given.stream, rewards.linear, bounds=bounds_of(given.table))
    told = reward_table(rewards.linear, logged)
    best = logged.models[int(np.nanmean(told, axis=0).argmax())]
    policy = build(spec.replace("BEST", best), given.stream, rewards.linear, bounds=bounds_of(told))
    if policy.prime is None:
        return warm.hear(policy, logged, told, PREFERENCE)
    return warm.start(policy, warm.fit(logged, told))


def got(given: Posed, spec: str, seeds: int, kept: Path) -> Got:
    """Return what a policy got, from the file of an earlier run where there is one."""
    stream, table = given.stream, given.table
    said = [fingerprint(stream.outcomes), stream.context.tobytes(), spec, str(seeds), source(spec)]
    if given.logged is not None:
        said.append(fingerprint(given.logged.outcomes))
    digest = hashlib.sha256()
    for part in said:
        digest.update(part if isinstance(part, bytes) else f"\0{part}".encode())
    place = kept / f"{digest.hexdigest()[:32]}.npz"
    if place.is_file():
        with np.load(place) as found:
            return Got(found["earned"], found["ahead"])
    began = time.process_time()
    trace = replay(begun(given, spec), stream, table, seeds=seeds)
    print(f"{stream.name} {spec}: {time.process_time() - began:.0f} s of CPU", file=sys.stderr, flush=True)
    fixed = table[np.arange(len(table)), comparator(table, "best_fixed")]
    each = table[trace.order, trace.arms]
    ahead = np.bincount(trace.order.ravel(), (each - fixed[trace.order]).ravel(), len(table)) / seeds
    kept.mkdir(parents=True, exist_ok=True)
    np.savez(place, earned=each.mean(axis=1), ahead=ahead)
    return Got(each.mean(axis=1), ahead)


def measured(given: Posed, specs: tuple[str, ...], seeds: int, kept: Path) -> Column:
    """Return for each policy the share lost, that of its worst seed, and whether a difference is shown."""
    stream, table = given.stream, given.table
    fixed = float(table[np.arange(len(table)), comparator(table, "best_fixed")].mean())
    level = float(np.nanmean(table, axis=1).mean())
    found = [got(given, spec, seeds, kept) for spec in specs]
    mine = np.stack([one.earned for one in found], axis=1)
    cluster = clusters(stream)
    sums = np.stack([np.bincount(cluster, one.ahead) for one in found], axis=1)
    gap, queries = paired(mine, np.full_like(mine, fixed)), clustered(sums, np.bincount(cluster))
    verdict = judge(gap, queries, seeds=seeds, queries=len(sums))
    lost = (fixed - mine) / max(fixed - level, 1e-12)
    marks = np.where(verdict.shown, np.where(gap.mean > 0, ">", "<"), "")
    half = np.fmax(gap.hi - gap.lo, queries.hi - queries.lo) / 2
    return Column(lost.mean(axis=0), lost.max(axis=0), marks, fixed - mine.mean(axis=0), half)


def streams(tables: str | None, choose: bool) -> dict[str, str]:
    """Return the streams by the name of their column: those that settings are chosen on, or those of the report."""
    twins = CHOSEN_ON[:1] if choose else TWIN
    files = ("pareto_k3.jsonl.gz",) if choose else RECORDED
    places = {name: name for name in twins}
    for path in [Path(tables) / name for name in files] if tables else []:
        if path.is_file():
            places[path.name.split(".")[0]] = str(path)
    cuisines = places.get("worldcuisines_mc")
    return places | ({"worldcuisines_mc +dataset": f"{cuisines}+dataset"} if cuisines else {})


def printed(specs: tuple[str, ...], columns: dict[str, Column]) -> None:
    """Print a row for each policy, and what it loses in the mean as a share of what `OLD` loses."""
    print(f"| policy | {' | '.join(columns)} | mean | worst seed | of `{OLD}`'s loss |")
    print(f"|---|{'---|' * (len(columns) + 3)}")
    short = np.stack([column.short for column in columns.values()])
    old = short[:, specs.index(OLD)].mean() if OLD in specs else np.nan
    for i, spec in enumerate(specs):
        cells = [f"{column.lost[i]:.2f}{column.mark[i]}" for column in columns.values()]
        mean = np.mean([column.lost[i] for column in columns.values()])
        worst = max(column.worst[i] for column in columns.values())
        print(
            f"| `{spec}` | {' | '.join(cells)} | {mean:.2f} | {worst:.2f} | {short[:, i].mean() / old:.2f} |"
        )


def points(specs: tuple[str, ...], columns: dict[str, Column]) -> None:
    """Print how much reward a query each policy ends above (+) or below (-) the best fixed model, ± `half`."""
    print(f"\n| policy | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for i, spec in enumerate(specs):
        cells = [f"{-c.short[i]:+.4f} (±{c.half[i]:.4f}){c.mark[i]}" for c in columns.values()]
        print(f"| `{spec}` | {' | '.join(cells)} |")


def main() -> None:
    """Print the table: a row a policy, a column a stream."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", metavar="FOLDER", help="Where recorded tables lie.")
    parser.add_argument("--policy", action="append", metavar="SPEC", help="Instead of those of the protocol.")
    parser.add_argument("--choose", action="store_true", help="Run the candidates where settings are chosen.")
    parser.add_argument(
        "--quick", action="store_true", help="3 seeds of 600 rows of the twin, three policies."
    )
    parser.add_argument("--log", metavar="SHARE", help="Rows that every policy knows beforehand, as 10%%.")
    parser.add_argument("--on", action="append", metavar="NAME", help="Of the streams, these alone.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=5000, help="Of a stream at most.")
    parser.add_argument("--kept", metavar="DIR", default="build/defaults", help="Where results are kept.")
    given = parser.parse_args()
    seeds, rows = (3, 600) if given.quick else (given.seeds, given.rows)
    specs = tuple(given.policy or (QUICK if given.quick else CANDIDATES if given.choose else FROZEN))
    if given.log and not given.policy:
        specs += (GUARDED,)
    columns = {}
    for name, place in streams(None if given.quick else given.tables, given.choose).items():
        if given.on and name not in given.on:
            continue
        columns[name] = measured(posed(opened(place, rows), given.log), specs, seeds, Path(given.kept))
        print(f"{name}: done", file=sys.stderr, flush=True)
    printed(specs, columns)
    points(specs, columns)


if __name__ == "__main__":
    main()

"""The protocol by which defaults are chosen: how much of the way from the best fixed model to uniform a policy loses.

`python benchmarks/defaults.py --tables FOLDER [--choose | --quick] [--policy SPEC ...]`. Settings are chosen on
`CHOSEN_ON` only (`--choose` runs `CANDIDATES` there), then frozen in `FROZEN`, then reported once on the streams of
`TWIN` and `RECORDED`. 0 is as good as the best model in hindsight, below 0 better, 1 as bad as choosing at random.
Recorded tables
are read from FOLDER where it has them; the twin is always there. Reward `linear` at preference 0.2; a mark says that
the policy is shown to differ from the best fixed model (`>` better, `<` worse) by the one rule of
`bandits.metrics.verdict`, over seeds and queries, corrected for all policies of the stream. What a policy got on a
stream is kept in `--kept`, by the source that decides it, so that a stopped report goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import envs
from bandits import POLICIES, replay, reward_table, rewards
from bandits.experiment.lineup import bounds_of, build
from bandits.folders.write import fingerprint
from bandits.metrics.intervals import clustered, paired
from bandits.metrics.regret import comparator
from bandits.metrics.verdict import judge
from bandits.results.by_query import clusters

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
)  # fmt: skip
QUICK = ("linucb", "averaged", "ebucb")
OLD = "linucb"  # the setting whose loss others are measured by


class Got(NamedTuple):
    """What a policy got: `earned` `(S,)` a query by seed, `ahead` `(N,)` of the best fixed model by query."""

    earned: NDArray[np.float64]
    ahead: NDArray[np.float64]


class Column(NamedTuple):
    """A stream's results, `(P,)` each: share lost in the mean and by the worst seed, mark, reward lost a query."""

    lost: NDArray[np.float64]
    worst: NDArray[np.float64]
    mark: NDArray[np.str_]
    short: NDArray[np.float64]


def opened(place: str, rows: int) -> envs.Stream:
    """Return a stream of at most so many rows, drawn once for all policies; `place+dataset` has the data sets shown."""
    path, beside, _ = place.partition("+dataset")
    stream = envs.load(path, context="+dataset" if beside else "embeddings")
    if len(stream) <= rows:
        return stream
    kept = np.sort(np.random.default_rng(0).permutation(len(stream))[:rows])
    return envs.Stream(stream.name, stream.outcomes.take(kept), stream.context[kept], stream.notes)


def source(spec: str) -> str:
    """Return the sha256 of the files of every policy that a spec names."""
    named = [POLICIES[word] for word in re.findall(r"\w+", spec) if word in POLICIES]
    digest = hashlib.sha256()
    for path in sorted({str(inspect.getsourcefile(one)) for one in named}):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def got(stream: envs.Stream, table: NDArray[np.float64], spec: str, seeds: int, kept: Path) -> Got:
    """Return what a policy got, from the file of an earlier run where there is one."""
    said = (fingerprint(stream.outcomes), stream.context.tobytes(), spec, str(seeds), source(spec))
    digest = hashlib.sha256()
    for part in said:
        digest.update(part if isinstance(part, bytes) else f"\0{part}".encode())
    place = kept / f"{digest.hexdigest()[:32]}.npz"
    if place.is_file():
        with np.load(place) as found:
            return Got(found["earned"], found["ahead"])
    policy = build(spec, stream, rewards.linear, bounds=bounds_of(table))
    trace = replay(policy, stream, table, seeds=seeds)
    fixed = table[np.arange(len(table)), comparator(table, "best_fixed")]
    each = table[trace.order, trace.arms]
    ahead = np.bincount(trace.order.ravel(), (each - fixed[trace.order]).ravel(), len(table)) / seeds
    kept.mkdir(parents=True, exist_ok=True)
    np.savez(place, earned=each.mean(axis=1), ahead=ahead)
    return Got(each.mean(axis=1), ahead)


def measured(stream: envs.Stream, specs: tuple[str, ...], seeds: int, kept: Path) -> Column:
    """Return for each policy the share lost, that of its worst seed, and whether a difference is shown."""
    table = reward_table(rewards.linear, stream)
    fixed = float(table[np.arange(len(table)), comparator(table, "best_fixed")].mean())
    level = float(np.nanmean(table, axis=1).mean())
    found = [got(stream, table, spec, seeds, kept) for spec in specs]
    mine = np.stack([one.earned for one in found], axis=1)
    cluster = clusters(stream)
    sums = np.stack([np.bincount(cluster, one.ahead) for one in found], axis=1)
    gap, queries = paired(mine, np.full_like(mine, fixed)), clustered(sums, np.bincount(cluster))
    verdict = judge(gap, queries, seeds=seeds, queries=len(sums))
    lost = (fixed - mine) / max(fixed - level, 1e-12)
    marks = np.where(verdict.shown, np.where(gap.mean > 0, ">", "<"), "")
    return Column(lost.mean(axis=0), lost.max(axis=0), marks, fixed - mine.mean(axis=0))


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
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=5000, help="Of a stream at most.")
    parser.add_argument("--kept", metavar="DIR", default="build/defaults", help="Where results are kept.")
    given = parser.parse_args()
    seeds, rows = (3, 600) if given.quick else (given.seeds, given.rows)
    specs = tuple(given.policy or (QUICK if given.quick else CANDIDATES if given.choose else FROZEN))
    columns = {}
    for name, place in streams(None if given.quick else given.tables, given.choose).items():
        columns[name] = measured(opened(place, rows), specs, seeds, Path(given.kept))
        print(f"{name}: done", file=sys.stderr, flush=True)
    printed(specs, columns)


if __name__ == "__main__":
    main()

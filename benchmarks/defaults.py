"""How much of the way from the best fixed model to uniform does a policy lose, on streams its settings never saw?

`python benchmarks/defaults.py [--tables FOLDER] [--policy SPEC ...] [--seeds 20] [--rows 5000]`. Settings are chosen on
`CHOSEN_ON` only; every other stream here is reported on. 0 is as good as the best model in hindsight, below 0 better, 1
as bad as choosing at random. Recorded tables are read from FOLDER where it has them; the twin is always there. Reward
`linear` at preference 0.2; a mark says that the policy is shown to differ from the best fixed model (`>` better, `<`
worse) by the one rule of `bandits.metrics.verdict`, over seeds and queries, corrected for all policies of the stream.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import envs
from bandits import replay, reward_table, rewards
from bandits.experiment.lineup import bounds_of, build
from bandits.metrics.intervals import clustered, paired
from bandits.metrics.regret import comparator
from bandits.metrics.verdict import judge

CHOSEN_ON = ("ocr", "pareto_k3")
TWIN = ("vqa", "math", "all")
RECORDED = (
    "pareto_k4.jsonl.gz", "mmmu_pro.csv.gz", "worldcuisines_mc.csv.gz", "routerbench_zs_part.csv.gz",
    "routerarena_sub10.csv.gz", "cascade_llama.csv.gz", "judge_r1.csv.gz", "judge_gpt_mini.csv.gz",
)  # fmt: skip
POLICIES = (
    "averaged", "linucb", "linucb,alpha=0.3,prior=1", "thompson", "thompson,v=0.3,prior=1", "squarecb",
    "preference,alpha=0.3,prior=1", "klucb", "ucb1",
)  # fmt: skip


def opened(place: str, rows: int) -> envs.Stream:
    """Return a stream of at most so many rows, drawn once for all policies."""
    stream = envs.load(place)
    if len(stream) <= rows:
        return stream
    kept = np.sort(np.random.default_rng(0).permutation(len(stream))[:rows])
    return envs.Stream(stream.name, stream.outcomes.take(kept), stream.context[kept], stream.notes)


def measured(stream: envs.Stream, specs: tuple[str, ...], seeds: int) -> list[tuple[float, float, str]]:
    """Return for each policy the share lost, that of its worst seed, and whether a difference is shown."""
    table = reward_table(rewards.linear, stream)
    rows = np.arange(len(stream))
    arms = comparator(table, "best_fixed", cost=stream.cost, dataset=stream.dataset)
    fixed, level = table[rows, arms], np.nanmean(table, axis=1).mean()
    _, cluster = np.unique(stream.outcomes.query_id.astype(str), return_inverse=True)
    earned, by_query = [], []
    for spec in specs:
        trace = replay(
            build(spec, stream, rewards.linear, bounds=bounds_of(table)), stream, table, seeds=seeds
        )
        got = table[trace.order, trace.arms]
        each = np.zeros(len(stream))
        np.add.at(each, trace.order.ravel(), (got - fixed[trace.order]).ravel())
        earned.append(got.mean(axis=1))
        by_query.append(each / seeds)
    mine, theirs = np.stack(earned, axis=1), np.full((seeds, len(specs)), fixed.mean())
    sums = np.zeros((int(cluster.max()) + 1, len(specs)))
    np.add.at(sums, cluster, np.stack(by_query, axis=1))
    gap, queries = paired(mine, theirs), clustered(sums, np.bincount(cluster))
    found = judge(gap, queries, seeds=seeds, queries=len(sums))
    lost = (fixed.mean() - mine) / max(fixed.mean() - level, 1e-12)
    marks = np.where(found.shown, np.where(gap.mean > 0, ">", "<"), "")
    return [(float(x.mean()), float(x.max()), str(m)) for x, m in zip(lost.T, marks, strict=True)]


def main() -> None:
    """Print the table: a row a policy, a column a stream, and the mean over the streams that nothing was chosen on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", metavar="FOLDER", help="Where recorded tables lie.")
    parser.add_argument("--policy", action="append", metavar="SPEC", help="Instead of those of the protocol.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=5000, help="Of a stream at most.")
    given = parser.parse_args()
    specs = tuple(given.policy or POLICIES)
    places = {name: name for name in (CHOSEN_ON[0], *TWIN)}
    if given.tables:
        named = ("pareto_k3.jsonl.gz", *RECORDED)
        found = [Path(given.tables) / name for name in named if (Path(given.tables) / name).is_file()]
        places |= {path.name.split(".")[0]: str(path) for path in found}
    columns = {
        name: measured(opened(place, given.rows), specs, given.seeds) for name, place in places.items()
    }
    held = [name for name in columns if name not in CHOSEN_ON]
    heads = [f"{name}*" if name in CHOSEN_ON else name for name in columns]
    print(
        f"| policy | {' | '.join(heads)} | mean of the held out | worst seed |\n|---|{'---|' * (len(heads) + 2)}"
    )
    for i, spec in enumerate(specs):
        cells = [f"{column[i][0]:.2f}{column[i][2]}" for column in columns.values()]
        mean = np.mean([columns[name][i][0] for name in held])
        print(f"| `{spec}` | {' | '.join(cells)} | {mean:.2f} | {max(columns[n][i][1] for n in held):.2f} |")


if __name__ == "__main__":
    main()

"""Which arms every registered policy calls, as digests: whether a change of the code is one of the numbers too.

    python benchmarks/arms_digest.py [--rounds 300] [--seeds 2] [--against benchmarks/arms_digest.json]

For the twin's `vqa` and `all` and the recorded `pareto_k4`. Prints JSON, stream by stream; with `--against` the
policies whose arms differ from those of the file, which holds what the commit that it names printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bandits  # from a checkout, installed or not
import envs
from bandits.policies.llmbandit.tasks import Log
from bandits.rewards import linear, reward_table

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "outcomes" / "pareto_k4.jsonl.gz"
LOGGED = 200  # rows that a policy which is trained before the run is trained on


def digests(stream: Any, rounds: int, seeds: int) -> dict[str, str]:
    """Return the sha256 of each policy's `(S, T)` arms."""
    complete = np.flatnonzero(stream.available.all(axis=1))[:LOGGED]
    log = Log(stream.context[complete], stream.utility[complete], stream.cost[complete])
    needs: dict[str, dict[str, Any]] = {"always": {"model": 1}, "llmbandit": {"log": log, "rollouts": 2}}
    table, found = reward_table(linear, stream), {}
    for name, factory in bandits.POLICIES.items():
        policy = factory(stream.n_arms, stream.dim, **needs.get(name, {}))
        arms = bandits.replay(policy, stream, table, seeds=seeds, rounds=rounds).arms
        found[name] = hashlib.sha256(np.ascontiguousarray(arms, np.int32).tobytes()).hexdigest()
    return found


def main() -> None:
    """Print the digests, or what differs from recorded ones; exit with 1 where something does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    streams = {"vqa": envs.load("vqa"), "all": envs.load("all")}
    if RECORDED.is_file():
        streams["pareto_k4"] = envs.load("all", data=RECORDED)
    found = {name: digests(stream, given.rounds, given.seeds) for name, stream in streams.items()}
    if given.against is None:
        print(json.dumps({"rounds": given.rounds, "seeds": given.seeds, "digests": found}, indent=1))
        return
    before = json.loads(given.against.read_text())
    if (before["rounds"], before["seeds"]) != (given.rounds, given.seeds):
        raise SystemExit(f"{given.against} has {before['rounds']} rounds and {before['seeds']} seeds")
    differ = [
        f"{name}: {policy}"
        for name, own in found.items()
        for policy, digest in own.items()
        if before["digests"][name].get(policy) != digest
    ]
    print("\n".join(differ) or f"{sum(map(len, found.values()))} digests as at {before['commit']!r}")
    if differ:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

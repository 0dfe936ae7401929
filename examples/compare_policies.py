"""Which policy should route these queries? Three policies and the references on the same orders of one stream.

Run: python examples/compare_policies.py
"""

from __future__ import annotations

import bandits
import envs
from bandits.results.differences import against, paired_differences, scores
from bandits.results.summary import summarise

stream = envs.load("ocr")  # or the path of a table of your own
table = bandits.reward_table(bandits.rewards.linear, stream, preference=0.2)

factories = {"linucb": bandits.linucb, "thompson": bandits.thompson, "epsilon": bandits.epsilon}
traces = {
    name: bandits.replay(make(stream.n_arms, stream.dim), stream, table, seeds=10)
    for name, make in factories.items()
}

print(f"{stream.name}: {len(stream)} queries, {stream.n_arms} models, {stream.outcomes.label}\n")
summary = summarise(stream, table, traces).summary
columns = ["policy", "kind", "reward_mean", "accuracy", "cost_mean", "regret_best_fixed"]
print(summary[columns].to_string(index=False))

# Paired over seeds: every policy met the same queries in the same order, so what they share cancels.
got = scores(summarise(stream, table, traces).by_dataset)
differences = paired_differences(got, against(got, "best_fixed"), measures=["reward"])
print("\nAgainst the best fixed model, known only in hindsight:")
print(differences[["policy", "dataset", "difference", "lo", "hi", "p_holm"]].to_string(index=False))

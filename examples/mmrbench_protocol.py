"""MMR-Bench's own evaluation: routers that train on a fifth of the queries, every outcome known, and one online policy.

The routers see all models' outcomes of the train split; an online policy hears only the model it called, and starts
knowing nothing. Both are scored on queries that no router was trained on.

Run: python examples/mmrbench_protocol.py
"""

from __future__ import annotations

import bandits
import envs
from bandits.mmrbench import evaluate

outcomes = envs.load("vqa").outcomes
rows = evaluate(outcomes, routers=("linear", "knn", "kmeans", "oracle"), train_share=0.2, random_state=42)
print(f"{outcomes.label}; 20 % to train, 80 % to test\n")
print(f"{'router':10} {'peak score':>10} {'nAUC':>8} {'QNC':>8}")
for row in rows:
    print(f"{row['router']:10} {row['Ps']:10.4f} {row['nAUC']:8.4f} {row['QNC']:8.3f}")
best = rows[0]["best_single"]
print(f"\nbest single model: {best['model_name']}, {best['accuracy']:.4f}")

stream = envs.load("vqa")
table = bandits.reward_table(bandits.rewards.accuracy, stream)
trace = bandits.replay(
    bandits.linucb(stream.n_arms, stream.dim), stream, table, seeds=5, rounds=3 * len(stream)
)
accuracy = bandits.metrics.rewards(stream.utility, trace)[:, -len(stream) :].mean()
print(f"linucb, online, in its third pass: {accuracy:.4f}")

"""From simulation to use: run, export what was learned, load it where queries come in, route them, learn, restart.

Run: python examples/serve_queries.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bandits
import envs

simulate = [sys.executable, str(Path(__file__).resolve().parents[1] / "simulate.py")]
with tempfile.TemporaryDirectory() as folder:
    ran = ["--policy", "preference", "--stream", "ocr", "--seeds", "2", "--out", f"{folder}/run"]
    subprocess.run([*simulate, *ran], check=True, capture_output=True)
    exported = ["export", f"{folder}/run", "--policy", "preference", "--out", f"{folder}/policy.npz"]
    subprocess.run([*simulate, *exported], check=True, capture_output=True)
    router = bandits.load(f"{folder}/policy.npz")

# In a serving stack the embeddings come from your encoder; here the twin's stand in for a list of queries.
stream = envs.load("ocr")
text, image = stream.outcomes.text, stream.outcomes.image
print(f"learned from: {router.settings.label}\n")
for user, weight in (("patient", 0.0), ("thrifty", 2.0)):
    begun = time.perf_counter()
    choices = [router.choose(t, i, preference=weight) for t, i in zip(text[:200], image[:200], strict=True)]
    each = (time.perf_counter() - begun) / len(choices)
    cost = sum(stream.cost[row, choice.arm] for row, choice in enumerate(choices)) / len(choices)
    print(f"{user} user: {cost:.3f} {stream.outcomes.cost_unit}, first query to {choices[0].model}")
print(f"{each * 1e6:.0f} microseconds a decision")

# Once the call is paid for and its answer judged, the router learns from it. What it has learned survives a restart.
choice = router.choose(text[200], image[200], preference=0.2)
router.learn(choice, utility=1.0, cost=float(stream.cost[200, choice.arm]))
with tempfile.TemporaryDirectory() as folder:
    router.save(f"{folder}/policy.npz")
    restarted = bandits.load(f"{folder}/policy.npz")
print(f"calls of {choice.model} learned from: {restarted.learned['pulls'][choice.arm]}")

"""MMR-Bench's routers (arXiv 2601.17814): they see all outcomes of a training share, then predict the rest."""

from __future__ import annotations

from collections.abc import Callable

from bandits.mmrbench.routers.base import Fit, Reference
from bandits.mmrbench.routers.cmr import cmr
from bandits.mmrbench.routers.fixed import best_per_dataset, best_single
from bandits.mmrbench.routers.kmeans import kmeans
from bandits.mmrbench.routers.kmeansnew import kmeansnew
from bandits.mmrbench.routers.knn import knn
from bandits.mmrbench.routers.linear import linear
from bandits.mmrbench.routers.linearmf import linearmf
from bandits.mmrbench.routers.mlp import mlp
from bandits.mmrbench.routers.mlpmf import mlpmf
from bandits.mmrbench.routers.oracle import oracle
from bandits.mmrbench.routers.random import random

# Name -> factory of a `Fit`; a user's own comes from "file.py:name" and needs no entry.
ROUTERS: dict[str, Callable[..., Fit]] = {
    "knn": knn,
    "kmeans": kmeans,
    "kmeansnew": kmeansnew,
    "linear": linear,
    "linearmf": linearmf,
    "mlp": mlp,
    "mlpmf": mlpmf,
    "cmr": cmr,
}

# Name -> factory of a `Reference`: they do not learn, they are computed from the test queries' outcomes.
REFERENCES: dict[str, Callable[..., Reference]] = {
    "random": random,
    "best_single": best_single,
    "best_per_dataset": best_per_dataset,
    "oracle": oracle,
}

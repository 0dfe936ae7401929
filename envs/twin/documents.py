"""How many documents: arms `model@n` with M2RAG's recorded changes of answers and lengths; utilities are synthetic.

M2RAG (arXiv 2502.17297) answered the same questions with 0, 1, 3 and 5 retrieved documents; its repository has the
answers without their gold. Recorded, in `data/m2rag_documents.csv`: how often the answer changes from one number of
documents to the next (fact verification), and how long answers are (multimodal question answering). Synthetic: which
answers are right. An answer that does not change keeps its utility, a right one that changes is wrong, a wrong one that
changes is right with a chance that falls with the number of documents; so utility need not rise with it.
"""

from __future__ import annotations

import csv

import numpy as np
from numpy.typing import NDArray

from envs.outcomes import Outcomes
from envs.twin.published import folder

Bools = NDArray[np.bool_]
LABEL = "synthetic utilities with M2RAG's recorded changes of answers and lengths, not recorded answers"
FIGURES = "m2rag_documents.csv"
NEEDS = ("needs none", "needs some", "needs much")  # documents; stands as the data set, which a policy sees
# Chosen: chance to be right without documents by need, what it differs by from model to model, how much likelier a
# wrong answer is to change than a right one, and the chance that it is right then: with 1, 3 and 5 documents.
RIGHT, SPREAD, LIKELIER, MENDED = (0.75, 0.55, 0.35), 0.06, 2.5, (0.75, 0.5, 0.3)
DOCUMENT = 1500.0  # characters of a document in the prompt


def make(queries: int, *, seed: int = 0) -> Outcomes:
    """Return a table of so many queries and an arm for each model, tuning and number of documents.

    Args:
        queries: how many, >= 1.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng([seed, 29])
    text = (folder() / FIGURES).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    need = rng.integers(0, len(NEEDS), queries)
    utility = np.empty((queries, len(rows)))
    right: Bools = np.zeros(queries, bool)
    levels = iter(SPREAD * rng.standard_normal(len(rows)))
    for k, row in enumerate(rows):
        if not row["changed"]:
            right = rng.random(queries) < np.array(RIGHT)[need] + next(levels)
            step = 0
        else:
            right = _changed(rng, right, float(row["changed"]), MENDED[step])
            step += 1
        utility[:, k] = right
    cost = [float(row["answer_characters"]) + DOCUMENT * int(row["documents"]) for row in rows]
    return Outcomes(
        models=tuple(f"{row['model']}-{row['tuning']}@{row['documents']}" for row in rows),
        utility=utility,
        cost=np.tile(cost, (queries, 1)),
        query_id=np.array([f"q{i}" for i in range(queries)], object),
        dataset=np.array(NEEDS, object)[need],
        cost_unit="characters/query",
        label=LABEL,
    )


def _changed(rng: np.random.Generator, right: Bools, rate: float, mended: float) -> Bools:
    """Return which answers are right after a share `rate` has changed, wrong ones `LIKELIER` times as often."""
    weight = np.where(right, 1.0, LIKELIER)
    changed = rng.random(len(right)) < np.minimum(rate * weight / weight.mean(), 1.0)
    return np.asarray(np.where(changed, ~right & (rng.random(len(right)) < mended), right), bool)

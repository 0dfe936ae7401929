"""Queries with a task graph and the outcome of every assignment of models to kinds of step; streams made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.calls import Answers, Calls, Several
from envs.contexts import features
from envs.graphs.programs import COUNT, CROP, EVAL, LOC, VQA, Graphs
from envs.outcomes import Floats, Outcomes, Texts
from envs.stream import Stream

SPLITS = ("train", "val", "test")
BOTH, NO_LOC, NO_VQA = GROUPS = ("LOC and VQA", "no LOC", "no VQA")


@dataclass(frozen=True, eq=False)
class Tasks:
    """`T` queries, `V` VQA models and `L` LOC models.

    Attributes:
        graph: `(T,)` texts of `programs.graphs`.
        shape: what they say.
        success: `(T, V, L)` 1 where the whole program succeeds, 0 where not, NaN where it was not tried.
        step: `(T, V + L)` 1 where all steps of the model's kind succeed, NaN where a program has none; None: only the
            end is recorded.
        vqa, loc: names of the models.
        text, image: `(T, e)` float32 embeddings.
        split: `(T,)` of `SPLITS`.
        group: `(T,)` equal for near copies: the image that questions share; "" for a row of its own.
        label: what every output says of these numbers.
    """

    graph: Texts
    shape: Graphs
    success: Floats
    step: Floats | None
    vqa: tuple[str, ...]
    loc: tuple[str, ...]
    text: Floats
    image: Floats
    split: Texts
    group: Texts
    label: str

    def __len__(self) -> int:
        return len(self.graph)

    @property
    def assignments(self) -> tuple[str, ...]:
        """The `V L` names `vqa@loc`, the LOC model changing first."""
        return tuple(f"{v}@{k}" for v in self.vqa for k in self.loc)

    @property
    def kinds(self) -> Texts:
        """`(T,)` of `GROUPS`: which kinds of step with a choice a program has; "none" where it has none."""
        loc, vqa = self.shape.steps(LOC) > 0, self.shape.steps(VQA) > 0
        names = np.array([[("none"), NO_LOC], [NO_VQA, BOTH]], object)
        return np.asarray(names[loc.astype(int), vqa.astype(int)], object)

    @property
    def cluster(self) -> NDArray[np.intp]:
        """`(T,)` a number for each row, shared by near copies: what an interval over queries counts once."""
        own = np.char.add("row ", np.arange(len(self)).astype(str))
        alike = np.where(self.group.astype(str) == "", own, self.group.astype(str))
        return np.asarray(np.unique(alike, return_inverse=True)[1])

    def take(self, rows: NDArray[Any]) -> Tasks:
        """Return these rows."""
        shape = Graphs(self.shape.kind[rows], self.shape.edge[rows])
        step = None if self.step is None else self.step[rows]
        found = {n: getattr(self, n)[rows] for n in ("graph", "success", "text", "image", "split", "group")}
        return replace(self, shape=shape, step=step, **found)

    def some(self, queries: int, seed: int) -> Tasks:
        """Return at most so many rows, drawn at random, in their order."""
        rows = np.random.default_rng([seed, 23]).permutation(len(self))[:queries]
        return self.take(np.sort(rows))


def solvable(tasks: Tasks) -> Tasks:
    """Return the queries that some assignment solves and that have a step with a choice, as the release keeps them."""
    some = np.nan_to_num(tasks.success).any(axis=(1, 2))
    return tasks.take(np.flatnonzero(some & (tasks.kinds != "none")))


def flat(tasks: Tasks, *, dim: int = 8) -> Stream:
    """Return the stream whose arms are the `V L` assignments: only whether the whole program succeeds is heard.

    Args:
        tasks: from `solvable`.
        dim: features of the embeddings, beside those of the graph.
    """
    outcomes = _outcomes(tasks, tasks.assignments, tasks.success.reshape(len(tasks), -1))
    return Stream("task graphs", outcomes, context(tasks, outcomes, dim))


def by_step(tasks: Tasks, *, dim: int = 8) -> Stream:
    """Return the stream whose slots are kinds of step: a VQA and a LOC model are called where a program needs them.

    Each call hears whether the steps of its kind succeeded (semi-bandit feedback); what is delivered is their product.

    Args:
        tasks: with outcomes of steps.
        dim: as in `flat`.

    Raises:
        ValueError: only the end of programs is recorded.
    """
    if tasks.step is None:
        raise ValueError("slots of steps need the outcome of each kind of step; this table has the end alone")
    if np.isnan(tasks.step).all(axis=0).any():
        raise ValueError(
            "slots of steps need programs with a VQA and with a LOC step; there is none of one kind"
        )
    outcomes = _outcomes(tasks, (*tasks.vqa, *tasks.loc), tasks.step)
    calls = Calls(most=2, reveal="end", combine=every)
    return replace(Stream("task graphs", outcomes, context(tasks, outcomes, dim)), several=Several(calls))


def every(turn: Any, heard: Any, answers: Answers) -> Answers:
    """Deliver what succeeds if every called model did: the product of their utilities; all calls are paid for."""
    del heard
    xp = turn.__array_namespace__()
    called = turn >= 0
    utility = xp.where(called, answers.utility, 1.0).prod(axis=-1)
    return Answers(utility, xp.where(called[..., None], answers.used, 0.0).sum(axis=-2))


def context(tasks: Tasks, outcomes: Outcomes, dim: int) -> Floats:
    """Return `(T, d)`: how many steps of each kind a program has, whether any, `dim` features of embeddings, the 1."""
    counts = np.stack([tasks.shape.steps(kind) for kind in (VQA, LOC, CROP, COUNT, EVAL)], axis=1)
    seen, _ = features.context(outcomes, dim=dim)
    return np.concatenate([counts[:, :2] > 0, counts / 4.0, seen], axis=1).astype(np.float32)


def _outcomes(tasks: Tasks, models: tuple[str, ...], utility: Floats) -> Outcomes:
    return Outcomes(
        models=models,
        utility=utility,
        cost=np.full(utility.shape, np.nan),
        query_id=np.array([str(i) for i in range(len(tasks))], object),
        dataset=tasks.kinds,
        group_id=tasks.group,
        text=tasks.text,
        image=tasks.image,
        label=tasks.label,
    )

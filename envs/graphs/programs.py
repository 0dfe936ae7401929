"""Programs as task graphs: `LOC<0 CROP<0+1 VQA<2 RESULT<3` is one step a word, with the nodes that it takes.

Node 0 is the query, its text and image; step i is node i. Edges are those of M3's released preprocessing
(LINs-lab/M3, `code/preprocess.py`): a step has an edge from the image that it looks at, a crop from its box alone,
what evaluates from everything that it reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NODES = 14  # the query and at most 13 steps, as published
START, VQA, LOC, CROP, COUNT, EVAL, RESULT = range(1, 8)  # 0 fills up to NODES
KINDS = ("", "start", "VQA", "LOC", "CROP", "COUNT", "EVAL", "RESULT")
_WORD = re.compile(r"([A-Z_]+)<(\d+(?:\+\d+)*)?")  # a step may take nothing: so do a few of the release
_LINE = re.compile(r"\s*(\w+)\s*=\s*([A-Z_]+)\((.*)\)\s*")


class Graphs(NamedTuple):
    """Task graphs of `T` queries.

    Attributes:
        kind: `(T, NODES)` int8, 0 where a graph has ended.
        edge: `(T, NODES, NODES)` bool, `[t, to, from]`; without loops.
    """

    kind: NDArray[np.int8]
    edge: NDArray[np.bool_]

    def steps(self, kind: int) -> NDArray[np.int64]:
        """Return `(T,)`, how many steps of a kind each query has."""
        return np.asarray((self.kind == kind).sum(axis=1), np.int64)


def graphs(texts: Sequence[str]) -> Graphs:
    """Return the graphs of these texts.

    Raises:
        ValueError: a text is no graph: a word that is no step, an input that is not there yet, too many steps.
    """
    known = {text: _graph(text) for text in dict.fromkeys(texts)}
    kind = np.stack([known[text][0] for text in texts])
    return Graphs(kind, np.stack([known[text][1] for text in texts]))


def _graph(text: str) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    kind, edge = np.zeros(NODES, np.int8), np.zeros((NODES, NODES), bool)
    kind[0] = START
    words = text.split()
    if not 1 <= len(words) < NODES:
        raise ValueError(f"a task graph needs 1 to {NODES - 1} steps, got {len(words)} in {text[:80]!r}")
    for node, word in enumerate(words, start=1):
        found = _WORD.fullmatch(word)
        if found is None:
            raise ValueError(f"a step of a task graph needs OP<inputs, as CROP<0+1, got {word[:40]!r}")
        inputs = [int(number) for number in (found[2] or "").split("+") if number]
        if max(inputs, default=0) >= node:
            raise ValueError(f"step {node} of {text[:80]!r} takes node {max(inputs)}, which comes later")
        kind[node] = _kind(found[1])
        edge[node, _taken(int(kind[node]), inputs)] = True
    return kind, edge


def _kind(op: str) -> int:
    """Return a step's kind: every way to crop is a crop, what is not among the six evaluates."""
    if op.startswith("CROP"):
        return CROP
    return KINDS.index(op) if op in KINDS[VQA:] else EVAL


def _taken(kind: int, inputs: list[int]) -> list[int]:
    """Return the inputs with an edge: the image of a look, the box of a crop, else all."""
    if kind in (VQA, LOC):
        return inputs[:1]
    return inputs[-1:] if kind == CROP else inputs


def of_program(program: str) -> str:
    """Return the graph of a program in lines, as `BOX0=LOC(image=IMAGE,object='dress')`.

    Raises:
        ValueError: a line is no step.
    """
    nodes, words = {"IMAGE": 0}, []
    for number, line in enumerate(program.strip().splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"a program's line needs NAME=OP(...), got {line[:80]!r}")
        # What stands in quotes is a question or an object, but for what is evaluated, whose names stand in braces.
        read = re.sub(r"\"[^\"]*\"", lambda quoted: " ".join(re.findall(r"\{(\w+)", quoted[0])), found[3])
        read = re.sub(r"'[^']*'", "", read)
        taken = [nodes[name] for name in re.findall(r"\w+", read) if name in nodes]
        words.append(f"{found[2]}<{'+'.join(map(str, dict.fromkeys(taken)))}")
        nodes[found[1]] = number
    return " ".join(words)

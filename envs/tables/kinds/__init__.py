"""The kinds of file that are read, each a module with `NAME`, `NEEDS`, `looks` and `read`, in the order of trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from envs.tables.answers import Answers
from envs.tables.how import How
from envs.tables.kinds import (
    arms,
    battles,
    helm,
    llmrouterbench,
    lm_eval,
    long,
    mixinstruct,
    named,
    promptfoo,
    requests,
    routerarena,
    routerbench,
    scores,
    structs,
    vlmevalkit,
    wide,
)
from envs.tables.log import Log
from envs.tables.sheet import Sheet

Looks = Callable[[Sequence[str], Sequence[Mapping[str, Any]]], bool]


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: what people call it.
        needs: the columns that make it this kind, for a message.
        looks: whether column names and first rows are of this kind.
        read: what the models of the file gave, or the log that it is.
    """

    name: str
    needs: str
    looks: Looks
    read: Callable[[Sheet, How], Answers | Log]


_MODULES: tuple[Any, ...] = (
    arms, routerbench, structs, scores, vlmevalkit, lm_eval, llmrouterbench, routerarena, promptfoo, helm, mixinstruct,
    battles, requests, long, wide, named,
)  # fmt: skip
KINDS = tuple(Kind(m.NAME, m.NEEDS, m.looks, m.read) for m in _MODULES)

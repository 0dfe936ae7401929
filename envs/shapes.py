"""What is asked of a table without knowing its kind: in memory, on disk, or a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from envs.calls import Several

Floats = NDArray[np.floating[Any]]


class Pool(Protocol):
    """What a policy is built for: of a stream, of a table on disk, or of a log."""

    @property
    def models(self) -> tuple[str, ...]:
        """`K` names."""

    @property
    def n_arms(self) -> int:
        """`K`."""

    @property
    def dim(self) -> int:
        """`d`, the constant included."""

    @property
    def answered(self) -> NDArray[np.int64]:
        """`(K,)` rows in which each model has an outcome."""


class Table(Pool, Protocol):
    """What is played, in memory or on disk: rows that come window by window."""

    def __hash__(self) -> int:
        """By identity: a table never changes."""

    @property
    def price(self) -> Floats:
        """`(K,)` posted cost of a call, NaN where none is posted."""

    @property
    def priced(self) -> bool:
        """Whether it records costs."""

    @property
    def several(self) -> Several | None:
        """How a query may be answered by several calls; None: by one."""

    def pieces(self, window: int = 0, *, context: bool = True) -> Iterator[Queries]:
        """Yield the rows from this window on."""


class Queries(Protocol):
    """What rewards and the loop read of `n` queries: of a `Stream` in memory, or of one window of a table on disk."""

    @property
    def models(self) -> tuple[str, ...]:
        """`K` names."""

    @property
    def utility(self) -> Floats:
        """`(n, K)`, NaN where missing."""

    @property
    def cost(self) -> Floats:
        """`(n, K)` a call."""

    @property
    def latency(self) -> Floats | None:
        """`(n, K)` seconds, or None."""

    @property
    def tokens(self) -> Floats | None:
        """`(n, K)` output tokens, or None."""

    @property
    def available(self) -> NDArray[np.bool_]:
        """`(n, K)`, whether a model can be called."""

    @property
    def context(self) -> Floats | None:
        """`(n, d)` float32; None where it was not asked for."""

    @property
    def query_id(self) -> Any:
        """`(n,)` names."""

    @property
    def cost_scale(self) -> float:
        """The unit in which rewards count cost."""

    def __len__(self) -> int:
        """`n`."""

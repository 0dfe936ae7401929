"""Which rows of a table are one query: what an interval over queries counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from envs.stream import Stream


def clusters(stream: Stream) -> NDArray[np.intp]:
    """Return `(N,)` a number for each row, shared by near copies: rows of one `group_id`, else of one query.

    Of a stream that changes, rows are rounds of seeds, and each has an id of its own: there the queries of the stream
    before any change are told apart.
    """
    if stream.world is not None:
        return clusters(stream.world.base)[stream.world.row]
    group = stream.outcomes.group_id.astype(str)
    alike = np.where(group == "", np.char.add("id ", stream.outcomes.query_id.astype(str)), group)
    return np.asarray(np.unique(alike, return_inverse=True)[1])


def before(stream: Stream) -> NDArray[np.integer[Any]]:
    """Return `(N,)` the row that each row was before any change."""
    return np.arange(len(stream)) if stream.world is None else stream.world.row

"""What each player got with each query: all that an interval over queries is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.results.by_dataset import MEASURES, UNNAMED
from bandits.results.players import hindsight, plays, shared_order

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from envs.stream import Stream


def by_query(stream: Stream, table: ArrayLike, traces: dict[str, Trace]) -> pd.DataFrame:
    """Return one row for each query that was asked, its numbers means over its rounds with all seeds.

    What an interval over queries is made of: seeds permute one table, and do not tell what other queries would give.
    Near copies are one query, and so are all rounds of a query in a world that changes: the frame has no more rows
    than the table as it was read, whatever the seeds and rounds.

    Args:
        stream, table, traces: as for `by_dataset`.

    Returns:
        A frame with the columns `row` (the first of the query's, in the stream before any change), `cluster` (a number
        for each query; one whose copies are in several datasets has a row for each), dataset, rounds, and for each
        player `reward:<player>`, `accuracy:` and `cost:`, a round.

    Raises:
        ValueError: as `summary.summarise`.
    """
    import pandas as pd

    values, order = np.asarray(table, np.float64), shared_order(traces)
    names, code = np.unique(stream.dataset.astype(str), return_inverse=True)
    cluster, base = clusters(stream), _before(stream)
    cells, cell = np.unique(cluster * len(names) + code, return_inverse=True)
    met = cell[order].ravel()
    often = np.bincount(met, minlength=len(cells))
    first = np.full(len(cells), len(base))
    np.minimum.at(first, cell, base)
    asked = np.flatnonzero(often)
    asked = asked[np.argsort(first[asked], kind="stable")]
    columns: dict[str, Any] = {
        "row": first[asked],
        "cluster": cells[asked] // len(names),
        "dataset": np.where(names == "", UNNAMED, names).astype(object)[cells[asked] % len(names)],
        "rounds": often[asked],
    }
    for play in plays(stream, values, traces, hindsight(stream, values, order)):
        for name in MEASURES:
            sums = np.bincount(met, getattr(play, name).ravel(), len(cells))[asked]
            known = stream.outcomes.priced or name != "cost"
            columns[f"{name}:{play.name}"] = sums / often[asked] if known else np.nan
    return pd.DataFrame(columns)


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


def _before(stream: Stream) -> NDArray[np.integer[Any]]:
    """Return `(N,)` the row that each row was before any change."""
    return np.arange(len(stream)) if stream.world is None else stream.world.row

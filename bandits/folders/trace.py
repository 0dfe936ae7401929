"""A run's calls as rows of `trace.parquet`, written and read: all else of a run can be made again from them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.folders.place import CALLS
from bandits.loop.replay import Trace

if TYPE_CHECKING:
    import pyarrow as pa

    from envs.stream import Stream

Ints = NDArray[np.integer[Any]]
FILE = "trace.parquet"
PROBED = "probed.npz"  # what a stopped run under a budget keeps of its dual prices; no finished run needs it
_NUMBERS = ("seed", "round", "row", "arm", "file_row")
# Differences of neighbours take few bits: a quarter of the size of dictionaries, and faster.
_PACKED: dict[str, Any] = {
    "use_dictionary": ["policy", "query_id"],
    "write_page_checksum": True,
    "column_encoding": dict.fromkeys(_NUMBERS, "DELTA_BINARY_PACKED"),
}


def schema() -> Any:
    """Return the columns of `trace.parquet`, described in docs/command.md."""
    import pyarrow as pa

    spec = pa.dictionary(pa.int32(), pa.string())
    kinds = (spec, pa.int32(), pa.int32(), pa.int32(), pa.int32(), pa.string(), pa.int64())
    return pa.schema(list(zip(CALLS, kinds, strict=True)))


def write(
    into: Any, policies: Sequence[str], order: Ints, arms: Sequence[Ints], ids: pa.Array, origin: Ints, *,
    first: int = 0, begins: int = 0,
) -> None:  # fmt: skip
    """Write one row a call: policy, seed, round (from 0), row of the stream, arm (-1 where none was called), and what
    the row is in the table as it was read: `query_id` and `file_row` (from 0).

    Args:
        into: a path or a file.
        policies: `P` specs.
        order: `(S, m)` rows of the window.
        arms: `(S, m)` models called, of each policy.
        ids: `(n,)` names of the window's queries, a pyarrow array of strings.
        origin: `(n,)` the window's rows in the file.
        first: round of the run that the window begins with.
        begins: row of the stream that the window begins with.
    """
    import pyarrow as pa
    from pyarrow import parquet

    kinds, (seeds, m), asked = schema(), order.shape, order.ravel()

    def put(name: str, values: Any) -> Any:
        return pa.array(values, kinds.field(name).type)

    shared = [
        put("seed", np.repeat(np.arange(seeds), m)),
        put("round", np.tile(np.arange(first, first + m), seeds)),
        put("row", asked + begins),
        ids.take(pa.array(asked)),
        put("file_row", origin[asked]),
    ]
    with parquet.ParquetWriter(into, kinds, **_PACKED) as writer:
        for policy, called in zip(policies, arms, strict=True):
            name = pa.DictionaryArray.from_arrays(np.zeros(seeds * m, np.int32), [policy])
            columns = [name, *shared[:3], put("arm", called.ravel()), *shared[3:]]
            writer.write_table(pa.Table.from_arrays(columns, schema=kinds))


def written(traces: Mapping[str, Trace], stream: Stream) -> bytes:
    """Return the file of a run on a table in memory."""
    import pyarrow as pa

    world = stream.world
    own = (stream if world is None else world.base).outcomes
    row = np.arange(len(own)) if world is None else world.row
    origin, ids = own.origin[row], own.query_id[row]
    names, sink = pa.array(ids.astype(str).tolist(), pa.string()), pa.BufferOutputStream()
    order = next(iter(traces.values())).order
    write(sink, list(traces), order, [trace.arms for trace in traces.values()], names, origin)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def probed(traces: Mapping[str, Trace]) -> bytes:
    """Return, as a file, what was read in the policies' states, which a trace file does not hold; empty: nothing."""
    found = {name: trace.probed for name, trace in traces.items() if trace.probed is not None}
    if not found:
        return b""
    sink = io.BytesIO()
    np.savez_compressed(sink, allow_pickle=False, **found)
    return sink.getvalue()


def read(place: Path, seeds: int) -> dict[str, Trace]:
    """Return the traces that a run's folder holds, by the policy's spec; none where a file of theirs is damaged.

    That they are of the queries that the run asks, `bandits.experiment.play.finish` sees to.
    """
    import pyarrow.parquet as pq

    found: dict[str, Trace] = {}
    try:
        calls = pq.read_table(place / FILE, columns=["policy", "row", "arm"], page_checksum_verification=True)
        stored, names = {}, calls["policy"].to_numpy()
        if (place / PROBED).exists():
            with open(place / PROBED, "rb") as file, np.load(file, allow_pickle=False) as held:
                stored = dict(held)
        for name in dict.fromkeys(names.tolist()):
            own = calls.filter(names == name)
            order, arms = (own[c].to_numpy().astype(np.int32).reshape(seeds, -1) for c in ("row", "arm"))
            found[name] = Trace(order, arms, stored.get(name))
    except Exception:  # Parquet, zip files and NumPy's header fail in a dozen ways on damaged bytes
        return {}
    return found


def part(folder: Path, window: int) -> Path:
    """Return the file of the calls of a window of a run that is not finished."""
    return folder / f"{window:09d}.parquet"


def parts(folder: Path, windows: int) -> Sequence[Path]:
    """Return the files of the first windows.

    Raises:
        ValueError: one is lacking or damaged.
    """
    from pyarrow import parquet

    found = [part(folder, window) for window in range(windows)]
    for one in found:
        try:
            parquet.read_metadata(one)
        except (OSError, ValueError) as error:
            raise ValueError(f"{one} is damaged; remove {folder.parent} to begin anew") from error
    return found


def joined(folder: Path, windows: int, into: Path) -> None:
    """Write the file of a run from those of its windows.

    Raises:
        ValueError: one is lacking or damaged.
    """
    from pyarrow import parquet

    with parquet.ParquetWriter(into, schema(), **_PACKED) as whole:
        for one in parts(folder, windows):
            try:
                whole.write_table(parquet.read_table(one, page_checksum_verification=True))
            except (OSError, ValueError) as error:
                raise ValueError(f"{one} is damaged; remove {folder.parent} to begin anew") from error

"""The folder of a run that is not finished: it stands beside the one to come, and becomes it whole, at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.folders import place
from bandits.folders.write import trace_schema

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.integer[Any]]
_NUMBERS = ("seed", "round", "row", "arm")
# Differences of neighbours take few bits: a quarter of the size of dictionaries, and faster.
_PACKED: dict[str, Any] = {
    "use_dictionary": ["policy"],
    "column_encoding": dict.fromkeys(_NUMBERS, "DELTA_BINARY_PACKED"),
}


class Staged:
    """Where a run into `folder` keeps its checkpoint and, window by window, its trace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder.parent / f".{folder.name}.unfinished"
        self.checkpoint = self.place / "checkpoint.npz"

    def begin(self) -> None:
        """Make the folder, empty."""
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "trace").mkdir(parents=True)

    def write(self, window: int, policies: list[str], first: int, rows: Ints, arms: Ints) -> None:
        """Write the trace of a window, over an earlier one that a checkpoint does not know of.

        Args:
            window: its number.
            policies: `P` specs.
            first: round of the run that the window begins with.
            rows: `(S, m)` of the table.
            arms: `(P, S, m)`.
        """
        import pyarrow as pa
        from pyarrow import parquet

        seeds, m = rows.shape
        names = np.repeat(np.arange(len(policies), dtype=np.int32), seeds * m)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(names), policies),
            np.tile(np.repeat(np.arange(seeds), m), len(policies)),
            np.tile(np.arange(first, first + m), seeds * len(policies)),
            np.tile(rows.ravel(), len(policies)),
            arms.ravel(),
        ]
        schema = trace_schema()
        arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=schema)
        parquet.write_table(table, self.place / "trace" / f"{window:09d}.parquet", **_PACKED)

    def publish(self, tables: Mapping[str, pd.DataFrame], page: str, manifest: Mapping[str, Any]) -> None:
        """Write the tables, the report, the manifest and the whole trace, and let the folder appear."""
        from pyarrow import parquet

        for name, frame in tables.items():
            frame.to_csv(self.place / f"{name}.csv", index=False)
        (self.place / "report.html").write_text(page, encoding="utf-8")
        (self.place / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        with parquet.ParquetWriter(self.place / "trace.parquet", trace_schema(), **_PACKED) as whole:
            for part in sorted((self.place / "trace").iterdir()):
                whole.write_table(parquet.read_table(part))
        shutil.rmtree(self.place / "trace")
        self.checkpoint.unlink(missing_ok=True)
        earlier, names = place.marked(self.folder), [p.name for p in self.place.iterdir()]
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(names, key=lambda name: name == "manifest.json"):
            os.replace(self.place / name, self.folder / name)
        if earlier:
            place.clear(self.folder, keep=tuple(names))
        self.place.rmdir()

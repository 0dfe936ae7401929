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

from bandits.folders import place, sheets
from bandits.folders.write import trace_schema
from envs.windows import big

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.integer[Any]]
_NUMBERS = ("seed", "round", "row", "arm", "file_row")
# Differences of neighbours take few bits: a quarter of the size of dictionaries, and faster.
_PACKED: dict[str, Any] = {
    "use_dictionary": ["policy", "query_id"],
    "write_page_checksum": True,
    "column_encoding": dict.fromkeys(_NUMBERS, "DELTA_BINARY_PACKED"),
}


class Staged:
    """Where a run into `folder` keeps its checkpoint and, window by window, its trace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder.parent / f".{folder.name}.unfinished"
        self.checkpoint = self.place / "checkpoint.npz"
        ours = {*place.FILES, "trace", self.checkpoint.name, f"{self.checkpoint.name}.part"}
        there = os.path.lexists(self.place)
        plain = self.place.is_dir() and not self.place.is_symlink()
        if there and not (plain and {p.name for p in self.place.iterdir()} <= ours):
            raise ValueError(f"{self.place} needs to hold only what a stopped run left; move it away")

    def begin(self) -> None:
        """Make the folder, empty."""
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "trace").mkdir(parents=True)

    def parts(self, windows: int) -> list[Path]:
        """Return the files that hold the trace of the first windows.

        Raises:
            ValueError: one is lacking or damaged.
        """
        from pyarrow import parquet

        found = [self.place / "trace" / f"{window:09d}.parquet" for window in range(windows)]
        for part in found:
            try:
                parquet.read_metadata(part)
            except (OSError, ValueError) as error:
                raise ValueError(f"{part} is damaged; remove {self.place} to begin anew") from error
        return found

    def write(self, window: int, policies: list[str], first: int, rows: Ints, arms: Ints, ids: Any) -> None:
        """Write the trace of a window, over an earlier one that a checkpoint does not know of.

        Args:
            window: its number.
            policies: `P` specs.
            first: round of the run that the window begins with.
            rows: `(S, m)` of the table.
            arms: `(P, S, m)`.
            ids: names of the window's queries as they stand in the table, a pyarrow array of strings.
        """
        import pyarrow as pa
        from pyarrow import parquet

        seeds, m = rows.shape
        asked = ids.take(pa.array((rows - window * big.WINDOW).ravel()))
        names = np.repeat(np.arange(len(policies), dtype=np.int32), seeds * m)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(names), policies),
            np.tile(np.repeat(np.arange(seeds), m), len(policies)),
            np.tile(np.arange(first, first + m), seeds * len(policies)),
            np.tile(rows.ravel(), len(policies)),
            arms.ravel(),
            pa.chunked_array([asked] * len(policies)).combine_chunks(),
            np.tile(rows.ravel(), len(policies)),
        ]
        schema = trace_schema()
        arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=schema)
        parquet.write_table(table, self.place / "trace" / f"{window:09d}.parquet", **_PACKED)

    def publish(self, tables: Mapping[str, pd.DataFrame], page: str, manifest: Mapping[str, Any]) -> None:
        """Write the tables, the report, the manifest and the whole trace, and let the folder appear."""
        from pyarrow import parquet

        for name, frame in tables.items():
            (self.place / sheets.file(name)).write_bytes(sheets.written(name, frame))
        (self.place / "report.html").write_text(page, encoding="utf-8")
        (self.place / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        with parquet.ParquetWriter(self.place / "trace.parquet", trace_schema(), **_PACKED) as whole:
            for part in self.parts(-(-manifest["rounds"] // big.WINDOW)):
                try:
                    whole.write_table(parquet.read_table(part, page_checksum_verification=True))
                except (OSError, ValueError) as error:
                    raise ValueError(f"{part} is damaged; remove {self.place} to begin anew") from error
        earlier = place.marked(self.folder)
        names = ("trace.parquet", *map(sheets.file, tables), "report.html", "manifest.json")
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in names:  # the manifest after all others
            os.replace(self.place / name, self.folder / name)
        if earlier:
            place.clear(self.folder, keep=names)
        shutil.rmtree(self.place)  # the last: until then, --resume makes all of it again

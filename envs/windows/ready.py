"""The layout that `make-stream` writes: utility, cost and ready contexts as lists of one length; docs/streams.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.outcomes import Floats
from envs.windows.big import Big, Cells

if TYPE_CHECKING:
    import pyarrow as pa


class Ready:
    """Three columns of lists of float32 (`utility` and `cost` `K` long, `context` `d` long) and the data set's name."""

    def __init__(self, path: Path, models: tuple[str, ...]) -> None:
        self.path, self.models = path, models

    def columns(self, context: bool) -> list[str]:
        """Return the columns to read."""
        return ["dataset", "utility", "cost"] + ["context"] * context

    def cells(self, table: pa.Table) -> Cells:
        """Return the outcomes of some rows.

        Raises:
            ValueError: a utility outside [0, 1] or a cost below 0.
        """
        import pyarrow as pa

        utility, cost = (self._matrix(table, name, len(self.models)) for name in ("utility", "cost"))
        seen = ~np.isnan(utility)
        for name, matrix, top in (("utility", utility, 1.0), ("cost", cost, np.inf)):
            if matrix.min() >= 0 and matrix.max() <= min(top, np.finfo(np.float32).max):
                continue  # nothing is missing either: a NaN would be the least
            bad = seen & ~((matrix >= 0) & (matrix <= top) & np.isfinite(matrix))
            if bad.any():
                row, arm = np.argwhere(bad)[0]
                raise ValueError(
                    f"{self.path}: row {row + 1}, column {name!r}, model {self.models[arm]!r} needs a number in"
                    f" [0, {top:g}], found {matrix[row, arm]:g}"
                )
        names = table.column("dataset").cast(pa.string()).combine_chunks()
        return Cells(utility.astype(np.float64), cost.astype(np.float64), None, None, names)

    def context(self, table: pa.Table) -> Floats:
        """Return the contexts as they stand.

        Raises:
            ValueError: a number that is not finite.
        """
        found = self._matrix(table, "context", None)
        if not np.isfinite(found).all():
            row = int(np.argmin(np.isfinite(found).all(axis=1)))
            raise ValueError(f"{self.path}: row {row + 1}, column 'context' needs finite numbers")
        return found

    def survey(self, datasets: tuple[str, ...]) -> tuple[int, list[str]]:
        """Contexts stand in the file."""
        return 0, []

    def _matrix(self, table: pa.Table, name: str, width: int | None) -> Floats:
        column = table.column(name)
        size = column.type.list_size if hasattr(column.type, "list_size") else None
        if size is None or size != (width or size) or column.null_count:
            raise ValueError(
                f"{self.path}: column {name!r} needs lists of {width or 'd'} numbers, found {column.type}"
            )
        values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.asarray(values, np.float32).reshape(-1, size)


def table(path: Path, rows: int, about: dict[str, Any]) -> Big:
    """Return the table of a file from `make-stream`, not yet surveyed."""
    from pyarrow import parquet

    models = tuple(str(m) for m in about["models"])
    with parquet.ParquetFile(path) as file:
        width = getattr(file.schema_arrow.field("context").type, "list_size", 0)
    posted = about.get("price", {})
    return Big(
        path,
        Ready(path, models),
        rows,
        width,
        price=np.array([posted.get(m, np.nan) for m in models], np.float64),
        priced=True,
        cost_unit=about.get("cost_unit", ""),
        label=about.get("label", "recorded answers"),
        source=about.get("source", ""),
        licence=about.get("licence", ""),
        notes=tuple(about.get("notes", ())),
    )

"""What several runs of one ask have above their folders: the page of reward by budget, and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandits import rows
from bandits.folders import place

if TYPE_CHECKING:
    import pandas as pd

FILES = place.ABOVE[:2]


def publish(folder: Path, found: Sequence[pd.DataFrame], known: Mapping[str, Any]) -> Path:
    """Write `FILES` above the runs' folders, each whole or not at all, and return the page's path.

    What an earlier run on its own left there is taken away.

    Args:
        folder: in which each run has its own.
        found: of `points`, a frame for each run.
        known: shown are `title`, `label`, `notes`, `command` and `cost_unit`.
    """
    import pandas as pd

    from bandits.report import budgets

    frame = pd.concat(found, ignore_index=True)
    # Hindsight and single models do not know what was asked for: once each is enough.
    own = frame["kind"] == "policy"
    frame.loc[~own, ["run", "asked"]] = ""
    frame = frame[own | ~frame.duplicated()].reset_index(drop=True)
    texts = (budgets.render(frame, known), frame.to_csv(index=False))
    if place.marked(folder):
        place.clear(folder)
    for name, text in zip(FILES, texts, strict=True):
        rows.write(str(folder / name), text.rstrip("\n"))
    return folder / FILES[0]

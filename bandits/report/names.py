"""What policies are called in tables, charts and pages, where a run gives them names of its own (`--label`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from envs.nearest import near

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 60  # characters of a label


def parse(texts: Sequence[str], policies: Sequence[str], others: Collection[str] = ()) -> dict[str, str]:
    """Return the label of each policy that has one.

    Args:
        texts: each `SPEC=LABEL`, with the spec as it was given to the run: `linucb,alpha=0.3=LinUCB`.
        policies: the run's specs.
        others: names of what else has a row in the run's tables: models and references.

    Raises:
        ValueError: a spec that is none of the run's, two of one name, or a label that is empty or too long.
    """
    found: dict[str, str] = {}
    for text in texts:
        spec, _, label = text.rpartition("=")
        label = label.strip()
        if spec not in policies:
            known = near(spec, list(policies))
            raise ValueError(f"--label needs SPEC=LABEL with a policy of the run, got {text!r}; {known}")
        if not 0 < len(label) <= _LONGEST or not label.isprintable():
            raise ValueError(f"--label needs a name of 1 to {_LONGEST} characters, got {text!r}")
        if label in others and label != spec:
            raise ValueError(f"--label needs a name that no model or reference has, got {text!r}")
        if spec in found:
            raise ValueError(f"--label names {spec!r} twice")
        found[spec] = label
    names = [found.get(spec, spec) for spec in policies] if found else []
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"--label needs a name of its own for each policy, got {twice[0]!r} twice")
    return found


def labelled(tables: Mapping[str, pd.DataFrame], labels: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return a run's tables with its policies under their labels, in the colours that they have without."""
    if not labels:
        return dict(tables)
    found = {}
    for name, frame in tables.items():
        # `by_query` has a column for each measure and policy.
        columns = {c: f"{m}:{labels[p]}" for c in frame for m, _, p in [str(c).partition(":")] if p in labels}
        frame = frame.rename(columns=columns)
        if "policy" in frame:
            renamed = frame.assign(policy=[labels.get(spec, spec) for spec in frame["policy"]])
            frame = renamed.assign(family=frame["policy"]) if name == "summary" else renamed
        found[name] = frame
    return found

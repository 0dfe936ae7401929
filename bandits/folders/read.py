"""Several finished runs as one: read from their folders, checked to be on the same queries, and put together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bandits.folders import manifest as manifests
from bandits.folders import sheets
from bandits.folders.naming import labels_of, names_of, one_table, policies_of, spelled
from bandits.folders.sheets import TURNS
from bandits.metrics.intervals import paired
from bandits.results.differences import Scores, paired_differences, scores

if TYPE_CHECKING:
    import pandas as pd

_SAME = ("seeds", "seed", "order", "rounds")  # with the data, they fix which query each seed met when
_LAG = ("lag", "lag_lo", "lag_hi")


class Finished(NamedTuple):
    """What a run left in its folder: three tables as data frames, and its manifest."""

    name: str
    summary: pd.DataFrame
    curves: pd.DataFrame
    by_dataset: pd.DataFrame
    manifest: Mapping[str, Any]
    changes: pd.DataFrame | None = None
    by_query: pd.DataFrame | None = None
    calls: pd.DataFrame | None = None
    abstain: pd.DataFrame | None = None
    risk_coverage: pd.DataFrame | None = None

    @property
    def turns(self) -> dict[str, pd.DataFrame]:
        """What there is of the tables about several calls a query, by name."""
        found = {name: getattr(self, name) for name in TURNS}
        return {name: frame for name, frame in found.items() if frame is not None}


def read(folder: Path | str) -> Finished:
    """Return a finished run from its folder.

    Raises:
        ValueError: the folder lacks a file, or holds something else under its name.
    """
    place = Path(folder)
    manifest = manifests.read(place)
    if not manifest.get("tables", True):
        raise ValueError(
            f"{place} was stopped before its tables were made; go on with: {manifest['command'][:300]}"
        )
    tables = {name: sheets.read(place, name) for name in ("summary", "curves", "by_dataset")}
    phases = sheets.read(place, "changes") if (place / "changes.csv").is_file() else None
    queries = sheets.read(place, "by_query") if (place / sheets.file("by_query")).is_file() else None
    more = {name: sheets.read(place, name) for name in TURNS if (place / f"{name}.csv").is_file()}
    return Finished(str(place), **tables, manifest=manifest, changes=phases, by_query=queries, **more)


def merge(runs: Sequence[Finished]) -> Finished:
    """Return one run that holds the policies of all, as if they had been run together.

    A policy of several runs gets the settings that set them apart behind its name, and `run` of the summary says which
    run a row is from: each policy is compared with its own run's `uniform` (`report.styles.own`). Runs that count
    reward in different ways (another reward or preference) keep references of their own, and nothing compares their
    rewards: the manifest's `comparable` is False.

    Raises:
        ValueError: no run, or two that did not meet the same queries in the same order.
    """
    import pandas as pd

    if not runs:
        raise ValueError("report needs the folder of at least one finished run")
    for other in runs[1:]:
        _check_same(runs[0], other)
    if len(runs) == 1:
        return runs[0]
    comparable = len({spelled(run.manifest, ("reward", "preference")) for run in runs}) == 1
    labels, names = labels_of(runs), names_of(runs, comparable and one_table(runs))
    told = [
        _renamed(run.summary, new).assign(run=label)
        for run, new, label in zip(runs, names, labels, strict=True)
    ]
    summary = pd.concat(told)
    curves, parts = (
        pd.concat([_renamed(getattr(run, table), new) for run, new in zip(runs, names, strict=True)])
        for table in ("curves", "by_dataset")
    )
    phases = [
        _renamed(run.changes, new) for run, new in zip(runs, names, strict=True) if run.changes is not None
    ]
    order = {"policy": 0, "reference": 1, "model": 2}
    summary = summary.sort_values("kind", key=lambda kind: kind.map(order), kind="stable")
    return Finished(
        ", ".join(run.name for run in runs),
        _ranked(summary, scores(parts), comparable),
        curves.reset_index(drop=True),
        parts.reset_index(drop=True),
        _manifest(runs, list(summary.loc[summary["kind"] == "policy", "policy"]), comparable),
        pd.concat(phases, ignore_index=True) if phases else None,
        _beside([run.by_query for run in runs], names),
        **_turns(runs, names),
    )


def _turns(runs: Sequence[Finished], names: Sequence[Mapping[str, str]]) -> dict[str, pd.DataFrame]:
    """Return the tables about several calls a query of all runs; what hindsight would have called is a run's own."""
    import pandas as pd

    found: dict[str, list[pd.DataFrame]] = {}
    for run, new in zip(runs, names, strict=True):
        for name, frame in run.turns.items():
            own = frame if "kind" not in frame else frame[frame["kind"] == "policy"]
            found.setdefault(name, []).append(_renamed(own, new))
    return {name: pd.concat(frames, ignore_index=True) for name, frames in found.items()}


def difference(first: Finished, second: Finished, *, datasets: bool = False) -> pd.DataFrame:
    """Return how far the second run's policies are from the first's, paired over seeds.

    Each policy is compared with itself in the first run, or with the first run's best where it was not run there.

    Args:
        first, second: from `read`.
        datasets: give every dataset too, not only all together.

    Returns:
        A frame as `paired_differences` has it.

    Raises:
        ValueError: as `merge`.
    """
    first, second = first._replace(name="first"), second._replace(name="second")
    merged = merge((first, second))
    before, after = (policies_of(run) for run in (first, second))
    shared = bool(merged.manifest["comparable"]) and one_table((first, second))
    here, there = names_of((first, second), shared)
    best = max(before, key=lambda name: _reward(first)[name])
    pairs = [(there[name], here[name if name in before else best]) for name in after]
    got = scores(merged.by_dataset, merged.by_query)
    known = ["accuracy"] if np.isnan(got.value["cost"]).all() else ["accuracy", "cost"]
    measures = ["reward", *known] if merged.manifest["comparable"] else known
    frame = paired_differences(got, pairs, measures=measures)
    return frame if datasets else frame[frame["dataset"] == got.datasets[0]].reset_index(drop=True)


def page(folders: Sequence[Path | str]) -> str:
    """Return the report of finished runs as one HTML page; nothing is run.

    Raises:
        ValueError: as `read` and `merge`.
    """
    from bandits.report import render

    runs = [read(folder) for folder in folders]
    with fitting(runs):
        runs = [_called(run) for run in runs]
        merged = merge(runs)
        return render(
            merged.summary, merged.curves, merged.by_dataset, merged.manifest, merged.changes, merged.by_query,
            merged.turns,
        )  # fmt: skip


def _called(run: Finished) -> Finished:
    """Return a run with its policies under the names that it gave them (`--label`)."""
    from bandits.report.names import labelled

    tables = {name: frame for name, frame in run._asdict().items() if hasattr(frame, "columns")}
    named: dict[str, Any] = labelled(tables, run.manifest.get("labels") or {})
    return run._replace(**named)


@contextmanager
def fitting(runs: Sequence[Finished]) -> Iterator[None]:
    """Turn what tables cause that are well formed but do not belong together into one line that names the folders."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # no whole run divides by nothing
            yield
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())[:1000]) from error  # however long a name in it is
    except (LookupError, TypeError, ArithmeticError, AttributeError, RuntimeWarning) as error:
        names = ", ".join(run.name for run in runs)[:300]
        why = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise ValueError(
            f"{names}: summary.csv, curves.csv, by_dataset.csv and manifest.json do not fit together ({why})"
        ) from error


def _check_same(first: Finished, other: Finished) -> None:
    tables = [_table(run.manifest) for run in (first, other)]
    if tables[0] != tables[1]:
        raise ValueError(
            f"runs need the same table and stream to be compared; {first.name} is on {first.manifest['stream']!r}"
            f" (sha256 {tables[0][:8]}), {other.name} on {other.manifest['stream']!r} ({tables[1][:8]})"
        )
    for key in _SAME:
        here, there = first.manifest.get(key), other.manifest.get(key)
        if here != there:
            raise ValueError(
                f"runs need the same {key} to be compared; {first.name} has {here}, {other.name} has {there}"
            )


def _table(manifest: Mapping[str, Any]) -> str:
    """Return the sha256 of the table that runs share; the sequences of calls that a run adds to it are its own."""
    given = manifest.get("given_sha256") if manifest.get("calls", 1) != 1 else None
    return str(given or manifest["data"]["sha256"])


def _reward(run: Finished) -> dict[str, float]:
    return dict(zip(run.summary["policy"], run.summary["reward_mean"], strict=True))


def _renamed(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    kept = frame[frame["policy"].isin(list(names))]
    family = kept.get("family", kept["policy"])  # of a policy with a label: its spec
    return kept.assign(family=family, policy=kept["policy"].map(names))


def _beside(frames: Sequence[pd.DataFrame | None], names: Sequence[Mapping[str, str]]) -> pd.DataFrame | None:
    """Return what each query got from the players of all runs; None where a run does not tell, or asked others."""
    import pandas as pd

    known = [frame for frame in frames if frame is not None]
    if len(known) < len(frames) or any(not known[0]["row"].equals(other["row"]) for other in known):
        return None
    parts = [known[0][["row", "cluster", "dataset", "rounds"]]]
    for frame, new in zip(known, names, strict=True):
        split = {column: column.partition(":") for column in frame.columns}
        kept = {c: f"{measure}:{new[player]}" for c, (measure, _, player) in split.items() if player in new}
        parts.append(frame[list(kept)].rename(columns=kept))
    return pd.concat(parts, axis=1)


def _ranked(summary: pd.DataFrame, got: Scores, comparable: bool) -> pd.DataFrame:
    """Return the summary with every player's distance from the best policy of all runs; NaN where that has no sense."""
    summary = summary.reset_index(drop=True)
    if not comparable:
        summary[list(_LAG)] = np.nan
        return summary
    reward = got.value["reward"][:, [got.players.index(name) for name in summary["policy"]], 0]
    own = np.flatnonzero(summary["kind"] == "policy")
    contenders = own if len(own) else np.arange(len(summary))
    leader = contenders[reward[:, contenders].mean(axis=0).argmax()]
    best = np.broadcast_to(reward[:, [leader]], reward.shape)
    for column, values in zip(_LAG, paired(best, reward)[:3], strict=True):
        summary[column] = values
    return summary


def _manifest(runs: Sequence[Finished], policies: list[str], comparable: bool) -> dict[str, Any]:
    """Return the first run's manifest with what the runs do not share joined."""
    each = [run.manifest for run in runs]

    def joined(key: str, between: str = ", ") -> str:
        return between.join(dict.fromkeys(str(m[key]) for m in each if m.get(key) not in (None, "")))

    changed = {key: joined(key) for key in ("reward", "preference", "budget", "label", "time")}
    versions = {m["versions"]["routebandit"] for m in each}
    notes = list(dict.fromkeys(note for m in each for note in m["notes"]))
    if len(versions) > 1:
        notes.append(f"the runs were made with different versions: {', '.join(sorted(versions))}")
    return {
        **each[0],
        **changed,
        "title": f"{len(runs)} runs on {each[0]['stream']}",
        "command": joined("command", "; "),
        "policies": policies,
        "notes": notes,
        "seconds": round(sum(m["seconds"] for m in each), 3),
        "comparable": comparable,
    }

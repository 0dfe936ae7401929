"""From a log and the names of targets to one table: an estimate of each, diagnostics, and what the log can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.experiment.lineup import REFERENCES, build
from bandits.metrics.off_policy.intervals import student
from bandits.off_policy import objectives, targets, words
from bandits.off_policy.rounds import QUANTITIES, Rounds
from bandits.off_policy.valued import PLAIN, RECOMMENDED, Estimate, How, modelled, valued
from bandits.rewards import Reward
from bandits.serving.router import load
from envs.tables import columns, files

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
LOGGED = "the log's own policy"
FEW = 100  # accepted rounds below which a replay says little
MEASURED = (
    f"estimated by {RECOMMENDED} with the interval of the log's design, the most exact of those that hold the truth in"
    " trials on logs of 500 to 2,000 rounds (docs/logs.md); ope-benchmark tries it on a table of your own"
)


class Answer(NamedTuple):
    """What `ope` found.

    Attributes:
        rows: of the table, one a target (a target, quantity and estimator when wide).
        diagnostics: one row a target.
        warnings, verdict: one line each.
        weights: `(n,)` of each target, where the log has propensities.
    """

    rows: list[dict[str, Any]]
    diagnostics: list[dict[str, Any]]
    warnings: list[str]
    verdict: list[str]
    weights: dict[str, Floats]


def chances(rounds: Rounds, spec: str, reward: Reward, *, seed: int = 0) -> Floats:
    """Return `(n, K)` the probabilities with which a target calls each model.

    Raises:
        ValueError: no such policy or model, or one that needs hindsight.
    """
    name = spec.partition(",")[0].strip()
    if spec.endswith(".npz"):
        return targets.exported(load(spec, seed=seed), rounds)
    if name in REFERENCES:
        raise ValueError(f"policy {spec!r} needs hindsight: a log has one model's outcome a query")
    if name == "learned":
        return objectives.chances(rounds, spec, seed=seed)
    if name == "uniform":
        return np.asarray(rounds.available / rounds.available.sum(axis=1, keepdims=True))
    policy = build(spec, targets.sized(rounds), reward, checked=".py:" in spec)
    return targets.still(policy, rounds) if name == "always" else targets.learned(policy, rounds, seed=seed)


def answer(
    rounds: Rounds, wanted: dict[str, Floats], how: How = PLAIN, *, boosted: bool = False, seed: int = 0
) -> Answer:
    """Return the table, the diagnostics and the words.

    Args:
        rounds: the log.
        wanted: `(n, K)` probabilities of each target by its name.
        how: which estimators and intervals.
        boosted: reward models of gradient boosting, not ridge.
        seed: of the folds.
    """
    model = modelled(rounds, boosted=boosted, seed=seed)
    weights: dict[str, Floats] = {}
    rows, looked, said = _own(rounds, how.wide), [], words.of_the_log(rounds)
    for target, pi in wanted.items():
        found = {name: valued(rounds, pi, name, model[name], how) for name in rounds.values}
        rows += _rows(target, found, how.wide)
        diagnosed = words.diagnosed(rounds, pi)
        said += words.warnings(rounds, target, diagnosed)
        if diagnosed is not None and rounds.propensity is not None:
            weights[target] = pi[np.arange(len(rounds)), rounds.arm] / rounds.propensity
            looked.append({"policy": target} | diagnosed._asdict())
    if rounds.propensity is not None:
        said.insert(0, MEASURED)
    if rounds.propensity is None or (rounds.propensity == 1).all():
        return Answer(rows, looked, said, [], weights)
    return Answer(rows, looked, said, words.verdict(rounds, wanted, model["reward"]), weights)


def _own(rounds: Rounds, wide: bool) -> list[dict[str, Any]]:
    """Return the logged policy's own row: its means need no propensity."""
    found = {
        name: [Estimate("mean", float(y.mean()), *student(y), "t", y).within(name)]
        for name, y in rounds.values.items()
    }
    return _rows(LOGGED, found, wide)


def _rows(target: str, found: dict[str, list[Estimate]], wide: bool) -> list[dict[str, Any]]:
    if wide:
        return [
            {"policy": target, "quantity": name, "estimator": one.estimator, "mean": one.mean, "lo": one.low,
             "hi": one.high, "interval": one.interval}
            for name, every in found.items() for one in every
        ]  # fmt: skip
    row: dict[str, Any] = {"policy": target, "estimator": next(iter(found.values()))[0].estimator}
    for name in QUANTITIES:
        if name in found:
            one = found[name][0]
            row |= {name: one.mean, f"{name}_lo": one.low, f"{name}_hi": one.high}
    return [row]


def against(rows: Sequence[dict[str, Any]], truth: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return rows with the truth beside each estimate, where it is known: `truth[target][quantity]`."""
    made = []
    for row in rows:
        known = truth.get(row["policy"])
        if known is None:
            made.append(dict(row))
        elif "quantity" in row:
            made.append(
                {**row, "truth": known[row["quantity"]], "error": row["mean"] - known[row["quantity"]]}
            )
        else:
            made.append({**row, **{f"{name}_true": known[name] for name in known if name in row}})
    return made


def truths(
    rounds: Rounds, wanted: dict[str, Floats], stream: Stream, table: Floats
) -> dict[str, dict[str, float]]:
    """Return the true value of each target on the log's queries, from a full table of the same queries and models.

    Raises:
        ValueError: the table lacks a model or a query of the log.
    """
    if lacking := [m for m in rounds.models if m not in stream.models]:
        raise ValueError(f"--truth needs the models of the log, {stream.name} lacks {lacking[0]!r}")
    place = {str(name): i for i, name in enumerate(stream.query_id)}
    if missing := [name for name in rounds.query_id if name not in place]:
        raise ValueError(f"--truth needs the queries of the log, {stream.name} lacks {str(missing[0])!r}")
    rows = np.array([place[name] for name in rounds.query_id])
    at = np.ix_(rows, np.array([stream.models.index(m) for m in rounds.models]))
    full = {"utility": stream.utility[at], "cost": stream.cost[at], "reward": table[at]}
    return {
        target: {
            name: float(np.where(pi > 0, pi * np.nan_to_num(full[name]), 0.0).sum(axis=1).mean())
            for name in rounds.values
        }
        for target, pi in wanted.items()
    }


def grouped(rounds: Rounds, text: str) -> NDArray[np.int64]:
    """Return `(K,)` the group of each model, from `a,b;c,d`, groups parted by semicolons, or a CSV: model, group.

    Models that are not named are each a group of their own.

    Raises:
        ValueError: an unknown model, one in two groups, or a file without these columns.
    """
    if text.endswith(".csv"):
        sheet = files.opened(Path(text))
        if not {"model", "group"} <= set(sheet.names):
            raise ValueError(
                f"{text}: --groups needs columns model and group, found {', '.join(sheet.names)}"
            )
        table = sheet.table(["model", "group"])
        pairs = [
            (str(m), str(g))
            for m, g in zip(*(columns.texts(sheet.path, table, c) for c in ("model", "group")), strict=True)
        ]
    else:
        parts = [part.split(",") for part in text.split(";")]
        pairs = [(name.strip(), str(i)) for i, part in enumerate(parts) for name in part if name.strip()]
    named = dict(pairs)
    if unknown := [m for m in named if m not in rounds.models]:
        raise ValueError(f"--groups names {unknown[0]!r}, which {rounds.name} does not")
    if len(named) < len(pairs):
        raise ValueError("--groups needs each model once, in one group")
    keys = [f"group {named[m]}" if m in named else f"model {m}" for m in rounds.models]
    return np.unique(np.array(keys), return_inverse=True)[1].astype(np.int64)


def replayed(rounds: Rounds, spec: str, reward: Reward, *, seed: int = 0) -> dict[str, Any]:
    """Return a row of rejection replay: how many rounds were accepted, and what the policy earned on them.

    Raises:
        ValueError: as `chances`, or no propensities.
    """
    if spec.endswith(".npz") or spec.partition(",")[0].strip() in (*REFERENCES, "learned"):
        raise ValueError(f"--replay needs a policy that plays, got {spec!r}")
    policy = build(spec, targets.sized(rounds), reward, checked=".py:" in spec)
    found = targets.rejection(policy, rounds, seed=seed)
    count = int(found.accepted.sum())
    row: dict[str, Any] = {"policy": spec, "accepted": count, "of": len(rounds), "bound": found.bound}
    for name, y in rounds.values.items():
        ends = student(y[found.accepted]) if count > 1 else (np.nan, np.nan)
        mean = float(y[found.accepted].mean()) if count else np.nan
        one = Estimate("replay", mean, *ends, "t").within(name)
        row |= {name: mean, f"{name}_lo": one.low, f"{name}_hi": one.high}
    return row


def of_replay(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is to be known of rejection replay, one line a policy."""
    said = []
    for row in rows:
        count, total = row["accepted"], row["of"]
        line = f"{row['policy']}: {count:,} of {total:,} rounds accepted ({100 * count / total:.1f} %)"
        line += "; it learned from those alone, so this is what it earns in as short a run"
        if count < FEW:
            line += f"; fewer than {FEW} tell little: the least propensity, {row['bound']:.3g}, bounds the acceptance"
        said.append(line)
    return said

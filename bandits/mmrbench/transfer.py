"""Zero-shot transfer, the claim of MMR-Bench's abstract (arXiv 2601.17814, tables 4 and 5): trained here, used there.

Table 4: trained on one data set of a scenario, tested on another of it. Table 5: trained on text and image, tested on
text alone: on the data sets of the scenario `text`, which no router has seen, or, where a table has none, on each data
set in turn with its image masked, trained on the others. Which A and B the paper's table 4 means is not published: here
it is every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits import rewards
from bandits.experiment.lineup import REFERENCES, build
from bandits.loop.frozen import decisions
from bandits.loop.relearn import relearned
from bandits.loop.replay import replay
from bandits.metrics import curve
from bandits.mmrbench import modes, splits, standing, trial
from bandits.mmrbench.protocol import Protocol, Row
from bandits.rows import counted
from envs.changes.masks import contribution
from envs.contexts import features
from envs.outcomes import Outcomes
from envs.stream import Stream
from envs.twin import published

Rows = NDArray[np.intp]
SOURCE = "best of the source"  # the model that is best on what trains, used on what tests: transfer without a router
SETS, TEXTS = "data sets", "text only"
_UNUSED = 0.0  # preference: what counts is accuracy
_MODE = {SETS: "22", TEXTS: "21"}


class Asked(NamedTuple):
    """Who is trained and tested, and how often.

    Attributes:
        routers: specs of the protocol's learned routers.
        policies: specs of online policies: each meets the training queries once, then decides without learning.
        seeds: repetitions, >= 1, each trained on its own share of the training queries.
        share: of the training queries, in (0, 1).
        random_state: of the shares and of what draws.
        resamples: of the bootstrap over queries.
        dim: principal components in the policies' context.
    """

    routers: tuple[str, ...] = ("knn", "kmeans", "linearmf")
    policies: tuple[str, ...] = ()
    seeds: int = 5
    share: float = 0.8
    random_state: int = 42
    resamples: int = 1000
    dim: int = 32


def transfer(
    outcomes: Outcomes, asked: Asked, progress: Callable[[str, int], object] | None = None
) -> dict[str, list[Row]]:
    """Return the rows of both tables, `SETS` and `TEXTS`, each judged as one family; without rows where it has none.

    Args:
        outcomes: the whole table.
        asked: who and how often.
        progress: called with a target and the queries tested so far.

    Returns:
        Rows of `standing.rows` with `target`, `scenario` and `masked`: whether an image was taken away.

    Raises:
        ValueError: a share outside (0, 1), a reference among the players, or no pair and no data set to test on.
    """
    if not 0 < asked.share < 1:
        raise ValueError(f"--train-share needs a number between 0 and 1, got {asked.share:g}")
    makers = trial.makers(asked.routers) if asked.routers else []
    known = [m.spec for m in makers if not m.learns] + [s for s in asked.policies if s in REFERENCES]
    if known:
        raise ValueError(f"transfer needs players that learn from one side, {known[0]!r} knows the outcomes")
    table, names = splits.select(outcomes, "all")
    table = modes.embedded(table)
    seen, _ = features.context(table, dim=asked.dim)
    stream = Stream("transfer", table, seen)
    lost = contribution(stream, "image") if asked.policies and table.image is not None else None
    jobs = {SETS: _pairs(table, names), TEXTS: _texts(table, names)}
    if not any(jobs.values()):
        raise ValueError("transfer needs two data sets of one scenario, or two data sets with text")
    found: dict[str, list[Row]] = {}
    for kind, splits_of in jobs.items():
        parts = [_played(stream, lost, one, kind, makers, asked, progress) for one in splits_of]
        settings = Protocol(
            mode=_MODE[kind], split="transfer", seeds=asked.seeds, random_state=asked.random_state,
            resamples=asked.resamples,
        )  # fmt: skip
        made = standing.rows(table.label, parts, settings) if parts else []
        found[kind] = [{**row, **_about(table, row["dataset"])} for row in made]
    return found


def _about(table: Outcomes, name: str) -> Row:
    target = name.rpartition("->")[2]
    scenario = str(table.scenario[np.flatnonzero(table.dataset.astype(str) == target)[0]])
    return {"target": target, "scenario": scenario, "masked": "->" not in name and scenario != "text"}


def _pairs(table: Outcomes, names: Sequence[str]) -> list[splits.Split]:
    """Return a split for each pair of data sets of one scenario; none where there is no such pair."""
    try:
        return splits.make(table, "all", tuple(names), "cross", 0.5, 0)
    except ValueError:
        return []


def _texts(table: Outcomes, names: Sequence[str]) -> list[splits.Split]:
    """Return the text-only data sets against all others, or each data set against the others where there is none."""
    if table.image is None or table.text is None:
        return []
    scenario = table.scenario.astype(str)
    own = [name for name in names if (scenario[table.dataset.astype(str) == name] == "text").all()]
    targets = own or list(names)
    found = []
    for name in targets:
        tested = table.dataset.astype(str) == name
        trains = ~np.isin(table.dataset.astype(str), own or [name])
        if trains.any():
            found.append(splits.Split(name, np.flatnonzero(trains), np.flatnonzero(tested)))
    return found


def _played(
    stream: Stream,
    lost: NDArray[Any] | None,
    split: splits.Split,
    kind: str,
    makers: Sequence[trial.Maker],
    asked: Asked,
    progress: Callable[[str, int], object] | None,
) -> trial.Part:
    """Return one split with the paths of all players, a repetition each on its own share of what trains."""
    table, unit = stream.outcomes, splits.units(stream.outcomes)
    shares = [_share(split.train, unit, asked.share, asked.random_state + s) for s in range(asked.seeds)]
    tested = split.test[~np.isin(unit[split.test], unit[split.train])]  # copies of what trains are not new
    cases = [trial.case(table, splits.Split(split.name, rows, tested), "mean") for rows in shares]
    seeds = [asked.random_state + s for s in range(asked.seeds)]
    entries = []
    for maker in makers:
        paths = [trial.walk(maker, one, _MODE[kind], seed) for one, seed in zip(cases, seeds, strict=True)]
        entries.append(trial.Entry(maker, paths))
    for spec in asked.policies:
        paths = [
            _alone(_online(stream, spec, rows, tested, lost if kind == TEXTS else None, seed))
            for rows, seed in zip(shares, seeds, strict=True)
        ]
        entries.append(_entry(spec, paths))
    best = [int(np.nanargmax(np.nanmean(table.utility[rows], axis=0))) for rows in shares]
    entries.append(_entry(SOURCE, [_alone(np.full(len(tested), arm)) for arm in best]))
    if progress is not None:
        progress(split.name, len(tested) * asked.seeds)
    return trial.Part(cases, entries, unit)


def _entry(spec: str, paths: list[curve.Path]) -> trial.Entry:
    return trial.Entry(trial.Maker(spec, lambda: None, learns=True), paths)


def _alone(arms: NDArray[Any]) -> curve.Path:
    """Return the path of one assignment: what does not weigh cost has a single point."""
    return curve.sequence(arms[None])


def _share(rows: Rows, unit: Rows, share: float, seed: int) -> Rows:
    """Return a share of the rows, whole groups of near copies, in their order."""
    own = np.unique(unit[rows])
    drawn = np.random.default_rng([seed, 5]).permutation(own)[: max(1, round(share * len(own)))]
    return rows[np.isin(unit[rows], drawn)]


def _online(
    stream: Stream, spec: str, train: Rows, test: Rows, lost: NDArray[Any] | None, seed: int
) -> NDArray[np.int32]:
    """Return the `(n,)` models that an online policy calls for the tested queries after one pass over the others."""

    def part(rows: Rows, context: NDArray[Any]) -> Stream:
        return replace(stream, outcomes=stream.outcomes.take(rows), context=context[rows])

    asked = stream.context
    if lost is not None:  # what the image adds, around its mean, does not arrive
        asked = np.hstack([asked[:, :-1] - lost, asked[:, -1:]])
    met, new = part(train, stream.context), part(test, asked)
    worth = rewards.reward_table(rewards.linear, met, _UNUSED)
    policy = build(spec, met, rewards.linear, checked=".py:" in spec)
    trace = replay(policy, met, worth, preference=_UNUSED, seeds=1, seed=seed)
    which, calls = (seed, 1, 0), (trace.order[0], trace.arms[0])
    state = relearned(policy, met, worth, _UNUSED, calls, seed=which, total=len(met))
    told = rewards.reward_table(rewards.linear, new, _UNUSED)
    return decisions(policy, state, new, told, _UNUSED, seed=which, after=len(met))


def scenario_means(rows: Sequence[Row]) -> list[Row]:
    """Return a row for each scenario (table 4) or target (table 5) and player, means over pairs of data sets.

    Args:
        rows: of `transfer`, of one table.

    Returns:
        Rows with `target`, `player`, `pairs`, `best_model` (accuracy of the best single model of what tests), `shift`
        (peak score of the player that was trained elsewhere), and `paper_best_model` and `paper_shift`, NaN where the
        paper has no such row.
    """
    paper = published.transfer()
    found = []
    for target, player in dict.fromkeys((_heading(row), str(row["router"])) for row in rows):
        own = [row for row in rows if (_heading(row), row["router"]) == (target, player)]
        best, shift = paper.get(splits.plain(target), (np.nan, np.nan))
        found.append(
            {
                "target": target, "player": player, "pairs": len(own),
                "best_model": float(np.mean([row["best_single"]["accuracy"] for row in own])),
                "shift": float(np.mean([row["Ps"] for row in own])),
                "paper_best_model": best, "paper_shift": shift,
            }
        )  # fmt: skip
    return found


def _heading(row: Row) -> str:
    return str(row["scenario"]) if "->" in row["dataset"] else str(row["target"])


def verdict(rows: Sequence[Row]) -> str:
    """Return who is shown to beat the best single model where it was not trained, as plain text.

    Args:
        rows: of `transfer`, of one table.
    """
    ahead, below = ([row for row in rows if (row["beats"] if won else row["below"])] for won in (True, False))
    said = [f"{row['router']} on {row['dataset']} ({row['beats'].replace('+', ' and ')})" for row in ahead]
    won = f"shown to beat the best single model of what tests: {', '.join(said)}" if said else (
        "nothing that was trained elsewhere is shown to beat the best single model of what tests"
    )  # fmt: skip
    return f"{won}; shown to be below it: {len(below)} of {counted(len(rows), 'comparison')}."

"""All ready-made scenarios with the same policies on paired seeds: one table of regret, recovery and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.base import Policy
from bandits.experiment import worlds
from bandits.experiment.lineup import Posed, bounds_of, lineup, ranged, run
from bandits.loop import feedback
from bandits.loop.replay import Trace
from bandits.metrics.intervals import Estimate, clustered, paired, student
from bandits.metrics.regret import cumulative_regret, rewards
from bandits.metrics.verdict import judge
from bandits.report.scenarios import SIDES
from bandits.results.by_query import clusters
from bandits.results.phases import outcome
from bandits.rewards import PREFERENCE, Reward, reward_table
from bandits.rows import counted
from envs.changes.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from envs.stream import Stream

VERDICTS = SIDES
OWN = ("costs regret", "saves regret", "not shown")
MARGIN = 0.01  # reward a round: a policy that loses less to what it hears has survived it


def compare(
    stream: Stream,
    policies: Sequence[str],
    reward: Reward,
    *,
    preference: float = PREFERENCE,
    scenarios: Sequence[str] = tuple(SCENARIOS),
    changes: Sequence[str] = (),
    progress: Callable[[str, int], object] | None = None,
    seeds: int,
    **replayed: Any,
) -> list[dict[str, Any]]:
    """Return a row for each scenario and policy; differences are from the first policy, seed by seed.

    Args:
        stream: a plain `Stream`.
        policies: specs; the first is the one to compare with.
        reward: see `reward_table`.
        preference: the weight on cost.
        scenarios: names from `envs.changes.scenarios.SCENARIOS`.
        changes: specs, each a world of its own beside these, named after it.
        progress: called with "scenario: spec" and the number of rounds done.
        seeds, replayed: seed, order, rounds, as `replay` takes them.

    Returns:
        Rows with the columns scenario, policy, `regret` against the oracle of the moment (`regret_lo`, `regret_hi`),
        all of `phases.outcome` (regret against the best model of each phase, recovery, take-up of an arriving model),
        `reward` and `cost` a round, `difference` in final regret from the first policy with its intervals over seeds
        (`difference_lo`, `difference_hi`) and over queries (`queries_lo`, `queries_hi`; a query that comes again with
        another seed or in another round is the same one, and near copies are one), `queries` that it stands on, `p`,
        the larger of the two tests after Holm's correction over the whole table, `verdict` by
        `metrics.verdict.judge`, one of `VERDICTS`, and `why` where nothing is shown. A scenario that the table cannot
        show has one row with `note`. Where only what is heard differs from the `stationary` world, which then needs to
        be among the scenarios: `own`, regret that it costs the policy against itself there, with both intervals
        (`own_lo`, `own_hi`, `own_queries_lo`, `own_queries_hi`), `own_p` after Holm's correction for all of these,
        `own_verdict`, one of `OWN`, and `survives`: whether more than `MARGIN` a round is excluded by both intervals,
        or the policy was not moved at all.

    Raises:
        ValueError: an unknown scenario, or as `lineup`.
    """
    replayed |= {"seeds": seeds}
    rows: list[dict[str, Any]] = []
    compared: list[_Compared | None] = []
    known: dict[
        tuple[int, int], dict[str, Policy | None]
    ] = {}  # policies compile by identity: build once a shape
    truth = _Truth({}, None)
    asked_for = [(name, worlds.scenario(name)) for name in scenarios]
    asked_for += [(spec, Scenario("", (spec,))) for spec in changes]
    for name, asked in asked_for:
        try:
            world = worlds.changed(stream, asked.changes, **replayed)
        except ValueError as error:
            rows.append({"scenario": name, "policy": "-", "note": str(error)})
            compared.append(None)
            continue
        shape = world.n_arms, world.dim
        if shape not in known:
            known[shape] = lineup(world, policies, reward)
        table = reward_table(reward, world, preference)
        told = None if progress is None else _told(progress, name)
        posed = Posed(table, worlds.heard(world, table, reward, preference), preference)
        bounds = bounds_of(posed.heard[1])
        fitted = lineup(world, [spec for spec in policies if ranged(spec)], reward, bounds=bounds)
        late = feedback.parse(asked.delay, batch=asked.batch)
        traces = run(
            world, {**known[shape], **fitted}, {name: posed}, progress=told, feedback=late, **replayed
        )[name]
        made = _rows(name, world, table, traces, replayed.get("seed", 0))
        truth = _Truth(traces, table) if world.world is None and late is None else truth
        truth.beside(made, world, table, traces)
        rows += made
        compared += _compared(world, table, traces)
    return _own(_judged(rows, compared, seeds), seeds)


def _told(progress: Callable[[str, int], object], name: str) -> Callable[[str, int], object]:
    return lambda spec, rounds: progress(f"{name}: {spec}", rounds)


def _rows(
    name: str, world: Stream, table: NDArray[np.float64], traces: Mapping[str, Trace], seed: int
) -> list[dict[str, Any]]:
    """Return what each policy came to in one scenario."""
    found = []
    for spec, trace in traces.items():
        regret = cumulative_regret(table, trace)[:, -1]
        low, high = student(regret)
        row: dict[str, Any] = {"scenario": name, "policy": spec, "regret": float(regret.mean())}
        row |= {"regret_lo": float(low), "regret_hi": float(high)}
        row |= outcome(world, table, trace, seed=seed)
        row["reward"] = float(rewards(table, trace).mean())
        row["cost"] = float(rewards(world.cost, trace).mean()) if world.outcomes.priced else np.nan
        found.append(row)
    return found


class _Compared(NamedTuple):
    """A policy's regret less the first one's, a run: over seeds, over queries, and the clusters of queries."""

    seeds: Estimate
    queries: Estimate
    clusters: int


def _compared(
    world: Stream, table: NDArray[np.float64], traces: Mapping[str, Trace]
) -> list[_Compared | None]:
    """Return how far each policy is from the first, None for that one itself; the oracle of both is the same."""
    found: list[_Compared | None] = [None]
    (_, first), *others = traces.items()
    cluster = clusters(world)[first.order].ravel()
    theirs = rewards(table, first)
    return found + [_over(theirs, rewards(table, trace), cluster) for _, trace in others]


def _over(theirs: NDArray[np.float64], mine: NDArray[np.float64], cluster: NDArray[np.integer]) -> _Compared:
    """Return how much more regret a run has that earned `mine` `(S, T)` where another earned `theirs`."""
    rounds = np.bincount(cluster)
    asked = rounds > 0
    gap = theirs - mine  # what regret grows by
    a_round = clustered(np.bincount(cluster, gap.ravel())[asked], rounds[asked])
    each = gap.shape[1]
    a_run = Estimate(a_round.mean * each, a_round.lo * each, a_round.hi * each, a_round.p)
    return _Compared(paired(theirs.sum(axis=1), mine.sum(axis=1)), a_run, int(asked.sum()))


class _Truth(NamedTuple):
    """The runs in the world in which nothing changes, and its table of rewards; None before it was played."""

    traces: Mapping[str, Trace]
    table: NDArray[np.float64] | None

    def beside(
        self,
        rows: list[dict[str, Any]],
        world: Stream,
        table: NDArray[np.float64],
        traces: Mapping[str, Trace],
    ) -> None:
        """Put beside each row what its policy loses by what it hears, where nothing else differs from this world."""
        side = world.world
        if self.table is None or side is None or (side.judged is None and side.silent is None):
            return
        for row, (spec, trace) in zip(rows, traces.items(), strict=True):
            known = self.traces[spec]
            same = np.array_equal(side.row, known.order.ravel()) and np.array_equal(
                table, self.table[side.row], equal_nan=True
            )
            if same:
                cluster = clusters(world)[trace.order].ravel()
                row["heard"] = _over(rewards(self.table, known), rewards(table, trace), cluster)
                row["rounds"] = trace.order.shape[1]


def _own(rows: list[dict[str, Any]], seeds: int) -> list[dict[str, Any]]:
    """Return the rows with what false or missing feedback costs each policy against itself, judged together."""
    told = [(row, row.pop("heard"), row.pop("rounds")) for row in rows if "heard" in row]
    if not told:
        return rows
    found = judge(
        *_stacked([one for _, one, _ in told]),
        seeds=seeds,
        queries=np.array([c.clusters for _, c, _ in told]),
    )
    for i, (row, one, rounds) in enumerate(told):
        highest = max(float(one.seeds.hi), float(one.queries.hi))
        unmoved = bool(np.isnan(one.queries.hi)) and not one.queries.mean  # it called the same in every round
        row |= {
            "own": float(one.seeds.mean), "own_lo": float(one.seeds.lo), "own_hi": float(one.seeds.hi),
            "own_queries_lo": float(one.queries.lo), "own_queries_hi": float(one.queries.hi),
            "own_p": float(found.p_holm[i]),
            "own_verdict": OWN[2] if not found.shown[i] else OWN[0] if one.seeds.mean > 0 else OWN[1],
            "survives": unmoved or bool(highest < MARGIN * rounds),
        }  # fmt: skip
    return rows


def _stacked(found: Sequence[_Compared]) -> tuple[Estimate, Estimate]:
    """Return many differences as `verdict.judge` takes them."""
    sides = ([one.seeds for one in found], [one.queries for one in found])
    over = [Estimate(*(np.array(column) for column in zip(*side, strict=True))) for side in sides]
    return over[0], over[1]


def _judged(
    rows: list[dict[str, Any]], compared: Sequence[_Compared | None], seeds: int
) -> list[dict[str, Any]]:
    """Return the rows with the verdict on each difference, corrected for all that the table compares."""
    told = [(row, one) for row, one in zip(rows, compared, strict=True) if one is not None]
    if not told:
        return rows
    over_seeds, over_queries = _stacked([one for _, one in told])
    stands = np.array([one.clusters for _, one in told])
    found = judge(over_seeds, over_queries, seeds=seeds, queries=stands)
    for i, (row, _) in enumerate(told):
        side = VERDICTS[0] if over_seeds.mean[i] < 0 else VERDICTS[1]
        row |= {
            "difference": float(over_seeds.mean[i]),
            "difference_lo": float(over_seeds.lo[i]), "difference_hi": float(over_seeds.hi[i]),
            "queries_lo": float(over_queries.lo[i]), "queries_hi": float(over_queries.hi[i]),
            "queries": int(stands[i]), "p": float(found.p_holm[i]),
            "verdict": side if found.shown[i] else VERDICTS[2], "why": str(found.why[i]),
        }  # fmt: skip
    return rows


def verdict(rows: Sequence[Mapping[str, Any]], first: str) -> str:
    """Return what a table of `compare` shows and what it does not, as plain text; "" where it compares nothing.

    Args:
        rows: from `compare`.
        first: the policy that the others are compared with.
    """
    told = [row for row in rows if "verdict" in row]
    if not told:
        return ""
    sentences = []
    for side in VERDICTS[:2]:
        shown: dict[str, list[str]] = {}
        for row in told:
            if row["verdict"] == side:
                shown.setdefault(row["policy"], []).append(row["scenario"])
        if shown:
            listed = "; ".join(f"{policy} in {', '.join(where)}" for policy, where in shown.items())
            sentences.append(f"shown to have {side} than {first}: {listed}")
    open_ones = [row for row in told if row["verdict"] == VERDICTS[2]]
    if open_ones:
        reasons = "; ".join(dict.fromkeys(row["why"] for row in open_ones))
        sentences.append(f"not shown to differ from {first}: {len(open_ones)} of {len(told)} ({reasons})")
    over = f"after Holm's correction for {counted(len(told), 'comparison')}"
    return f"verdicts at 5 % over seeds and over queries, {over}: {'. '.join(sentences)}."


def survivors(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return which policies survive what they hear, world by world, as plain text; "" where that was not asked."""
    told = [row for row in rows if "survives" in row]
    if not told:
        return ""
    said = []
    for name in dict.fromkeys(row["scenario"] for row in told):
        own = [row for row in told if row["scenario"] == name]
        hurt = [f"{row['policy']} {row['own']:,.0f}" for row in own if row["own_verdict"] == OWN[0]]
        alive = [row["policy"] for row in own if row["survives"]]
        said.append(
            f"{name}: survived by {', '.join(alive) or 'none'}; shown to cost regret: {', '.join(hurt) or 'none'}"
        )
    return (
        f"what is heard, against the truth (survived: a loss of {MARGIN} reward a round or more is excluded by the"
        f" intervals over seeds and over queries): {'. '.join(said)}."
    )

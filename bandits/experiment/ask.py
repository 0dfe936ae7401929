"""What a run is asked for, as text, and what comes of it: one run for each preference and budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from numpy import float64
from numpy.typing import NDArray

from bandits.loop import feedback
from bandits.loop.replay import Trace
from bandits.rewards import preferences
from bandits.wrappers import budget

if TYPE_CHECKING:
    from envs.stream import Stream


class Ask(NamedTuple):
    """What a run was asked for; a manifest holds it whole, so that it can be asked again.

    Attributes:
        policies: specs, each once.
        reward: spec.
        preference: a number, a list or `uniform(low,high)`.
        budget: amounts as `budget.parse` takes them; empty: nothing is limited.
        pacing: spec, how a budget is spent.
        hard: never exceed a budget.
        cap: cost of a call at most, or None.
        warm_start: rows set aside as a log, `10%` or a number, or the path of a log; None: every policy starts cold.
        n_eff: observations of each arm that the log counts for in a ridge prior; None: as many as there are.
        scenario: a name from `envs.changes.scenarios.SCENARIOS`; its changes come before `change`.
        change: specs of what changes while the run goes on, in the order given.
        fit: what the context, the unit of cost and the twin's posted prices are fitted on: `all` rows, or the log
            alone (`warm`).
        delay, batch, feedback: how feedback comes, see `feedback.parse`; None: as the scenario has it, or at once.
        seeds, seed, order, rounds: as `replay` takes them.
        calls: of a query at most; with more than one the stream is from `several.judged`.
        deliver: which answer of several calls, see `several.DELIVER`.
        judge: a simulated judge, see `envs.judges.parse`; None: the table's columns.
        judge_column: ending of those columns; None: the known ones.
        judge_cost: of judging an answer; None: as a column of the table says, else nothing.
        within_query: what a query may use, `cost=..,tokens=..`.
        parallel: the calls of a query are made together: nothing is heard between them, the slowest is its latency.
        abstain: score of the judge below which an answer is withheld, in [0, 1]; None: every one is delivered.
    """

    policies: tuple[str, ...]
    reward: str = "linear"
    preference: str = "0.2"
    budget: tuple[str, ...] = ()
    pacing: str = "stop"
    hard: bool = False
    cap: float | None = None
    warm_start: str | None = None
    n_eff: float | None = None
    fit: str = "all"
    scenario: str | None = None
    change: tuple[str, ...] = ()
    delay: str | None = None
    batch: int | None = None
    feedback: str = "bandit"
    seeds: int = 20
    seed: int = 0
    order: str = "shuffle"
    rounds: int | None = None
    calls: int = 1
    deliver: str = "last"
    judge: str | None = None
    judge_column: str | None = None
    judge_cost: float | None = None
    within_query: str | None = None
    parallel: bool = False
    abstain: float | None = None


class Judged(NamedTuple):
    """What a run with several calls a query was played on, before sequences of calls were columns.

    Attributes:
        stream: each call paid with its judge.
        worth, preference: of the reward; the second a number or `(N,)`.
        confidence: `(N, columns)` the judge's score of what each column of the run's stream delivers, NaN without one.
    """

    stream: Stream
    worth: Any
    preference: Any
    confidence: NDArray[float64]


class Run(NamedTuple):
    """One finished run: `name` sets it apart from the others of its ask (empty where it is the only one).

    `bounds` are the least and the highest reward, which policies that clip rewards were given; None: none does.
    Of several calls a query `calls` has a row for each policy that may call again, and `judged` what it was played on.
    """

    name: str
    preference: str
    budget: str
    stream: Stream
    table: NDArray[float64]
    limits: NDArray[float64] | None
    traces: dict[str, Trace]
    late: feedback.Late | None = None
    bounds: tuple[float, float] | None = None
    calls: tuple[dict[str, Any], ...] = ()
    judged: Judged | None = None


def names(ask: Ask) -> list[str]:
    """Return the names of the runs to come, before anything is loaded: what their folders are called.

    Raises:
        ValueError: two of the same name.
    """
    return list(single(ask))


def single(ask: Ask) -> dict[str, Ask]:
    """Return an ask for each preference and budget, by the name of its run.

    Raises:
        ValueError: as `names`.
    """
    texts, budgets = list(preferences(ask.preference, 1, 0)), budget.forms(ask.budget) or [""]
    found: dict[str, Ask] = {}
    for text in texts:
        for amount in budgets:
            name = name_of(text, amount, texts, budgets)
            if name in found:
                raise ValueError(f"{name!r} is asked for twice; name each preference and budget once")
            found[name] = ask._replace(preference=text, budget=(amount,) if amount else ())
    return found


def name_of(preference: str, amount: str, preferences: list[str], budgets: list[str]) -> str:
    parts = [f"preference={preference}"] * (len(preferences) > 1) + [f"budget={amount}"] * (len(budgets) > 1)
    return ",".join(parts).replace("/", "-per-")

"""The tables of a run: all that a report is drawn from, made from what was added up while it went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.intervals import AMOUNT, ANYTHING, SHARE, paired, student
from bandits.metrics.regret import checked, fall_back, fixed_sums, growth_rounds, played, slope, stand_in
from bandits.results.book import Best, book
from bandits.results.by_dataset import REGRETS, by_dataset
from bandits.results.by_query import before, clusters
from bandits.results.curves import curves
from bandits.results.players import Players, planned, players, shared_order
from bandits.results.tally import Tally
from envs import heap
from envs.windows import big

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]
_MEASURED = ("reward", "accuracy", "cost", *REGRETS, "unanswered", "lag")
_KNOWN = {"accuracy": SHARE, "cost": AMOUNT, "unanswered": SHARE}
_RANGE = np.array([_KNOWN.get(name, ANYTHING) for name in _MEASURED[:-1]]).T  # of all but the lag
COLUMNS = (
    "policy", "stream", "seeds", "rounds", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean",
    "cost_total", *REGRETS, "regret_lo", "regret_hi", "exponent", "gap_closed", "unanswered", "kind",
    "accuracy_lo", "accuracy_hi", "cost_lo", "cost_hi", "lag", "lag_lo", "lag_hi",
    "fell_back",
)  # fmt: skip


class Summary(NamedTuple):
    """The tables of a run, as pandas frames.

    Attributes:
        summary: a row for each policy, reference and single model. `reward_mean`, `accuracy` and `cost_mean`
            are per round, `cost_total` and `regret_*` up to the last one. `_lo` and `_hi` are Student's 95 %
            interval of the mean over seeds, NaN where all seeds are the same draw, cut to 0 to 1 for accuracy and
            at 0 for costs;
            `regret_lo` and `regret_hi` belong to `regret_oracle`.
            `exponent`: growth of `regret_oracle`, see `metrics.exponent`. `gap_closed`: share of the gap in
            reward between `best_fixed` and `oracle`. `unanswered`: share of rounds without a call. `kind`:
            policy, reference or model. `lag`: how much less reward a round than the best policy, paired over
            seeds. `fell_back`: share of a single model's rounds in which it could not be called.
        curves: long: policy, round, quantity, mean, lo, hi. Quantities are `regret_*`, `reward` (mean of the
            window up to this round), `cost` (spent so far), `share:<model>` (in that window, no lo and hi) and
            `share@<dataset>:<model>`, the same among the queries of one dataset.
        by_dataset: see `by_dataset.by_dataset`.
        by_query: see `cells.Cells.table`.
    """

    summary: pd.DataFrame
    curves: pd.DataFrame
    by_dataset: pd.DataFrame
    by_query: pd.DataFrame


class Whole(NamedTuple):
    """A table in memory as the one window that it is; attributes as those of `envs.windows.big.Big` and `Piece`."""

    name: str
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    priced: bool
    utility: NDArray[np.floating[Any]]
    cost: NDArray[np.floating[Any]]
    code: NDArray[np.integer[Any]]


def summarise(
    stream: Stream,
    table: ArrayLike,
    traces: dict[str, Trace],
    *,
    limits: ArrayLike | None = None,
) -> Summary:
    """Return the tables of policies that met the same orders of queries.

    The references `oracle`, `best_fixed`, `best_per_dataset` and `uniform` (its expected value, not a sample)
    and every single model are added, on the same orders. A policy's round without a call earns 0 and costs 0.
    A single model is the fixed choice of it: where it has no outcome, the fall-back order answers.

    Args:
        stream: a `Stream` of `N` rows and `K` models.
        table: `(N, K)` reward, from `reward_table`.
        traces: each policy's name and `Trace`; they share seeds and orders.
        limits: `(R,)` budgets from `budget.parse`; where one is finite, `regret_best_within` is among the curves.

    Raises:
        ValueError: no trace, traces of different orders, or one that does not fit the table.
    """
    values, order = np.asarray(table, np.float64), shared_order(traces)
    names, code = np.unique(stream.dataset.astype(str), return_inverse=True)
    priced = stream.outcomes.priced
    whole = Whole(
        stream.name, stream.models, tuple(names.tolist()), priced, stream.utility, stream.cost, code
    )
    # References choose among models; what a sequence of calls gave stands beside them.
    seen, often = ~np.isnan(values[:, : stream.n_arms - len(stream.sequences)]), played(order, len(stream))
    ranked = fall_back(seen.sum(axis=0))
    other = stand_in(seen, ranked)
    windows = ((values[w], other[w], code[w], often[w]) for w in big.slices(len(values)))
    alike, row = clusters(stream), before(stream)
    queries = len(np.unique(alike * len(names) + code))
    tally = Tally(len(traces), stream.n_arms, len(order), len(names), rounds=order.shape[1], rows=queries)
    plan = planned(stream, values, order, limits)
    own = book(values, whole, Best(fixed_sums(windows, len(names)), ranked), row=row, alike=alike)
    tally.add(own, order, np.stack([checked(values, trace)[2] for trace in traces.values()]), plan=plan)
    del own  # three matrices, before frames are made
    return tables(tally, whole, list(traces), planned=plan is not None)


def tables(tally: Tally, table: Any, policies: Sequence[str], *, planned: bool = False) -> Summary:
    """Return the tables of what was added up.

    Args:
        tally: of all rounds.
        table: `name`, `models`, `datasets` and `priced` of what was played.
        policies: their names.
        planned: whether there was a budget, and with it a plan.
    """
    of = players(policies, table.models)
    heap.give_back()
    each = tally.cells.table(of.names, of.kept, table.datasets)
    heap.give_back()
    if not table.priced:
        each[[column for column in map(str, each) if column.startswith("cost:")]] = np.nan
    lines = curves(tally, of, table, planned=planned)
    return Summary(_summary(tally, of, table), lines, by_dataset(tally, of, table), each)


def _summary(tally: Tally, of: Players, table: Any) -> pd.DataFrame:
    kept, rounds, seeds = list(of.kept), tally.done, tally.shape[2]
    sums = tally.totals().sum(axis=2)  # (players, S, 3)
    rivals = sums[of.policies : of.policies + len(REGRETS), :, :1]
    calls = tally.arrays["calls"].sum(axis=(2, 3)).T  # (P + 3, S)
    silent = np.zeros((len(sums), seeds, 1))
    silent[: of.policies, :, 0] = 1 - calls[: of.policies] / rounds
    measured = np.concatenate([sums / rounds, *(rival - sums[..., :1] for rival in rivals), silent], axis=2)[
        kept
    ]
    frame = _frame_of(
        [of.names[i] for i in kept], [of.kinds[i] for i in kept], np.swapaxes(measured, 0, 1), rounds
    )
    earned, _, behind, _ = tally.curves()
    growth = growth_rounds(rounds)
    regret = np.concatenate([earned[of.policies] - earned, behind])[kept].mean(axis=1)[:, tally.at(growth)]
    frame["stream"], frame["seeds"], frame["rounds"] = table.name, seeds, rounds
    frame["exponent"] = [slope(growth, line) for line in regret]
    lacking = 1 - tally.arrays["answered"] / (rounds * seeds)
    single = len(of.names) - len(lacking)
    frame["fell_back"] = [lacking[i - single] if i >= single else np.nan for i in kept]
    if not table.priced:
        frame[["cost_mean", "cost_total", "cost_lo", "cost_hi"]] = np.nan
    return frame[list(COLUMNS)]


def _frame_of(names: list[str], kinds: list[str], measured: Floats, rounds: int) -> pd.DataFrame:
    """Return the frame of means and intervals of `measured (S, players, 7)`."""
    import pandas as pd

    contenders = [i for i, kind in enumerate(kinds) if kind == "policy"] or list(range(len(kinds)))
    leader = max(contenders, key=lambda i: measured[:, i, 0].mean())
    reward = measured[:, :, 0]
    lag = paired(np.broadcast_to(reward[:, [leader]], reward.shape), reward)
    means = np.concatenate([measured.mean(axis=0).T, lag.mean[None]])
    ends = zip(student(measured, within=tuple(_RANGE)), (lag.lo, lag.hi), strict=True)
    mean = dict(zip(_MEASURED, means, strict=True))
    low, high = (
        dict(zip(_MEASURED, np.concatenate([end.T, lagging[None]]), strict=True)) for end, lagging in ends
    )
    at = dict(zip(names, mean["reward"], strict=True))
    gap = at["oracle"] - at["best_fixed"]
    columns: dict[str, Any] = {"policy": names, "kind": kinds}
    columns |= {q: mean[q] for q in ("accuracy", *REGRETS, "unanswered", "lag")}
    columns |= {"reward_mean": mean["reward"], "cost_mean": mean["cost"]}
    columns["cost_total"] = mean["cost"] * rounds
    columns["gap_closed"] = (mean["reward"] - at["best_fixed"]) / (gap if gap > 0 else np.nan)
    for name, quantity in (
        ("regret", "regret_oracle"),
        *((q, q) for q in ("reward", "accuracy", "cost", "lag")),
    ):
        columns |= {f"{name}_lo": low[quantity], f"{name}_hi": high[quantity]}
    return pd.DataFrame(columns)

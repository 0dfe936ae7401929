"""The two tables of a run, `summary` and `curves`, made from its traces: all that a report is drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandits.metrics.intervals import band, paired, student
from bandits.metrics.regret import BASELINES, earned_by, exponent, played, shares
from bandits.results.players import Play, hindsight, planned, plays, shared_order
from bandits.results.shares import over_datasets

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from envs.stream import Stream

Floats = NDArray[np.float64]
WITHIN = "regret_best_within"  # against the best that the budget buys with hindsight
REGRETS = tuple(f"regret_{baseline}" for baseline in BASELINES)
_MEASURED = ("reward", "accuracy", "cost", *REGRETS, "unanswered", "lag")
COLUMNS = (
    "policy", "stream", "seeds", "rounds", "reward_mean", "reward_lo", "reward_hi", "accuracy", "cost_mean",
    "cost_total", *REGRETS, "regret_lo", "regret_hi", "exponent", "gap_closed", "unanswered", "kind",
    "accuracy_lo", "accuracy_hi", "cost_lo", "cost_hi", "lag", "lag_lo", "lag_hi",
    "fell_back",
)  # fmt: skip
_POINTS = 250  # rounds at which curves are kept: 200 evenly spaced, the others evenly in the logarithm


class Summary(NamedTuple):
    """The tables of a run, as pandas frames.

    Attributes:
        summary: a row for each policy, reference and single model. `reward_mean`, `accuracy` and `cost_mean`
            are per round, `cost_total` and `regret_*` up to the last one. `_lo` and `_hi` are Student's 95 %
            interval of the mean over seeds, NaN where all seeds are the same draw;
            `regret_lo` and `regret_hi` belong to `regret_oracle`.
            `exponent`: growth of `regret_oracle`, see `metrics.exponent`. `gap_closed`: share of the gap in
            reward between `best_fixed` and `oracle`. `unanswered`: share of rounds without a call. `kind`:
            policy, reference or model. `lag`: how much less reward a round than the best policy, paired over
            seeds. `fell_back`: share of a single model's rounds in which it could not be called.
        curves: long: policy, round, quantity, mean, lo, hi. Quantities are `regret_*`, `reward` (mean of the
            window up to this round), `cost` (spent so far), `share:<model>` (in that window, no lo and hi) and
            `share@<dataset>:<model>`, the same among the queries of one dataset.
    """

    summary: pd.DataFrame
    curves: pd.DataFrame


def summarise(
    stream: Stream,
    table: ArrayLike,
    traces: dict[str, Trace],
    *,
    limits: ArrayLike | None = None,
) -> Summary:
    """Return the summary and the curves of policies that met the same orders of queries.

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
    import pandas as pd

    values, order = np.asarray(table, np.float64), shared_order(traces)
    references = hindsight(stream, values, order)
    best = [earned_by(values, arms)[order] for arms in references.values()]
    within = planned(stream, values, order, limits)
    names, kinds, measured, exponents, curves = [], [], [], [], []
    for play in plays(stream, values, traces, references):
        regret = [np.cumsum(reference - play.reward, axis=1) for reference in best]
        names.append(play.name)
        kinds.append(play.kind)
        measured.append(_measure(play, regret))
        exponents.append(exponent(regret[0].mean(axis=0)))
        if play.kind != "model":
            gaps = dict(zip(REGRETS, regret, strict=True))
            if within is not None:
                gaps[WITHIN] = np.cumsum(within - play.reward, axis=1)
            curves.append(_curve(play, gaps, stream))
            if play.kind == "policy" and play.arms is not None:
                curves.append(over_datasets(play.name, play.arms, order, stream))
    frame = frame_of(names, kinds, np.stack(measured, axis=1), order.shape[1])
    frame["stream"], frame["seeds"], frame["rounds"] = stream.name, order.shape[0], order.shape[1]
    frame["exponent"] = exponents
    frame["fell_back"] = fell_back(frame, dict(zip(stream.models, _lacking(stream, order), strict=True)))
    if not stream.outcomes.priced:
        frame[["cost_mean", "cost_total", "cost_lo", "cost_hi"]] = np.nan
    return Summary(frame[list(COLUMNS)], pd.concat(curves, ignore_index=True))


def _measure(play: Play, regret: list[Floats]) -> Floats:
    """Return `(S, 7)`: the quantities of `_MEASURED` but the last, one row a seed."""
    made = ~np.isnan(play.reward) if play.arms is None else play.arms >= 0
    means = [x.mean(axis=1) for x in (play.reward, play.accuracy, play.cost)]
    return np.stack([*means, *(r[:, -1] for r in regret), 1 - made.mean(axis=1)], axis=1)


def frame_of(names: list[str], kinds: list[str], measured: Floats, rounds: int) -> pd.DataFrame:
    """Return the frame of means and intervals of `measured (S, players, 7)`."""
    import pandas as pd

    contenders = [i for i, kind in enumerate(kinds) if kind == "policy"] or list(range(len(kinds)))
    leader = max(contenders, key=lambda i: measured[:, i, 0].mean())
    reward = measured[:, :, 0]
    lag = paired(np.broadcast_to(reward[:, [leader]], reward.shape), reward)
    means = np.concatenate([measured.mean(axis=0).T, lag.mean[None]])
    ends = zip(student(measured), (lag.lo, lag.hi), strict=True)
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


def fell_back(frame: pd.DataFrame, lacking: dict[str, float]) -> list[float]:
    """Return the share of a single model's rounds in which it could not be called; NaN for other players."""
    rows = zip(frame["policy"], frame["kind"], strict=True)
    return [lacking[name] if kind == "model" else np.nan for name, kind in rows]


def _lacking(stream: Stream, order: NDArray[np.int32]) -> Floats:
    often = played(order, len(stream))
    return np.asarray(1 - often @ stream.available / often.sum())


def _curve(play: Play, gaps: dict[str, Floats], stream: Stream) -> pd.DataFrame:
    """Return the rows of `curves` for one player."""
    import pandas as pd

    rounds = play.reward.shape[1]
    points, window = kept_rounds(rounds), max(1, rounds // 25)
    curves = {name: gap[:, points - 1] for name, gap in gaps.items()}
    earned = np.concatenate([np.zeros((len(play.reward), 1)), np.cumsum(play.reward, axis=1)], axis=1)
    starts = np.maximum(points - window, 0)
    curves["reward"] = (earned[:, points] - earned[:, starts]) / (points - starts)
    if stream.outcomes.priced:
        curves["cost"] = np.cumsum(play.cost, axis=1)[:, points - 1]
    stacked = np.stack(list(curves.values()), axis=1)
    low, high = band(stacked)
    names, mean = list(curves), stacked.mean(axis=0)
    if play.kind == "policy" and play.arms is not None:
        called = shares(play.arms, stream.n_arms, points, window=window).mean(axis=0).T
        names += [f"share:{model}" for model in stream.models]
        unknown = np.full_like(called, np.nan)
        mean, low, high = (np.concatenate(pair) for pair in ((mean, called), (low, unknown), (high, unknown)))
    return pd.DataFrame(
        {
            "policy": play.name,
            "round": np.tile(points, len(names)),
            "quantity": np.repeat(np.array(names, object), len(points)),
            "mean": mean.ravel(),
            "lo": low.ravel(),
            "hi": high.ravel(),
        }
    )


def kept_rounds(rounds: int) -> NDArray[np.int64]:
    """Return the ascending rounds, the first and the last included, at which curves are kept."""
    even = np.linspace(1, rounds, _POINTS - 50)
    return np.unique(np.concatenate([even, np.geomspace(1, rounds, 50)]).round().astype(np.int64))

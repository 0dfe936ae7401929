"""What a run under a budget did with it: spend, unanswered queries, and reward against what the budget could buy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bandits.base import RESOURCES
from bandits.metrics.intervals import AMOUNT, band, paired
from bandits.metrics.knapsack import best_within
from bandits.metrics.regret import fall_back, stand_in
from envs.windows import big
from envs.windows.survey import add

if TYPE_CHECKING:
    import pandas as pd

    from bandits.loop.replay import Trace
    from bandits.results.book import Ints
    from envs.shapes import Queries
    from envs.stream import Stream

Floats = NDArray[np.float64]
Prices = NDArray[np.float32]


class Spending:
    """The sums of a run under a budget so far, added up window by window; all state is in `arrays`, saved as it is.

    Letters: `P` policies, `S` seeds, `K` models, `R` resources, `J` points at which curves are kept.
    """

    def __init__(
        self,
        policies: Sequence[str],
        seeds: int,
        arms: int,
        limits: Floats,
        *,
        rounds: int,
        cap: float | None = None,
        points: int = 200,
    ) -> None:
        """Begin with nothing; the limits `(R,)` are from `budget.parse`.

        Raises:
            ValueError: no resource is limited.
        """
        self.policies, self.limits, self.cap, self.done, self.rounds = policies, limits, cap, 0, rounds
        self.held = [r for r in range(len(RESOURCES)) if np.isfinite(limits[r])]
        if not self.held:
            raise ValueError("account needs a budget on something, got none")
        self.points = np.unique(np.linspace(1, rounds, points).round().astype(int))
        each, r = (len(policies), seeds), len(RESOURCES)
        self.arrays: dict[str, NDArray[Any]] = {
            "spent": np.zeros((*each, r)),
            "earned": np.zeros(each),
            "silent": np.zeros(each, np.int64),
            "first": np.zeros(each, np.int64),  # round without a call, from 1; 0: none
            "dear": np.zeros(each, np.int64),
            "fixed": np.zeros((2, seeds, arms, 1 + r)),  # what each fixed choice earns and uses
            "kept": np.zeros((*each, len(self.points), r)),
            "price": np.full((*each, len(self.points), r), np.nan, np.float32),
        }

    def add(
        self, piece: Queries, reward: Floats, other: Ints, order: Ints, arms: Ints, prices: Prices
    ) -> None:
        """Add the next rounds, which ask rows of one window.

        Args:
            piece: the window's `n` rows.
            reward: `(n, K)`, NaN where unavailable.
            other: `(n,)` what stands in for a model that cannot be called.
            order: `(S, m)` rows of the window in the order in which each seed met them.
            arms: `(P, S, m)` models called, -1 where none was.
            prices: `(P, S, m, R)` read before each round, NaN where a policy has none.
        """
        state, m = self.arrays, order.shape[1]
        first, last = np.searchsorted(self.points, [self.done, self.done + m], side="right")
        at = self.points[first:last] - self.done - 1
        for r in self.held:
            used = _got(getattr(piece, RESOURCES[r]), order, arms)
            so_far = np.cumsum(np.concatenate([state["spent"][..., r, None], used], axis=2), axis=2)
            state["spent"][..., r] = so_far[..., -1]
            state["kept"][:, :, first:last, r] = so_far[..., 1:][..., at]
        state["price"][:, :, first:last] = prices[:, :, at]
        earned = np.concatenate([state["earned"][..., None], _got(reward, order, arms)], axis=2)
        if np.isnan(earned).any():
            raise ValueError("trace needs calls of available models only, got an unavailable one")
        state["earned"] = np.cumsum(earned, axis=2)[..., -1]
        silent = arms < 0
        new = silent.any(axis=2) & (state["first"] == 0)
        state["first"] = np.where(new, self.done + silent.argmax(axis=2) + 1, state["first"])
        state["silent"] += silent.sum(axis=2)
        if self.cap is not None:
            state["dear"] += (_got(piece.cost, order, arms) > self.cap).sum(axis=2)
        self._fixed(piece, reward, other, order)
        self.done += m

    def _fixed(self, piece: Queries, reward: Floats, other: Ints, order: Ints) -> None:
        """Add what each fixed choice earns and uses in these rounds; a row without any model gives and costs 0."""
        k = np.where(np.isnan(reward), other[:, None], np.arange(reward.shape[1]))
        filled = np.zeros((*reward.shape, 1 + len(RESOURCES)))
        filled[..., 0] = np.take_along_axis(reward, k, axis=1)
        for r in self.held:
            filled[..., 1 + r] = np.take_along_axis(getattr(piece, RESOURCES[r]), k, axis=1)
        filled = np.where(np.isnan(filled[..., :1]), 0.0, filled)
        for part in big.slices(order.shape[1]):
            add(self.arrays["fixed"], np.stack([filled[rows[part]].sum(axis=0) for rows in order]))

    def joined(
        self, tables: Mapping[str, pd.DataFrame], best: Callable[[Floats], Floats] | None = None
    ) -> dict[str, pd.DataFrame]:
        """Return the tables of a run with what was spent in its summary and curves, and alone as `budget`."""
        import pandas as pd

        spent = self.table(best)
        apart = spent.drop(columns=["reward", "gap_closed", "unanswered"])
        curves = pd.concat([tables["curves"], self.burn_down()], ignore_index=True)
        summary = tables["summary"].merge(apart, on="policy", how="left")
        return {**tables, "summary": summary, "curves": curves, "budget": spent}

    def table(self, best: Callable[[Floats], Floats] | None = None) -> pd.DataFrame:
        """Return one row for each policy; see `account`.

        Args:
            best: the most reward a round that hindsight buys each seed for `(S, R)`; None, where the calls of all rows
                cannot be sorted: `within` and `gap_closed` are NaN.
        """
        import pandas as pd

        limited = np.full((self.arrays["spent"].shape[1], len(RESOURCES)), self.limits)
        within = np.nan if best is None else float(best(limited).mean())
        rows = [{"policy": name, **self._row(p, within, best)} for p, name in enumerate(self.policies)]
        return pd.DataFrame(rows)

    def _row(self, p: int, within: float, best: Callable[[Floats], Floats] | None) -> dict[str, float]:
        own = {name: values[p] for name, values in self.arrays.items() if name != "fixed"}
        share = own["spent"][:, self.held] / self.limits[self.held]
        reward, mixture = own["earned"] / self.rounds, self._mixture(own["spent"])
        over, first = paired(reward, mixture), own["first"][own["first"] > 0]
        top = np.nan if best is None else best(own["spent"])
        return {
            **{f"budget_{RESOURCES[r]}": float(self.limits[r]) for r in self.held},
            **{f"spent_{RESOURCES[r]}": float(share[:, i].mean()) for i, r in enumerate(self.held)},
            "spent_most": float(share.max()),
            "out_at": float(first.mean()) if len(first) else np.nan,
            "unanswered": float(own["silent"].mean()),
            "over_cap": np.nan if self.cap is None else float(own["dear"].mean()),
            "reward": float(reward.mean()),
            "within": within,
            "mixture": float(mixture.mean()),
            "over_mixture": float(over.mean),
            "over_lo": float(over.lo),
            "over_hi": float(over.hi),
            "gap_closed": float(((reward - mixture) / np.maximum(top - mixture, 1e-12)).mean()),
        }

    def _mixture(self, spent: Floats) -> Floats:
        """Return `(S,)` what a fixed mixture of models earns a round for what each seed spent `(S, R)`."""
        mean, times = self.arrays["fixed"].sum(axis=0) / self.rounds, [self.rounds]
        bought = [
            [
                float(best_within(own[None, :, 0], own[None, :, 1 + r], paid[r], times=times))
                for r in self.held
            ]
            for own, paid in zip(mean, spent, strict=True)
        ]
        return np.asarray(np.min(bought, axis=1) / self.rounds)

    def burn_down(self) -> pd.DataFrame:
        """Return what was left over time; see `burn_down`."""
        import pandas as pd

        frames = []
        for p, policy in enumerate(self.policies):
            for r in self.held:
                name = RESOURCES[r]
                # No more than all is left, and less than nothing where the budget may be passed.
                curves = {f"left:{name}": 1.0 - self.arrays["kept"][p, :, :, r] / self.limits[r]}
                price = self.arrays["price"][p, :, :, r].astype(float)
                curves |= {} if np.isnan(price).all() else {f"price:{name}": price}
                for quantity, curve in curves.items():
                    within = AMOUNT if quantity.startswith("price:") else (-np.inf, 1.0)
                    low, high = band(curve, within=within)
                    known = {"policy": policy, "round": self.points, "quantity": quantity}
                    frames.append(pd.DataFrame({**known, "mean": curve.mean(axis=0), "lo": low, "hi": high}))
        return pd.concat(frames, ignore_index=True)


def _got(values: NDArray[np.floating[Any]], order: Ints, arms: Ints) -> Floats:
    """Return `(P, S, m)`: what the calls of each round have in `values (n, K)`, 0 where no call was made."""
    return np.where(arms < 0, 0.0, values[order, np.maximum(arms, 0)])


def spending(
    stream: Stream,
    table: Floats,
    traces: Mapping[str, Trace],
    limits: Floats,
    *,
    cap: float | None = None,
    points: int = 200,
) -> Spending:
    """Return the `Spending` of a table in memory, which is one window; arguments as `account` has them."""
    order = next(iter(traces.values())).order
    sizes = list(traces), len(order), table.shape[1], limits
    found = Spending(*sizes, rounds=order.shape[1], cap=cap, points=points)
    seen, arms = ~np.isnan(table), np.stack([trace.arms for trace in traces.values()])
    other = stand_in(seen, fall_back(seen.sum(axis=0)))
    unread = np.full((*order.shape, len(RESOURCES)), np.nan, np.float32)
    prices = np.stack([unread if trace.probed is None else trace.probed for trace in traces.values()])
    found.add(stream, table, other, order, arms, prices)
    return found


def account(
    stream: Stream,
    table: Floats,
    traces: Mapping[str, Trace],
    limits: Floats,
    *,
    cap: float | None = None,
) -> pd.DataFrame:
    """Return one row for each policy: what it spent, what that earned, and what it could have earned.

    Args:
        stream: a `Stream`.
        table: `(N, K)` reward, from `reward_table`.
        traces: of runs with this budget, on the same orders.
        limits: `(R,)` from `budget.parse`, inf where nothing is limited.
        cap: counts calls that cost more; None: no such column is filled.

    Returns:
        A frame with the columns `policy`; `budget_<resource>` and `spent_<resource>`, the limit and the share of it
        that was spent, for each limited resource, with `spent_most`, the highest share of any seed and resource;
        `out_at`, the first round without a call, from 1 (mean over the seeds that had one); `unanswered` queries a
        run; `over_cap`, calls a run above the cap; `reward`, a round; `within`, what the budget buys at best, and
        `mixture`, what a fixed mixture of models buys for what was spent, both a round; `over_mixture` with its
        interval `over_lo`, `over_hi`, paired over seeds; `gap_closed`, the share of the way from the mixture to the
        best at the same spend. With several budgets, `within` and `mixture` are the least of those that each buys
        alone: an upper bound.

    Raises:
        ValueError: no resource is limited, or a trace does not fit the table.
    """
    return spending(stream, table, traces, limits, cap=cap).table(best(stream, table, traces, limits))


def best(
    stream: Stream, table: Floats, traces: Mapping[str, Trace], limits: Floats
) -> Callable[[Floats], Floats]:
    """Return what gives the most reward a round that each seed's `(S, R)` buys in hindsight, the least over `R`."""
    order, held = next(iter(traces.values())).order, np.flatnonzero(np.isfinite(limits))
    times = [np.bincount(rows, minlength=len(table)) for rows in order]

    def bought(paid: Floats) -> Floats:
        each = [
            [float(best_within(table, getattr(stream, RESOURCES[r]), own[r], times=often)) for r in held]
            for own, often in zip(paid, times, strict=True)
        ]
        return np.asarray(np.min(each, axis=1) / order.shape[1])

    return bought


def burn_down(
    stream: Stream, traces: Mapping[str, Trace], limits: Floats, *, points: int = 200
) -> pd.DataFrame:
    """Return what was left over time, and the dual price where a run was probed for it (`Policy.price`).

    Long, like the curves of a summary: policy, round (from 1), quantity, mean, lo, hi. Quantities are
    `left:<resource>`, as a share of the limit, and `price:<resource>`, in the unit of the pacing.
    """
    return spending(stream, np.asarray(stream.utility, np.float64), traces, limits, points=points).burn_down()

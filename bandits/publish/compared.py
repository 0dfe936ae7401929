"""Policies compared on a stream in one call, for a notebook: the tables, the verdict and the charts of a run."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bandits import resolve
from bandits.base import Policy, check
from bandits.experiment.ask import Ask, Run
from bandits.experiment.lineup import REFERENCES, bounds_of, build, hindsight
from bandits.folders.write import tables_of
from bandits.loop.replay import Trace, replay
from bandits.report import narrow, opening, page, plots
from bandits.report.parts import records
from bandits.results.differences import scores
from bandits.rewards import PREFERENCE, REWARDS, Reward, reward_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from envs.stream import Stream

Named = str | Policy | Callable[..., Policy]


class Comparison:
    """What policies did on one stream, each with the same seeds and orders of queries.

    Attributes:
        stream: the `Stream`.
        table: `(T, K)` reward of every outcome.
        traces: each policy's `Trace` by its name.
    """

    def __init__(
        self, stream: Stream, table: NDArray[np.float64], traces: dict[str, Trace], ask: Ask
    ) -> None:
        self.stream, self.table, self.traces = stream, table, traces
        self._tables = tables_of(Run("", ask.preference, "", stream, table, None, traces), ask)

    def frame(self) -> pd.DataFrame:
        """Return a row for each policy, reference and single model, as `summary.csv` of a run has it."""
        return self._tables["summary"].copy()

    def curves(self) -> pd.DataFrame:
        """Return regret, reward, cost and shares over rounds, as `curves.csv` of a run has them."""
        return self._tables["curves"].copy()

    def differences(self) -> pd.DataFrame:
        """Return each policy's paired difference to the best single model, by data set and measure."""
        from bandits.results.differences import against, paired_differences

        got = self._scores()
        return paired_differences(
            got, against(got, opening.yardstick(records(self._tables["summary"]))["policy"])
        )

    def verdict(self) -> str:
        """Return what the command prints first: which policy is shown to beat the best single model, if any is."""
        return opening.opened(self._tables)

    def plot(self, what: str = "regret") -> Any:
        """Return a Plotly figure.

        Args:
            what: `regret` (against the best fixed model, over rounds), `plane` (accuracy against cost), `reward` (over
                rounds) or another of a run's charts.

        Raises:
            ValueError: there is no such chart.
        """
        t, unit = self._tables, self.stream.outcomes.cost_unit
        return plots.chart(page.figures(t["summary"], t["curves"], t["by_dataset"], unit), what)

    def _scores(self) -> Any:
        return scores(self._tables["by_dataset"], self._tables["by_query"])

    def _told(self) -> tuple[list[str], list[list[str]]]:
        told = narrow.Told("", records(self._tables["summary"]), self._scores())
        return narrow.table([told], self.stream.outcomes.cost_unit)

    def __repr__(self) -> str:
        trace = next(iter(self.traces.values()))
        seeds, rounds = trace.arms.shape
        names = ", ".join(self.traces)
        return f"Comparison({names} on {self.stream.name}, {seeds} seeds of {rounds:,} rounds)"

    def _repr_html_(self) -> str:
        """Return the verdict and the table that the command prints."""
        headings, lines = self._told()
        head = "".join(f"<th>{html.escape(text)}</th>" for text in headings)
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>" for line in lines
        )
        told = html.escape(self.verdict())
        label = html.escape(self.stream.outcomes.label)
        return (
            f"<p><b>{told}</b></p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"<p>Numbers are from: {label}.</p>"
        )


def compare(
    stream: Stream,
    policies: Iterable[Named] | Mapping[str, Named],
    *,
    seeds: int = 20,
    seed: int = 0,
    preference: float = PREFERENCE,
    reward: str | Reward = "linear",
    rounds: int | None = None,
    order: str = "shuffle",
) -> Comparison:
    """Return policies compared on one stream: `.verdict()`, `.frame()`, `.curves()`, `.plot()`, `.traces`.

    Args:
        stream: from `envs.load`.
        policies: each a spec as on the command line ("linucb,alpha=0.3", "oracle", "mine.py:follow"), a `Policy`, or a
            factory `(n_arms, dim) -> Policy`; a mapping gives them names.
        seeds: how often each is played, every time in another order; a verdict needs 3.
        seed: fixes the orders and the policies' randomness.
        preference: weight on cost.
        reward: a spec, or the function itself.
        rounds: None: each query once.
        order: `shuffle`, `given` or `dataset`.

    Raises:
        ValueError: one line that says what is wrong with a policy, the reward or a number.
    """
    worth = resolve.function(reward, REWARDS, "reward") if isinstance(reward, str) else reward
    table = reward_table(worth, stream, preference)
    asked = _named(policies)
    options: dict[str, Any] = {"seeds": seeds, "seed": seed, "order": order, "rounds": rounds}
    traces: dict[str, Trace] = {}
    for name, one in asked.items():
        if isinstance(one, str) and one in REFERENCES:
            traces[name] = hindsight(stream, table, one, options)
        else:
            policy = _built(one, name, stream, worth, table)
            traces[name] = replay(policy, stream, table, preference=preference, **options)
    ask = Ask(tuple(asked), preference=f"{preference:g}", seeds=seeds, seed=seed, order=order, rounds=rounds)
    return Comparison(stream, table, traces, ask)


def _named(policies: Iterable[Named] | Mapping[str, Named]) -> dict[str, Named]:
    if isinstance(policies, str | Policy) or callable(policies):
        raise ValueError('compare needs a list of policies, such as ["linucb", "thompson"]')
    if isinstance(policies, Mapping):
        found = dict(policies)
    else:
        found = {}
        for place, one in enumerate(policies):
            name = one if isinstance(one, str) else getattr(one, "__name__", f"policy {place + 1}")
            if name in found:
                raise ValueError(f"compare needs each policy once, got {name!r} twice; a mapping gives names")
            found[name] = one
    if not found:
        raise ValueError("compare needs at least one policy, got none")
    return found


def _built(one: Named, name: str, stream: Stream, worth: Reward, table: NDArray[np.float64]) -> Policy:
    """Return the policy of a spec, of a factory, or the policy itself, checked where it is not ours."""
    if isinstance(one, str):
        return build(one, stream, worth, checked=".py:" in one, bounds=bounds_of(table))
    if isinstance(one, Policy):
        return check(one, stream.n_arms, stream.dim, name)
    if not callable(one):
        raise ValueError(f"compare needs a spec, a Policy or a factory, got {type(one).__name__}")
    return check(one(stream.n_arms, stream.dim), stream.n_arms, stream.dim, name)

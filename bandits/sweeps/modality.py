"""Does a policy look at both modalities of a query, or at one? And how much of a benchmark needs no image at all?

After MCR (arXiv 2602.04486), which trains a model out of textual and visual bias. Here the one diagnosed is the policy
that routes: learned on text and image and asked with one of them masked, and learned on one of them alone. The
measures are this project's reading; the paper's are of entities and boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.experiment.lineup import REFERENCES, lineup
from bandits.loop.frozen import decisions
from bandits.loop.orders import orders
from bandits.loop.relearn import relearned
from bandits.loop.replay import replay
from bandits.metrics.intervals import SHARE
from bandits.metrics.twofold import Twofold, stacked, twofold
from bandits.metrics.verdict import judge
from bandits.results.by_query import clusters
from bandits.rewards import Reward, reward_table
from envs.changes.masks import contribution
from envs.contexts import features

if TYPE_CHECKING:
    from envs.stream import Stream

BOTH, CHANNELS = "both", ("text", "image")
OTHER = {"text": "image", "image": "text"}
SIDES = ("shown", "not shown")


class Decided(NamedTuple):
    """What one policy calls for every row, by the seed that it learned in.

    Attributes:
        whole: `(S, N)` learned on both and asked with both.
        masked: by the channel that is left, `(S, N)`: learned on both, the other one taken away when asked.
        alone: by channel, `(S, N)`: learned on that one and asked with it.
        tested: `(S, N)` bool, rows of clusters that the seed has not learned from.
    """

    whole: NDArray[np.int32]
    masked: dict[str, NDArray[np.int32]]
    alone: dict[str, NDArray[np.int32]]
    tested: NDArray[np.bool_]


class Run(NamedTuple):
    """How policies learn: `S` seeds, the run's seed, rounds that each learns from, and the weight on cost."""

    seeds: int
    seed: int
    rounds: int
    preference: float


def diagnose(
    stream: Stream,
    policies: Sequence[str],
    reward: Reward,
    run: Run,
    *,
    context: dict[str, Any],
    progress: Callable[[str, int], object] | None = None,
) -> list[dict[str, Any]]:
    """Return two rows a policy, what it is with the text alone and with the image alone.

    Each seed learns from the first rounds of an order of its own, then decides the other queries without learning.

    Args:
        stream: a plain one of a table with text and image.
        policies: specs.
        reward: see `reward_table`.
        run: how much is learned.
        context: `fusion`, `dim` and `whiten` that the stream was loaded with.
        progress: called with what is fitted and rounds done.

    Returns:
        Rows with policy, `left` (the channel), `reward` with both; `lost`, reward that masking the other channel costs,
        and `refit_lost`, what learning on this channel alone costs, each with its interval over seeds (`_lo`, `_hi`)
        and over queries (`_queries_lo`, `_queries_hi`), `_p` after Holm's correction for all rows and `_verdict`;
        `flips`, the share of decisions that masking the other channel changes; `shortcut`, the share that is the same
        as of a policy that learned on this channel alone, and of these `_right` and `_wrong`, among decisions with
        both that are right and wrong (by utility, which may be graded), each with the wider interval of the two;
        `alike`, how often two of the policy that learned on both from other queries decide the same, and `chance`, how
        often two that draw their calls by the same shares would.

    Raises:
        ValueError: a reference among the policies, the table lacks a modality, or no query is left to decide.
    """
    if known := [spec for spec in policies if spec in REFERENCES]:
        raise ValueError(f"modality needs policies that see a query, {known[0]!r} knows the outcomes")
    cluster = clusters(stream)
    rows: list[dict[str, Any]] = []
    compared: list[Twofold] = []
    table = reward_table(reward, stream, run.preference)
    for spec, decided in _decided(stream, policies, reward, run, context, cluster, progress):
        for left in CHANNELS:
            row, lost = _row(stream, table, decided, left, cluster)
            rows.append({"policy": spec, "left": left, **row})
            compared += lost
    found = judge(*stacked(compared)[:2], seeds=run.seeds, queries=stacked(compared)[2])
    for i, one in enumerate(compared):
        name = ("lost", "refit_lost")[i % 2]
        rows[i // 2] |= {
            name: one.mean,
            f"{name}_lo": float(one.seeds.lo), f"{name}_hi": float(one.seeds.hi),
            f"{name}_queries_lo": float(one.queries.lo), f"{name}_queries_hi": float(one.queries.hi),
            f"{name}_p": float(found.p_holm[i]), f"{name}_verdict": SIDES[0] if found.shown[i] else SIDES[1],
        }  # fmt: skip
    return rows


def _decided(
    stream: Stream,
    policies: Sequence[str],
    reward: Reward,
    run: Run,
    context: dict[str, Any],
    cluster: NDArray[np.integer[Any]],
    progress: Callable[[str, int], object] | None,
) -> Any:
    """Yield each policy's spec and what it decides; the rest as `diagnose`."""
    order = orders(stream, seeds=run.seeds, seed=run.seed)
    tested = np.ones((run.seeds, len(stream)), bool)
    for own, rows in zip(tested, order[:, : run.rounds], strict=True):
        own[:] = ~np.isin(cluster, cluster[rows])
    if not tested.any(axis=1).all():
        raise ValueError(f"modality needs queries to decide on, and {run.rounds} rounds learn from all")
    seen = {BOTH: stream.context}
    for one in CHANNELS:
        seen[one] = features.context(stream.outcomes, modality=one, **context)[0]
    asked = {
        f"{one} left": np.hstack(
            [stream.context[:, :-1] - contribution(stream, OTHER[one]), stream.context[:, -1:]]
        )
        for one in CHANNELS
    }
    for spec in policies:
        arms: dict[str, list[NDArray[np.int32]]] = {}
        for name, own in seen.items():
            told = None if progress is None else _told(progress, f"{spec} on {name}")
            contexts = {name: own, **(asked if name == BOTH else {})}
            for key, calls in _fit(replace(stream, context=own), spec, reward, run, contexts, told):
                arms.setdefault(key, []).append(calls)
        made = {name: np.stack(calls) for name, calls in arms.items()}
        masked = {one: made[f"{one} left"] for one in CHANNELS}
        yield spec, Decided(made[BOTH], masked, {one: made[one] for one in CHANNELS}, tested)


def _told(progress: Callable[[str, int], object], name: str) -> Callable[[int], object]:
    return lambda rounds: progress(name, rounds)


def _fit(stream: Stream, spec: str, reward: Reward, run: Run, contexts: dict[str, Any], told: Any) -> Any:
    """Yield for each seed and context its name and the `(N,)` calls of a policy that has learned on this stream."""
    table = reward_table(reward, stream, run.preference)
    policy = lineup(stream, [spec], reward)[spec]
    assert policy is not None  # no reference, which `diagnose` refuses
    played: dict[str, Any] = {"seeds": run.seeds, "seed": run.seed, "rounds": run.rounds}
    trace = replay(policy, stream, table, preference=run.preference, progress=told, **played)
    for s in range(run.seeds):
        which = run.seed, run.seeds, s
        calls = trace.order[s], trace.arms[s]
        state = relearned(policy, stream, table, run.preference, calls, seed=which, total=run.rounds)
        for name, context in contexts.items():
            asked = replace(stream, context=context)
            yield (
                name,
                decisions(policy, state, asked, table, run.preference, seed=which, after=run.rounds),
            )


def _row(
    stream: Stream, table: NDArray[np.float64], decided: Decided, left: str, cluster: NDArray[np.integer[Any]]
) -> tuple[dict[str, Any], list[Twofold]]:
    """Return what is told of one policy with one channel left, and reward lost by masking and by learning without."""
    rows, tested = np.arange(len(stream)), decided.tested
    whole, masked, alone = decided.whole, decided.masked[left], decided.alone[left]
    worth = table[rows, whole]
    right = np.clip(stream.utility[rows, whole], 0.0, 1.0)
    same = (whole == alone).astype(float)
    rates = {
        "flips": twofold(whole != masked, tested, cluster, within=SHARE),
        "shortcut": twofold(same, tested, cluster, within=SHARE),
        "shortcut_right": twofold(same, tested * right, cluster, within=SHARE),
        "shortcut_wrong": twofold(same, tested * (1 - right), cluster, within=SHARE),
    }
    row: dict[str, Any] = {"reward": twofold(worth, tested, cluster).mean}
    for name, one in rates.items():
        low, high = one.wider
        row |= {name: one.mean, f"{name}_lo": low, f"{name}_hi": high}
    row |= {"alike": _alike(decided), "chance": _chance(whole, alone, tested, stream.n_arms)}
    row |= {"queries": rates["flips"].clusters}
    return row, [twofold(worth - table[rows, other], tested, cluster) for other in (masked, alone)]


def _alike(decided: Decided) -> float:
    """Return how often neighbouring seeds, which learned from other queries, decide the same."""
    if len(decided.whole) < 2:
        return float("nan")
    other, tested = np.roll(decided.whole, 1, axis=0), decided.tested & np.roll(decided.tested, 1, axis=0)
    return float((decided.whole == other)[tested].mean()) if tested.any() else float("nan")


def _chance(
    whole: NDArray[np.int32], alone: NDArray[np.int32], tested: NDArray[np.bool_], n_arms: int
) -> float:
    """Return how often two that call each model as often as these do would agree if they drew, mean over seeds."""
    agreed = []
    for a, b, inside in zip(whole, alone, tested, strict=True):
        shares = [np.bincount(one[inside], minlength=n_arms) / inside.sum() for one in (a, b)]
        agreed.append(shares[0] @ shares[1])
    return float(np.mean(agreed))


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Return in a sentence which maskings are shown to cost reward, and what could not be shown, as plain text."""
    told = []
    for left in CHANNELS:
        own = [row for row in rows if row["left"] == left]
        shown = [row for row in own if row["lost_verdict"] == SIDES[0]]
        for cost, word in ((1, "costs"), (-1, "gains")):
            named = [f"{row['policy']} {abs(row['lost']):.4f}" for row in shown if cost * row["lost"] > 0]
            if named:
                told.append(f"masking the {OTHER[left]} {word} reward a round: {', '.join(named)}")
    open_ones = sum(row["lost_verdict"] != SIDES[0] for row in rows)
    if open_ones:
        told.append(f"not shown to cost or gain anything: {open_ones} of {len(rows)} maskings")
    return f"At 5 % over seeds and over queries, after Holm's correction: {'; '.join(told)}."

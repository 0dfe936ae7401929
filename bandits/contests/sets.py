"""Rules that choose a set under a limit of tokens, on one stream: learned online, fixed, and with hindsight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.loop import slots
from bandits.metrics.intervals import Estimate, clustered
from bandits.metrics.verdict import ALPHA
from bandits.policies.sequential.c2ucb import ORDERS, c2ucb
from bandits.rewards import accuracy
from bandits.sequential import sets
from envs.calls import several_of

if TYPE_CHECKING:
    from envs.stream import Stream

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
BASE = "tag filter"  # which a replication found to be as good as a score (it saves tokens, too)


class Rule(NamedTuple):
    """A rule on all rounds: `(S, T)` worth of its sets and tokens used, and whether it needs hindsight."""

    name: str
    worth: Floats
    tokens: Floats
    hindsight: bool = False


def rules(
    stream: Stream, names: Sequence[str], *, seeds: int = 5, seed: int = 0, alpha: float = 0.1
) -> tuple[list[Rule], NDArray[np.int32]]:
    """Return what each rule's sets are worth, and the `(S, T)` orders of queries in which all of them met them.

    C2UCB by worth and by density; random order; a static filter by tag, filled by retrieval score; filling by that
    score; and with hindsight, of the true worths: filling by each, the optimum, and Dantzig's bound.

    Args:
        stream: from `envs.passages`.
        names: of its features.
        seeds, seed: of the orders and of the random rule.
        alpha: of C2UCB.
    """
    several = several_of(stream)
    told, tokens = np.asarray(several.features, np.float64), np.asarray(stream.tokens)
    limit = int((several.calls.room or (0, 0, 0))[2])
    found, order = [], np.zeros((seeds, len(stream)), np.int32)
    for by in ORDERS:
        policy = c2ucb(stream.n_arms, stream.dim, features=told.shape[2], alpha=alpha, by=by)
        trace = slots.replay(policy, stream, accuracy, seeds=seeds, seed=seed, preference=0.0)
        order, made = trace.order, trace.arms >= 0
        row, arm = trace.order[..., None], np.maximum(trace.arms, 0)
        worth, used = (np.where(made, a[row, arm], 0.0).sum(axis=2) for a in (stream.utility, tokens))
        found.append(Rule(f"learned, by {by}", worth, used))
    tag, retrieval = names.index("tag"), names.index("retrieval")
    rng = np.random.default_rng([seed, 5])
    fixed: dict[str, Callable[[int], Flags]] = {
        "random": lambda t: sets.fill(rng.random(stream.n_arms), tokens[t], limit),
        "tag filter": lambda t: sets.fill(told[t, :, tag] * (told[t, :, retrieval] + 100), tokens[t], limit),
        "by retrieval score": lambda t: sets.fill(told[t, :, retrieval] + 100, tokens[t], limit),
        "by true worth": lambda t: sets.by_worth(stream.utility[t], tokens[t], limit),
        "by true density": lambda t: sets.by_density(stream.utility[t], tokens[t], limit),
        "optimum": lambda t: sets.exact(stream.utility[t], tokens[t].astype(int), limit),
    }
    for name, rule in fixed.items():
        taken = np.array([rule(t) for t in range(len(stream))])
        worth, used = (np.where(taken, a, 0.0).sum(axis=1)[order] for a in (stream.utility, tokens))
        found.append(Rule(name, worth, used, "true" in name or name == "optimum"))
    bound = np.array([sets.dantzig(stream.utility[t], tokens[t], limit) for t in range(len(stream))])
    nothing = np.full(order.shape, np.nan)
    return [*found, Rule("Dantzig's bound", bound[order], nothing, hindsight=True)], order


def rows(found: Sequence[Rule], order: NDArray[np.int32]) -> list[dict[str, Any]]:
    """Return a row for each rule: worth, of the second half too, tokens, share of the optimum, against the filter."""
    by_name = {rule.name: rule for rule in found}
    best, base, half = by_name["optimum"].worth.mean(), by_name[BASE], order.shape[1] // 2
    told = []
    for rule in found:
        gap = over(rule, base, order)
        told.append(
            {
                "rule": rule.name,
                "recall": float(rule.worth.mean()),
                "second_half": float(rule.worth[:, half:].mean()),
                "tokens": float(rule.tokens.mean()),
                "of_optimum": float(rule.worth.mean() / best),
                "over_filter": float(gap.mean),
                "lo": float(gap.lo),
                "hi": float(gap.hi),
                "hindsight": rule.hindsight,
            }
        )
    return told


def verdict(found: Sequence[Rule], order: NDArray[np.int32]) -> list[str]:
    """Return what learning is worth against the static filter, and density against the paper's order, in sentences."""
    by_name = {rule.name: rule for rule in found}
    pairs = (("learned, by density", BASE), ("learned, by density", "learned, by worth"))
    lines = []
    for one, other in pairs:
        gap = over(by_name[one], by_name[other], order)
        sure = "shown" if float(gap.p) * len(pairs) < ALPHA else "not shown"
        lines.append(
            f"{one}, against {other}: {100 * float(gap.mean):+.1f} points of support recall (95 % interval over"
            f" queries {100 * float(gap.lo):+.1f} to {100 * float(gap.hi):+.1f}; {sure})."
        )
    return lines


def over(rule: Rule, base: Rule, order: NDArray[np.int32]) -> Estimate:
    """Return how much more a rule's sets are worth than another's, with its interval over queries."""
    gap, row = (rule.worth - base.worth).ravel(), order.ravel()
    return clustered(np.bincount(row, weights=gap), np.bincount(row))

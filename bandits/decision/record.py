"""A decision as plain data: every figure behind the verdict, for `decision.json`, the page and the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.decision.choices import ACCURACY, COST, LATENCY
from bandits.decision.compare import Pair, net
from bandits.decision.decide import Decision, calls, learning, not_worse, reach
from bandits.decision.limits import Limit
from bandits.decision.play import Played
from bandits.decision.routing import ceiling
from bandits.decision.worths import mixed_accuracy
from bandits.metrics.regret import comparator, earned_by, rewards
from bandits.metrics.scores import ies_of_means
from bandits.money import Money
from bandits.results import scored

if TYPE_CHECKING:
    from bandits.loop.replay import Trace
    from envs.stream import Stream

FORMAT = "routebandit decision 1"
SCORES = (
    "rank_score",
    "arena",
    "ies_of_means",
    "gain_over_best",
    "gain_over_random",
    "pareto_distance",
)
_CALLED = 0.01  # share of a deployed policy's last calls from which a model is needed


class Asked(NamedTuple):
    """What was asked for.

    Attributes:
        worth: of a right answer in the table's unit of cost; None: not known.
        month: queries a month; None: not known.
        limits: in the table's unit of cost, their texts in its currency.
        required: of the gate, likewise.
    """

    worth: float | None = None
    month: float | None = None
    limits: tuple[Limit, ...] = ()
    required: tuple[Limit, ...] = ()


def record(stream: Stream, played: Played, decided: Decision, asked: Asked, money: Money) -> dict[str, Any]:
    """Return everything that is known of a decision, amounts in the currency, numbers that are not known as NaN."""
    queries = len(decided.choices.rounds)
    rows = [_row(decided, i, asked, money, stream) for i in range(len(decided.choices.names))]
    for row, share in zip(rows, _shares(stream, played, decided), strict=True):
        row["calls"] = share
    for row, told in zip(rows, _scores(decided, money), strict=True):
        row |= told
    found: dict[str, Any] = {
        "format": FORMAT,
        "stream": stream.name,
        "label": stream.outcomes.label,
        "notes": list(stream.notes),
        "queries": len(stream),
        "clusters": queries,
        "rounds": int(decided.choices.rounds.sum() // played.ask.seeds),
        "seeds": played.ask.seeds,
        "seed": played.ask.seed,
        "policies": list(played.ask.policies),
        "currency": money.currency if stream.outcomes.priced else None,
        "right": _right(stream),
        "worth": None if asked.worth is None else asked.worth * money.factor,
        "queries_per_month": asked.month,
        "limits": [limit.text for limit in asked.limits],
        "choices": rows,
        "by_worth": [_piece(decided, piece, money) for piece in decided.pieces],
        "fixed_by_worth": [_piece(decided, piece, money) for piece in decided.fixed],
        "most_accurate": _leader(decided, ACCURACY, -1),
        "cheapest": _leader(decided, COST, 1) if stream.outcomes.priced else None,
        "not_shown_worse": {
            decided.choices.names[i]: [decided.choices.names[j] for j in not_worse(behind)]
            for i, behind in decided.behind.items()
            if any(piece.choice == i for piece in decided.pieces)
        },
    }
    doubted = {name for others in found["not_shown_worse"].values() for name in others}
    found["lacking"] = _lacking(stream)
    doubted |= set(found["lacking"])  # what a model is where it was not recorded is not known
    found["never_needed"] = [name for name in _unneeded(stream, decided, rows) if name not in doubted]
    found["nearest"] = _nearest(stream, played, decided, money)
    found["gain"] = ceiling(stream, asked.worth)
    found["gate"] = [_gate(found, limit, money) for limit in asked.required]
    return found


def _scores(decided: Decision, money: Money) -> list[dict[str, float]]:
    """Return what other papers would score each choice by, see docs/scores.md; nothing here is decided by them."""
    choices = decided.choices
    mean = choices.mean
    dearest = float(mean[choices.of("model"), COST].max())
    points = []
    for i, (name, kind) in enumerate(zip(choices.names, choices.kinds, strict=True)):
        accuracy, cost = float(mean[i, ACCURACY]), float(mean[i, COST])
        ratio = ies_of_means(accuracy, cost, dearest)
        points.append(scored.Point(name, "", kind, accuracy, cost, ies_of_means=ratio))
    by = {row["name"]: row for row in scored.rows(points, money)}
    return [{key: by[name][key] for key in SCORES if key in by[name]} for name in choices.names]


def _right(stream: Stream) -> bool:
    """Return whether every answer is right or wrong: else accuracy is a mean score."""
    known = stream.utility[stream.available]
    return bool(((known == 0) | (known == 1)).all())


def _lacking(stream: Stream) -> dict[str, float]:
    """Return the share of queries on which each model has no outcome, where there are such."""
    share = 1 - stream.available.mean(axis=0)
    return {model: float(part) for model, part in zip(stream.models, share, strict=True) if part > 0}


def _row(decided: Decision, i: int, asked: Asked, money: Money, stream: Stream) -> dict[str, Any]:
    choices = decided.choices
    mean, (low, high) = choices.mean[i], choices.interval()
    priced, timed = stream.outcomes.priced, stream.latency is not None
    scale = 1000 * money.factor if priced else math.nan
    month = math.nan if asked.month is None else asked.month / 1000
    row: dict[str, Any] = {
        "name": choices.names[i], "kind": choices.kinds[i], "policy": choices.specs[i],
        "preference": choices.preferences[i],
        "affordable": bool(decided.affordable[i]),
        "accuracy": mean[ACCURACY], "accuracy_lo": low[i, ACCURACY], "accuracy_hi": high[i, ACCURACY],
        "cost_per_1000": mean[COST] * scale, "cost_per_1000_lo": low[i, COST] * scale,
        "cost_per_1000_hi": high[i, COST] * scale, "cost_per_month": mean[COST] * scale * month,
        "latency": mean[LATENCY] if timed else math.nan,
        "latency_lo": low[i, LATENCY] if timed else math.nan,
        "latency_hi": high[i, LATENCY] if timed else math.nan,
    }  # fmt: skip
    models = choices.of("model")
    points = choices.mean[models]
    row["mixture_accuracy"] = mixed_accuracy(points[:, ACCURACY], points[:, COST], mean[COST])
    return row | _difference(decided, i, money)


def _difference(decided: Decision, i: int, money: Money) -> dict[str, Any]:
    """Return a choice's difference from the best fixed one, in right answers a query, cost taken off at the worth."""
    if i in decided.place and decided.compared is not None:
        found, n = decided.compared, decided.place[i]
    else:
        behind = decided.behind.get(decided.fixed[0].choice) if len(decided.fixed) == 1 else None
        places = [] if behind is None else [pair.choice for pair in behind.pairs]
        if behind is None or i not in places:
            return {"against": None, "shown": False, "why": ""}
        found, n = behind, places.index(i)
    pair, told = found.pairs[n], found.verdict
    (low,), (high,) = (end[[n]] for end in found.widest)
    return {
        "against": decided.choices.names[pair.other], "worth": pair.worth * money.factor,
        "difference": found.queries.mean[n], "difference_lo": low, "difference_hi": high,
        "p": told.p[n], "p_holm": told.p_holm[n], "shown": bool(told.shown[n]), "why": told.why[n],
    }  # fmt: skip


def _piece(decided: Decision, piece: Any, money: Money) -> dict[str, Any]:
    return {
        "choice": decided.choices.names[piece.choice],
        "kind": decided.choices.kinds[piece.choice],
        "from": piece.low * money.factor,
        "to": piece.high * money.factor,
    }


def _leader(decided: Decision, measure: int, sign: int) -> str:
    """Return the single model of the highest accuracy, or of the lowest cost, among all of them."""
    models = decided.choices.of("model")
    return decided.choices.names[min(models, key=lambda i: sign * float(decided.choices.mean[i, measure]))]


def _shares(stream: Stream, played: Played, decided: Decision) -> list[dict[str, float]]:
    """Return how often each choice calls each model: a policy in the last quarter of its rounds."""
    found: list[dict[str, float]] = []
    for i, kind in enumerate(decided.choices.kinds):
        if kind == "policy":
            share = calls(_trace(played, decided, i).arms, stream.n_arms)
            found.append(dict(zip(stream.models, share.tolist(), strict=True)))
        elif kind == "mixture":
            found.append({decided.choices.names[j]: share for j, share in decided.parts[i]})
        else:
            found.append({decided.choices.names[i]: 1.0})
    return found


def _trace(played: Played, decided: Decision, i: int) -> Any:
    text = decided.choices.preferences[i]
    return next(run for run in played.runs if run.preference == text).traces[decided.choices.specs[i]]


def _unneeded(stream: Stream, decided: Decision, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the models that are best at no worth and that no recommended choice calls."""
    best = {piece.choice for piece in (*decided.pieces, *decided.fixed)}
    called = {m for i in best for m, share in rows[i]["calls"].items() if share >= _CALLED}
    models = decided.choices.of("model")
    mean = decided.choices.mean[models]
    from bandits.decision.worths import best_by_worth

    hull = {stream.models[piece.choice] for piece in best_by_worth(mean[:, ACCURACY], mean[:, COST])}
    return [model for model in stream.models if model not in called | hull]


def _nearest(stream: Stream, played: Played, decided: Decision, money: Money) -> dict[str, Any] | None:
    """Return of the policy that was deployed, else of the one with the greatest difference, what is known besides."""
    deployed = [p.choice for p in decided.pieces if decided.choices.kinds[p.choice] == "policy"]
    if decided.compared is None:
        return None
    most = decided.compared.queries.mean
    i = max(deployed or decided.place, key=lambda place: float(most[decided.place[place]]))
    n, pair = decided.place[i], decided.compared.pairs[decided.place[i]]
    far = reach(decided.compared, n, queries=len(decided.choices.rounds), seeds=played.ask.seeds)
    learnt = learning(_gap(stream, _trace(played, decided, i), decided, pair))
    amount = pair.worth * money.factor if math.isfinite(pair.worth) else math.nan
    shown = decided.shown(i)
    return {
        "name": decided.choices.names[i], "against": decided.choices.names[pair.other],
        "worth": pair.worth * money.factor, "shown": shown, "deployed": bool(deployed), "detectable": far.detectable,
        "more_queries": None if shown or far.queries is None else far.queries - len(decided.choices.rounds),
        "more_seeds": None if shown or far.seeds is None else far.seeds - played.ask.seeds,
        "learning_rounds": learnt.rounds, "learning_lost": learnt.lost,
        "learning_cost": learnt.lost * amount, "after_learning": learnt.after,
    }  # fmt: skip


def _gap(stream: Stream, trace: Trace, decided: Decision, pair: Pair) -> NDArray[np.float64]:
    """Return `(S, T)` what each round of a policy earned more than the fixed choice that it is compared with."""
    mine = np.stack([rewards(sheet, trace) for sheet in (stream.utility, stream.cost)], axis=-1)
    names = decided.choices.names
    parts = decided.parts.get(pair.other, [(pair.other, 1.0)])
    other = np.zeros((len(stream), 2))
    for place, share in parts:
        arms = comparator(stream.utility, stream.models.index(names[place]))
        other += share * np.stack([earned_by(s, arms) for s in (stream.utility, stream.cost)], axis=-1)
    return np.asarray(net(mine, pair.worth) - net(other[trace.order], pair.worth))


def _gate(found: Mapping[str, Any], limit: Limit, money: Money) -> dict[str, Any]:
    """Return for each recommended choice the bound that a required limit asks for, and whether it is kept."""
    column, end = {
        "accuracy": ("accuracy", "lo"),
        "cost": ("cost_per_1000", "hi"),
        "latency": ("latency", "hi"),
    }[limit.measure]
    scale = 1 / (1000 * money.factor) if limit.measure == "cost" else 1.0
    rows = {row["name"]: row for row in found["choices"]}
    named = dict.fromkeys(piece["choice"] for piece in found["by_worth"])
    bounds = {name: float(rows[name][f"{column}_{end}"]) * scale for name in named}
    shown = {
        name: bound * (money.factor if limit.measure == "cost" else 1.0) for name, bound in bounds.items()
    }
    return {
        "limit": limit.text,
        "bound": shown,
        "kept": {name: bool(limit.kept(np.asarray(bound))) for name, bound in bounds.items()},
    }

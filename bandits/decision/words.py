"""A decision in sentences, the same on the terminal and on the page; every figure comes from its record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.decision import cascades, gate
from bandits.decision.figures import per_cent, points, quality, queries, span
from bandits.decision.routing import sentence
from bandits.metrics.verdict import FEWEST_SEEDS
from bandits.money import UNNAMED, Money, plain

Row = Mapping[str, Any]
_NAMED = 3  # models that one sentence names
_PLAIN = "recorded answers"  # the label of a table that needs no word on where it is from
_ROWS = 12  # of the table on a terminal


class Words:
    """The sentences of one record."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.rows: dict[str, Row] = {row["name"]: row for row in record["choices"]}
        self.money = Money(record["currency"] or UNNAMED, 1.0)
        self.priced = record["currency"] is not None
        # Of other queries than all, so they stand beside the choices and are none of them.
        self.cascades = cascades.choices(record.get("cascades"), record["queries_per_month"])

    def verdict(self) -> str:
        """Return the verdict: what to call, at what accuracy and cost, and what it was compared with."""
        pieces = self.record["by_worth"]
        if not pieces:
            return self._nothing()
        deployed = [p for p in pieces if p["kind"] == "policy"]
        if deployed:
            return self._deploy(max(deployed, key=lambda p: self.rows[p["choice"]]["difference"]))
        if len(pieces) > 1:
            *first, last = [piece["choice"] for piece in pieces]
            listed = (
                f"{', '.join(first)} or {last}" if len(first) < _NAMED else f"one of {len(pieces)} models"
            )
            return f"Always call {listed}, by what a right answer is worth: {self._none()}."
        name = pieces[0]["choice"]
        call = f"Always call {name}" if pieces[0]["kind"] == "model" else f"Call {name}, drawn at random"
        return f"{call}: {self._none()}. {self._got(name)}"

    def _deploy(self, piece: Row) -> str:
        row = self.rows[piece["choice"]]
        where = "" if self._alone() else f" where a right answer is worth {self.between(piece)}"
        other = self.rows[row["against"]]
        call = "always calling" if other["kind"] == "model" else "calling"
        cost = f" at {self.money.shown(other['cost_per_1000'])}" if self.priced else ""
        got = f"{call} {other['name']} gives {per_cent(other['accuracy'])}{cost}"
        return f"Deploy {row['name']}{where}: {self._figures(row)}; {got}."

    def _none(self) -> str:
        """Say that no policy is shown to be better, and whether a cascade, which may call twice, is."""
        if cascades.any_shown(self.record.get("cascades")):
            return "no policy of one call is shown to be better, but a cascade of two models is (see below)"
        return "no policy is shown to be better"

    def _alone(self) -> bool:
        return len(self.record["by_worth"]) == 1

    def _got(self, name: str) -> str:
        return f"It has {self._figures(self.rows[name])}."

    def _figures(self, row: Row) -> str:
        parts = [quality(row, self.record["right"])]
        if self.priced:
            parts.append(f"{self.money.shown(row['cost_per_1000'])} per 1,000 queries")
        if self.priced and self.record["queries_per_month"] is not None:
            queries = f"{self.record['queries_per_month']:,.0f} queries"
            parts.append(f"{self.money.shown(row['cost_per_month'])} a month at {queries}")
        return ", ".join(parts)

    def _nothing(self) -> str:
        limits = " and ".join(self.record["limits"])
        policies = [row for row in self.rows.values() if row["affordable"]]
        best = self.rows[self.record["most_accurate"]]
        text = f"Nothing is shown to fulfil {limits}: the most accurate model, {best['name']},"
        text += f" has {self._figures(best)}"
        if self.priced:
            cheap = self.rows[self.record["cheapest"]]
            text += f"; the cheapest, {cheap['name']}, has {self._figures(cheap)}"
        if policies:
            near = max(policies, key=lambda row: row["accuracy"])
            text += f". Of these queries {near['name']} alone fulfils it, with {self._figures(near)}"
        return text + "."

    def between(self, piece: Row) -> str:
        """Return the worths of a piece."""
        low, high = (self.money.shown(piece[end]) for end in ("from", "to"))
        if math.isinf(piece["to"]):
            return f"more than {low}" if piece["from"] > 0 else "anything"
        return f"{low} to {high}" if piece["from"] > 0 else f"less than {high}"

    def by_worth(self) -> list[str]:
        """Return a line for each choice that is best at some worth; none where one is best at all of them."""
        if self._alone():
            return []
        return [
            f"{self.between(piece)}: {piece['choice']}, {self._figures(self.rows[piece['choice']])}"
            for piece in self.record["by_worth"]
        ]

    def carried(self) -> list[str]:
        """Return what the evidence carries and what not, what it would take to know more, and what learning costs."""
        label = self.record["label"]
        source = [] if label == _PLAIN else [f"These numbers are from: {label}."]
        found = [
            *source,
            *self._lacking(),
            *sentence(self.record.get("gain")),
            *cascades.sentences(self.record.get("cascades"), self.money),
            *self._accurate(),
            *self._as_good(),
            *self._nearest(),
            *self._unneeded(),
        ]
        return [*found, *self._unused(), *self._constraints()]

    def _lacking(self) -> list[str]:
        """Name the models that are judged with the fall-back in their place, recommended ones first."""
        share: Mapping[str, float] = self.record.get("lacking") or {}
        if not share:
            return []
        named = sorted(share, key=lambda name: (name not in self._recommended(), -share[name]))
        listed = ", ".join(f"{name} (on {per_cent(share[name])})" for name in named[:_NAMED])
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        return [
            f"Without an outcome on some queries: {listed}{more}. The fall-back, another model, answers there, so that"
            " all are compared on the same queries; accuracy and cost are of both together."
        ]

    def _accurate(self) -> list[str]:
        """Name the most accurate model where it is not what is recommended."""
        name = self.record["most_accurate"]
        if any(piece["choice"] == name for piece in self.record["by_worth"]) or not self.record["by_worth"]:
            return []
        return [f"The most accurate model is {name}: {self._figures(self.rows[name])}."]

    def _as_good(self) -> list[str]:
        """Name the models that are not shown to be worse; none where no difference could be shown."""
        if self.record["seeds"] < FEWEST_SEEDS:
            return []
        told = []
        for name, others in self.record["not_shown_worse"].items():
            if others:
                more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
                listed = ", ".join(others[:_NAMED])
                told.append(f"Not shown to be worse than {name} on these queries: {listed}{more}.")
        return told

    def _nearest(self) -> list[str]:
        near, record = self.record["nearest"], self.record
        if near is None:
            return []
        size = queries(record)
        row = self.rows[near["name"]]
        at = f" with a right answer worth {self.money.shown(near['worth'])}" if self._weighed(near) else ""
        ahead = f"{points(abs(row['difference']))} {'ahead of' if row['difference'] > 0 else 'behind'}"
        told = []
        if not near["shown"]:
            call = "calling" if self.rows[near["against"]]["kind"] == "mixture" else "always calling"
            told.append(f"The nearest policy, {near['name']}, is {ahead} {call} {near['against']}{at}.")
        least = near["detectable"]
        if math.isnan(row["p"]):
            return [*told, f"There can be no verdict on {size} and {record['seeds']} seeds: {row['why']}."]
        if not math.isnan(least):
            told.append(
                f"On {size} and {record['seeds']} seeds a difference of {near['name']} below {points(least)}"
                " cannot be shown."
            )
        told += [] if near["shown"] else self._more(near, row)
        return [*told, *self._learning(near)]

    def _weighed(self, near: Row) -> bool:
        return self.priced and math.isfinite(near["worth"])

    def _more(self, near: Row, row: Row) -> list[str]:
        if row["difference"] <= 0:
            return ["More queries or seeds would not show it to be better, if it is what it looks like."]
        needed = []
        if near["more_queries"] is not None:
            needed.append(f"about {near['more_queries']:,} more queries like these")
        if near["more_seeds"] is not None:
            needed.append(f"about {near['more_seeds']:,} more seeds")
        if not needed:
            return []
        return [f"To show a lead of this size in four of five cases takes {' and '.join(needed)}."]

    def _learning(self, near: Row) -> list[str]:
        if near["learning_rounds"] == 0:
            return []
        lost = f"{near['learning_lost']:,.1f} right answers"
        if self._weighed(near):
            lost = f"{self.money.shown(near['learning_cost'])} ({lost}, cost taken off)"
        side = "ahead of" if near["after_learning"] > 0 else "behind"
        ahead = points(abs(near["after_learning"]))
        return [
            f"Learning costs {lost} in the first {near['learning_rounds']:,} queries of {near['name']}, against its"
            f" own rate in the last quarter; there it is {ahead} {side} {near['against']}."
        ]

    def _unneeded(self) -> list[str]:
        names: Sequence[str] = self.record["never_needed"]
        if not names:
            return []
        shown = ", ".join(names[:_NAMED]) + (
            f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        )
        return [
            f"Never needed: {shown} (best at no worth of a right answer, shown to be worse, not called by what is"
            " recommended)."
        ]

    def _unused(self) -> list[str]:
        """Say that what was asked about money changes nothing where the table has no costs."""
        names = {"worth": "--worth", "queries_per_month": "--queries-per-month"}
        given = [option for key, option in names.items() if self.record[key] is not None]
        if self.priced or not given:
            return []
        return [f"The table has no costs, so {' and '.join(given)} changed nothing: accuracy alone counts."]

    def _constraints(self) -> list[str]:
        if not self.record["limits"] or not self.record["by_worth"]:
            return []
        if not (out := sum(not row["affordable"] for row in self.rows.values())):
            return []
        return [
            f"{out} of {len(self.rows)} choices do not fulfil {' and '.join(self.record['limits'])} by their means."
        ]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells of the choices that matter, the most accurate first; `*`: recommended."""
        rows = sorted([*self._that_matter(), *self.cascades], key=lambda row: -row["accuracy"])
        several = len({row["preference"] for row in rows if row["policy"]}) > 1
        paid = [f"{self.money.currency} per 1,000"] * self.priced
        headings = ["choice", *["pref."] * several, "accuracy %", *paid, "difference"]
        return headings, [self._cells(row, several) for row in rows]

    def legend(self) -> list[str]:
        """Return what the table's columns mean, and how many choices it leaves out."""
        record, cost = self.record, f", cost in {self.money.per_1000}" if self.priced else ""
        told = [f"Accuracy with its 95 % interval{cost}; difference to the best single model in points"]
        worth = record["worth"]
        if self.priced and worth is not None:
            told[0] += f", cost taken off at {self.money.shown(worth)} a right answer"
        elif self.priced and any(row.get("worth", math.inf) < math.inf for row in self.rows.values()):
            told[0] += ", cost taken off at the worth that a policy plays for"
        told[0] += ", shown where it is. *: recommended."
        left = len(record["choices"]) - len(self._that_matter())
        unnamed = self.priced and self.money.currency == UNNAMED
        told += ["The table does not say what its costs are in: --unit USD names it."] * unnamed
        told += cascades.legend(record.get("cascades"))
        return [*told, *[f"{left} more {'choice' if left == 1 else 'choices'}: --wide."] * (left > 0)]

    def _recommended(self) -> set[str]:
        return {piece["choice"] for piece in self.record["by_worth"]}

    def _that_matter(self) -> list[Row]:
        """Return every choice where they are few, else those that are best, nearest, or best of their preference."""
        rows: list[Row] = list(self.record["choices"])
        if len(rows) <= _ROWS:
            return rows
        named = self._recommended() | {piece["choice"] for piece in self.record["fixed_by_worth"]}
        named |= {self.record["most_accurate"], self.record["cheapest"]}
        named |= {(self.record["nearest"] or {}).get("name")}
        for text in dict.fromkeys(row["preference"] for row in rows if row["kind"] == "policy"):
            same = [row for row in rows if row["preference"] == text and row["kind"] == "policy"]
            named.add(max(same, key=lambda row: row.get("difference", -math.inf))["name"])
        kept = [row for row in rows if row["name"] in named]
        others = sorted((row for row in rows if row["name"] not in named), key=lambda row: -row["accuracy"])
        return [*kept, *others[: max(_ROWS - len(kept), 0)]]

    def _cells(self, row: Row, several: bool) -> list[str]:
        mark = "*" if row["name"] in self._recommended() else " "
        accuracy = f"{100 * row['accuracy']:.1f} ({span(row, '-')})"
        difference = "-"
        if row["against"] is not None:
            size = 100 * row["difference"]
            difference = f"{size:+.{1 if abs(size) >= 1 else 2}f}{' shown' if row['shown'] else ''}"
        cost = [plain(row["cost_per_1000"])] * self.priced
        return [
            f"{mark}{row['policy'] or row['name']}",
            *[row["preference"]] * several,
            accuracy,
            *cost,
            difference,
        ]

    def gate(self) -> list[str]:
        """Return what was required, the bound that it is held against, and whether it is kept."""
        return gate.sentences(self.record, self.money)

"""A decision in sentences, the same on the terminal and on the page; every figure comes from its record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bandits.money import Money

Row = Mapping[str, Any]
_NAMED = 3  # models that one sentence names


def per_cent(share: float) -> str:
    """Return a share in per cent with one decimal."""
    return "n/a" if math.isnan(share) else f"{100 * share:.1f} %"


def points(share: float, *, signed: bool = False) -> str:
    """Return a difference of shares in points; two decimals where it is less than one point."""
    size = 100 * share
    return f"{size:{'+' if signed else ''}.{1 if abs(size) >= 1 else 2}f} points"


def quality(row: Row, right: bool) -> str:
    """Return the accuracy of a choice with its interval."""
    what = "of answers right" if right else "mean score"
    span = "no interval"
    if not math.isnan(row["accuracy_lo"]):
        span = f"{100 * row['accuracy_lo']:.1f} to {100 * row['accuracy_hi']:.1f}"
    return f"{per_cent(row['accuracy'])} {what} ({span})"


class Words:
    """The sentences of one record."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.rows: dict[str, Row] = {row["name"]: row for row in record["choices"]}
        self.money = Money(record["currency"] or "units", 1.0)
        self.priced = record["currency"] is not None

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
            return f"Always call {listed}, by what a right answer is worth: no policy is shown to be better."
        name = pieces[0]["choice"]
        call = f"Always call {name}" if pieces[0]["kind"] == "model" else f"Call {name}, drawn at random"
        return f"{call}: no policy is shown to be better. {self._got(name)}"

    def _deploy(self, piece: Row) -> str:
        row = self.rows[piece["choice"]]
        where = "" if self._alone() else f" where a right answer is worth {self._between(piece)}"
        other = self.rows[row["against"]]
        call = "always calling" if other["kind"] == "model" else "calling"
        cost = f" at {self.money.shown(other['cost_per_1000'])}" if self.priced else ""
        got = f"{call} {other['name']} gives {per_cent(other['accuracy'])}{cost}"
        return f"Deploy {row['name']}{where}: {self._figures(row)}; {got}."

    def _alone(self) -> bool:
        return len(self.record["by_worth"]) == 1

    def _got(self, name: str) -> str:
        return f"It gets {self._figures(self.rows[name])}."

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
        text += f" gets {self._figures(best)}"
        if self.priced:
            cheap = self.rows[self.record["cheapest"]]
            text += f"; the cheapest, {cheap['name']}, {self._figures(cheap)}"
        if policies:
            near = max(policies, key=lambda row: row["accuracy"])
            text += f". Of these queries {near['name']} alone fulfils it, with {self._figures(near)}"
        return text + "."

    def _between(self, piece: Row) -> str:
        low, high = (self.money.shown(piece[end]) for end in ("from", "to"))
        if math.isinf(piece["to"]):
            return f"more than {low}" if piece["from"] > 0 else "anything"
        return f"{low} to {high}" if piece["from"] > 0 else f"less than {high}"

    def by_worth(self) -> list[str]:
        """Return a line for each choice that is best at some worth; none where one is best at all of them."""
        if self._alone():
            return []
        return [
            f"{self._between(piece)}: {piece['choice']}, {self._figures(self.rows[piece['choice']])}"
            for piece in self.record["by_worth"]
        ]

    def carried(self) -> list[str]:
        """Return what the evidence carries and what not, what it would take to know more, and what learning costs."""
        found = [*self._accurate(), *self._as_good(), *self._nearest(), *self._unneeded()]
        return [*found, *self._constraints()]

    def _accurate(self) -> list[str]:
        """Name the most accurate model where it is not what is recommended."""
        name = self.record["most_accurate"]
        if any(piece["choice"] == name for piece in self.record["by_worth"]) or not self.record["by_worth"]:
            return []
        return [f"The most accurate model is {name}: {self._figures(self.rows[name])}."]

    def _as_good(self) -> list[str]:
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
        size = f"{record['clusters']:,} queries" + (
            f" ({record['queries']:,} with near copies)" if record["clusters"] < record["queries"] else ""
        )
        row = self.rows[near["name"]]
        at = f" with a right answer worth {self.money.shown(near['worth'])}" if self._weighed(near) else ""
        ahead = f"{points(abs(row['difference']))} {'ahead of' if row['difference'] > 0 else 'behind'}"
        told = []
        if not near["shown"]:
            call = "calling" if self.rows[near["against"]]["kind"] == "mixture" else "always calling"
            told.append(f"The nearest policy, {near['name']}, is {ahead} {call} {near['against']}{at}.")
        least = near["detectable"]
        if not math.isnan(least):
            told.append(
                f"On {size} and {record['seeds']} seeds a difference below {points(least)} cannot be shown."
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
        side, ahead = (
            "ahead of" if near["after_learning"] > 0 else "behind",
            points(abs(near["after_learning"])),
        )
        return [
            f"Learning costs {near['name']} {lost} in its first {near['learning_rounds']:,} queries, against its"
            f" own rate in the last quarter; there it is {ahead} {side} {near['against']}."
        ]

    def _unneeded(self) -> list[str]:
        names: Sequence[str] = self.record["never_needed"]
        if not names:
            return []
        shown = ", ".join(names[:_NAMED]) + (
            f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        )
        return [f"Never needed: {shown} (best at no worth of a right answer, called by no choice above)."]

    def _constraints(self) -> list[str]:
        if not self.record["limits"] or not self.record["by_worth"]:
            return []
        out = sum(not row["affordable"] for row in self.rows.values())
        return [
            f"{out} of {len(self.rows)} choices do not fulfil {' and '.join(self.record['limits'])} by their means."
        ]

    def gate(self, kept: Sequence[str]) -> list[str]:
        """Return what was required, the bound that it is held against, and whether it is kept."""
        told = []
        for one in self.record["gate"]:
            for name, bound in one["bound"].items():
                word = "kept" if one["kept"][name] else "missed"
                end = "lower" if ">=" in one["limit"] else "upper"
                told.append(f"Required {one['limit']}: {word}, {end} bound {bound:.4g} ({name}).")
        if self.record["gate"] and not kept:
            told.append("Gate: not passed.")
        return told

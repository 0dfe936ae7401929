"""Does each cell and each point of a report show the column of the summary that its heading or axis names?"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd

from bandits.money import money
from bandits.report import calls, over_time, plane, tables
from bandits.results.by_dataset import CALLS

# Every number differs from every other in its first digits, so that a swapped or rounded one shows.
NUMBERS = {
    "reward_mean": 0.61237, "lag": 0.03459, "accuracy": 0.71842, "cost_mean": 0.0025137, "cost_total": 27.6507,
    "regret_oracle": 1934.27, "regret_best_fixed": 385.12, "regret_best_per_dataset": 442.68, "exponent": 0.8764,
    "gap_closed": 0.1732,
}  # fmt: skip


def summary_row(name: str, kind: str, factor: float = 1.0) -> dict[str, Any]:
    """Return a row of a summary in which every number is its own, all scaled by a factor."""
    found: dict[str, Any] = {key: value * factor for key, value in NUMBERS.items()}
    for quantity, mean in (("reward", "reward_mean"), ("lag", "lag"), ("accuracy", "accuracy"),
                           ("cost", "cost_mean"), ("regret", "regret_oracle")):  # fmt: skip
        found |= {f"{quantity}_lo": found[mean] * 0.9, f"{quantity}_hi": found[mean] * 1.1}
    return found | {"policy": name, "kind": kind, "stream": "s", "seeds": 5, "rounds": 100, "unanswered": 0.0}


class Cells(HTMLParser):
    """The headings and the cells of a table, as text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.open = True
        elif tag == "small" and self.open:
            self.rows[-1][-1] += "|"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            self.rows[-1][-1] += data


def test_every_cell_of_the_table_shows_the_column_of_its_heading() -> None:
    """To at least three significant digits, by heading, in the unit that the heading names."""
    shown = {
        "reward a query": ("reward_mean", 1), "behind the best policy": ("lag", 1), "accuracy, %": ("accuracy", 100),
        "cost, USD per 1,000 queries": ("cost_mean", 1), "total cost, USD": ("cost_total", 1e-3),
        "regret, oracle": ("regret_oracle", 1), "regret, best fixed": ("regret_best_fixed", 1),
        "regret, best per dataset": ("regret_best_per_dataset", 1), "growth": ("exponent", 1),
        "gap closed": ("gap_closed", 1), "seconds, p50": ("latency_p50", 1), "seconds, p95": ("latency_p95", 1),
    }  # fmt: skip
    took = {"latency_p50": 1.2345, "latency_p95": 7.654}
    given = [summary_row("a", "policy") | took, summary_row("b", "policy", 1.37) | took]
    head, *body = Cells(tables.summary(given, money("1e-3 USD/query"))).rows
    lines = {cells[0].partition("|")[0].strip(): dict(zip(head, cells, strict=True)) for cells in body}
    assert set(lines) == {"a", "b"} and set(shown) == set(head[1:])
    for row in given:
        for heading, (column, scale) in shown.items():
            text = lines[row["policy"]][heading].split("|")[0].replace(",", "")
            percent = text.endswith("%")
            value = float(text.rstrip(" %")) / (100 if percent else 1)
            digits = len(re.sub(r"^0*\.?0*|\.|%| ", "", text))
            # Half a unit of the last digit shown, and never fewer than two digits.
            assert digits >= 2, (heading, text)
            assert abs(value / scale - row[column]) <= 0.006 * abs(row[column]) + (0.005 if percent else 0), (
                heading,
                text,
            )
            if heading.startswith(("reward a query", "accuracy", "cost", "total cost", "seconds")):
                assert digits >= 3 and abs(value / scale - row[column]) <= 0.004 * abs(row[column]), heading


def test_the_plane_draws_mean_cost_and_accuracy() -> None:
    """Each named point lies at its own mean cost (not total) and accuracy (not reward)."""
    rows = [
        summary_row("a", "policy"),
        summary_row("m", "model", 1.2),
        summary_row("oracle", "reference", 0.8),
    ]
    figure, _ = plane.plane(rows, "USD/query")
    at = {
        name: (x, y)
        for trace in figure["views"][0]["data"]
        if "markers" in trace["mode"]
        for name, x, y in zip(trace["text"], trace["x"], trace["y"], strict=True)
    }
    for row in rows:
        x, y = at[row["policy"]]
        assert abs(x / row["cost_mean"] / 1000 - 1) < 1e-3 and abs(y / row["accuracy"] / 100 - 1) < 1e-3


def test_the_heat_map_puts_each_share_at_its_data_set_and_model() -> None:
    """Row by label and column by label, with a table in which every share differs."""
    frame = pd.DataFrame(
        {
            "policy": "a", "kind": "policy", "seed": 0, "dataset": ["x", "y", "z"], "rounds": [50, 30, 20],
            f"{CALLS}m": [10, 24, 1], f"{CALLS}n": [40, 6, 19],
        }
    )  # fmt: skip
    data = calls.heat(calls.routed(frame))["views"][0]["data"][0]
    found = {
        (dataset, model): share
        for dataset, line in zip(data["y"], data["z"], strict=True)
        for model, share in zip(data["x"], line, strict=True)
    }
    want = {
        (row["dataset"], model): row[f"{CALLS}{model}"] / row["rounds"]
        for row in frame.to_dict("records")
        for model in ("m", "n")
    }
    assert found.keys() == want.keys()
    for cell, share in want.items():
        assert abs(found[cell] - share) < 1e-3, cell


def test_lines_and_bands_are_those_of_their_player_and_quantity() -> None:
    """Each line's `y`, `lo` and `hi` are the curve's mean and ends, of the quantity that the view names."""
    rows = [summary_row("a", "policy"), summary_row("b", "policy", 1.1)]
    rounds = [1, 50, 100]
    parts = []
    for i, name in enumerate(("a", "b")):
        for j, quantity in enumerate((*over_time.COMPARATORS, "reward", "cost")):
            level = 10.0 * (i + 1) + j
            values = np.array(rounds) * level
            parts.append(
                pd.DataFrame(
                    {
                        "policy": name,
                        "round": rounds,
                        "quantity": quantity,
                        "mean": values,
                        "lo": values - 3 - i,
                        "hi": values + 5 + i,
                    }
                )
            )
    curves = pd.concat(parts)
    drawn = [*over_time.regret(rows, curves)["views"], *over_time.reward(rows, curves, "USD/query")["views"]]
    labels = [*over_time.COMPARATORS, "reward", "cost"]
    assert len(drawn) == len(labels)
    for view, quantity in zip(drawn, labels, strict=True):
        assert {line["name"] for line in view["data"]} == {"a", "b"}
        for line in view["data"]:
            part = curves[(curves["policy"] == line["name"]) & (curves["quantity"] == quantity)]
            part = part.set_index("round").loc[line["x"]]
            for drawn_as, column in (("y", "mean"), ("lo", "lo"), ("hi", "hi")):
                np.testing.assert_allclose(line[drawn_as], part[column], rtol=1e-3)

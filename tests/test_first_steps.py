"""What a new user stumbled over: a sentence against the number beside it, a number without a unit, wide output."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bandits.contests import looks, words
from bandits.decision import gate
from bandits.decision.figures import queries
from bandits.decision.words import Words
from bandits.metrics import scores
from bandits.metrics.intervals import clustered
from bandits.money import Money, money
from bandits.results import scored
from bandits.serving.router import Choice, Router
from commands.terminal import told
from envs import write
from tests.conftest import make_stream
from tests.test_command import run
from tests.test_decide_cascades import answers

__all__ = ["run"]  # a fixture


def choice(name: str, kind: str = "model", **more: object) -> dict[str, object]:
    row = {"name": name, "kind": kind, "policy": name if kind == "policy" else "", "preference": "",
           "accuracy": 0.8, "accuracy_lo": 0.78, "accuracy_hi": 0.82, "cost_per_1000": 0.5, "cost_per_month": 50.0,
           "affordable": True, "against": None, "shown": False, "calls": {}}  # fmt: skip
    return {**row, **more}


def record(**more: object) -> dict[str, object]:
    """A decision for the one model, a policy shown to be .8 points behind it and one that is .3 points ahead."""
    differences = {"worse": (-0.008, True), "nearest": (0.003, False)}
    rows = [
        choice(n, "policy", against="m", difference=d, shown=s, p=0.2, worth=np.inf)
        for n, (d, s) in differences.items()
    ]
    near = {"name": "nearest", "against": "m", "worth": np.inf, "shown": False, "deployed": False,
            "detectable": 0.016, "more_queries": None, "more_seeds": None, "learning_rounds": 0}  # fmt: skip
    piece = {"choice": "m", "kind": "model", "from": 0.0, "to": np.inf}
    return {"choices": [choice("m"), *rows], "by_worth": [piece], "fixed_by_worth": [piece], "currency": "units",
            "right": True, "worth": None, "queries_per_month": None, "limits": [], "label": "recorded answers",
            "most_accurate": "m", "cheapest": "m", "not_shown_worse": {}, "never_needed": [], "nearest": near,
            "clusters": 500, "queries": 500, "rounds": 500, "seeds": 20, "gain": None, "gate": [], **more}  # fmt: skip


def test_what_cannot_be_shown_is_said_of_the_policy_that_it_was_found_for() -> None:
    """Another policy's smaller difference may be shown, as its spread is less."""
    told = " ".join(Words(record()).carried())
    assert "a difference of nearest below 1.6 points cannot be shown" in told


def test_costs_without_a_currency_say_how_it_is_named() -> None:
    assert any("--unit USD" in line for line in Words(record()).legend())
    assert not any("--unit" in line for line in Words(record(currency="USD")).legend())


@pytest.mark.parametrize(
    ("given", "named"), [("worth", "--worth"), ("queries_per_month", "--queries-per-month")]
)
def test_a_worth_that_changes_nothing_is_said_to(given: str, named: str) -> None:
    told = " ".join(Words(record(currency=None, **{given: 0.01})).carried())
    assert f"The table has no costs, so {named} changed nothing" in told
    assert "changed nothing" not in " ".join(Words(record(**{given: 0.01})).carried())


def test_bounds_of_a_gate_have_their_unit() -> None:
    limits = {"accuracy >= 0.9": 0.87, "cost <= 0.002": 0.0015, "latency <= 3": 0.64}
    kept = [{"limit": limit, "bound": {"m": bound}, "kept": {"m": True}} for limit, bound in limits.items()]
    found = {"by_worth": [{"choice": "m"}], "gate": kept}
    told = gate.sentences(found, Money("USD", 1.0))
    assert [line.split("bound ")[1] for line in told[:-1]] == [
        "0.87 (m).",
        "$0.0015 a query (m).",
        "0.64 s (m).",
    ]
    assert told[-1] == "Gate: passed by m."


def rule(name: str, worth: np.ndarray, always: np.ndarray, never: np.ndarray, bought: float) -> looks.Rule:
    each = np.ones(len(worth))
    over = [clustered(worth - other, each) for other in (always, never)]
    return looks.Rule(name, float(worth.mean()), float(worth.mean()), bought, *over)


def test_a_gate_is_held_against_the_better_of_always_and_never() -> None:
    rng = np.random.default_rng(0)
    never = (rng.random(400) < 0.7).astype(float)
    always = never - 0.5  # it costs more than it brings
    best, found = np.maximum(never, always) + 0.05, []
    for gate_ in (never, never + rng.normal(0.2, 0.1, 400)):
        rows = {"never": never, "always": always, "gate": gate_, "hindsight": best}
        share = {"never": 0.0, "always": 1.0, "gate": 0.0 if gate_ is never else 0.4, "hindsight": 0.5}
        found.append(looks.verdict([rule(n, w, always, never, share[n]) for n, w in rows.items()]))
    same, better = found
    assert same.startswith("Never buying is worth") and "does the same" in same and "shown" not in same
    gap = (rows["gate"] - never).mean()
    assert f"{gap:+.3f} against that" in better and ", shown)" in better
    drawn = looks.verdict([rule(n, w, never, never, 0.0) for n, w in rows.items()])
    assert "not shown" not in drawn


def test_scores_of_equal_means_are_equal() -> None:
    assert scores.gain(0.1 + 0.2, 0.3) == 0.0 and scores.gain(0.33, 0.3) == pytest.approx(0.1)


def test_inspect_and_cascade_fit_a_terminal_with_units(run, tmp_path) -> None:
    write(make_stream(200).outcomes, tmp_path / "table.csv")
    code, out, err = run("inspect", tmp_path / "table.csv", "--gain")
    assert code == 0 and max(map(len, out.splitlines())) <= 80, err
    assert "per 1,000" in out and "points of reward" in out
    table = answers(200).assign(split=["train", "test"] * 100)
    table.to_csv(tmp_path / "judged.csv", index=False)
    code, out, err = run("cascade", tmp_path / "judged.csv", "--unit", "USD", "--budgets", "3")
    assert code == 0 and "not read" not in err, err
    assert max(map(len, out.splitlines())) <= 80 and "in USD per 1,000 queries" in " ".join(out.split())


def test_cells_of_a_budget_are_its_figures() -> None:
    row = {"budget": 0.0396, "paid": 0.0319, "cascade": 0.588, "router": 0.602, "difference": -0.014, "lo": -0.022,
           "hi": -0.006, "better": "router", "over_chance": 0.017}  # fmt: skip
    heads, (cells,) = words.table([row])
    assert len(heads) == len(cells)
    assert cells == ["0.0396", "0.0319", "58.8", "60.2", "-1.4 (-2.2 to -0.6)", "router", "+1.7"]


def test_a_second_call_without_scores_names_no_option_that_was_not_given(run, tmp_path) -> None:
    answers(60).drop(columns=["little_conf", "large_conf"]).to_csv(tmp_path / "bare.csv", index=False)
    code, _, err = run("cascade", tmp_path / "bare.csv")
    assert code == 2 and "--calls" not in err and "little_conf" in err and money("").currency == "units"


def test_what_is_loaded_and_chosen_show_themselves_in_one_line() -> None:
    settings = SimpleNamespace(policy="linucb", models=("a", "b"), label="recorded answers")
    router = Router(settings, None, {"weight": np.zeros((400, 400))}, None, None)  # type: ignore[arg-type]
    assert repr(router) == "Router(linucb of a, b; learned from recorded answers)"
    choice = Choice("a", 0, np.zeros(400), 0.2)
    assert repr(choice) == "Choice('a', preference=0.2, chance=1)"


def test_models_that_are_not_recorded_everywhere_are_named_and_scored_over_all_queries() -> None:
    told = " ".join(Words(record(lacking={"x": 0.9, "m": 0.25, "y": 0.5, "z": 0.1})).carried())
    assert (
        "Without an outcome on some queries: m (on 25.0 %), x (on 90.0 %), y (on 50.0 %) and 1 more." in told
    )
    assert "Without an outcome" not in " ".join(Words(record(lacking={})).carried())
    stream = make_stream(rows=60, arms=3)
    utility = stream.outcomes.utility.copy()
    utility[20:, 0] = np.nan
    partly = replace(stream, outcomes=replace(stream.outcomes, utility=utility))
    first = scored.of_table(partly, alpha=0.5)[0]
    each = np.concatenate(
        [utility[:20, 0], utility[20:, 1]]
    )  # the first of those that are recorded most often
    assert first.accuracy == pytest.approx(each.mean())


def test_a_number_and_its_per_cent_stay_on_one_line(capsys) -> None:
    told(f"{'x' * 75} 43.5 % and more")
    assert capsys.readouterr().out.splitlines() == ["x" * 75, "43.5 % and more"]


def test_rows_of_the_table_are_no_copies_where_seeds_draw_some_of_them() -> None:
    counts = {"clusters": 1158, "queries": 5190}
    assert queries({**counts, "rounds": 600}) == "1,158 queries (600 rounds in each seed)"
    assert queries({**counts, "rounds": 5190}) == "1,158 queries (5,190 with near copies)"
    assert queries({"clusters": 9, "queries": 9, "rounds": 9}) == "9 queries"

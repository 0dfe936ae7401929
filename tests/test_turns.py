"""What is said of several calls a query: comparators by enumeration, chance, abstention and AURC by plain loops."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bandits.experiment import several
from bandits.experiment.ask import Ask, Run
from bandits.experiment.play import finish
from bandits.folders.write import tables_of
from bandits.metrics import abstention
from bandits.results import turns, withheld
from envs import load

COUNT, MODELS, WEIGHT = 60, ("small", "large", "huge"), 0.3
CHAIN = "cascade,order=small>large>huge,thresholds=0.7>0.6"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, frame = np.random.default_rng(4), {"id": [f"q{i}" for i in range(COUNT)], "dataset": ["d"] * COUNT}
    for k, model in enumerate(MODELS):
        right = rng.random(COUNT) < 0.45 + 0.2 * k
        frame[f"{model}_correct"] = right * 1
        frame[f"{model}_cost"] = rng.uniform(1, 2, COUNT).round(3) * 3**k
        frame[f"{model}_conf"] = (0.5 * right + 0.5 * rng.random(COUNT)).round(1)  # many ties
        frame[f"{model}_judge_cost"] = 0.25
    path = tmp_path_factory.mktemp("turns") / "judged.csv"
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def played(path: Path, *policies: str, **given) -> tuple[Run, Ask]:
    ask = Ask(policies, seeds=2, calls=2, preference=str(WEIGHT), **given)
    stream = several.judged(load(data=str(path)), ask, str(path))
    return next(finish(stream, ask)), ask


@pytest.mark.parametrize("deliver", ["last", "best_heard"])
@pytest.mark.parametrize("limit", [np.inf, 6.0])
def test_comparators_are_the_best_of_an_enumeration(table: Path, deliver: str, limit: float) -> None:
    """Every pair and every threshold, row by row; single models; the cheapest that does best; a perfect judge."""
    run, _ = played(table, "cascade,order=small>large,thresholds=0.5", deliver=deliver)
    frame = pd.read_csv(table)
    u, c, said = (
        frame[[f"{m}_{what}" for m in MODELS]].to_numpy(float) for what in ("correct", "cost", "conf")
    )
    scale = c.mean(axis=0).max()
    found = turns.hindsight(run, run.judged, np.ones(COUNT), limit)

    def chain(a: int, b: int, cut: float) -> tuple[float, float]:
        right = spent = 0.0
        for i in range(COUNT):
            goes = said[i, a] < cut
            best = max((a, b), key=lambda k: (said[i, k], -k)) if deliver == "best_heard" else b
            right += u[i, best] if goes else u[i, a]
            spent += c[i, a] + 0.25 + (c[i, b] + 0.25 if goes else 0.0)
        return right / COUNT, spent / COUNT

    cuts = [*np.arange(0, 1.2, 0.05)]
    tried = [(*chain(a, b, cut), a, b) for a, b in permutations(range(3), 2) for cut in cuts]
    best = max(t[0] - WEIGHT * t[1] / scale for t in tried if t[1] <= limit)
    got, more = found[turns.PAIR]
    assert got.reward.mean() == pytest.approx(best)
    a, b = (MODELS.index(m) for m in more["chain"].split(">"))
    cut = 2.0 if np.isnan(more["threshold"]) else more["threshold"]
    assert chain(a, b, cut) == pytest.approx((got.utility.mean(), got.cost.mean()))
    singles = [u[:, k].mean() - WEIGHT * c[:, k].mean() / scale for k in range(3) if c[:, k].mean() <= limit]
    assert found[turns.SINGLE][0].reward.mean() == pytest.approx(max(singles))
    cheapest = [min((c[i, k], u[i, k]) for k in range(3) if u[i, k] == u[i].max()) for i in range(COUNT)]
    assert found[turns.CHEAPEST][0].cost.mean() == pytest.approx(np.mean(cheapest, axis=0)[0])
    assert found[turns.CHEAPEST][0].utility.mean() == pytest.approx(np.mean(cheapest, axis=0)[1])
    until = [
        (1, u[i, 0], c[i, 0] + 0.25) if u[i, 0] else (2, u[i, 1], c[i, :2].sum() + 0.5) for i in range(COUNT)
    ]
    got = found[turns.UNTIL][0]
    assert [got.calls.mean(), got.utility.mean(), got.cost.mean()] == pytest.approx(np.mean(until, axis=0))


def test_hindsight_keeps_to_what_a_query_may_use(table: Path) -> None:
    """No call follows one that reaches the room: pairs and a perfect judge's cascade by a plain loop."""
    run, _ = played(table, "cascade,order=small>large,thresholds=0.5", within_query="cost=1.75")
    frame = pd.read_csv(table)
    u, c, said = (
        frame[[f"{m}_{what}" for m in MODELS]].to_numpy(float) for what in ("correct", "cost", "conf")
    )
    found = turns.hindsight(run, run.judged, np.ones(COUNT), np.inf)
    first = c[:, 0] + 0.25
    again = (first < 1.75) & (u[:, 0] == 0)
    assert 0 < again.sum() < (u[:, 0] == 0).sum()
    got = found[turns.UNTIL][0]
    np.testing.assert_array_equal(got.calls, 1 + again)
    np.testing.assert_allclose(got.utility, np.where(again, u[:, 1], u[:, 0]))
    np.testing.assert_allclose(got.cost, first + np.where(again, c[:, 1] + 0.25, 0))
    got, more = found[turns.PAIR]
    a, b = (MODELS.index(m) for m in more["chain"].split(">"))
    cut = 2.0 if np.isnan(more["threshold"]) else more["threshold"]
    np.testing.assert_array_equal(got.calls, 1 + ((c[:, a] + 0.25 < 1.75) & (said[:, a] < cut)))
    best = -np.inf
    for a, b in permutations(range(3), 2):
        for cut in np.arange(0, 1.2, 0.05):
            goes = (c[:, a] + 0.25 < 1.75) & (said[:, a] < cut)
            spent = c[:, a] + 0.25 + np.where(goes, c[:, b] + 0.25, 0)
            best = max(
                best, np.mean(np.where(goes, u[:, b], u[:, a]) - WEIGHT * spent / c.mean(axis=0).max())
            )
    assert got.reward.mean() == pytest.approx(best)


def test_a_policy_beside_chance_and_what_each_model_added(table: Path) -> None:
    run, ask = played(table, CHAIN.replace(">huge,thresholds=0.7>0.6", ",thresholds=0.7"))
    frame = tables_of(run, ask)["calls"]
    row = frame.iloc[0]
    trace, models = next(iter(run.traces.values())), run.stream.models
    made, spent, dealt = [], [], []
    names = [models[k] for k in trace.arms.ravel()]
    share = {name: names.count(name) / len(names) for name in set(names)}
    for i, k in zip(trace.order.ravel(), trace.arms.ravel(), strict=True):
        made.append(run.stream.utility[i, k])
        spent.append(run.stream.cost[i, k])
        dealt.append(sum(p * run.stream.utility[i, models.index(n)] for n, p in share.items()))
    assert row["accuracy"] == pytest.approx(np.mean(made)) and row["paid"] == pytest.approx(np.mean(spent))
    assert row["at_random"] == pytest.approx(np.mean(dealt))
    assert row["over_random"] == pytest.approx(np.mean(made) - np.mean(dealt))
    assert row["over_lo"] < row["over_random"] < row["over_hi"]
    assert row["added:small"] == pytest.approx(row["added_1"]) and row["added:large"] == pytest.approx(
        row["added_2"]
    )
    assert frame["kind"].tolist() == ["policy", *["hindsight"] * 4]


def test_a_query_without_an_answer_is_withheld_and_wrong(table: Path) -> None:
    """Risk is 1 less accuracy; AURC is that of the answers padded with losses of 1 at the end; no end is outside."""
    run, _ = played(table, "greedy", abstain=0.6)
    trace = run.traces["greedy"]
    arms = trace.arms.copy()
    arms[:, ::3] = -1
    numbers = withheld.by_seed(run._replace(traces={"greedy": trace._replace(arms=arms)}), "greedy", 0.6)
    for s in range(2):
        on = arms[s] >= 0
        at = trace.order[s][on], arms[s][on]
        utility, said = run.stream.utility[at], run.judged.confidence[at]
        assert numbers["risk"][s] == pytest.approx(1 - utility.sum() / len(on))
        assert numbers["coverage"][s] == pytest.approx((said >= 0.6).sum() / len(on))
        wrong = (1 - utility).sum() + np.arange(1, (~on).sum() + 1)
        tail = (wrong / (on.sum() + np.arange(1, len(wrong) + 1))).sum()
        want = (abstention.aurc(said, utility) * on.sum() + tail) / len(on)
        assert numbers["aurc"][s] == pytest.approx(want)
    arms[1] = -1
    (row,) = withheld.tables(run._replace(traces={"greedy": trace._replace(arms=arms)}), 0.6)[
        "abstain"
    ].to_dict("records")
    for name in ("coverage", "risk", "aurc"):
        assert 0 <= row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"] <= 1


def test_abstention_is_that_of_a_plain_loop(table: Path) -> None:
    """AURC: the mean, over how many answers are delivered, of their mean loss, in expectation over equal scores."""
    run, ask = played(
        table, "greedy", CHAIN.replace(">huge,thresholds=0.7>0.6", ",thresholds=0.7"), abstain=0.6
    )
    found = withheld.tables(run, ask.abstain)
    for spec, row in zip(run.traces, found["abstain"].to_dict("records"), strict=True):
        want = []
        for order, arms in zip(run.traces[spec].order, run.traces[spec].arms, strict=True):
            answers = []
            for i, k in zip(order, arms, strict=True):
                last = run.stream.models[k].removesuffix(" (judged)").split(">")[-1]
                answers.append(
                    (run.judged.stream.several.scores[i, MODELS.index(last)], run.stream.utility[i, k])
                )
                assert run.stream.cost[i, k] > 0.25  # each answer is judged, and paid for so
            kept = [u for s, u in answers if s >= 0.6]
            risks, rng = [], np.random.default_rng(0)
            for _ in range(400):  # orders of equal scores
                mixed = sorted(answers, key=lambda a: (-a[0], rng.random()))
                risks.append(
                    np.mean([1 - np.mean([u for _, u in mixed[: n + 1]]) for n in range(len(mixed))])
                )
            want.append([len(kept) / len(answers), 1 - np.mean(kept), np.mean(risks)])
        coverage, selective, aurc = np.mean(want, axis=0)
        assert (row["coverage"], row["selective_risk"]) == pytest.approx((coverage, selective))
        assert row["aurc"] == pytest.approx(aurc, abs=0.003) and row["aurc_best"] < row["aurc"] < row["risk"]
    lines = found["risk_coverage"]
    assert len(lines) == 200 and lines["coverage"].iloc[99] == 1.0
    assert lines["risk"].iloc[99] == pytest.approx(found["abstain"]["risk"][0])

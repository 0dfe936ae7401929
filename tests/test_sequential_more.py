"""Router-R1's reward, risk against coverage, and context that is bought."""

from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest

from bandits.contests import looks
from bandits.metrics import abstention
from bandits.sequential import router_r1
from envs import load
from simulate import answer


def test_the_golden_sequence_of_costs() -> None:
    _, told = router_r1.after(router_r1.Window(), [100, 100, 400, 900, 0, 2500, 400, 1600])
    np.testing.assert_allclose(told, [0.5, 0.5, 0, 0, 1, 0, 0.585366, 0.151163], atol=1e-6)


def test_the_window_forgets_what_is_older_than_a_thousand_episodes() -> None:
    window = router_r1.Window()
    for cost in [1e6] + [float(c % 7) for c in range(1000)]:
        window, earned = router_r1.cost_reward(window, cost)
    assert len(window.roots) == 1000 and max(window.roots) < 3
    low, high = np.percentile(window.roots, [5, 95])
    assert earned == pytest.approx(1 - np.clip((window.roots[-1] - low) / (high - low), 0, 1))


def test_cost_counts_for_right_answers_only() -> None:
    given = {"answered": True, "for_cost": 0.8, "alpha": 0.6}
    assert router_r1.reward(valid=False, score=1.0, **given) == -1
    assert router_r1.reward(valid=True, score=0.0, **given) == 0
    assert router_r1.reward(valid=True, score=1.0, **given) == pytest.approx(0.4 + 0.6 * 0.8)
    assert router_r1.reward(valid=True, score=1.0, **{**given, "answered": False}) == 0
    for bad in ({"alpha": 1.2}, {"alpha": -0.1}):
        with pytest.raises(ValueError, match="router_r1 needs 0 <= alpha <= 1"):
            router_r1.reward(valid=True, score=1.0, **{**given, **bad})
    with pytest.raises(ValueError, match="needs a cost >= 0, got -1"):
        router_r1.cost_reward(router_r1.Window(), -1.0)


def test_risk_and_coverage_are_means_over_the_orders_of_ties() -> None:
    score, utility = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([1.0, 0.0, 1.0, 0.5, 0.0])
    orders = [o for o in permutations(range(5)) if all(score[a] >= score[b] for a, b in pairwise(o))]
    risks = np.mean([np.cumsum(1 - utility[list(o)]) / np.arange(1, 6) for o in orders], axis=0)
    found = abstention.curve(score, utility)
    np.testing.assert_allclose(found.risk, risks, atol=1e-12)
    assert abstention.aurc(score, utility) == pytest.approx(risks.mean())
    assert abstention.risk_at(score, utility, 0.4) == pytest.approx(risks[1])
    assert abstention.risk_at(score, utility, 0.41) == pytest.approx(risks[2])
    perfect = abstention.aurc(utility, utility)
    assert perfect < abstention.aurc(score, utility) < abstention.aurc(-utility, utility)


def test_ocr_that_is_bought(shared: Path) -> None:
    """MathVista: never, always and bought with hindsight, GPT-4 with chain of thought."""
    path = shared / "outcomes" / "mathvista_ocr.csv.gz"
    stream = load(data=str(path), models=["gpt4_2shot_solution", "gpt4_2shot_solution_use_ocr"])
    look = looks.Look(stream.utility[:, 0], stream.utility[:, 1], np.zeros(len(stream)))
    found = {r.name: r for r in looks.rules(look, stream.context.astype(float), np.arange(len(stream)))}
    assert [round(found[n].utility, 3) for n in ("never", "always", "hindsight")] == [0.292, 0.321, 0.418]
    assert found["hindsight"].bought == pytest.approx(0.126, abs=5e-4)
    gate = found["gate"]
    assert gate.over_always.lo < gate.over_always.mean < gate.over_always.hi and gate.utility < 0.418


def test_a_gate_finds_a_gain_that_is_there_and_cannot_see_its_own_fold() -> None:
    rng = np.random.default_rng(0)
    context = np.column_stack([rng.normal(size=800), np.ones(800)])
    without = (rng.random(800) < 0.5) * 1.0
    with_it = (rng.random(800) < np.where(context[:, 0] > 0, 0.9, 0.1)) * 1.0
    found = {
        r.name: r
        for r in looks.rules(looks.Look(without, with_it, np.full(800, 0.02)), context, np.arange(800))
    }
    assert found["gate"].over_always.lo > 0.1 and found["hindsight"].worth > found["gate"].worth
    noise = looks.crossfitted(rng.normal(size=800), context, np.arange(800) // 2)
    assert abs(np.corrcoef(noise, with_it)[0, 1]) < 0.15


def test_the_command_look(shared: Path) -> None:
    path = str(shared / "outcomes" / "mathvista_ocr.csv.gz")
    both = ["--pair", "gpt4_2shot_solution>gpt4_2shot_solution_use_ocr"]
    assert answer(["look", path, *both, "--seeds", "1", "--reveals", "ocr_chars"]) == (0, "")
    for given, message in (
        ([*both, "--reveals", "ocr_char"], "no column 'ocr_char'; did you mean ocr_chars"),
        ([*both, "--reveals", "question"], "row 1, column 'question' needs a number"),
        (["--pair", "gpt4"], "--pair needs WITHOUT>WITH"),
        (["--pair", "gpt4>none"], "no model 'none'"),
        (["--pair", "gpt4>gpt4"], "--pair needs two models"),
        (["--pair", "bard>gpt4", "--worth", "-1"], "--worth needs a number > 0"),
    ):
        code, said = answer(["look", path, *given])
        assert code == 2 and message in said and "\n" not in said

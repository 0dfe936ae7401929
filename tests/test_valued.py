"""From a log to estimates and words, each step by hand: targets, objectives, settings, intervals, warnings."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bandits.metrics import off_policy as ope
from bandits.metrics.off_policy import Diagnostics, models, tuning
from bandits.metrics.off_policy.design import designed
from bandits.off_policy import ask, objectives, valued, words
from bandits.off_policy.rounds import Rounds, _contexts, _dearest
from bandits.rewards import linear


def log(n: int = 400, *, seed: int = 0, k: int = 3, **changes: Any) -> Rounds:
    """Return a log of a policy that calls model 0 mostly; the last model is no candidate in every fourth round."""
    rng = np.random.default_rng(seed)
    available = np.ones((n, k), bool)
    available[::4, -1] = False
    every = np.where(available, np.array([0.6, 0.3, 0.1])[:k], 0.0)
    every /= every.sum(axis=1, keepdims=True)
    arm = (every.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    context = np.hstack([rng.normal(size=(n, 2)), np.ones((n, 1))])
    values = {"utility": (rng.random(n) < 0.3 + 0.2 * arm).astype(float), "reward": rng.random(n) + 0.3 * arm}
    made = Rounds(
        "log", tuple("abc"[:k]), arm, context, np.arange(n), values, available, every[np.arange(n), arm], every, 1.0,
        np.arange(n, dtype=float),
    )  # fmt: skip
    return replace(made, **changes)


def test_uniform_is_even_over_the_candidates() -> None:
    rounds = log(8)
    found = ask.chances(rounds, "uniform", linear)
    np.testing.assert_allclose(
        found, np.where(rounds.available, 1 / rounds.available.sum(axis=1)[:, None], 0)
    )


def test_an_error_is_the_estimate_less_the_truth() -> None:
    truth = {"a": {"reward": 0.5, "utility": 0.2}}
    (wide,) = ask.against([{"policy": "a", "quantity": "reward", "mean": 0.7}], truth)
    assert (wide["truth"], wide["error"]) == (0.5, pytest.approx(0.2))
    (row,) = ask.against([{"policy": "a", "reward": 0.7, "utility": 0.1}], truth)
    assert (row["reward_true"], row["utility_true"]) == (0.5, 0.2)
    assert ask.against([{"policy": "b", "reward": 0.7}], truth) == [{"policy": "b", "reward": 0.7}]


def test_each_objective_regresses_what_it_says() -> None:
    """Targets, weights and rows of every objective; a propensity below .001 counts as .001."""
    rounds = log(60)
    p = rounds.propensity.copy()  # type: ignore[union-attr]
    p[:3] = 1e-9
    rounds = replace(rounds, propensity=p)
    rows, least = np.arange(0, 60, 2), np.maximum(p, 1e-3)[::2]
    y, arm = rounds.values["reward"][::2], rounds.arm[::2]
    for k in range(3):
        own = arm == k
        got = objectives.ips(rounds, rows, k)
        np.testing.assert_allclose(got[0], np.where(own, y / least, 0))
        np.testing.assert_array_equal(got[2], rows)
        got = objectives.direct(rounds, rows, k)
        np.testing.assert_allclose([*got[0], *got[1]], [*y[own], *np.ones(own.sum())])
        np.testing.assert_array_equal(got[2], rows[own])
        got = objectives.mtr(rounds, rows, k)
        np.testing.assert_allclose(got[1], 1 / (least[own] * rounds.available[rows].sum(axis=1).mean()))
        np.testing.assert_allclose(got[0], y[own])
        q = models.cross_fitted(rounds.context[rows, :-1], arm, y, 3)[:, k]
        got = objectives.doubly(rounds, rows, k)
        np.testing.assert_allclose(got[0], q + np.where(own, (y - q) / least, 0))


def test_a_learned_policy_never_sees_the_half_that_it_is_valued_on() -> None:
    """Rewards of one half changed: the choices in that half stay, those in the other may not."""
    rounds = log(200)
    before = objectives.chances(rounds, "learned,objective=dm")
    half = objectives.halves(rounds, 0)
    reward = rounds.values["reward"].copy()
    reward[half] += 5.0 * (rounds.arm[half] == 1)
    after = objectives.chances(
        replace(rounds, values={**rounds.values, "reward": reward}), "learned,objective=dm"
    )
    np.testing.assert_array_equal(before[half], after[half])
    assert (after[~half, 1] == 1).mean() > 0.9 and (before[~half, 1] == 1).mean() < 0.9
    assert (before[~rounds.available] == 0).all() and (before.sum(axis=1) == 1).all()


def test_cost_is_counted_in_units_of_the_dearest_models_mean() -> None:
    assert (
        _dearest(np.array([1.0, 3.0, 9.0, 1.0]), np.array([0, 1, 0, 1]), 3) == 5.0
    )  # not of the dearest call
    assert _dearest(np.zeros(2), np.array([0, 1]), 2) == 1.0


def test_settings_are_those_of_the_least_score_and_estimates_are_named_by_them() -> None:
    """SWITCH, clipping and shrinkage on a log whose weights are skewed, from first principles."""
    rounds = log(300, seed=1)
    pi = np.tile([0.05, 0.15, 0.8], (300, 1)) * rounds.available
    pi /= pi.sum(axis=1, keepdims=True)
    model = valued.modelled(rounds)["reward"]
    found = {
        one.estimator.partition(" at ")[0]: one
        for one in valued.valued(rounds, pi, "reward", model, valued.How(wide=True))
    }
    at = (np.arange(300), rounds.arm)
    w, y, q, v = pi[at] / rounds.propensity, rounds.values["reward"], model[at], ope.dm(pi, model)

    def best(settings: list[float], rows: Any, used: Any, q: Any = None) -> float:
        return min(settings, key=lambda c: tuning.mse_score(rows(c), w, used(c), y, q))

    clips = [2.0, 5.0, 10.0, 30.0, 100.0]
    clip = best(clips, lambda c: ope.ips(w, y, clip=c), lambda c: np.minimum(w, c))
    cut = best(clips, lambda c: ope.switch_dr(w, y, q, v, threshold=c), lambda c: w * (w <= c), q)
    shrink = best(
        [c * c for c in clips], lambda c: ope.dros(w, y, q, v, shrink=c), lambda c: c * w / (w**2 + c), q
    )
    names = [one.estimator for one in valued.valued(rounds, pi, "reward", model, valued.How(wide=True))]
    assert {
        f"IPS clipped at {clip:g}",
        f"SWITCH-DR at {cut:g}",
        f"DRos at {shrink:g}",
        f"SWITCH at {cut:g}",
    } <= {*names}
    assert found["DRos"].mean == pytest.approx(ope.dros(w, y, q, v, shrink=shrink).mean())
    assert found["DR"].mean == pytest.approx((v + w * (y - q)).mean()) and names[0] == "DR-CR"
    weight = pi[at] * (1 - rounds.propensity) / rounds.propensity**2
    mrdr = models.cross_fitted(rounds.context[:, :-1], rounds.arm, y, 3, weight=weight)
    assert found["MRDR"].mean == pytest.approx((ope.dm(pi, mrdr) + w * (y - mrdr[at])).mean())
    # A ratio's interval is that of w (y - mean) / mean(w), made linear (Cochran 1977, section 2.11).
    snips = (w * y).sum() / w.sum()
    straight = w * (y - snips) / w.mean()
    ends = stats.t.interval(0.95, 299, snips, stats.sem(straight))
    assert (found["SNIPS"].low, found["SNIPS"].high) == pytest.approx(ends, rel=1e-9)


def test_the_range_of_rewards_below_0_moves_the_interval_back() -> None:
    """Rewards from -1: Bernstein's interval of w (y + 1), less 1; IPS stands inside."""
    rng = np.random.default_rng(2)
    w, y = np.ones(5000), rng.choice([-1.0, 1.0], 5000, p=[0.7, 0.3])
    found = {one.interval: one for one in valued._ranged(w, y, -1.0, 1.0)}
    for name in ("Bernstein", "Clopper-Pearson", "Cressie-Read"):
        assert found[name].low < y.mean() < found[name].high, name
        assert found[name].high - found[name].low < 0.4, name


def test_a_target_that_the_log_never_calls_still_has_a_model() -> None:
    """All weights of MRDR are 0: the plain fit stands in."""
    rounds = log(90)
    rounds = replace(rounds, arm=np.where(rounds.arm == 1, 0, rounds.arm))
    pi = np.tile([0.0, 1.0, 0.0], (90, 1))
    w = pi[np.arange(90), rounds.arm] / rounds.propensity
    found = valued._mrdr(rounds, pi, rounds.values["reward"], w)
    plain = models.cross_fitted(rounds.context[:, :-1], rounds.arm, rounds.values["reward"], 3)
    np.testing.assert_allclose(found, plain[:, 1])


def told(**changes: Any) -> list[str]:
    known = {"rounds": 5000, "effective": 500.0, "mean_weight": 1.0, "mean_error": 0.01, "largest": 2.0, "rare": 0.0,
             "unsupported": 0.0, "certain": False}  # fmt: skip
    return words.warnings(log(8), "t", Diagnostics(**{**known, **changes}))


def test_warnings_come_at_their_thresholds() -> None:
    assert told() == [] == told(effective=100.0) and told(certain=True, effective=3.0) == []
    assert told(effective=99.4) == ["t: the weights leave 99 rounds of 5,000"]
    assert told(unsupported=0.25) == ["t: 25.0 % of its calls go to models that the log never called"]
    (line,) = told(mean_weight=1.03)
    assert line.startswith("t: mean weight 1.030 is more than two standard errors (0.010) from 1")


def test_propensities_that_drift_are_said_beyond_four_standard_errors() -> None:
    n = 2000
    spread = np.tile([-0.1, 0.1], n // 2)
    error = math.sqrt(2 * 0.1**2 / (n // 2))
    for times, said in ((3.8, 0), (4.2, 1)):
        p = np.exp(-1 + spread - times * error * (np.arange(n) >= n // 2))
        rounds = log(n, propensity=p, time=np.arange(n, dtype=float))
        found = [line for line in words.of_the_log(rounds) if "drift" in line]
        assert len(found) == said
        turned = replace(rounds, time=np.arange(n, 0, -1.0))  # by the clock, not by the file
        assert any("in the first half" in line for line in words.of_the_log(turned)) == bool(said)


def test_a_verdict_is_corrected_for_all_pairs_and_says_how_many_rounds_more() -> None:
    """Three targets, three pairs: the interval of the design at 1 - .05 / 3, above 0 where one beats another."""
    rounds = log(3000, seed=4)
    pi = {
        name: np.tile(one, (3000, 1)) * rounds.available
        for name, one in {"a": [0.1, 0.1, 0.8], "b": [0.1, 0.8, 0.1], "c": [0.8, 0.1, 0.1]}.items()
    }
    pi = {name: one / one.sum(axis=1, keepdims=True) for name, one in pi.items()}
    model = valued.modelled(rounds)["reward"]
    value = {name: valued.recommended(rounds, one, "reward", model).mean for name, one in pi.items()}
    best, second, last = sorted(value, key=lambda name: -value[name])
    design = valued.design_of(rounds, "reward", model)
    said = words.verdict(rounds, pi, model)
    assert len(said) == 2
    for line, other in zip(said, (second, last), strict=True):
        apart, gap = pi[best] - pi[other], value[best] - value[other]
        low, high = designed(gap, (apart * model).sum(axis=1), apart, design, alpha=0.05 / 3)
        narrow = designed(gap, (apart * model).sum(axis=1), apart, design, alpha=0.05)
        assert low < narrow[0] and narrow[1] < high
        assert f"({low:.4g} to {high:.4g})" in line
        assert line.startswith(
            f"{best} beats {other}: " if low > 0 else f"this log cannot tell {best} from {other}: "
        )
        assert ("more rounds at 10 % exploration" in line) == (low <= 0)


def test_more_rounds_are_counted_from_noise_and_spread() -> None:
    """The formula in the open: (1.96 / gap)^2 (noise of the weights at 10 % exploration + spread of the model)."""
    rounds = log(500, seed=5)
    apart = np.tile([1.0, -1.0, 0.0], (500, 1))
    model = np.random.default_rng(6).random((500, 3))
    gap = 0.05
    at = (np.arange(500), rounds.arm)
    p = rounds.propensity
    assert p is not None
    mixed = 0.9 * p + 0.1 / rounds.available.sum(axis=1)
    noise = ((apart[at] / p) ** 2 * (rounds.values["reward"] - model[at]) ** 2 * p / mixed).mean()
    total = (1.959964 / 0.05) ** 2 * (noise + (model[:, 0] - model[:, 1]).var())
    figures = 10 ** (math.floor(math.log10(total)) - 1)
    want = math.ceil(total / figures) * figures
    assert words.needed(rounds, apart, gap, model).startswith(
        f"; about {want:,} more rounds at 10 % exploration"
    )
    assert words.needed(rounds, apart, 0 * gap, model) == "; they are alike on every round"


def test_uneven_calls_of_a_log_that_says_even_are_found_at_bonferronis_bound() -> None:
    """Two models, 1,000 rounds each p = 1/2: the bound is 2.24 deviations of 15.8, so 36 calls more than due."""
    for extra, said in ((35, False), (37, True)):
        arm = (np.arange(1000) < 500 + extra).astype(int)
        rounds = replace(
            log(1000, k=2), arm=arm, available=np.ones((1000, 2), bool), propensity=np.full(1000, 0.5),
            every=np.full((1000, 2), 0.5),
        )  # fmt: skip
        assert any("was called" in line for line in words.of_the_log(rounds)) is said


def test_few_texts_are_coded_numbers_are_kept_and_many_texts_are_left_out() -> None:
    """50 different texts are 49 indicators; 51 are none; 60 different numbers are one column, 3 are two indicators."""
    n = 120
    cells = {
        "kind": np.array([f"t{i % 50}" for i in range(n)], object),
        "words": np.array([f"w{i % 51}" for i in range(n)], object),
        "size": np.array([str(i % 60) for i in range(n)], object),
        "level": np.array([str(i % 3) for i in range(n)], object),
        "tokens_out": np.array([str(i) for i in range(n)], object),
    }
    made = SimpleNamespace(context=cells, model=np.zeros(n, int), path="log.csv")
    features, notes = _contexts(made)  # type: ignore[arg-type]
    assert features.shape == (n, 49 + 1 + 2 + 1) and notes == [
        "columns not used as context, too many texts: words"
    ]
    np.testing.assert_array_equal(features[:, 49], np.arange(n) % 60)
    np.testing.assert_array_equal(features[:, 50:52], (np.arange(n)[:, None] % 3) == [1, 2])
    assert (features[:, :49].sum(axis=1) == (np.arange(n) % 50 != 0)).all() and (features[:, -1] == 1).all()

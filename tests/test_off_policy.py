"""Off-policy estimators against the published libraries' values, and against expectations known exactly."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits.metrics import off_policy as ope
from bandits.metrics.off_policy import design, intervals, models, tuning


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What two libraries' own code gave on one log, and the log's columns."""
    folder = shared / "golden" / "ope"
    expected = json.loads((folder / "expected.json").read_text())["expected"]
    log = pd.read_csv(folder / "log.csv.gz")
    many = {
        name: log[[f"{name}_{k}" for k in range(4)]].to_numpy()
        for name in ("pie", "pib", "q_crossfit", "q_nofold")
    }
    rows, arm = np.arange(len(log)), log["action"].to_numpy()
    columns = many | {"arm": arm, "r": log["reward"].to_numpy(), "p": log["propensity"].to_numpy()}
    columns["w"] = many["pie"][rows, arm] / columns["p"]
    for name in ("q_crossfit", "q_nofold"):
        columns[name[2:]] = many[name][rows, arm]
        columns["v_" + name[2:]] = ope.dm(many["pie"], many[name])
    return expected, columns


def test_point_estimates_equal_the_libraries_own(golden: Any) -> None:
    """To 1e-9, as Open Bandit Pipeline 0.5.5 and VowpalWabbit/estimators gave them."""
    want, x = golden
    w, r = x["w"], x["r"]
    got = {
        "ipw": ope.ips(w, r).mean(),
        "ipw_clip_2": ope.ips(w, r, clip=2).mean(),
        "snipw": ope.snips(w, r).mean(),
        "sg_ipw_0.1": ope.subgaussian(w, r, shrink=0.1).mean(),
        "mips_true_embed": ope.mips(x["pie"], x["pib"], x["arm"], r, want["mips_embed_of_arm"]).mean(),
        "vw_ips": ope.ips(w, r).mean(),
        "vw_snips": ope.snips(w, r).mean(),
        "vw_cressieread": ope.cressie_read(w, r),
    }
    for fit in ("crossfit", "nofold"):
        given = (w, r, x[fit], x[f"v_{fit}"])
        got |= {
            f"dm_{fit}": x[f"v_{fit}"].mean(),
            f"dr_{fit}": ope.dr(*given).mean(),
            f"sndr_{fit}": ope.sndr(*given).mean(),
            f"switch_dr_2_{fit}": ope.switch_dr(*given, threshold=2).mean(),
            f"dros_1_{fit}": ope.dros(*given, shrink=1).mean(),
        }
    for name, value in got.items():
        if name in want:
            assert value == pytest.approx(want[name], abs=1e-9), name
    assert len(set(got) & set(want)) >= 17
    found = ope.diagnose(w, x["p"], x["arm"], x["pie"])
    assert found.largest == pytest.approx(want["max_w"], abs=1e-9)
    assert found.mean_weight == pytest.approx(want["mean_w"], abs=1e-9)


def test_scores_and_intervals_equal_the_libraries_own(golden: Any) -> None:
    """The MSE score of Open Bandit Pipeline and the intervals of VowpalWabbit/estimators, to 1e-9."""
    want, x = golden
    w, r = x["w"], x["r"]
    for clip in (1, 2, 5):
        score = tuning.mse_score(ope.ips(w, r, clip=clip), w, np.minimum(w, clip), r)
        assert score == pytest.approx(want[f"mse_score_ipw_clip_{clip}"], abs=1e-9)
    for threshold in (1, 2, 20):
        rounds = ope.switch_dr(w, r, x["crossfit"], x["v_crossfit"], threshold=threshold)
        score = tuning.mse_score(rounds, w, w * (w <= threshold), r, x["crossfit"])
        assert score == pytest.approx(want[f"mse_score_switch_{threshold}"], abs=1e-9)
    assert intervals.gaussian(ope.ips(w, r)) == pytest.approx(want["vw_gaussian_ci95"], abs=1e-9)
    assert intervals.cressie_read(w, r) == pytest.approx(want["vw_cressieread_ci95"], abs=1e-9)


def test_ips_and_dr_are_unbiased_whatever_the_model() -> None:
    """The expectation over all arms of the log's distribution, taken exactly, is the target's value."""
    rng = np.random.default_rng(0)
    n, k = 50, 4
    p, pi = rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k), n)
    truth, q = rng.random((n, k)), rng.random((n, k))
    value = ope.dm(pi, q)
    wanted, rows = (pi * truth).sum(axis=1), np.arange(n)
    for name in ("ips", "dr", "switch"):
        expected = np.zeros(n)
        for arm in range(k):
            w, r = pi[:, arm] / p[:, arm], truth[:, arm]
            rounds = {
                "ips": lambda w=w, r=r: ope.ips(w, r),
                "dr": lambda w=w, r=r, arm=arm: ope.dr(w, r, q[rows, arm], value),
                "switch": lambda w=w, r=r: ope.switch(w, r, pi / p, pi, truth, threshold=1.5),
            }[name]()
            expected += p[:, arm] * rounds
        assert expected == pytest.approx(wanted, abs=1e-12), name


def test_the_ends_of_each_family_are_its_neighbours() -> None:
    """Shrinkage and thresholds at their ends give the estimators they lie between; equal weights give the mean."""
    rng = np.random.default_rng(1)
    w, r, q, v = rng.lognormal(0, 1, 30), rng.random(30), rng.random(30), rng.random(30)
    assert ope.subgaussian(w, r, shrink=0) == pytest.approx(ope.ips(w, r))
    assert ope.subgaussian(w, r, shrink=1) == pytest.approx(r)
    assert ope.dros(w, r, q, v, shrink=0) == pytest.approx(v)
    assert ope.dros(w, r, q, v, shrink=np.inf) == pytest.approx(ope.dr(w, r, q, v))
    assert ope.dros(w, r, q, v, shrink=1e12) == pytest.approx(ope.dr(w, r, q, v), abs=1e-6)
    assert ope.switch_dr(w, r, q, v, threshold=0) == pytest.approx(v)
    assert ope.switch_dr(w, r, q, v, threshold=1e9) == pytest.approx(ope.dr(w, r, q, v))
    assert ope.sndr(w, r, q, v).mean() == pytest.approx(v.mean() + np.average(r - q, weights=w))
    assert ope.snips(w, r).mean() == pytest.approx(np.average(r, weights=w))
    ones = np.ones(30)
    for value in (ope.cressie_read(ones, r), ope.mle(ones, r), ope.snips(ones, r).mean()):
        assert value == pytest.approx(r.mean(), abs=1e-9)


def test_mle_maximises_the_likelihood() -> None:
    """No other distribution over the log and one unseen round with mean weight 1 is likelier (a direct search)."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(2)
    w = rng.uniform(0.2, 2.5, 12)
    w[0], w[1] = 0.1, 3.0
    r = rng.random(12)
    found = minimize(
        lambda q: -np.log(q).sum(),
        np.full(12, 1 / 12),
        bounds=[(1e-6, 1)] * 12,
        constraints=[
            {"type": "eq", "fun": lambda q: q @ w - 1},
            {"type": "eq", "fun": lambda q: q.sum() - 1},
        ],
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert found.success
    assert ope.mle(w, r, most=1e9) == pytest.approx(found.x @ (w * r), abs=1e-5)


def test_slope_keeps_the_last_that_agrees() -> None:
    """Worked by hand: C = sqrt(6) - 1 = 1.449."""
    assert tuning.slope([1.0, 0.9, 0.2], [0.5, 0.2, 0.05]) == 1  # |.2 - .9| > .05 + 1.449 x .2
    assert tuning.slope([0.2, 1.0, 0.9], [0.05, 0.5, 0.2]) == 2  # the order given does not matter
    assert tuning.slope([1.0, 0.9, 0.85], [0.5, 0.2, 0.05]) == 2


def test_intervals_agree_with_scipy() -> None:
    """Student's t, and Clopper-Pearson where all weights are 1 (SciPy's exact binomial interval)."""
    rng = np.random.default_rng(3)
    x = rng.random(40)
    want = stats.ttest_1samp(x, 0.0).confidence_interval(0.95)
    assert intervals.student(x) == pytest.approx(tuple(want))
    hits = (x > 0.6).astype(float)
    exact = stats.binomtest(int(hits.sum()), 40).proportion_ci(0.95, "exact")
    assert intervals.clopper_pearson(np.ones(40), hits) == pytest.approx(tuple(exact))
    low, high = intervals.bernstein(x, largest=1.0)
    t_low, t_high = intervals.student(x)
    assert low < t_low < t_high < high
    wide = intervals.bootstrap(ope.snips, np.ones(40), x, resamples=4000)
    assert wide == pytest.approx((t_low, t_high), abs=0.02)


def test_diagnostics_find_a_log_with_wrong_propensities() -> None:
    """Weights of the right propensities average 1; 1/n written for a skewed policy does not."""
    rng = np.random.default_rng(4)
    n, p = 20_000, np.array([0.7, 0.2, 0.1])
    arms = rng.choice(3, n, p=p)
    target = np.tile([0.1, 0.2, 0.7], (n, 1))
    right = ope.diagnose(target[0][arms] / p[arms], p[arms], arms, target)
    assert not right.doubtful and right.unsupported == 0 and not right.certain
    wrong = ope.diagnose(target[0][arms] * 3, np.full(n, 1 / 3), arms, target)
    assert wrong.doubtful
    # (sum w)^2 / (n sum w^2) tends to 1 / sum_a pi^2 / p
    assert right.effective / n == pytest.approx(1 / (0.01 / 0.7 + 0.04 / 0.2 + 0.49 / 0.1), rel=0.05)
    alone = ope.diagnose(np.ones(5), np.ones(5), np.zeros(5, int), np.tile([0.5, 0.5], (5, 1)))
    assert alone.certain and alone.unsupported == 0.5


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ope.ips([1.0], [1.0, 2.0]), "one length"),
        (lambda: ope.ips([-1.0], [1.0]), "weights >= 0"),
        (lambda: ope.ips([1.0], [math.nan]), "without NaN"),
        (lambda: ope.ips([1.0], [1.0], clip=-1), "clip"),
        (lambda: ope.subgaussian([1.0], [1.0], shrink=2), "shrink"),
        (lambda: ope.replay([0, 0], [1, 1]), "got none"),
        (lambda: ope.dm([[0.5, 0.6]], [[1, 1]]), "add up to 1"),
        (lambda: ope.diagnose([1.0, 1.0], [0.5, 0.0]), r"got 0 in round 2"),
        (lambda: ope.diagnose([1.0], [1.5]), r"got 1.5 in round 1"),
        (lambda: ope.cressie_read([1.0], [1.0], most=0.5), "least < 1 < most"),
        (lambda: intervals.clopper_pearson([1.0], [2.0]), "rewards in"),
    ],
)
def test_bad_input_is_one_line(call: Any, says: str) -> None:
    """Each names what it needs and what it got."""
    with pytest.raises(ValueError, match=says):
        call()


def test_a_model_never_sees_the_round_it_predicts() -> None:
    """The prediction for a round is that of scikit-learn's ridge on the other folds' rounds of the arm."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(5)
    n, k = 90, 3
    x, arms = rng.normal(size=(n, 4)), rng.integers(0, k, n)
    y, w = rng.random(n), rng.uniform(0.5, 2, n)
    part = models.folds(n, 3, seed=7)
    found = models.cross_fitted(x, arms, y, k, weight=w, parts=3, seed=7)
    for fold in range(3):
        for arm in range(k):
            own = (part != fold) & (arms == arm)
            want = Ridge(alpha=1.0).fit(x[own], y[own], sample_weight=w[own]).predict(x[part == fold])
            assert found[part == fold, arm] == pytest.approx(want, abs=1e-9)
    assert np.bincount(part).tolist() == [30, 30, 30]
    absent = models.cross_fitted(x, np.zeros(n, int), y, 2, parts=2, seed=0)
    assert absent[:, 1] == pytest.approx(
        [y[models.folds(n, 2, 0) != f].mean() for f in models.folds(n, 2, 0)]
    )


def test_mrdr_weights_minimise_the_variance_of_dr() -> None:
    """A constant model, two contexts, a target that always calls arm 0: no constant beats the weighted mean.

    DR's variance is taken exactly, over contexts and over the log's two arms.
    """
    p, truth = np.array([0.8, 0.1]), np.array([0.9, 0.3])  # of arm 0 in each context

    def variance(q: float) -> float:
        called, other = q + (truth - q) / p, np.full(2, q)
        first = (p * called + (1 - p) * other).mean()
        return float((p * called**2 + (1 - p) * other**2).mean() - first**2)

    # In the log arm 0 stands with probability p in each context, so that is what the weights meet.
    best = np.average(truth, weights=p * models.mrdr_weights(np.ones(2), p))
    assert all(variance(best) < variance(best + d) for d in (-0.1, -0.001, 0.001, 0.1))
    assert abs(best - np.average(truth, weights=p)) > 0.1  # the unweighted fit is another


def test_estimated_propensities_are_near_the_true_ones() -> None:
    """A softmax log of 8,000 rounds: within .03 on average (four times the sampling error of an eighth of them)."""
    rng = np.random.default_rng(8)
    n = 8000
    x = rng.normal(size=(n, 3))
    scores = x @ rng.normal(size=(3, 3))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    arms = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    found = models.propensities(x, arms, 3)
    assert np.abs(found - p).mean() < 0.03
    assert found.sum(axis=1) == pytest.approx(np.ones(n))
    for arm in range(3):  # calibrated: mean probability is the share of calls, within 4 standard errors
        assert found[:, arm].mean() == pytest.approx((arms == arm).mean(), abs=4 * 0.5 / np.sqrt(n))


def test_dr_likelihood_is_the_likelihoods_value_of_the_residual(golden: Any) -> None:
    """Its rounds' mean is V and VW's Cressie-Read of the residual; equal weights give the mean; none, the model's."""
    _, x = golden
    given = x["w"], x["r"], x["crossfit"], x["v_crossfit"]
    want = x["v_crossfit"].mean() + ope.cressie_read(x["w"], x["r"] - x["crossfit"])
    assert ope.dr_likelihood(*given).mean() == pytest.approx(want, abs=1e-12)
    rng = np.random.default_rng(9)
    r, q, v = rng.random((3, 40))
    assert ope.dr_likelihood(np.ones(40), r, q, v) == pytest.approx(v + r - q)
    assert ope.dr_likelihood(np.zeros(40), r, q, v).mean() == pytest.approx((v + r - q).mean())


def test_the_designs_variance_is_that_of_dr() -> None:
    """Over 40,000 drawn rounds of one context each: sampled variance of DR within 3 % of the one known beforehand."""
    rng = np.random.default_rng(10)
    n, k = 40_000, 3
    x = rng.integers(0, 5, n)
    p, pi = (rng.dirichlet(np.ones(k), 5)[x] * 0.9 + 0.1 / k for _ in range(2))
    q, noise = rng.random((5, k))[x], np.array([0.1, 0.2, 0.3])
    arms = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    at = np.arange(n), arms
    r = q[at] + noise[arms] * rng.choice([-1.0, 1.0], n)
    rounds = ope.dr(pi[at] / p[at], r, q[at], ope.dm(pi, q))
    found = design.noise_of(r - q[at], arms, p[at], k, 1.0)
    assert found == pytest.approx(noise**2, rel=1e-2)
    low, high = design.designed(rounds.mean(), ope.dm(pi, q), pi, design.Design(p, found, 0.0, 1.0))
    assert (low + high) / 2 == pytest.approx(rounds.mean())
    assert high - low == pytest.approx(2 * 1.96 * rounds.std() / math.sqrt(n), rel=0.03)
    # An arm that the log never calls: its share of the target's calls, 20 %, may be worth anything from 0 to 1.
    p, pi = np.tile([0.5, 0.5, 0.0], (n, 1)), np.tile([0.4, 0.4, 0.2], (n, 1))
    low, high = design.designed(0.5, np.full(n, 0.5), pi, design.Design(p, np.zeros(k), 0.0, 1.0))
    assert (low, high) == pytest.approx((0.3, 0.7))


def test_noise_is_that_of_all_rounds_not_of_those_that_the_log_chose() -> None:
    """Arm 0 is called nine times in ten where it is exact, once in ten where it is not: E e^2 = .5, not .1."""
    rng = np.random.default_rng(11)
    n = 20_000
    hard = rng.random(n) < 0.5
    p = np.where(hard, 0.1, 0.9)
    arms = (rng.random(n) > p).astype(int)
    found = design.noise_of(np.where(hard, 1.0, 0.0), arms, np.where(arms == 0, p, 1 - p), 2, 1.0)
    assert found[0] == pytest.approx(0.5, abs=0.04)
    never = design.noise_of([0.5], [0], [0.5], 2, 1.0)
    assert never[1] == 0.25  # never called: the worst there can be


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_log_whose_weights_are_all_zero_has_a_value(n: int) -> None:
    """The target never calls what was logged: no estimator divides by nothing, and the likelihoods give the mean."""
    rng = np.random.default_rng(n)
    w, (r, q, v) = np.zeros(n), rng.random((3, n))
    for rounds in (ope.ips(w, r), ope.snips(w, r), ope.subgaussian(w, r), ope.subgaussian(w, r, shrink=1)):
        assert rounds.mean() in (pytest.approx(0), pytest.approx(r.mean()))
    for rounds in (ope.dr(w, r, q, v), ope.sndr(w, r, q, v), ope.switch_dr(w, r, q, v, threshold=0)):
        assert rounds == pytest.approx(v)
    assert ope.dros(w, r, q, v, shrink=0) == pytest.approx(v)
    assert ope.cressie_read(w, r) == pytest.approx(r.mean())
    assert ope.mle(w, r) == pytest.approx(r.mean())
    assert ope.diagnose(w, np.ones(n)).effective == 0
    low, high = intervals.cressie_read(w, r)
    assert (low, high) == pytest.approx((0, 1))  # nothing is known


def test_one_arm_and_ties() -> None:
    """Of one arm every weight is 1 and every estimator the mean; equal rewards are their own estimate."""
    r = np.array([0.2, 0.9, 0.9, 0.4])
    one, w = np.ones((4, 1)), np.ones(4)
    model = np.full((4, 1), 0.5)
    assert ope.dm(one, model) == pytest.approx(0.5)
    for rounds in (
        ope.ips(w, r), ope.snips(w, r), ope.dr(w, r, model[:, 0], ope.dm(one, model)),
        ope.dr_likelihood(w, r, model[:, 0], ope.dm(one, model)), ope.mips(one, one, np.zeros(4), r, [0]),
        ope.switch(w, r, one, one, model, threshold=1),
    ):  # fmt: skip
        assert rounds.mean() == pytest.approx(r.mean())
    same, weights = np.full(6, 0.7), np.array([0.0, 3.0, 3.0, 1.0, 0.0, 0.5])
    for value in (ope.snips(weights, same).mean(), ope.cressie_read(weights, same), ope.mle(weights, same)):
        assert value == pytest.approx(0.7)


@pytest.mark.parametrize("seed", range(6))
def test_cressie_read_is_its_closed_form_on_other_logs(seed: int) -> None:
    """Cressie-Read's closed form (1906.03323, section 3) written out again, on light and heavy logs with zeros."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 400))
    w = rng.lognormal(rng.normal(0, 0.3), 1.2, n) * (rng.random(n) < 0.7)
    r = rng.random(n)
    total, squares = w.sum(), (w**2).sum()
    if total < n:
        gamma, beta = -(1 + n) / n, 0.0
    else:
        a, b = total / (1 + n), squares / (1 + n)  # the made-up round weighs nothing
        gamma, beta = (b - a) / (a * a - b), (1 - a) / (a * a - b)
    value = (-gamma * (w * r).sum() - beta * (w**2 * r).sum()) / (1 + n)
    rest = max(0.0, 1 - (-gamma * total - beta * squares) / (1 + n))
    assert ope.cressie_read(w, r) == pytest.approx(value + rest * r.mean(), abs=1e-9)

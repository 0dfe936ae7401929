"""Off-policy formulas where the libraries' own values say nothing: ranges, thresholds, levels, draws, diagnostics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bandits.metrics import off_policy as ope
from bandits.metrics.off_policy import intervals, models, tuning


def test_bernstein_is_the_published_formula() -> None:
    """Maurer and Pontil 2009, Theorem 4, at delta = alpha / 2 on each side: with the variance over n - 1."""
    x = np.random.default_rng(0).random(40) * 3
    for alpha, largest in ((0.05, 3.0), (0.2, 5.0), (0.05, None)):
        log = math.log(2 / (alpha / 2))
        most = x.max() if largest is None else largest
        half = math.sqrt(2 * np.var(x, ddof=1) * log / 40) + 7 * most * log / (3 * 39)
        want = (x.mean() - half, x.mean() + half)
        assert intervals.bernstein(x, largest=largest, alpha=alpha) == pytest.approx(want, rel=1e-12)


def test_clopper_pearson_counts_in_units_of_the_largest_weight_and_of_the_range() -> None:
    """Weights of 0 and 2 on 40 rounds are 20 trials of weight 1; rewards from -1 to 3 are successes from 0 to 1."""
    rng = np.random.default_rng(1)
    w, hits = np.repeat([0.0, 2.0], 20), (rng.random(40) < 0.4).astype(float)
    for alpha in (0.05, 0.3):
        exact = stats.binomtest(int(hits[20:].sum()), 20).proportion_ci(1 - alpha, "exact")
        assert intervals.clopper_pearson(w, hits, alpha=alpha) == pytest.approx(tuple(exact))
        scaled = intervals.clopper_pearson(w, 4 * hits - 1, least=-1.0, most=3.0, alpha=alpha)
        assert scaled == pytest.approx(tuple(4 * end - 1 for end in exact))


@pytest.mark.parametrize("alpha", [0.05, 0.32])
def test_levels_are_those_asked_for(alpha: float) -> None:
    """The t and the normal interval by SciPy; the bootstrap of a mean of 400 within 5 % of the normal one's width."""
    x = np.random.default_rng(2).normal(size=400)
    error = stats.sem(x)
    want = stats.t.interval(1 - alpha, 399, x.mean(), error)
    assert intervals.student(x, alpha=alpha) == pytest.approx(want)
    want = stats.norm.interval(1 - alpha, x.mean(), error)
    assert intervals.gaussian(x, alpha=alpha) == pytest.approx(want)
    low, high = intervals.bootstrap(ope.ips, np.ones(400), x, resamples=4000, alpha=alpha)
    assert high - low == pytest.approx(want[1] - want[0], rel=0.05)
    assert (low + high) / 2 == pytest.approx(x.mean(), abs=0.1 * error)


def test_the_bootstrap_draws_every_round_and_has_a_seed() -> None:
    for place in (0, 7):  # the only reward there is, in the first and in the last round
        assert intervals.bootstrap(ope.ips, np.ones(8), np.eye(8)[place])[1] > 0
    x = np.random.default_rng(3).random(30)
    ends = [intervals.bootstrap(ope.ips, np.ones(30), x, seed=s) for s in (0, 1, 1)]
    assert ends[0] != ends[1] == ends[2]


def test_replay_and_clipped_estimators_by_hand() -> None:
    assert ope.replay([1, 0, 1, 1], [2.0, 5.0, 0.0, 4.0]) == pytest.approx(
        [2 / 0.75, 0, 0, 4 / 0.75]
    )  # their mean is that of the three matches, 2
    w, r, q, v = [0.5, 4.0], [1.0, 1.0], [0.2, 0.4], [0.3, 0.6]
    assert ope.ips(w, r, clip=2) == pytest.approx([0.5, 2.0])
    assert ope.dr(w, r, q, v, clip=2) == pytest.approx([0.3 + 0.5 * 0.8, 0.6 + 2 * 0.6])
    # A weight at the threshold is still trusted.
    assert ope.switch_dr(w, r, q, v, threshold=4) == pytest.approx([0.3 + 0.5 * 0.8, 0.6 + 4 * 0.6])
    assert ope.switch_dr(w, r, q, v, threshold=3.9) == pytest.approx([0.3 + 0.5 * 0.8, 0.6])
    assert ope.subgaussian([2.0], [1.0], shrink=0.25) == pytest.approx([2 / (0.75 + 0.5)])
    assert ope.dros([2.0], [1.0], [0.5], [0.1], shrink=3.0) == pytest.approx([0.1 + 3 * 2 / (4 + 3) * 0.5])


def test_switch_at_its_threshold_by_hand() -> None:
    """The second arm's weight is at the threshold: the log speaks for it and not the model."""
    given = ([2.0], [1.0], [[0.5, 2.0, 3.0]], [[0.2, 0.3, 0.5]], [[9.0, 9.0, 0.8]])
    assert ope.switch(*given, threshold=2.0) == pytest.approx([2.0 + 0.5 * 0.8])
    assert ope.switch(*given, threshold=1.9) == pytest.approx([0.3 * 9.0 + 0.5 * 0.8])


def test_marginal_weights_are_of_the_whole_group() -> None:
    """Arms 0 and 2 share an embedding: (.1 + .4) / (.5 + .3) for a call of either."""
    rounds = ope.mips([[0.1, 0.5, 0.4]] * 2, [[0.5, 0.2, 0.3]] * 2, [0, 1], [1.0, 2.0], [7, 3, 7])
    assert rounds == pytest.approx([0.5 / 0.8, 0.5 / 0.2 * 2.0])


def test_diagnostics_by_hand() -> None:
    w, p = np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.005, 0.0099, 0.01, 0.5])
    pi = np.array([[0.5, 0.3, 0.2]] * 4)
    found = ope.diagnose(w, p, np.array([0, 0, 0, 0]), pi)
    assert found.rare == 0.5 and found.unsupported == pytest.approx(0.5) and found.largest == 4
    assert found.effective == pytest.approx(49 / 21) and found.mean_error == pytest.approx(stats.sem(w))
    assert found.rounds == 4 and not found.certain


@pytest.mark.parametrize(("errors", "doubtful"), [(1.9, False), (2.1, True), (-1.9, False), (-2.1, True)])
def test_a_mean_weight_two_standard_errors_off_is_doubtful(errors: float, doubtful: bool) -> None:
    spread = np.tile([-0.5, 0.5], 5000)  # large n, so that recorded digits do not decide
    error = float(stats.sem(spread))
    found = ope.diagnose(1 + errors * error + spread, np.full(10_000, 0.5))
    assert found.doubtful is doubtful


def test_the_score_of_a_setting_by_the_formula() -> None:
    """Variance over n and not n - 1, plus the squared bias with Bernstein's bound on top."""
    rng = np.random.default_rng(4)
    w, r, q = rng.lognormal(0, 1, 25), rng.random(25), rng.random(25)
    used = np.minimum(w, 1.5)
    rounds, log = used * r, math.log(2 / 0.1)
    for model in (None, q):
        bias = abs(np.mean((w - used) * (r - (0 if model is None else q))))
        bias += math.sqrt(2 * np.mean(w**2) * log / 25) + 2 * w.max() * log / (3 * 25)
        want = np.mean((rounds - rounds.mean()) ** 2) / 25 + bias**2
        assert tuning.mse_score(rounds, w, used, r, model, delta=0.1) == pytest.approx(want, rel=1e-12)


def test_folds_have_a_seed_and_predictions_their_penalty() -> None:
    assert (models.folds(40, 4, 0) != models.folds(40, 4, 1)).any()
    assert (models.folds(40, 4, 1) == models.folds(40, 4, 1)).all()
    x, y = np.array([[-1.0], [1.0]]), np.array([0.0, 1.0])
    # Around the mean .5 the slope is (1 + 0) / 2 / (2 / 2 + penalty / 2): 1 / (2 + penalty).
    for penalty in (1.0, 4.0):
        fitted = models.ridge(x, y, np.ones(2), penalty=penalty)
        assert fitted(np.array([[2.0]])) == pytest.approx([0.5 + 2 / (2 + penalty)])
    assert models.ridge(x, y, np.ones(2))(np.array([[2.0]])) == pytest.approx([0.5 + 2 / 3])


def test_estimated_propensities_are_never_below_the_least() -> None:
    """Model 1 is called where x > 0 and never elsewhere."""
    x = np.linspace(-1, 1, 400)[:, None]
    arms = (x[:, 0] > 0).astype(int)
    for least in (0.001, 0.05):
        found = models.propensities(x, arms, 2, least=least)
        assert found.min() == pytest.approx(least / (1 + least), rel=1e-6)
    assert models.propensities(x, arms, 2).min() == pytest.approx(0.001 / 1.001, rel=1e-6)


def test_what_the_likelihoods_leave_of_the_mass_gets_the_mean_reward() -> None:
    """With weights below 1 only, one unseen round of the largest weight makes the mean 1 (two lines of algebra).

    Weights 1/2 in both rounds and at most 2: mass m on the seen rounds solves m / 2 + (1 - m) 2 = 1, so m = 2/3; of
    the value, `sum p w r` with p = 1/3 each, and the rest of `E[w] = 1` gets the mean reward.
    """
    r = np.array([1.0, 0.2])
    seen = 1 / 3 * 0.5 * r.sum()
    want = seen + (1 - 1 / 3) * r.mean()
    for estimator in (ope.mle, ope.cressie_read):
        assert estimator([0.5, 0.5], r, most=2.0) == pytest.approx(want, abs=1e-6), estimator.__name__


def test_slope_weighs_the_wider_interval_by_its_constant() -> None:
    """.7 apart: within .1 + 1.449 x .5 = .825 of the wider one, not within .5 + 1.449 x .1 = .645."""
    assert tuning.slope([1.0, 0.3], [0.5, 0.1]) == 1
    assert tuning.slope([1.0, 0.17], [0.5, 0.1]) == 0
    assert tuning.slope([1.0, 0.18], [0.5, 0.1]) == 1

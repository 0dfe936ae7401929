"""Model identities: the loss, binarising, the newcomer's fit, Platt scaling and the quiz, against NumPy and SciPy."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from bandits.policies.llmbandit import identity
from bandits.policies.llmbandit.identity import Irt, Posterior


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def test_loss_is_bce_plus_preferences_plus_kl() -> None:
    rng = np.random.default_rng(1)
    right = rng.integers(0, 2, (7, 3)).astype(float)
    right[2, 1] = np.nan
    context, noise = rng.normal(size=(7, 4)), rng.normal(size=(3, 2))
    mean, log_sd = rng.normal(size=(3, 2)), rng.normal(size=(3, 2)) * 0.3
    weights = rng.normal(size=(4, 3))
    response = [{"weight": jnp.asarray(weights), "bias": jnp.zeros(3)}]
    irt = Irt(response, Posterior(jnp.asarray(mean), jnp.asarray(log_sd)))
    found = identity.loss(irt, jnp.asarray(noise), jnp.asarray(context), jnp.asarray(right), 50.0, 0.7)

    vector = mean + np.exp(log_sd) * noise
    score = (context @ weights[:, :2]) @ vector.T - (context @ weights[:, 2])[:, None]
    chance = sigmoid(score)
    told = ~np.isnan(right)
    evidence = -np.log(np.where(right == 1, chance, 1 - chance))[told].mean()
    pairs = [
        -np.log(sigmoid(score[n, a] - score[n, b]))
        for n in range(7)
        for a, b in itertools.permutations(range(3), 2)
        if right[n, a] == 1 and right[n, b] == 0
    ]
    sd = np.exp(log_sd)
    divergence = (np.log(1 / sd) + (sd**2 + mean**2) / 2 - 0.5).sum()
    assert float(found) == pytest.approx(evidence + np.mean(pairs) + 0.7 * divergence / 50, rel=1e-5)


def test_binarise_keeps_each_models_mean() -> None:
    rng = np.random.default_rng(0)
    scores = np.stack([rng.random(400), rng.random(400) ** 3, rng.integers(0, 2, 400)], axis=1)
    scores[:5, 0] = np.nan
    right = identity.binarise(scores)
    # One query in 400 is the finest step that a success rate can take.
    assert np.abs(np.nanmean(right, axis=0) - np.nanmean(scores, axis=0)).max() <= 1 / 395
    assert np.array_equal(np.isnan(right), np.isnan(scores))
    assert np.array_equal(right[:, 2], scores[:, 2])


def test_place_is_the_map_of_scipy() -> None:
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(3, 3)) * 1.5
    response = [{"weight": jnp.asarray(weights, jnp.float32), "bias": jnp.zeros(3)}]
    context = rng.normal(size=(40, 3))
    right = rng.integers(0, 2, (40, 2)).astype(float)
    right[:6, 1] = np.nan
    found = identity.place(response, jnp.asarray(context, jnp.float32), jnp.asarray(right, jnp.float32))
    for k in range(2):
        rows = ~np.isnan(right[:, k])
        features, difficulty = context[rows] @ weights[:, :2], context[rows] @ weights[:, 2]

        def negative(vector, features=features, difficulty=difficulty, own=right[rows, k]):
            score = features @ vector - difficulty
            return (np.logaddexp(0, score) - own * score).sum() + vector @ vector / 2

        expected = minimize(negative, np.zeros(2), tol=1e-12).x
        assert np.allclose(found[k], expected, atol=1e-4)


def test_platt_is_the_optimum_of_scipy_and_undoes_a_known_scale() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(size=20_000)
    right = (rng.random(20_000) < sigmoid(true)).astype(float)
    score = 3 * true + 2
    slope, offset = identity.platt(jnp.asarray(score, jnp.float32), jnp.asarray(right, jnp.float32))
    n1, n0 = right.sum(), (1 - right).sum()
    target = np.where(right == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))

    def negative(p):
        return (np.logaddexp(0, p[0] * score + p[1]) - target * (p[0] * score + p[1])).mean()

    assert np.allclose([slope, offset], minimize(negative, np.zeros(2), tol=1e-12).x, atol=1e-3)
    # The standard error of the slope at 20,000 queries is about .02 / 3, of the offset about .02.
    assert float(slope) == pytest.approx(1 / 3, abs=0.03) and float(offset) == pytest.approx(-2 / 3, abs=0.06)


def test_quiz_picks_what_discriminates_and_in_every_direction() -> None:
    # Rows 0-2 discriminate along the first ability, 3-5 along the second and a little less; 6-19 hardly at all.
    context = np.zeros((20, 2), np.float32)
    context[:3, 0], context[3:6, 1], context[6:, 0] = 3.0, 2.5, 0.1
    response = [{"weight": jnp.eye(2, 3), "bias": jnp.zeros(3)}]
    rows = np.asarray(identity.quiz(response, jnp.asarray(context), jnp.zeros((4, 2)), 6))
    assert sorted(rows) == [0, 1, 2, 3, 4, 5]
    assert set(rows[:2]) == {0, 3}  # the second query asks what the first has not told
    told, spread = [], np.eye(2)
    for row in rows:  # D-optimal gains by determinants, p (1 - p) = 1/4 for models at the origin
        gains = [
            np.linalg.slogdet(spread + np.outer(c, c) / 4)[1] if i not in told else -np.inf
            for i, c in enumerate(context)
        ]
        assert gains[row] == pytest.approx(max(gains), rel=1e-6)
        told.append(row)
        spread = spread + np.outer(context[row], context[row]) / 4

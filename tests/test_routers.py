"""Offline routers: what each must do on data with a known answer, and against another library's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from bandits.metrics import curve
from bandits.metrics.frontier import hypervolume
from bandits.mmrbench.routers import REFERENCES, ROUTERS, linear, linearmf
from bandits.mmrbench.routers.base import Floats, mean_where_seen
from bandits.mmrbench.routers.kernels_near import means, nearest
from bandits.mmrbench.routers.knn import _by_cosine

# Small enough for a test; the defaults are the published ones.
QUICK = {"cmr": {"width": 32, "layers": 1, "heads": 4, "epochs": 20, "lr": 3e-3}}


def two_kinds(n: int = 400, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Return contexts of two kinds of query; model 0 is right on one, model 1 on the other, model 2 never."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    context = 0.1 * rng.standard_normal((n, 6))
    context[np.arange(n), kind] += 1
    utility = np.stack([kind == 0, kind == 1, np.zeros(n)], axis=1).astype(float)
    cost = np.array([1.0, 2.0, 3.0]) * rng.lognormal(0, 0.1, (n, 3))
    return context.astype(np.float32), utility, cost


@pytest.mark.parametrize("name", sorted(ROUTERS))
def test_learns_which_model_is_right(name: str) -> None:
    context, utility, cost = two_kinds()
    believed, price = ROUTERS[name](**QUICK.get(name, {}))(context[:200], utility[:200], cost[:200])(
        context[200:]
    )
    assert believed.shape == price.shape == (200, 3)
    np.testing.assert_array_equal(believed.argmax(axis=1), utility[200:].argmax(axis=1))
    np.testing.assert_allclose(price.mean(axis=0), [1, 2, 3], rtol=0.15)  # the mean of exp(N(0, .1)) is 1.005


@pytest.mark.parametrize("name", sorted(ROUTERS))
def test_learns_from_the_outcomes_that_there_are(name: str) -> None:
    context, utility, cost = two_kinds()
    hidden = np.random.default_rng(1).random(utility.shape) < 0.3
    utility, cost = np.where(hidden, np.nan, utility), np.where(hidden, np.nan, cost)
    believed, price = ROUTERS[name](**QUICK.get(name, {}))(context[:200], utility[:200], cost[:200])(
        context[200:]
    )
    assert np.isfinite(believed).all() and np.isfinite(price).all()
    kind = (context[200:, 1] > context[200:, 0]).astype(int)
    np.testing.assert_array_equal(believed.argmax(axis=1), kind)


@pytest.mark.parametrize("name", ["kmeans", "linearmf", "mlp", "mlpmf", "cmr"])
def test_same_seed_same_predictions(name: str) -> None:
    context, utility, cost = two_kinds(200)
    told = [
        ROUTERS[name](**QUICK.get(name, {}), seed=3)(context, utility, cost)(context)[0] for _ in range(2)
    ]
    np.testing.assert_array_equal(told[0], told[1])


def test_knn_is_the_mean_of_the_nearest_by_cosine() -> None:
    context, utility, cost = two_kinds(50)
    believed, price = ROUTERS["knn"](k=7)(context[:40], utility[:40], cost[:40])(context[40:])
    unit = context / np.linalg.norm(context, axis=1, keepdims=True)
    near = np.argsort(-unit[40:] @ unit[:40].T, axis=1)[:, :7]
    np.testing.assert_allclose(believed, utility[near].mean(axis=1))
    np.testing.assert_allclose(price, cost[near].mean(axis=1))


def test_linear_is_least_squares_and_linearmf_of_full_rank_is_ridge() -> None:
    context, utility, cost = two_kinds(80)
    design = np.hstack([context.astype(float), np.ones((80, 1))])
    solved = np.linalg.lstsq(design, cost, rcond=None)[0]
    np.testing.assert_allclose(linear()(context, utility, cost)(context)[1], design @ solved, rtol=1e-4)
    centred, mean = context - context.mean(axis=0), cost.mean(axis=0)
    weight = np.linalg.solve(centred.T @ centred + 2 * np.eye(6), centred.T @ (cost - mean))
    told = linearmf(rank=6, alpha=2.0)(context, utility, cost)(context)[1]
    np.testing.assert_allclose(told, centred @ weight + mean, rtol=1e-4)


def test_a_cost_unit_does_not_matter_to_the_networks() -> None:
    context, utility, cost = two_kinds(60)
    told = [
        ROUTERS["mlp"](epochs=3)(context, utility, cost * unit)(context)[1] / unit for unit in (1.0, 2.0**-20)
    ]
    np.testing.assert_allclose(told[0], told[1], rtol=1e-5)


def test_references_by_hand() -> None:
    utility = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    cost = np.array([[5.0, 1.0], [5.0, 2.0], [5.0, 3.0]])
    dataset = np.array(["a", "a", "b"], object)

    def ends(name: str, **hyper: str) -> tuple[float, float]:
        mean_cost, mean_utility = curve.points(
            REFERENCES[name](**hyper)(utility, cost, dataset), utility, cost
        )
        return float(mean_cost[-1]), float(mean_utility[-1])

    assert ends("oracle") == pytest.approx(((5 + 2 + 5) / 3, 1))
    assert ends("oracle", ties="cheapest") == pytest.approx(((1 + 2 + 5) / 3, 1))
    assert ends("best_single") == pytest.approx((5, 2 / 3))
    assert ends("best_per_dataset") == pytest.approx(((1 + 2 + 5) / 3, 1))


def test_the_cheapest_oracle_is_as_good_as_the_published_one_for_less() -> None:
    rng = np.random.default_rng(5)
    utility, cost = (rng.random((300, 5)) < 0.5).astype(float), rng.lognormal(size=(300, 5))
    ends, volumes = [], []
    for ties in ("lowest", "cheapest"):
        walked = REFERENCES["oracle"](ties=ties)(utility, cost, None)
        mean_cost, mean_utility = curve.points(walked, utility, cost)
        ends.append((mean_cost[-1], mean_utility[-1]))
        volumes.append(hypervolume(mean_cost, mean_utility, worst_cost=3.0))
    assert ends[1][1] == pytest.approx(utility.max(axis=1).mean())
    cheapest_right = np.where(utility == utility.max(axis=1, keepdims=True), cost, np.inf).min(axis=1)
    assert ends[1][0] == pytest.approx(cheapest_right.mean())
    assert ends[0][1] == ends[1][1] and ends[0][0] > ends[1][0]
    assert volumes[1] > volumes[0]


def test_random_sends_queries_to_recorded_models_only_and_evenly() -> None:
    utility = np.array([[1.0, np.nan, 1.0], [1.0, 1.0, 1.0]])
    made = REFERENCES["random"](trials=3000)(utility, utility, None)
    visits = np.zeros((2, 3))
    choice = made.start.copy()
    for trial in range(3000):
        at = made.point == trial
        choice[made.row[at]] = made.arm[at]
        visits[np.arange(2), choice] += 1
    # five standard deviations of a share of 1/2 or 1/3 over 3000 draws are below .046
    np.testing.assert_allclose(visits / 3000, [[0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]], atol=0.046)


@pytest.mark.parametrize(
    ("name", "hyper"),
    [
        ("knn", {"k": 0}),
        ("kmeans", {"clusters": 0}),
        ("kmeansnew", {"clusters": 1.5}),
        ("linearmf", {"rank": 0}),
        ("linearmf", {"alpha": -1.0}),
        ("mlp", {"epochs": 0}),
        ("mlpmf", {"latent": 0}),
        ("cmr", {"width": 30, "heads": 8}),
        ("cmr", {"lr": 0.0}),
    ],
)
def test_refuses_hyperparameters_out_of_range(name: str, hyper: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{name} needs"):
        ROUTERS[name](**hyper)


@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_the_first_of_equally_near_queries_is_a_neighbour(number: type) -> None:
    rng = np.random.default_rng(0)
    for n, k, together in ((5, 5, 5), (40, 1, 40), (40, 7, 3), (400, 50, 64), (400, 50, 37), (70, 40, 33)):
        similar = (rng.integers(-n, n + 1, (20, n)) / n * 1.1).astype(number)  # rounding takes some beyond 1
        held, near = np.empty((20, k), number), np.empty((20, k), np.int64)
        for start in range(0, n, together):
            nearest(similar[:, start : start + together].copy(), start, held, near)
        distance = np.clip(1 - similar, 0, 2)
        wanted = np.sort(np.argsort(distance, axis=1, kind="stable")[:, :k], axis=1)
        np.testing.assert_array_equal(np.sort(near, axis=1), wanted)
        np.testing.assert_array_equal(np.sort(held, axis=1), np.sort(distance, axis=1)[:, :k])


def test_means_of_neighbours_pass_over_what_was_not_recorded() -> None:
    rng = np.random.default_rng(2)
    value, near = rng.normal(size=(30, 5)), rng.integers(0, 30, (50, 6))
    value[rng.random(value.shape) < 0.4] = np.nan
    value[:, 4] = np.nan
    out = np.empty((50, 5))
    means(value, near, out)
    np.testing.assert_array_equal(out, mean_where_seen(value[near], axis=1))
    assert np.isnan(out[:, 4]).all() and not np.isnan(out[:, :4]).all()


def test_neighbours_by_cosine_are_as_near_as_those_of_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(1)
    known, asked = rng.normal(size=(700, 9)), rng.normal(size=(300, 9))
    ours = _by_cosine(known, 20)(asked)
    theirs = (
        NearestNeighbors(n_neighbors=20, metric="cosine").fit(known).kneighbors(asked, return_distance=False)
    )
    np.testing.assert_array_equal(ours, np.sort(theirs, axis=1))

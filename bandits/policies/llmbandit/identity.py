"""What a model can do, as a vector: variational item response theory (LLM Bandit, arXiv 2502.02743, section 2.3).

A query asks for abilities and a model has them: `p_nk = sigma(f(e_n, I_k))`, with `e_n` the context of query `n` and
`I_k` the identity of model `k`. The sources leave open whether difficulty and discrimination are parameters of a
query; here they are functions of its context, `f(e, I) = a(e)'I - b(e)`, so that queries never seen have them too,
and fitting a new model with everything else frozen is a logistic regression with one solution.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bandits import threefry
from bandits.late import jax, jnp, optax
from bandits.policies.neural.layers import Layer, relu_net

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Response = list[Layer]  # context (d,) -> discrimination (m,) and difficulty (), in one vector
_ROUNDS = 300  # of the bound optimisation: each closes a fixed share of the gap, and 300 reach float32


class Posterior(NamedTuple):
    """Normal beliefs about identities: `mean` and `log_sd`, both `(K, m)`; the prior is N(0, 1) everywhere."""

    mean: jax.Array
    log_sd: jax.Array


class Irt(NamedTuple):
    """What is fitted: how queries ask, and what is believed of the models."""

    response: Response
    posterior: Posterior


class Settings(NamedTuple):
    """Of the fit: `m` dimensions, hidden units, steps, queries a step, Adam's rate and decay, weight of the KL term."""

    size: int = 16
    width: int = 32
    steps: int = 300
    batch: int = 256
    lr: float = 5e-3
    decay: float = 4.0
    kl: float = 1.0


def first_dense(rng: np.random.Generator, *sizes: int) -> list[Layer]:
    """Return layers from `sizes[0]` inputs to `sizes[-1]` outputs, all uniform in +-1/sqrt(inputs).

    Drawn by NumPy: compiling the draws of a few dozen arrays takes longer than training small networks.
    """

    def one(n_in: int, n_out: int) -> Layer:
        bound = 1 / math.sqrt(n_in)
        told = rng.uniform(-bound, bound, (n_in + 1, n_out)).astype(np.float32)
        return {"weight": jnp.asarray(told[:-1]), "bias": jnp.asarray(told[-1])}

    return [one(a, b) for a, b in pairwise(sizes)]


def demands(response: Response, context: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return discrimination `a(e)`, `(..., m)`, and difficulty `b(e)`, `(...)`, of contexts `(..., d)`."""
    told = relu_net(response, context)
    return told[..., :-1], told[..., -1]


def logit(response: Response, context: jax.Array, vector: jax.Array) -> jax.Array:
    """Return `f(e, I_k)`, `(..., K)`, of contexts `(..., d)` and identities `(K, m)`."""
    discrimination, difficulty = demands(response, context)
    return discrimination @ vector.T - difficulty[..., None]


def binarise(utility: ArrayLike) -> np.ndarray[Any, Any]:
    """Return 0/1 correctness `(n, K)`, NaN where missing: each model's success rate as near its mean score as can be.

    The paper names the rule but not its reach; one threshold a model keeps what sets the models apart.
    """
    scores = np.asarray(utility, np.float64)
    right = np.full(scores.shape, np.nan)
    for k in range(scores.shape[1]):
        seen = ~np.isnan(scores[:, k])
        own = scores[seen, k]
        if len(own):
            thresholds = np.append(np.unique(own), np.inf)
            rates = 1 - np.searchsorted(np.sort(own), thresholds) / len(own)
            right[seen, k] = own >= thresholds[np.abs(rates - own.mean()).argmin()]
    return right


def bce(score: jax.Array, right: jax.Array) -> jax.Array:
    """Return `-right log sigma(score) - (1 - right) log sigma(-score)`, elementwise."""
    return jax.nn.softplus(score) - right * score


def kl(posterior: Posterior) -> jax.Array:
    """Return `KL(N(mean, sd^2) || N(0, 1))` of each model, `(K,)`, summed over the dimensions."""
    mean, log_sd = posterior
    return 0.5 * jnp.sum(jnp.square(mean) + jnp.exp(2 * log_sd) - 1 - 2 * log_sd, axis=-1)


def preference_loss(score: jax.Array, right: jax.Array) -> jax.Array:
    """Return the mean of `-log sigma(f_a - f_b)` over the pairs of which `a` was right and `b` wrong.

    Args:
        score, right: `(n, K)`; a NaN in `right` is in no pair.
    """
    better = right[:, :, None] > right[:, None, :]
    gap = score[:, :, None] - score[:, None, :]
    return jnp.sum(better * jax.nn.softplus(-gap)) / jnp.maximum(better.sum(), 1)


def loss(
    irt: Irt, noise: jax.Array, context: jax.Array, right: jax.Array, cells: float, weight: float
) -> jax.Array:
    """Return BCE on correctness plus BCE on preferences plus the KL term (section 2.3), each a mean.

    Args:
        irt: how queries ask and what is believed.
        noise: `(K, m)` standard normal; the identities tried are `mean + sd * noise`.
        context: `(b, d)`.
        right: `(b, K)` 0 or 1, NaN where missing.
        cells: recorded outcomes in the whole log; the KL term over `cells` makes a mean of the evidence bound.
        weight: of the KL term; 1 is the evidence bound.
    """
    mean, log_sd = irt.posterior
    score = logit(irt.response, context, mean + jnp.exp(log_sd) * noise)
    seen = ~jnp.isnan(right)
    wrong = jnp.where(seen, bce(score, jnp.where(seen, right, 0.0)), 0.0)
    evidence = jnp.sum(wrong) / jnp.maximum(seen.sum(), 1)
    return evidence + preference_loss(score, right) + weight * jnp.sum(kl(irt.posterior)) / cells


def fit(seed: int, context: Any, right: Any, settings: Settings) -> Irt:
    """Return the fit to a full-information log of `n` queries and `K` models.

    Args:
        seed: of every draw.
        context: `(n, d)`.
        right: `(n, K)` 0 or 1, NaN where missing.
        settings: of the fit.
    """
    rng = np.random.default_rng(seed)
    shape = np.shape(right)[1], settings.size
    # Means start small and apart, beliefs narrow: from the prior's own width nothing is learned for long.
    mean = jnp.asarray(rng.normal(0.0, 0.1, shape), jnp.float32)
    response = first_dense(rng, np.shape(context)[1], settings.width, settings.size + 1)
    start = Irt(response, Posterior(mean, jnp.full(shape, -2.0)))
    log = jnp.asarray(context, jnp.float32), jnp.asarray(right, jnp.float32)
    fitted: Irt = _fit(settings, threefry.key(seed), start, *log)
    return fitted


@partial(jax.jit, static_argnums=0)
def _fit(settings: Settings, key: jax.Array, start: Irt, context: jax.Array, right: jax.Array) -> Irt:

    cells = jnp.maximum(jnp.sum(~jnp.isnan(right)), 1)
    # Decay belongs to the network; the identities have their prior.
    decayed = Irt(jax.tree.map(lambda _: True, start.response), Posterior(False, False))  # type: ignore[arg-type]
    rate = optax.cosine_decay_schedule(settings.lr, settings.steps)
    adam = optax.adamw(rate, weight_decay=settings.decay, mask=decayed)

    def step(carry: tuple[Irt, Any], key: jax.Array) -> tuple[tuple[Irt, Any], None]:
        irt, moments = carry
        to_draw, to_blur = jax.random.split(key)
        rows = jax.random.randint(to_draw, (settings.batch,), 0, len(context))
        noise = jax.random.normal(to_blur, irt.posterior.mean.shape)
        gradient = jax.grad(loss)(irt, noise, context[rows], right[rows], cells, settings.kl)
        change, moments = adam.update(gradient, moments, irt)
        return (optax.apply_updates(irt, change), moments), None

    keys = jax.random.split(key, settings.steps)
    fitted: Irt = jax.lax.scan(step, (start, adam.init(start)), keys)[0][0]
    return fitted


def logistic(features: jax.Array, offset: jax.Array, target: jax.Array, precision: float) -> jax.Array:
    """Return the weights `(p,)` of the most probable logistic regression under a N(0, 1/precision) prior.

    Each round maximises Böhning's lower bound (curvature at most 1/4), which cannot overshoot.

    Args:
        features: `(n, p)`.
        offset: `(n,)`, added to the scores.
        target: `(n,)` in [0, 1], NaN where missing.
        precision: >= 0.
    """
    seen = ~jnp.isnan(target)
    known, wanted = jnp.where(seen[:, None], features, 0.0), jnp.where(seen, target, 0.0)
    inverse = jnp.linalg.inv(known.T @ known / 4 + precision * jnp.eye(features.shape[1]))

    def improve(_: int, weight: jax.Array) -> jax.Array:
        missed = jnp.where(seen, wanted - jax.nn.sigmoid(known @ weight + offset), 0.0)
        change: jax.Array = inverse @ (known.T @ missed - precision * weight)
        return weight + change

    best: jax.Array = jax.lax.fori_loop(0, _ROUNDS, improve, jnp.zeros(features.shape[1]))
    return best


@jax.jit
def place(response: Response, context: jax.Array, right: jax.Array) -> jax.Array:
    """Return the identities `(K, m)` of models from their answers to a quiz; the response stays as it is.

    Args:
        response: fitted on other models.
        context: `(q, d)` of the quiz queries.
        right: `(q, K)` 0 or 1, NaN where missing.
    """
    discrimination, difficulty = demands(response, context)
    return jax.vmap(lambda own: logistic(discrimination, -difficulty, own, 1.0), in_axes=1)(right)


@partial(jax.jit, static_argnums=3)
def quiz(response: Response, context: jax.Array, vector: jax.Array, size: int) -> jax.Array:
    """Return the `(size,)` rows whose answers tell most about an unknown identity, the most telling first.

    Greedy D-optimal design: each next query adds most to `log det(1 + sum_n v_n a_n a_n')`, where `v_n` is the mean
    of `p (1 - p)` over the known models. A query counts for how sharply it discriminates, and only for what those
    before it have not told.

    Args:
        response: fitted.
        context: `(n, d)` queries to choose from.
        vector: `(K, m)` of the known models.
        size: queries to choose, at most `n`.
    """
    discrimination, _ = demands(response, context)
    chance = jax.nn.sigmoid(logit(response, context, vector))
    telling = discrimination * jnp.sqrt(jnp.mean(chance * (1 - chance), axis=1))[:, None]

    def pick(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        spread, left = carry
        gain = jnp.sum((telling @ spread) * telling, axis=1)
        row = jnp.argmax(jnp.where(left, gain, -jnp.inf))
        direction = spread @ telling[row]
        spread = spread - jnp.outer(direction, direction) / (1 + telling[row] @ direction)
        return (spread, left.at[row].set(False)), row

    start = jnp.eye(telling.shape[1]), jnp.ones(len(context), bool)
    return jax.lax.scan(pick, start, None, length=size)[1]


@jax.jit
def platt(score: jax.Array, right: jax.Array) -> jax.Array:
    """Return slope and offset, `(2,)`, of `sigma(slope * score + offset)` (Platt 1999), fitted to 0/1 outcomes.

    With Platt's targets `(n1 + 1) / (n1 + 2)` and `1 / (n0 + 2)`, which keep separable data finite.

    Args:
        score: `(n,)`.
        right: `(n,)` 0 or 1, NaN where missing.
    """
    positive, negative = jnp.sum(right == 1), jnp.sum(right == 0)
    high, low = (positive + 1) / (positive + 2), 1 / (negative + 2)
    target = jnp.where(jnp.isnan(right), jnp.nan, jnp.where(right == 1, high, low))
    centre, unit = score.mean(), jnp.maximum(score.std(), 1e-6)  # for the conditioning of the bound
    features = jnp.stack([(score - centre) / unit, jnp.ones_like(score)], axis=1)
    slope, offset = logistic(features, jnp.zeros_like(score), target, 0.0)
    return jnp.stack([slope / unit, offset - slope * centre / unit])

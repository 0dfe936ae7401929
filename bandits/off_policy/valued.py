"""The value of a target policy on a log: every estimator, with an interval, for utility, cost and reward at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.metrics import off_policy as ope
from bandits.metrics.intervals import AMOUNT, ANYTHING, SHARE
from bandits.metrics.off_policy import intervals, models, tuning
from bandits.metrics.off_policy.design import Design, designed, noise_of
from bandits.off_policy.rounds import Rounds

Floats = NDArray[np.float64]
RANGE = {"utility": SHARE, "cost": AMOUNT}  # what a value is known to lie in; a reward is any function
CLIPS = (2.0, 5.0, 10.0, 30.0, 100.0)  # thresholds and shrinkages that are tried


# What `ope` recommends where the log has propensities: of the estimators whose interval holds the truth nine times in
# ten, the one of the least interval score in every cell of `ope-benchmark`, see docs/logs.md.
RECOMMENDED = "DR-CR"


class Estimate(NamedTuple):
    """A value `mean` with an interval from `low` to `high`; `rounds` are `(n,)` the values it is the mean of."""

    estimator: str
    mean: float
    low: float
    high: float
    interval: str
    rounds: Floats | None = None

    def within(self, quantity: str) -> Estimate:
        """Return the estimate with its interval cut to what the quantity is known to lie in."""
        low, high = np.clip((self.low, self.high), *RANGE.get(quantity, ANYTHING))
        return self._replace(low=float(low), high=float(high))


def modelled(rounds: Rounds, *, boosted: bool = False, parts: int = 3, seed: int = 0) -> dict[str, Floats]:
    """Return `(n, K)` cross-fitted predictions of each quantity of a log."""
    k, crossed = len(rounds.models), partial(models.cross_fitted, parts=parts, seed=seed)
    if boosted:
        return {
            name: crossed(rounds.context, rounds.arm, y, k, fit=models.boosting)
            for name, y in rounds.values.items()
        }
    x, y = (
        rounds.context[:, :-1],
        np.stack(list(rounds.values.values()), axis=1),
    )  # ridge has a level of its own
    found = crossed(x, rounds.arm, y, k)
    return {name: np.ascontiguousarray(found[..., i]) for i, name in enumerate(rounds.values)}


class How(NamedTuple):
    """How targets are valued.

    Attributes:
        wide: every estimator, not the recommended one alone.
        tune: what chooses thresholds and shrinkages: `mse` or `slope`.
        resamples: of the bootstrap, which then makes every interval that it can; 0: none.
        groups: `(K,)` embedding of each model, for MIPS; None: no MIPS.
        seed: of the resamples.
    """

    wide: bool = False
    tune: str = "mse"
    resamples: int = 0
    groups: NDArray[np.int64] | None = None
    seed: int = 0


PLAIN = How()


def valued(rounds: Rounds, chances: Floats, quantity: str, model: Floats, how: How = PLAIN) -> list[Estimate]:
    """Return estimates of one quantity of a target; the recommended one first, alone unless `how.wide`.

    Args:
        rounds: the log.
        chances: `(n, K)` the target's probabilities.
        quantity: one of `QUANTITIES`.
        model: `(n, K)` cross-fitted predictions of it.
        how: which estimators and intervals.

    Raises:
        ValueError: MIPS on a log that does not tell its whole distribution.
    """
    y, at = rounds.values[quantity], (np.arange(len(rounds)), rounds.arm)
    v = ope.dm(chances, model)
    if how.groups is not None and rounds.every is None:
        raise ValueError(
            f"{rounds.name}: --groups needs the log's whole distribution: columns chance:MODEL, or candidates model:p"
        )
    if rounds.propensity is None:
        return [_student("DM", v).within(quantity)]
    w = chances[at] / rounds.propensity
    q, boot = model[at], partial(_booted, how)
    best = boot(recommended(rounds, chances, quantity, model), ope.dr_likelihood, w, y, q, v)
    if not how.wide:
        return [best.within(quantity)]
    low, high = ranged(rounds, quantity)
    found = [
        best,
        boot(_student("DR", ope.dr(w, y, q, v)), ope.dr, w, y, q, v),
        _student("DM", v),
        boot(_student("IPS", ope.ips(w, y)), ope.ips, w, y),
    ]
    if rounds.even and np.isin(chances, (0.0, 1.0)).all() and chances[at].any():
        found.append(_ratio("replay", ope.replay(chances[at], y), chances[at], y))
    cut, shrunk = _shrunk(w, y, q, v, how)
    found += shrunk
    found.append(_student("MRDR", _mrdr(rounds, chances, y, w)))
    if rounds.every is not None:
        weights = np.divide(chances, rounds.every, out=np.full_like(chances, np.inf), where=rounds.every > 0)
        weights[chances == 0] = 0.0
        rows = ope.switch(w, y, weights, chances, model, threshold=cut)
        found.append(_student(f"SWITCH at {cut:g}", rows))
        if how.groups is not None:
            found.append(_student("MIPS", ope.mips(chances, rounds.every, rounds.arm, y, how.groups)))
    return [one.within(quantity) for one in found + _ranged(w, y, low, high)]


def _booted(how: How, one: Estimate, estimate: Callable[..., Floats], *given: Floats) -> Estimate:
    """Return an estimate with the interval of the bootstrap, where that is asked for."""
    if not how.resamples:
        return one
    ends = intervals.bootstrap(estimate, *given, resamples=how.resamples, seed=how.seed)
    return one._replace(low=ends[0], high=ends[1], interval="bootstrap")


def recommended(rounds: Rounds, chances: Floats, quantity: str, model: Floats) -> Estimate:
    """Return DR-CR with the interval of the log's design; arguments as `valued`, of a log with propensities."""
    y, at = rounds.values[quantity], (np.arange(len(rounds)), rounds.arm)
    assert rounds.propensity is not None
    v = ope.dm(chances, model)
    rows = ope.dr_likelihood(chances[at] / rounds.propensity, y, model[at], v)
    ends = designed(float(rows.mean()), v, chances, design_of(rounds, quantity, model))
    return Estimate(RECOMMENDED, float(rows.mean()), *ends, "design", rows).within(quantity)


def design_of(rounds: Rounds, quantity: str, model: Floats) -> Design:
    """Return what the interval of a quantity needs to know of a log with propensities."""
    least, most = ranged(rounds, quantity)
    residual = rounds.values[quantity] - model[np.arange(len(rounds)), rounds.arm]
    assert rounds.propensity is not None
    # A dear model's costs say nothing of how far a cheap one's may spread; of one or no call they are all there is.
    y, k = rounds.values[quantity], len(rounds.models)
    low, high = np.full(k, np.inf), np.full(k, -np.inf)
    np.minimum.at(low, rounds.arm, y)
    np.maximum.at(high, rounds.arm, y)
    own = np.maximum(high - low, 0.0 if quantity == "cost" else 1.0)
    span = np.where(np.bincount(rounds.arm, minlength=k) > 1, own, most - least)
    noise = noise_of(residual, rounds.arm, rounds.propensity, k, span)
    return Design(rounds.distribution, noise, least, most)


def ranged(rounds: Rounds, quantity: str) -> tuple[float, float]:
    """Return the least and the largest value that a quantity can have: what was seen, and 0 to 1 but for costs."""
    y = rounds.values[quantity]
    return float(min(y.min(), 0.0)), float(max(y.max(), 1.0 if quantity != "cost" else y.max()))


def _shrunk(w: Floats, y: Floats, q: Floats, v: Floats, how: How) -> tuple[float, list[Estimate]]:
    """Return SWITCH's threshold and the estimators that change weights, at the settings that the log itself chooses."""
    clip = tuned([(c, ope.ips(w, y, clip=c), np.minimum(w, c)) for c in CLIPS], w, y, by=how.tune)
    switched = [(c, ope.switch_dr(w, y, q, v, threshold=c), w * (w <= c)) for c in CLIPS]
    squared = [(c, ope.dros(w, y, q, v, shrink=c), c * w / (w**2 + c)) for c in (c * c for c in CLIPS)]
    cut, shrink = tuned(switched, w, y, q, by=how.tune), tuned(squared, w, y, q, by=how.tune)
    clipped, switch = partial(ope.ips, clip=clip), partial(ope.switch_dr, threshold=cut)
    shrunk, boot = partial(ope.dros, shrink=shrink), partial(_booted, how)
    return cut, [
        boot(_student(f"IPS clipped at {clip:g}", clipped(w, y)), clipped, w, y),
        boot(_ratio("SNIPS", ope.snips(w, y), w, y), ope.snips, w, y),
        boot(_student("sub-Gaussian IPS", ope.subgaussian(w, y)), ope.subgaussian, w, y),
        boot(_ratio("SNDR", ope.sndr(w, y, q, v), w, y - q), ope.sndr, w, y, q, v),
        boot(_student(f"SWITCH-DR at {cut:g}", switch(w, y, q, v)), switch, w, y, q, v),
        boot(_student(f"DRos at {shrink:g}", shrunk(w, y, q, v)), shrunk, w, y, q, v),
    ]


def _ranged(w: Floats, y: Floats, low: float, high: float) -> list[Estimate]:
    """Return the likelihoods, and IPS with the intervals that need the range of `y`."""
    if not high > low:
        return []
    ends, mean = intervals.cressie_read(w, y, least=low, most=high), float((w * y).mean())
    below, above = intervals.bernstein(w * (y - low), largest=float(w.max()) * (high - low))
    exact = intervals.clopper_pearson(w, y, least=low, most=high)
    return [
        Estimate("Cressie-Read", ope.cressie_read(w, y), *ends, "Cressie-Read"),
        Estimate("MLE", ope.mle(w, y), *ends, "Cressie-Read"),
        Estimate("IPS", mean, *exact, "Clopper-Pearson"),
        Estimate("IPS", mean, below + low, above + low, "Bernstein"),
    ]


def tuned(
    tried: list[tuple[float, Floats, Floats]], w: Floats, y: Floats, q: Floats | None = None, *, by: str = "mse"
) -> float:  # fmt: skip
    """Return the setting that the MSE score or SLOPE chooses; `tried` are settings, round values, changed weights."""
    if by == "slope":
        spans = [intervals.student(rows) for _, rows, _ in tried]
        means = [float(rows.mean()) for _, rows, _ in tried]
        return tried[tuning.slope(means, [(high - low) / 2 for low, high in spans])][0]
    scores = [tuning.mse_score(rows, w, changed, y, q) for _, rows, changed in tried]
    return tried[int(np.argmin(scores))][0]


def _mrdr(rounds: Rounds, chances: Floats, y: Floats, w: Floats) -> Floats:
    at, p = (np.arange(len(rounds)), rounds.arm), rounds.propensity
    assert p is not None
    weight = models.mrdr_weights(chances[at], p)
    if not (weight > 0).any():
        weight = np.ones_like(weight)
    x = rounds.context[:, :-1]
    q = models.cross_fitted(x, rounds.arm, y, len(rounds.models), weight=weight)
    return ope.dr(w, y, q[at], ope.dm(chances, q))


def _student(name: str, rows: Floats) -> Estimate:
    return Estimate(name, float(rows.mean()), *intervals.student(rows), "t", rows)


def _ratio(name: str, rows: Floats, w: Floats, of: Floats) -> Estimate:
    """Return a self-normalised estimate; its interval is that of the ratio `sum(w of) / sum(w)` made linear."""
    share = w / (w.mean() or 1.0)
    straight = rows - (share - 1) * float((share * of).mean())
    return Estimate(name, float(rows.mean()), *intervals.student(straight), "t of the ratio", rows)

"""From a finished run to a policy for serving: the posterior that one seed ended with, from its trace alone.

A ridge posterior does not depend on how it was computed: `A_k = ridge I + sum x x'` and `theta_k = A_k^-1 (ridge
theta_0 + sum r x)` over the queries that model `k` was called for. So a run keeps no state; the trace, the table and
the manifest give it back, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits import resolve
from bandits.experiment.ask import Ask
from bandits.experiment.lineup import build
from bandits.folders import manifest as manifests
from bandits.folders.write import fingerprint
from bandits.policies.linear.affine import Form, any_form_of
from bandits.rewards import REWARDS, Reward, preferences, reward_table
from bandits.serving.router import Router
from bandits.serving.settings import Settings
from envs import stream
from envs.contexts import projection
from envs.nearest import near

Floats = NDArray[np.floating[Any]]
# What a run may have been asked for; anything else leaves a state that its trace does not give back.
_ALLOWED = ("policies", "reward", "preference", "budget", "seeds", "seed", "order", "rounds")


def export(folder: Path | str, spec: str, *, seed: int = 0, reward: str | None = None) -> Router:
    """Return the policy that a seed of a finished run ended with, its context pipeline included.

    Args:
        folder: of the run.
        spec: the policy as it was given to the run, of a policy that has a linear form which does not fade.
        seed: which of the run's seeds, from 0.
        reward: the run's, needed where it is a user's own file: what a manifest names is never executed.

    Raises:
        ValueError: no such run, policy or seed; the data changed since; a policy or run that cannot be exported.
    """
    place = Path(folder)
    manifest = manifests.read(place)
    _check(manifest, place, spec, seed)
    _check_reward(manifest["reward"], reward, place)
    loaded = _loaded(manifest)
    if fingerprint(loaded.outcomes) != manifest["data"]["sha256"]:
        raise ValueError(f"export needs the data that {place} was run on; it has changed since")
    order, arms = _calls(place / "trace.parquet", spec, seed)
    if len(order) and not (order.min() >= 0 and order.max() < len(loaded) and arms.max() < loaded.n_arms):
        raise ValueError(f"{place / 'trace.parquet'}: rows or arms are not those of its table")
    fitted = projection.fit(loaded.outcomes, **manifest["context"])
    asked = preferences(manifest["preference"], len(loaded), manifest["seed"])[manifest["preference"]]
    worth = resolve.function(reward or manifest["reward"], REWARDS, "reward")
    form = _form(spec, loaded, worth)
    utility, cost = (sheet[order, arms] for sheet in (loaded.utility, loaded.cost))
    if form.targets:
        learned = np.stack([utility, cost / loaded.cost_scale], axis=1)
    else:
        learned = reward_table(worth, loaded, asked)[order, arms][:, None]
    settings = Settings(
        policy=spec,
        explore=form.explore,
        ridge=form.ridge,
        targets=2 if form.targets else 1,
        reward=manifest["reward"],
        preference=float(np.mean(asked)),
        cost_scale=float(loaded.cost_scale),
        models=tuple(loaded.models),
        label=manifest["label"],
        sha256=manifest["data"]["sha256"],
    )
    return routed(settings, fitted, worth, form.prior, (loaded.context[order].astype(float), arms, learned))


def routed(
    settings: Settings,
    fitted: projection.Projection,
    worth: Reward,
    prior: float,
    learned: tuple[Floats, NDArray[np.integer[Any]], Floats],
) -> Router:
    """Return a router that has learned from so many calls.

    Args:
        settings: what it is.
        fitted: from embeddings to a context of `d` features.
        worth: its reward function.
        prior: what every model's first target is believed to be before its first call.
        learned: contexts `(n, d)`, models called `(n,)` and their targets `(n, m)`.
    """
    arms, k = learned[1], len(settings.models)
    inverse, weight = _posterior(*learned, k, settings.ridge, prior)
    pulls = np.bincount(arms, minlength=k).astype(np.int64)
    return Router(settings, fitted, inverse, weight, pulls, worth, np.random.default_rng())


def _form(spec: str, loaded: stream.Stream, worth: Reward) -> Form:
    form = any_form_of(build(spec, loaded, worth, checked=False))
    if form is None:
        raise ValueError(
            f"export needs a policy that chooses by a ridge posterior in a linear form, {spec!r} does not"
        )
    return form


def _check(manifest: Mapping[str, Any], place: Path, spec: str, seed: int) -> None:
    if manifest.get("streamed"):
        raise ValueError(f"export needs a run on a table held in memory; {place} was streamed")
    if spec not in manifest["policies"]:
        raise ValueError(f"no policy {spec!r} in {place}; {near(spec, list(manifest['policies']))}")
    if not 0 <= seed < manifest["seeds"]:
        raise ValueError(f"export needs a seed from 0 to {manifest['seeds'] - 1}, got {seed}")
    if not manifest.get("load"):
        raise ValueError(f"export needs a run that says how its data was loaded; run {place} again")
    for key, default in Ask._field_defaults.items():
        found = manifest.get(key, default)
        if key not in _ALLOWED and found not in (
            default,
            list(default) if isinstance(default, tuple) else default,
        ):
            raise ValueError(f"export needs a run without --{key.replace('_', '-')}, {place} has {found!r}")


def _check_reward(named: str, given: str | None, place: Path) -> None:
    if given is None and ".py:" in named:
        raise ValueError(
            f"{place} was run with the reward {named[:300]!r}, code that export does not execute unasked; give --reward"
        )
    if given is not None and given.rpartition(":")[2] != named.rpartition(":")[2]:
        raise ValueError(f"{place} was run with the reward {named[:300]!r}, got --reward {given[:300]!r}")


def _loaded(manifest: Mapping[str, Any]) -> stream.Stream:
    told = {key: manifest["load"].get(key) for key in ("name", "data", "prices")}  # only what reads tables
    models = manifest["load"].get("models")
    kept = [name.strip() for name in models.split(",")] if models else None
    return stream.load(**told, models=kept, **manifest["context"])


def _calls(path: Path, spec: str, seed: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the rows asked and the models called by one policy and seed, where a call was made."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    filters = [("policy", "==", spec), ("seed", "==", seed), ("arm", ">=", 0)]
    try:
        table = pq.read_table(path, columns=["row", "arm"], filters=filters)
        rows, arms = (table[name].to_numpy().astype(np.int32, casting="same_kind") for name in ("row", "arm"))
    except (ValueError, TypeError, LookupError, OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: not a run's trace ({' '.join(str(error).split())[:300]})") from error
    return rows, arms


def _posterior(
    context: Floats, arms: NDArray[np.integer[Any]], learned: Floats, n_arms: int, ridge: float, prior: float
) -> tuple[Floats, Floats]:
    """Return the inverses `(K, d, d)` and the weights `(K, m, d)`; `context (n, d)`, `learned (n, m)`."""
    d, targets = context.shape[1], learned.shape[1]
    begun = np.zeros((targets, d))
    begun[0, -1] = prior
    inverse, weight = np.empty((n_arms, d, d)), np.empty((n_arms, targets, d))
    for k in range(n_arms):
        x, y = context[arms == k], learned[arms == k]
        found = np.linalg.inv(ridge * np.eye(d) + x.T @ x)
        inverse[k] = (found + found.T) / 2
        weight[k] = (y.T @ x + ridge * begun) @ inverse[k]
    return inverse, weight

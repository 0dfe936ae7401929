"""From a finished run to a policy for serving: what one seed had learned at its end, from its trace alone.

A run keeps no state; the trace, the table and the manifest give it back. A ridge posterior does not depend on how it
was computed: `A_k = ridge I + sum x x'` and `theta_k = A_k^-1 (ridge theta_0 + sum r x)` over the queries that model
`k` was called for, here in float64. Every other policy hears its calls once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits import forms, resolve
from bandits.base import form_of
from bandits.experiment.ask import Ask
from bandits.experiment.lineup import REFERENCES, bounds_of, build, parts
from bandits.folders import manifest as manifests
from bandits.folders.write import fingerprint
from bandits.forms.form import taken
from bandits.loop.relearn import relearned
from bandits.rewards import REWARDS, Preference, Reward, preferences, reward_table
from bandits.serving.router import Router
from bandits.serving.settings import Settings
from envs import stream
from envs.contexts import projection
from envs.nearest import near
from envs.tables.how import READING

Floats = NDArray[np.floating[Any]]
_READ = ("name", "data", "prices", "embed")  # what a table is read by, beside `READING`
# What a run may have been asked for; anything else leaves a state that its trace does not give back.
_ALLOWED = (
    "policies", "reward", "preference", "budget", "seeds", "seed", "order", "rounds",
    "calls", "deliver", "judge", "judge_column", "judge_cost", "within_query", "parallel",
)  # fmt: skip


def export(folder: Path | str, spec: str, *, seed: int = 0, reward: str | None = None) -> Router:
    """Return the policy that a seed of a finished run ended with, its context pipeline included.

    Args:
        folder: of the run.
        spec: the policy as it was given to the run, one that has a form (`bandits.forms`).
        seed: which of the run's seeds, from 0.
        reward: the run's, needed where it is a user's own file: what a manifest names is never executed.

    Raises:
        ValueError: no such run, policy or seed; the data changed since; a policy or run that cannot be exported.
    """
    place = Path(folder)
    manifest = manifests.read(place)
    _check(manifest, place, spec, seed)
    _check_reward(manifest["reward"], reward, place)
    loaded = loaded_again(manifest)
    if fingerprint(loaded.outcomes) != _sha256(manifest):
        raise ValueError(f"export needs the data that {place} was run on; it has changed since")
    asked = preferences(manifest["preference"], len(loaded), manifest["seed"])[manifest["preference"]]
    worth = resolve.function(reward or manifest["reward"], REWARDS, "reward")
    table = reward_table(worth, loaded, asked)
    policy = build(
        spec, loaded, worth, checked=False, bounds=bounds_of(table), again=manifest.get("calls", 1) > 1
    )
    form = form_of(policy)
    if form is None:
        raise ValueError(
            f"export needs a policy that has a form of its own (docs/serving.md); {formless(spec, loaded, worth)}"
        )
    order, arms = _calls(place / "trace.parquet", spec, seed)
    if len(order) and not (order.min() >= 0 and order.max() < len(loaded) and arms.max() < loaded.n_arms):
        raise ValueError(f"{place / 'trace.parquet'}: rows or arms are not those of its table")
    served: forms.Forms = form.served
    settings = _settings(spec, served, manifest, loaded, asked)
    fitted = projection.fit(loaded.outcomes, **manifest["context"]) if served.featured else projection.NOTHING
    if isinstance(served, forms.Ridges):
        utility, cost = (sheet[order, arms] for sheet in (loaded.utility, loaded.cost))
        both = served.targets == 2
        learned = np.stack([utility, cost / loaded.cost_scale] if both else [table[order, arms]], axis=1)
        calls = loaded.context[order].astype(float), arms, learned
        return routed(settings, fitted, worth, form.prior, calls)
    which = manifest["seed"], manifest["seeds"], seed
    total = manifest["rounds"] or len(loaded)
    state = relearned(policy, loaded, table, asked, (order, arms), seed=which, total=total)
    arrays = taken(served, state, loaded.n_arms, loaded.dim)
    return Router(settings, fitted, arrays, worth, np.random.default_rng())


def formless(spec: str, loaded: stream.Stream, worth: Reward) -> str:
    """Return which policy has no form: one that the spec's policy is made of, or that itself."""
    lacking = [one for one in parts(spec) if form_of(build(one, loaded, worth, checked=False)) is None]
    return f"{lacking[0]!r}, of which {spec!r} is made, has none" if lacking else f"{spec!r} has none"


def _sha256(manifest: Mapping[str, Any]) -> str:
    """Return the sha256 of the run's table; of several calls a query, before sequences of calls were columns of it."""
    return str(manifest["given_sha256"] if manifest.get("calls", 1) > 1 else manifest["data"]["sha256"])


def _settings(
    spec: str,
    served: forms.Forms,
    manifest: Mapping[str, Any],
    loaded: stream.Stream,
    asked: Preference,
) -> Settings:
    return Settings(
        policy=spec,
        form=served,
        reward=manifest["reward"],
        preference=float(np.mean(asked)),
        cost_scale=float(loaded.cost_scale),
        models=tuple(loaded.models),
        price=tuple(None if np.isnan(p) else float(p) for p in loaded.price),
        label=manifest["label"],
        sha256=_sha256(manifest),
    )


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
    arms, k, form = learned[1], len(settings.models), settings.form
    if not isinstance(form, forms.Ridges):
        raise ValueError(f"routed needs a policy of ridges, got {type(form).__name__}")
    inverse, weight = _posterior(*learned, k, form.ridge, prior)
    pulls = np.bincount(arms, minlength=k).astype(np.int64)
    arrays = {"inverse": inverse, "weight": weight, "pulls": pulls}
    return Router(settings, fitted, arrays, worth, np.random.default_rng())


def _check(manifest: Mapping[str, Any], place: Path, spec: str, seed: int) -> None:
    if manifest.get("streamed"):
        raise ValueError(f"export needs a run on a table held in memory; {place} was streamed")
    if spec not in manifest["policies"]:
        raise ValueError(f"no policy {spec!r} in {place}; {near(spec, list(manifest['policies']))}")
    if spec in REFERENCES:
        raise ValueError(f"export needs a policy that learned; {spec!r} knows the outcomes instead")
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


def loaded_again(manifest: Mapping[str, Any]) -> stream.Stream:
    """Return the stream that a run's manifest names, loaded again."""
    load = manifest["load"]
    told = {
        key: load[key] for key in (*_READ, *READING) if load.get(key) is not None
    }  # only what reads tables
    models = load.get("models")
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

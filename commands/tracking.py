"""A finished run handed to a tracker: `--track mlflow`."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.terminal import say

if TYPE_CHECKING:
    import pandas as pd

TRACKERS = ("mlflow",)
_MEASURES = ("reward_mean", "accuracy", "cost_mean", "regret_oracle", "regret_best_fixed", "unanswered")
_LONGEST = 500  # characters of a parameter


def check(tracker: str | None) -> None:
    """Refuse a tracker that is not installed, before anything is run."""
    if tracker is not None and importlib.util.find_spec(tracker) is None:
        raise click.UsageError('--track mlflow needs MLflow: pip install "routebandit[mlflow]"')


def track(tracker: str | None, place: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Hand a run's settings, what each policy earned, and its files to MLflow; where it is kept is MLflow's to say.

    An MLflow run for each policy, named after it, in the experiment of the stream: settings as parameters, the summary
    as metrics, and the folder's files with the first of them. `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` count
    as always.

    Args:
        tracker: "mlflow", or None: nothing is done.
        place: the run's folder.
        tables: its tables by name.

    Raises:
        ValueError: MLflow could not keep it; the run itself is in its folder.
    """
    if tracker is None:
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent anywhere but to the store
    import mlflow

    from bandits.folders import manifest as manifests
    from bandits.report.names import labelled

    manifest = manifests.read(place)
    summary = labelled(tables, manifest.get("labels", {}))["summary"]
    asked = {k: v for k, v in manifest["asked"].items() if v not in (None, False, (), [], "")}
    settings = {**asked, "stream": manifest["stream"], "data_sha256": manifest["data"]["sha256"]}
    settings.pop("policies", None)
    try:
        if "MLFLOW_EXPERIMENT_NAME" not in os.environ and "MLFLOW_EXPERIMENT_ID" not in os.environ:
            mlflow.set_experiment(f"routebandit {manifest['stream']}")
        played = summary[summary["kind"] == "policy"].to_dict("records")
        for number, row in enumerate(played):
            with mlflow.start_run(run_name=row["policy"], tags={"numbers are from": manifest["label"]}):
                mlflow.log_params(
                    {"policy": row["policy"]} | {k: str(v)[:_LONGEST] for k, v in settings.items()}
                )
                figures = {k: float(row[k]) for k in _MEASURES if k in row}
                mlflow.log_metrics({k: v for k, v in figures.items() if math.isfinite(v)})
                if number == 0:
                    for path in sorted(place.iterdir()):
                        if path.is_file():
                            mlflow.log_artifact(str(path))
    except Exception as error:  # the store's, the server's, the network's
        told = " ".join(str(error).split())[:300]
        raise ValueError(f"--track mlflow: MLflow did not take it ({told}); the run is in {place}") from error
    say(f"tracked by MLflow: {len(played)} runs at {mlflow.get_tracking_uri()}")

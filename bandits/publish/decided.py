"""The folder of a decision: page, record, and the run from which the policy is exported."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bandits import rows
from bandits.decision.figures import quality
from bandits.decision.play import Played
from bandits.folders import export as exports
from bandits.folders import write as artefacts
from bandits.report import decision

PAGE, RECORD = "decision.html", "decision.json"


def publish(
    folder: Path, record: Mapping[str, Any], played: Played, known: Mapping[str, Any]
) -> dict[str, str]:
    """Write a decision into a folder and return `export`, the command that exports its policy, and `why` there is none.

    The folder becomes that of a run, of the line-up at the preference of the deployed policy, or of the nearest one;
    an earlier run's files make room for it, other files stay.

    Args:
        folder: absent, empty or of earlier runs (`place.check_folder`).
        record: from `bandits.decision.record`.
        played: what was played.
        known: `command`, `context`, `data` and `load` as in a run's manifest, `seconds`, and `title`.
    """
    spec, text, deployed = _policy(record)
    run = next((run for run in played.runs if run.preference == text), played.runs[0])
    ask = played.ask._replace(preference=run.preference)
    versions = artefacts.versions()
    manifest = {
        **known, "versions": versions, "log_sha256": None,
        "given_sha256": artefacts.fingerprint(run.stream.outcomes),
    }  # fmt: skip
    artefacts.keep(folder, run, ask, manifest)  # the export is tried on what lies there
    told = _exported(folder, record, spec) if deployed else {"export": "", "why": ""}
    files = {
        PAGE: decision.render(record, {**known, "versions": versions, **told}).encode(),
        RECORD: (
            json.dumps(rows.plain({**record, **told, "command": known["command"]}), indent=2) + "\n"
        ).encode(),
    }
    artefacts.keep(folder, run, ask, manifest, more=files)
    return told


def _policy(record: Mapping[str, Any]) -> tuple[str, str, bool]:
    """Return spec and preference of the deployed policy, else of the nearest one, and whether it is deployed."""
    rows = {row["name"]: row for row in record["choices"]}
    name = (record["nearest"] or {}).get("name")
    if name is None:
        return "", "", False
    return rows[name]["policy"], rows[name]["preference"], bool(record["nearest"]["deployed"])


def _exported(folder: Path, record: Mapping[str, Any], spec: str) -> dict[str, str]:
    """Return the command that exports the deployed policy, tried here, and why it cannot be, where it cannot.

    Where it cannot, the command is that of the best of those that are shown to be better too at the same preference.
    """
    if not (why := _refused(folder, spec)):
        return {"export": _command(folder, spec), "why": ""}
    name = record["nearest"]["name"]
    text = next(row["preference"] for row in record["choices"] if row["name"] == name)
    others = [
        row
        for row in record["choices"]
        if row["shown"] and row["kind"] == "policy" and row["difference"] > 0 and row["preference"] == text
    ]
    for row in sorted(others, key=lambda row: -row["difference"]):
        if row["policy"] != spec and not _refused(folder, row["policy"]):
            more = f" {row['name']} can, and is shown to be better too: {quality(row, record['right'])}."
            return {
                "export": _command(folder, row["policy"]),
                "why": f"{spec} cannot be exported: {why}.{more}",
            }
    return {"export": "", "why": f"{spec} cannot be exported: {why}."}


def _refused(folder: Path, spec: str) -> str:
    """Return why a policy of a run cannot be exported, "" where it can."""
    try:
        exports.export(folder, spec)
    except ValueError as error:
        return str(error)
    return ""


def _command(folder: Path, spec: str) -> str:
    words = ["simulate.py", "export", str(folder), "--policy", spec, "--out", str(folder / "policy.npz")]
    return f"python {shlex.join(words)}"

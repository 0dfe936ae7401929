"""Every command and every Python block of the README runs as printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_readme_runs_as_printed(tmp_path: Path) -> None:
    """In an empty folder, in the order printed: files that one command writes are read by the next."""
    own, api = (block for block in blocks("python") if "import" in block)
    (tmp_path / "mine.py").write_text(own)
    (tmp_path / "api.py").write_text(api)
    shutil.copy(ROOT / "simulate.py", tmp_path / "simulate.py")
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("python ")]
    assert len(lines) >= 7
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for line in [*lines, "python api.py"]:
        command = [sys.executable, *shlex.split(line)[1:]]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr[-800:]}"
    assert (tmp_path / "runs" / "vqa" / "report.html").is_file()


def test_the_readme_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) - {"are"} <= targets

"""Every command and every Python block of the README runs as printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simulate

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line.startswith("python simulate.py ")]


RUN = [block for block in blocks("bash") if commands(block)]
OWN, API = (block for block in blocks("python") if "import" in block)


def test_no_command_is_left_out() -> None:
    assert len(RUN) >= 5
    for block in blocks("bash"):
        for line in block.splitlines():
            assert line.startswith(("python simulate.py ", "make ")), line


@pytest.mark.parametrize("block", RUN, ids=lambda block: shlex.split(commands(block)[0])[2:4][-1])
def test_the_block_runs_as_printed(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an empty folder, in the order printed: files that one command of a block writes are read by the next."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN)
    for line in commands(block):
        monkeypatch.setattr(sys, "argv", shlex.split(line)[1:])
        with pytest.raises(SystemExit) as left:
            simulate.main()
        assert not left.value.code, f"{line}\n{capsys.readouterr().err[-800:]}"


def test_the_api_and_a_command_run_as_processes_of_their_own(tmp_path: Path) -> None:
    shutil.copy(ROOT / "simulate.py", tmp_path / "simulate.py")
    (tmp_path / "api.py").write_text(API)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for line in ("api.py", "simulate.py --policy uniform --stream ocr --seeds 2 --rounds 100 --out done"):
        command = [sys.executable, *shlex.split(line)]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr[-800:]}"
    assert (tmp_path / "done" / "report.html").is_file()


def test_the_readme_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) - {"are"} <= targets

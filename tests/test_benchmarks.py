"""Every benchmark says what it does with -h, and does nothing else."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
RUN = sorted(p.name for p in FOLDER.glob("*.py") if "__main__" in p.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RUN)
def test_a_benchmark_answers_h(name, monkeypatch, capsys) -> None:
    assert len(RUN) > 15
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "argv", [name, "-h"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    out, err = capsys.readouterr()
    assert ended.value.code in (0, None) and out.startswith(f"usage: {name}") and not err

"""Does every import of the package name something that is there, those inside functions too?"""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.compiling import BESIDE

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for place in ("bandits", "envs", "commands", "benchmarks", "examples", "simulate.py")
    for path in ((ROOT / place).rglob("*.py") if (ROOT / place).is_dir() else [ROOT / place])
)
# Where these are not installed, nothing can be said about what is imported from them.
ABSENT = {
    "open_clip": "extra `embed`: gigabytes with torch",
    "torch": "comes with open_clip",
    "sentence_transformers": "extra `embed`: gigabytes with torch",
    "PIL": "extra `embed`",
    "litellm": "extra `litellm`: as large as all else that tests need, and it holds other packages back",
    "contextualbandits": "a peer of benchmarks/peers.txt: needs a C compiler",
    "coba": "a peer of benchmarks/peers.txt",
    "mabwiser": "a peer of benchmarks/peers.txt",
    "obp": "a peer of benchmarks/peers.txt",
    "pareto_bandit": "a peer of benchmarks/peers.txt",
    "river": "a peer of benchmarks/peers.txt",
    "vowpalwabbit": "a peer of benchmarks/peers.txt",
}


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str | None]]:
    """Give the line, the module and the name of every import in a syntax tree; None where it is the module itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, module, alias.name) for alias in node.names)


def faults(source: str) -> list[str]:
    """Return what is imported and does not exist."""
    found = []
    for line, module, name in imports(ast.parse(source)):
        top = module.partition(".")[0]
        if top in ABSENT and importlib.util.find_spec(top) is None:
            continue
        try:
            there = importlib.import_module(module)
            if name not in (None, "*") and not hasattr(there, str(name)):
                importlib.import_module(f"{module}.{name}")
        except (
            ImportError,
            TypeError,
        ) as error:  # TypeError: a relative import, which the project has none of
            found.append(f"line {line}: {module} {name or ''}: {error}")
    return found


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark imports the next by its bare name, as Python does for a script's own folder."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


@pytest.mark.parametrize("file", FILES)
def test_every_import_names_something_that_is_there(file: str) -> None:
    assert faults((ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "from plotly.offline import getplotlyjs",
        "import plotly.ofline",
        "from envs.cache import kept",
        "from .cache import cached",
    ],
)
def test_a_name_that_does_not_exist_is_found_inside_a_function(line: str) -> None:
    assert len(faults(f"def script():\n    if True:\n        {line}\n")) == 1


def test_only_what_is_imported_is_excused() -> None:
    named = {m.partition(".")[0] for f in FILES for _, m, _ in imports(ast.parse((ROOT / f).read_text()))}
    assert set(ABSENT) <= named


# Compiled kernels and what reads and writes tables. Whatever is added here, every user waits for in every run.
LOADED = {
    "click",
    "llvmlite",
    "msgspec",
    "numba",
    "numpy",
    "pandas",
    "platformdirs",
    "pyarrow",
    "scipy",
    "threadpoolctl",
}
SPARED = {
    "jax",
    "jaxlib",
    "jinja2",
    "joblib",
    "optax",
    "plotly",
    "sklearn",
}  # used by other commands and policies
PLAIN = """
import json, sys
import simulate
words = "--policy linucb --stream vqa --rounds 100 --seeds 2".split()
sys.argv = ["simulate.py", *words, "--out", sys.argv[1]]
try:
    simulate.main()
except SystemExit as done:
    assert not done.code, done.code
print(json.dumps(sorted(sys.modules)))
"""


def test_a_plain_run_loads_what_it_uses_and_nothing_else(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    modules = set(json.loads(ran.stdout.splitlines()[-1]))
    known = {line.partition(">")[0].strip() for line in _required()}
    named = {"scikit-learn": "sklearn"}
    tops = {name.partition(".")[0] for name in modules}
    assert tops & ({named.get(name, name) for name in known} | LOADED | SPARED) == LOADED
    assert not modules & {"scipy.linalg", "scipy.special", "scipy.stats", "scipy.optimize"}


DECIDE = PLAIN.replace(
    "--policy linucb --stream vqa --rounds 100 --seeds 2", "decide --stream ocr --rounds 100 --seeds 5"
)


def test_decide_plays_without_jax(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", DECIDE, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert not {"jax", "jaxlib", "optax"} & set(json.loads(ran.stdout.splitlines()[-1]))


ENDS = """
import atexit, sys
import simulate
atexit.register(print, "left behind")
sys.argv = ["simulate.py", *sys.argv[1:]]
simulate.script()
"""


@pytest.mark.parametrize(("words", "code"), [(["list"], 0), (["--policy", "nonsense"], 2)])
def test_a_process_that_ends_at_once_says_all_and_runs_what_is_to_run_at_the_end(
    words: list[str], code: int
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ENDS, *words], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert ran.returncode == code
    assert ran.stdout.endswith("left behind\n")
    assert ("linucb" in ran.stdout) if code == 0 else ran.stderr.startswith("simulate: no policy")


def test_what_compiles_beside_a_run_reads_nothing_of_the_folder_that_the_user_is_in(tmp_path: Path) -> None:
    for name in ("numpy", "numba", "bandits", "random"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')\n")
    found = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *BESIDE], cwd=tmp_path, env=found, check=True)
    assert not (tmp_path / "ran").exists()


def _required() -> list[str]:
    held = configparser.ConfigParser()
    held.read(ROOT / "setup.cfg", encoding="utf-8")
    return held["options"]["install_requires"].split("\n")[1:]

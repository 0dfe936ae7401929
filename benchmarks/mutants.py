"""Which small faults in the arithmetic would the tests not notice? One fault at a time, made by mutmut (2.5).

    python benchmarks/mutants.py [--only metrics/frontier] [--every 3]

mutmut makes the faults (a comparison, an operator, a number, a keyword or an assignment changed); the tests that belong
to a file run with each of them in a process of its own, forked once the libraries are loaded, until the first fails.
Neither a file of the checkout is changed nor a copy of it written. Not counted, since no result depends on them: types
in annotations, and the texts of errors. Not mutated: numba kernels, which are compiled once for all.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import signal
import sys
import tempfile
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 60  # seconds: a fault that hangs is noticed
_METRICS = (
    "tests/test_metrics.py",
    "tests/test_ends.py",
    "-k",
    "not band and not warm and not evenly and not router",
)
_VERDICT = (
    "tests/test_verdict.py",
    "--deselect=tests/test_verdict.py::test_equal_policies_are_rarely_said_to_beat_anything",
)
TESTS: dict[str, tuple[str, ...]] = {
    "metrics/frontier": _METRICS,
    "metrics/significance": (*_VERDICT, *_METRICS),
    "metrics/verdict": (*_VERDICT, *_METRICS),
    "metrics/intervals": (*_VERDICT, *_METRICS),
    "metrics/knapsack": ("tests/test_knapsack.py", "tests/test_ends.py", "-k", "not band and not warm and not router"),
    "metrics/curve": ("tests/test_curve.py", "tests/test_ends.py", "-k", "not band and not warm and not router"),
    "metrics/regret": ("tests/test_columns.py", *_METRICS),
    "metrics/changing": (
        "tests/test_phases.py", "tests/test_columns.py", "tests/test_defaults.py", "-k",
        "not browser and (row or add_up or lucky or recovery or newcomer or arrives or verdict)",
    ),
    "wrappers/promise": ("tests/test_wrapped.py", "tests/test_ends.py", "-k", "promise or cap or worst_case"),
    "results/curves": ("tests/test_summary.py", "tests/test_describe.py", "-k", "dataset"),
    "results/differences": ("tests/test_by_dataset.py",),
    "results/spending": (
        "tests/test_columns.py", "tests/test_ends.py", "-k", "account or left or gap or price_over or without_a_call",
    ),
}  # fmt: skip
_ALIASES = {"Arms", "Floats", "Ints", "Integers"}  # names of types
# hypothesis is loaded before the fork.
_QUIET = ("-x", "-q", "-n0", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning")
# The changed line -> why nothing can tell it from the right one.
EQUIVALENT: dict[str, str] = {
    "cheaper = np.concatenate(([+np.inf], np.maximum.accumulate(y)))[group]": (
        "the first place is read where group is 0 only, and there the other side of the `or` decides"
    ),
}


class Plain(ast.NodeTransformer):
    """What is left of a file without annotations and the texts of errors."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        named = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return ast.Pass() if named & _ALIASES else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()


class Mutated(importlib.abc.MetaPathFinder, SourceFileLoader):
    """Loads one module from a changed text."""

    text: str

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.path, "exec")


def mutants(file: Path) -> list[tuple[int, str, str]]:
    """Return line, changed line and text of every mutant of a file that can matter."""
    from mutmut import Context, list_mutations, mutate

    source = file.read_text()
    plain, found = ast.dump(Plain().visit(ast.parse(source))), []
    for place in list_mutations(Context(source=source, filename=str(file))):
        text, changed = mutate(Context(source=source, filename=str(file), mutation_id=place))
        try:
            same = ast.dump(Plain().visit(ast.parse(text))) == plain
        except SyntaxError:  # no fault that anybody could make
            continue
        if not changed or same:
            continue
        pairs = zip(text.splitlines(), source.splitlines(), strict=False)
        line = next(new.strip() for new, old in pairs if new != old)
        found.append((place.line_number + 1, line, text))
    return found


def noticed(module: str, file: Path, text: str) -> bool:
    """Return whether a test of the module fails with this text in place of the file's."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        code = 1
        try:
            finder = Mutated(f"bandits.{module.replace('/', '.')}", str(file))
            finder.text = text
            sys.meta_path.insert(0, finder)
            import pytest

            code = int(pytest.main([*TESTS[module], *_QUIET]))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return status != 0


def settle(place: str) -> None:
    """Give every forked run the same caches, as the workers of one test run have them."""
    home = Path(place) / "home"
    home.mkdir()
    os.environ |= {
        "PYTEST_XDIST_WORKER": "mutants",  # conftest.py leaves to its starter what a worker finds
        "ROUTEBANDIT_TESTS": place,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "ROUTEBANDIT_CACHE": f"{place}/cache",
        "NUMBA_CACHE_DIR": f"{place}/numba",
        "JAX_COMPILATION_CACHE_DIR": f"{place}/cache/xla",
    }
    for name in ("hypothesis", "jax", "numba", "optax", "pandas", "pyarrow", "pytest", "scipy.stats"):
        importlib.import_module(name)


def main() -> None:
    """Print what is not noticed, and a table by file."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--only", choices=sorted(TESTS), action="append", help="a file; all when left out")
    options.add_argument("--every", type=int, default=1, help="take each n-th mutant only")
    asked = options.parse_args()
    os.chdir(ROOT)
    rows = []
    with tempfile.TemporaryDirectory(prefix="routebandit-mutants-") as place:
        settle(place)
        for module in asked.only or TESTS:
            file = ROOT / "bandits" / f"{module}.py"
            if noticed(module, file, file.read_text()):
                sys.exit(f"the tests of {module} fail without any fault")
            found, same, left = mutants(file)[:: asked.every], 0, 0
            for number, line, text in found:
                if line in EQUIVALENT:
                    same += 1
                elif not noticed(module, file, text):
                    left += 1
                    print(f"{module}.py:{number}: {line}", flush=True)
            rows.append((module, len(found), same, left))
            counted = len(found) - same
            share = f"{1 - left / counted:.1%}" if counted else "-"
            print(
                f"{module}: {len(found)} mutants, {same} equivalent, {left} not noticed: {share}", flush=True
            )
    counted, left = sum(r[1] - r[2] for r in rows), sum(r[3] for r in rows)
    print(f"in all: {counted} counted, {left} not noticed: {1 - left / max(counted, 1):.1%} noticed")


if __name__ == "__main__":
    main()

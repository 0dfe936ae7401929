"""Memory is estimated before anything is played, by every command that plays, and refused with the figure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import memory
from envs.twin import generate
from envs.windows import big, survey
from tests.test_command import run, table  # noqa: F401  (fixtures)
from tests.test_streams import CONTEXT

MANY = 100_000_000
SWEEP = 'policies = ["greedy"]\nseeds = {seeds}\n{more}\n[[streams]]\ndata = "{data}"\n'


def words(kind: str, table: Path) -> tuple[object, ...]:  # noqa: F811
    if kind == "streamed":
        generate.make(Path("s.parquet"), 2000, dim=4, seed=0)
        return ("--policy", "linucb", "--stream", "s.parquet", "--out", "done")
    if kind in ("changed", "plain"):
        return ("--policy", "linucb", "--data", table, "--change", "price,model=@best,at=.5,factor=.1")[
            : 6 if kind == "changed" else 4
        ]
    if kind == "decide":
        return ("decide", table)
    if kind == "scenarios":
        return ("scenarios", "--policy", "linucb", "--data", table)
    return (
        "mmrbench",
        "--data",
        table,
        "--router",
        "knn",
        *(("--online", "linucb") if kind == "online" else ()),
    )


@pytest.mark.parametrize(
    "kind", ["plain", "changed", "streamed", "scenarios", "decide", "mmrbench", "online"]
)
def test_absurd_seeds_are_refused_with_the_figure(run, table, kind) -> None:  # noqa: F811
    given = words(kind, table)
    before = sorted(p.name for p in Path().iterdir())
    code, out, err = run(*given, "--seeds", MANY)
    assert code == 2 and not out and len(err.splitlines()) <= 2, err  # one line may say what mode a table has
    found = re.search(
        r"simulate: --seeds 100000000 .*needs about ([\d,.]+) GiB of memory, [\d,.]+ GiB are free", err
    )
    assert found and float(found[1].replace(",", "")) > 100
    assert sorted(p.name for p in Path().iterdir()) == before
    code, _, err = run(*given, "--rounds", 3_000_000_000)
    assert code == 2 and "--rounds" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("seeds", "more"), [(MANY, ""), (2, "rounds = 3000000000"), (2, "rounds = 2000000000")]
)
def test_an_absurd_sweep_is_refused_before_anything_is_tried(run, table, dry, seeds, more) -> None:  # noqa: F811
    Path("s.toml").write_text(SWEEP.format(seeds=seeds, more=more, data=table))
    code, out, err = run("sweep", "s.toml", *dry)
    assert code == 2 and not out and len(err.splitlines()) == 1, err
    assert "GiB of memory" in err or "rounds" in err
    assert not Path("runs").exists()


def test_a_streamed_runs_estimate_grows_with_seeds_and_states_and_not_with_rows(tmp_path) -> None:
    """LinUCB's inverses alone: K (d, d) float32 matrices a seed, before and after."""
    from bandits.experiment.ask import Ask

    generate.make(tmp_path / "s.parquet", 3000, dim=33, seed=0)
    opened = survey.opened(tmp_path / "s.parquet", **CONTEXT)
    one, many = (memory.streamed(opened, Ask(("linucb",), seeds=s)) for s in (1, 101))
    assert many - one >= 100 * 2 * opened.n_arms * 33 * 33 * 4
    longer = big.Big(**{**vars(opened), "rows": 10**9})
    limit = big.Big(**{**vars(opened), "rows": 10**7})
    ask = Ask(("linucb",), seeds=1)  # curves have a few points more or less
    assert memory.streamed(longer, ask) == pytest.approx(memory.streamed(limit, ask), rel=1e-3)


def test_a_changed_world_counts_its_rows(known) -> None:
    from bandits.experiment.ask import Ask

    plain = memory.estimate(known, Ask(("linucb",), seeds=10, rounds=1000))
    changed = memory.estimate(known, Ask(("linucb",), seeds=10, rounds=1000, change=("x",)))
    assert changed - plain == memory.laid_out(known, 10, 1000) >= 10_000 * known.n_arms * 2 * 8

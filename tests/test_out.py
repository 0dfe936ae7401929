"""Does every command refuse a place that it cannot take before it works, and leave what is the user's?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.test_folders import SMALL, done, run, table  # noqa: F401  (fixtures)

# The command, its option, a name that fits, and the function that begins its work.
FILES = [
    (("report", "DONE"), "--out", "x.html", "bandits.folders.read.page"),
    (("export", "DONE", "--policy", "linucb"), "--out", "x.npz", "bandits.folders.export.export"),
    (("inspect", "--data", "TABLE"), "--write", "x.csv", "commands.tables.load"),
    (("make-stream", "--rounds", "5", "--dim", "3"), "--out", "x.parquet", "envs.twin.generate.model"),
    (("mmrbench", "--data", "TABLE"), "--out", "x.csv", "bandits.mmrbench.command.evaluate"),
]
FOLDERS = [
    (("sweep", "SWEEP"), "--out", "DIGEST.json", "bandits.sweeps.engines.local"),
    (("mmrbench", "--data", "TABLE", "--online", "linucb"), "--out", "scores.csv", "bandits.mmrbench.command.meet"),
    (("get", "mmr-bench"), "--dest", "MMR_Bench.csv", "envs.tables.hub._listed"),
    ((*SMALL, "--data", "TABLE"), "--out", "summary.csv", "bandits.experiment.play.finish"),
    ((*SMALL, "--data", "TABLE", "--plots", "svg"), "--out", "plots/plane.svg", "bandits.experiment.play.finish"),
]  # fmt: skip


@pytest.fixture
def words(done, table, tmp_path):  # noqa: F811
    """Return the words of a command with its paths put in."""
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(f'streams = "{table}"\nseeds = 2\npolicies = ["uniform"]\n')
    given = {"DONE": str(done), "TABLE": str(table), "SWEEP": str(sweep)}
    return lambda command: [given.get(word, word) for word in command]


def works(*given: object, **more: object) -> Any:
    raise AssertionError("the work has begun")


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return what is in a folder, by name: the bytes of files."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.mark.parametrize(("command", "option", "name", "work"), FILES, ids=lambda x: str(x)[:20])
def test_a_file_that_cannot_be_is_refused_before_the_work(
    words, tmp_path, monkeypatch, command, option, name, work
):
    (tmp_path / "way" / name / "mine").mkdir(parents=True)
    (tmp_path / "way" / "file").write_text("mine")
    before = tree(tmp_path)
    monkeypatch.setattr(work, works)
    for place in (f"way/{name}", f"way/file/{name}", f"nowhere/{name}", "/dev/null"):
        error = run(*words(command), option, tmp_path / place)
        fits = place == "/dev/null" and "needs a name that ends in" in str(error)
        assert isinstance(error, ValueError) and ("cannot be written" in str(error) or fits), (place, error)
        assert "\n" not in str(error)
    assert tree(tmp_path) == before and Path("/dev/null").is_char_device()


@pytest.mark.parametrize(("command", "option", "name", "work"), FOLDERS, ids=lambda x: str(x)[:20])
def test_a_folder_that_cannot_be_is_refused_before_the_work(
    words, tmp_path, monkeypatch, command, option, name, work
):
    from bandits.report import plots
    from bandits.sweeps import plan

    words_now, way = words(command), tmp_path / "way"
    if name == "DIGEST.json":
        name = f"{plan.jobs(words_now[1])[0].digest}.json"
    (way / name / "mine").mkdir(parents=True)
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    monkeypatch.setattr(plots, "check", lambda formats: formats)  # as where there is a browser
    monkeypatch.setattr(work, works)
    for place in (way, tmp_path / "file", tmp_path / "file" / "below"):
        error = run(*words_now, option, place)
        assert isinstance(error, ValueError) and "\n" not in str(error), (place, error)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("row", [0, 2, 3, 4], ids=["report", "inspect", "make-stream", "mmrbench"])
def test_a_file_of_the_users_is_replaced_whole_or_stays_and_a_link_stays_one(
    words, tmp_path, monkeypatch, row
):
    command, option, name, _ = FILES[row]
    command = (*command, *["--router", "random"] * (command[0] == "mmrbench"))
    real, link = tmp_path / "real" / name, tmp_path / "link" / name
    for place in (real, link):
        place.parent.mkdir()
    real.write_text("mine")
    link.symlink_to(real)
    replace = os.replace

    def fails(source: Any, target: Any) -> None:
        if Path(target).name == name:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fails)
        assert "No space left" in str(run(*words(command), option, link))
    assert tree(tmp_path / "real") == {name: b"mine"} and tree(tmp_path / "link").keys() == {name}
    assert run(*words(command), option, link) is None
    assert link.is_symlink() and real.read_bytes() == link.read_bytes() != b"mine"
    assert tree(tmp_path / "real").keys() == {name} == tree(tmp_path / "link").keys()


def test_results_of_a_sweep_stand_beside_what_is_the_users(words, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.json").write_text("mine")
    assert run(*words(("sweep", "SWEEP")), "--workers", 1, "--out", out) in (None, 0)
    assert (out / "notes.json").read_text() == "mine" and len(list(out.iterdir())) == 2


def test_figures_are_drawn_aside_and_other_files_stay(tmp_path, monkeypatch) -> None:
    kaleido = pytest.importorskip("kaleido")
    from bandits.report import plots

    figure = {
        "id": "plane", "height": 400, "axes": {"x": "x", "y": "y"},
        "views": [{"label": "all", "data": [{"x": [0], "y": [1], "mode": "lines"}]}],
    }  # fmt: skip
    (tmp_path / "mine.svg").write_text("mine")
    (tmp_path / "plane.svg").write_text("earlier")

    def half(figures: Any, **more: object) -> None:
        Path(figures[0]["path"]).write_text("half")
        raise RuntimeError("the browser has gone")

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", half)
    with pytest.raises(RuntimeError):
        plots.write([figure], tmp_path, ("svg",))
    assert tree(tmp_path) == {"mine.svg": b"mine", "plane.svg": b"earlier"}


def test_what_a_killed_run_left_half_written_is_no_hindrance(table, done, tmp_path) -> None:  # noqa: F811
    """Killed in the middle of its first file, or before the manifest: the same command takes the folder."""
    (tmp_path / f".trace.parquet.{2**22 + 1}.part").write_text("half")
    assert run(*SMALL, "--data", table, "--out", tmp_path) is None
    assert not list(tmp_path.glob(".*")) and (tmp_path / "summary.csv").is_file()
    for place in (tmp_path / "ours", tmp_path / "mine"):
        place.mkdir()
    (tmp_path / "ours" / "trace.parquet").write_bytes((done / "trace.parquet").read_bytes())
    assert run(*SMALL, "--data", table, "--out", tmp_path / "ours") is None
    (tmp_path / "mine" / "trace.parquet").write_text("of another program")
    assert "holds other files" in str(run(*SMALL, "--data", table, "--out", tmp_path / "mine"))
    assert tree(tmp_path / "mine") == {"trace.parquet": b"of another program"}


def test_what_a_killed_make_stream_left_is_removed_at_the_next_start(tmp_path) -> None:
    """Names are .NAME.PID.part; process 2^22 + 1 cannot be, the parent of this one is there."""
    kept = [f".s.parquet.{os.getppid()}.part", ".s.parquet.notes.part", f".other.parquet.{2**22 + 1}.part"]
    for name in (*kept, f".s.parquet.{2**22 + 1}.part"):
        (tmp_path / name).write_text("half")
    assert run("make-stream", "--rounds", 5, "--dim", 3, "--out", tmp_path / "s.parquet") is None
    assert {p.name for p in tmp_path.iterdir()} == {*kept, "s.parquet"}

"""Whatever is asked for, the answer is a result or one line: random options, specs, sweep and config files."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import click
import pytest

import simulate
from bandits import resolve
from bandits.experiment.lineup import OFFERED, WRAPPERS
from bandits.experiment.play import finish
from bandits.loop.feedback import DELAYS
from bandits.mmrbench.routers import ROUTERS
from bandits.rewards import REWARDS
from bandits.wrappers.budget import PACINGS
from commands import dry_run
from envs.changes.changes import CHANGES

CASES = int(os.environ.get("ROUTEBANDIT_FUZZ", "300"))
NUMBERS = ("0", "-1", "1", "2", "0.5", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "99999999999999999999",
           "-99999999999999999999", "3000000000", "10000000000", "1" * 5000,
           "x", "", "'1'", "[1]", "None", "1e400")  # fmt: skip
TEXTS = (*NUMBERS, "a" * 5000, "\x1b[31mred\x1b[0m", "\0", "a\nb", "../..", "/", "uniform(0,2)",
         "uniform(2,nan)", "30%",
         "-5%", "0/query", "cost=1,latency=nan", "cost=,", "(((", "a,b=c,d", ",", "é" * 300, "ocr", "all", "table.csv",
         "absent.csv", "own.py:f", "own.py:absent", "exits.py:f", "lp", "linear", "shuffle", "both", "run.toml",
         "png", "uniform", "linucb", "restart(linucb", "restart(linucb,alpha=1),threshold=nan", "[" * 3000)  # fmt: skip
TOML = ("dim = 'x'", "cap = nan", "whiten = 5", "streams = [{data = 5}]", "streams = [{dim = 'x'}]", "seeds = -1",
        "streams = [{whiten = 5}]", "policies = 5", "policies = [{name = 5}]", "policies = ['uniform']", "seeds = 'x'",
        "preferences = [[1]]", "budgets = [true]", "policy = [[1]]", "policy = {a = 1}", "seeds = 1e400", "seed = true",
        "seeds = 99999999999999999999", "rounds = 3000000000", "x = [", "policy = 'uniform'", "rounds = 5", "=", "\0",
        "a = " + "[" * 3000, "cap = 'inf'", "n_eff = inf", "pacings = ['a']", "change = 5", "order = 7",
        "hard = 'no'")  # fmt: skip
RNG = random.Random(20261126)
REGISTRIES: tuple[tuple[str, Any], ...] = (
    ("--policy", OFFERED), ("--policy", WRAPPERS), ("--reward", REWARDS), ("--pacing", PACINGS), ("--change", CHANGES),
    ("--delay", DELAYS), ("--router", ROUTERS),
)  # fmt: skip


def extreme_specs() -> list[tuple[str, str]]:
    """Return each hyperparameter of all that can be named, at values that no sane experiment has."""
    found = []
    for option, registry in REGISTRIES:
        for name, function in registry.items():
            inner = "(uniform)" if registry is WRAPPERS else ""
            for key in resolve.hyperparameters(function):
                found += [(option, f"{name}{inner},{key}={value}") for value in NUMBERS]
    return found


SPECS = extreme_specs()


def spec() -> list[str]:
    """Return the arguments of a short dry run (of a router: of a tiny benchmark) around one extreme spec."""
    option, text = RNG.choice(SPECS)
    if option == "--router":
        return ["mmrbench", "--data", "table.csv", "--router", text]
    more = [] if option == "--policy" else ["--policy", "uniform"]
    more += ["--budget", "30%"] if option == "--pacing" else []
    return [
        option,
        text,
        *more,
        "--stream",
        "table.csv",
        "--seeds",
        "1",
        "--rounds",
        "4",
        "--out",
        "out",
        "--dry-run",
    ]


def options() -> list[str]:
    """Return a command with up to four of its options, each at a random value; cheap whatever is accepted."""
    name = RNG.choice(["", "", "", *simulate.cli.commands])
    command: click.Command = simulate.cli.commands[name] if name else simulate.cli
    known = [p for p in command.params if isinstance(p, click.Option) and "--version" not in p.opts]
    words = [name] * bool(name)
    if name == "get":
        words += ["absent", "--dest", "out"]  # never the network
    elif name:
        words += [RNG.choice(TEXTS) for p in command.params if isinstance(p, click.Argument)]
    else:
        words += [
            "--policy",
            "uniform",
            "--stream",
            "table.csv",
            "--seeds",
            "1",
            "--rounds",
            "4",
            "--dry-run",
        ]
    if name in ("mmrbench", "scenarios"):
        words += ["--data", "table.csv", "--seeds", "1", "--dim", "2"]
    if name == "scenarios":
        words += ["--policy", "uniform", "--scenario", "price-cut", "--rounds", "4"]
    if name == "mmrbench":
        words += ["--router", "random"]
    for option in RNG.sample(known, RNG.randint(1, min(4, len(known)))):
        if option.opts[0] in ("--embed", "--dest", "--track"):  # of the network, or elsewhere
            continue
        value = RNG.choice(NUMBERS if RNG.random() < 0.5 else TEXTS)
        words += [option.opts[0]] if option.is_flag else [option.opts[0], value]
    return words


def file() -> list[str]:
    """Return a sweep, a ranking or a run by a TOML file put together of random lines."""
    Path("run.toml").write_text("\n".join(RNG.sample(TOML, RNG.randint(1, 3))), encoding="utf-8")
    return RNG.choice(
        [
            ["sweep", "run.toml", "--dry-run"],
            ["best", "run.toml"],
            ["--config", "run.toml", "--dry-run", "--stream", "table.csv"],
        ]
    )


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a table of four queries and two files of the user's, of which one exits."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"q{i},{m},{(i + j) % 2},{j + 1},text {i}\n" for i in range(8) for j, m in enumerate("ab"))
    Path("table.csv").write_text("query_id,model,utility,cost,question\n" + rows)
    Path("own.py").write_text("def f(*args, **named):\n    raise RecursionError('deep')\n")
    Path("exits.py").write_text("import sys\nsys.exit(0)\n")

    def measured(loaded: Any, ask: Any, rounds: int) -> dict[str, tuple[float, float]]:
        """Play the oracle, which compiles nothing and meets what is wrong but in a policy; those are built before."""
        list(finish(loaded, ask._replace(policies=("oracle",), rounds=rounds)))
        return dict.fromkeys(ask.policies, (0.0, 1.0))

    monkeypatch.setattr(dry_run, "_measure", measured)


@pytest.mark.usefixtures("workshop")
@pytest.mark.filterwarnings("default")
def test_random_options_end_in_a_result_or_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(CASES):
        words = (spec, options, file)[number % 3]()
        try:
            code, message = simulate.answer(words)
        except BaseException as error:
            pytest.fail(f"case {number}: {[w[:80] for w in words]}: {type(error).__name__}: {error}"[:1000])
        assert code in (0, 1, 2), words
        assert (code == 2) == bool(message), (words, message)
        assert message.isprintable() and len(message) <= 1300, words
        capsys.readouterr()


@pytest.mark.usefixtures("workshop")
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--policy", "exits.py:f"], "exits.py raised SystemExit"),
        (["--policy", "own.py:f"], "RecursionError"),
        (["--policy", "uniform", "--seeds", "100000000"], "GiB"),
        (["--policy", "uniform", "--rounds", "3000000000"], "--rounds"),
        (["--policy", "uniform", "--delay", "9" * 20], "delay"),
        (["--policy", "uniform", "--batch", "9" * 20], "--batch"),
        (["--policy", "uniform", "--seed", "9" * 20], "--seed"),
        (["--policy", "neuralucb,width=1000000000"], "width"),
        (["--policy", "swlinucb,window=10000000000"], "window"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(words: list[str], named: str) -> None:
    code, message = simulate.answer([*words, "--stream", "table.csv", "--dry-run"])
    assert code == 2 and named in message


@pytest.mark.usefixtures("workshop")
def test_a_long_name_is_shortened_and_control_characters_are_written_out() -> None:
    code, message = simulate.answer(["--policy", "\x1b[31m" + "a" * 5000, "--stream", "table.csv"])
    assert code == 2 and len(message) < 1300 and "\\x1b" in message and "\x1b" not in message


def test_memory_counts_the_states_of_every_seed() -> None:
    """LinUCB's inverses alone: K (d, d) float32 matrices a seed."""
    from bandits.experiment.ask import Ask
    from commands.memory import estimate
    from tests.conftest import make_stream

    stream = make_stream(features=63)
    few, many = (estimate(stream, Ask(("linucb",), seeds=s, rounds=10)) for s in (1, 101))
    assert many - few >= 100 * stream.n_arms * 64 * 64 * 4

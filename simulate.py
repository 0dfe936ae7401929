#!/usr/bin/env python3
"""The command line: replay an outcome matrix through routing policies. The only file that knows click."""

# Heavy imports stand inside the commands: `-h` answers in a tenth of a second without jax, pandas, plotly, numba.
from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

FORMATS = click.Choice(["table", "csv", "json"])
_WHO = {"context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 110}}


def world(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which table is replayed and what a policy sees of it."""
    for option in reversed(
        [
            click.option(
                "--data", metavar="FILE", help="A table of outcomes instead of the calibrated twin."
            ),
            click.option("--prices", metavar="FILE", help="Prices that turn tokens or calls into cost."),
            click.option("--models", metavar="A,B,...", help="Keep these models only."),
            click.option("--modality", default="both", show_default=True, help="text, image or both."),
            click.option("--fusion", default="concat", show_default=True, help="concat, mean or adaptive."),
            click.option("--dim", default=32, show_default=True, help="Principal components in the context."),
            click.option(
                "--embed", metavar="MODEL", help="Embed questions and images by this encoder first."
            ),
            click.option("--whiten", is_flag=True, help="Give every component the same variance."),
        ]
    ):
        function = option(function)
    return function


@click.group(invoke_without_command=True, **_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.option(
    "--policy", "policies", multiple=True, metavar="SPEC", help="name,key=value or file.py:name; repeatable."
)
@click.option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset, or a path.")
@world
@click.option(
    "--reward", default="linear", show_default=True, metavar="SPEC", help="name,key=value or file.py:name."
)
@click.option(
    "--preference", default="0.2", show_default=True, help="Weight on cost: number, list, uniform(0,2)."
)
@click.option(
    "--budget", multiple=True, metavar="B", help="12.5, 30%, 0.0005/query, cost=..,latency=..; repeatable."
)
@click.option(
    "--pacing", default="stop", show_default=True, metavar="SPEC", help="How a budget is spent; see list."
)
@click.option("--hard", is_flag=True, help="Never exceed the budget: mask what could.")
@click.option("--cap", type=float, help="No call that costs more, by posted or predicted cost.")
@click.option(
    "--warm-start", "--train-share", "warm_start", metavar="B", help="Rows set aside as a log: 10% or 500."
)
@click.option("--n-eff", type=float, help="Observations of each arm that the log counts for.")
@click.option("--scenario", metavar="NAME", help="A ready-made world that changes; see list.")
@click.option(
    "--change",
    multiple=True,
    metavar="SPEC",
    help="What changes while the run goes on; see list; repeatable.",
)
@click.option(
    "--delay", metavar="SPEC", help="Rounds until an outcome is heard, or a law of delays; see list."
)
@click.option("--batch", type=int, help="Rounds between updates.")
@click.option("--feedback", default="bandit", show_default=True, help="bandit, full or dueling.")
@click.option("--seeds", default=20, show_default=True, help="Runs, each with its own order of the queries.")
@click.option("--seed", default=0, show_default=True, help="Fixes the orders and the policies' randomness.")
@click.option("--order", default="shuffle", show_default=True, help="shuffle, given or dataset.")
@click.option("--rounds", type=int, help="Repeat or cut the stream to this many rounds.")
@click.option("--out", metavar="DIR", help="Where the files go.  [default: runs/<stream>]")
@click.option(
    "--format", "form", type=FORMATS, default="table", show_default=True, help="Of the summary on stdout."
)
@click.version_option(package_name="routebandit", prog_name="simulate")
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Replay a table of multimodal-LLM outcomes (query x model: utility, cost) through routing policies.

    A policy sees a query, calls one model, and hears only that model's outcome. The run ends in a summary on
    stdout and DIR/{summary.csv, curves.csv, trace.parquet, manifest.json, report.html}.

    \b
    Examples:
      simulate.py --policy linucb --stream vqa
      simulate.py --policy linucb,alpha=1 --policy thompson --policy uniform --data my_outcomes.csv
      simulate.py --policy mine.py:my_policy --reward mine.py:my_reward --stream ocr
    """
    if ctx.invoked_subcommand is None:
        run(**options)


def run(*, stream: str, out: str | None, form: str, **options: Any) -> None:
    """Replay, summarise, save, print; once for each preference and budget."""
    if not options["policies"]:
        raise click.UsageError(
            "--policy is needed, for example --policy linucb; `simulate.py list` names them all"
        )
    loaded = _load({"stream": stream, **options})
    _prepare_jax()
    from bandits import artefacts, runs, tables

    ask = runs.Ask(**{k: options[k] for k in runs.Ask._fields})
    folder = Path(out or Path("runs") / _safe(loaded.name))
    places = {name: folder / name for name in runs.names(ask)}
    for place in places.values():
        artefacts.check_folder(place)
    known = {
        "command": " ".join(["simulate.py", *sys.argv[1:]]),
        "context": {k: options[k] for k in ("modality", "fusion", "dim", "whiten")},
        "data": options["data"] or loaded.name,
        "load": {"name": stream, **{k: options[k] for k in ("data", "prices", "models")}},
    }
    summaries: list[Any] = []
    started = time.perf_counter()
    with _progress(len(places) * len(ask.policies) * ask.seeds * (ask.rounds or len(loaded))) as told:
        for done in runs.finish(loaded, ask, told):
            seconds = {"seconds": round(time.perf_counter() - started, 3)}
            summaries.append(artefacts.publish(places[done.name], done, ask, known | seconds))
    for summary, place in zip(summaries, places.values(), strict=True):
        if form == "table":
            _print(tables.short(summary), form)
            click.echo(f"\nreport: {place / 'report.html'}")
    if form != "table":
        _print([row for summary in summaries for row in summary.to_dict("records")], form)
    _say(*loaded.notes, f"numbers are from: {loaded.outcomes.label}")


@cli.command("inspect", **_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.argument("name", default="all")
@world
@click.option("--write", metavar="FILE", help="Write the table as wide Parquet or CSV.")
@click.option("--fidelity", is_flag=True, help="Compare the twin with the published figures.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def inspect_table(name: str, write: str | None, fidelity: bool, form: str, **options: Any) -> None:
    """Describe a table: NAME is `twin`, a stream or a path."""
    name = "all" if name == "twin" else name
    stream = _load({"stream": name, **options})
    if write:
        from envs import formats

        formats.write(stream.outcomes, write)
        _say(f"wrote {write}")
    if fidelity:
        if options["data"] is not None or stream.name != "all":
            raise ValueError(f"--fidelity compares the whole twin with the paper, got {stream.name!r}")
        _prepare_jax()
        from bandits.mmrbench.fidelity import fidelity as compare

        _print(compare(stream.outcomes), form)
        return
    from bandits import tables
    from envs import describe

    whole = describe.overview(stream.outcomes)
    parts = {"models": describe.by_model(stream.outcomes), "datasets": describe.by_dataset(stream.outcomes)}
    if form == "json":
        click.echo(json.dumps(tables.plain({**whole, "notes": list(stream.notes), "by": parts}), indent=2))
    elif form == "csv":
        _print(parts["models"], form)
    else:
        click.echo("\n".join(f"{k.replace('_', ' '):28} {tables.number(v)}" for k, v in whole.items()))
        for title, rows in parts.items():
            click.echo(f"\n{title}")
            _print(rows, form)
        _say(*stream.notes)


@cli.command(**_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.option("--data", metavar="FILE", help="A table of outcomes instead of the calibrated twin.")
@click.option("--models", metavar="A,B,...", help="Keep these models only.")
@click.option(
    "--dataset", default="all", show_default=True, help="Datasets and scenarios joined by +, or all."
)
@click.option("--mode", default="22", show_default=True, help="Train and test see: 1 text, 2 both, 3 image.")
@click.option("--split", default="in", show_default=True, help="in (random), out (other datasets) or cross.")
@click.option(
    "--train-share", default=0.2, show_default=True, help="Of the queries, or of the datasets (out)."
)
@click.option(
    "--router", "routers", multiple=True, default=("all",), metavar="SPEC", help="Repeatable, or all."
)
@click.option("--random-state", default=42, show_default=True, help="Of the split and of routers that draw.")
@click.option("--seeds", default=1, show_default=True, help="Repetitions, each with a split of its own.")
@click.option("--missing", default="mean", show_default=True, help="Outcomes not recorded: mean or drop.")
@click.option("--table2", is_flag=True, help="Put nAUC and peak score beside the paper's Table 2.")
@click.option(
    "--online",
    multiple=True,
    metavar="SPEC",
    help="Policies on the same test queries, swept over preferences.",
)
@click.option(
    "--dim", default=32, show_default=True, help="Principal components in the online policies' context."
)
@click.option("--out", metavar="PATH", help="Also write: rows to a .csv or .json; with --online, a folder.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def mmrbench(data: str | None, models: str | None, out: str | None, form: str, **settings: Any) -> None:
    """Train and score full-information routers by MMR-Bench's protocol (arXiv 2601.17814)."""
    _prepare_jax()
    from bandits.mmrbench import command
    from envs import formats, twin

    table = twin.twin() if data is None else formats.read(data)
    table = table.select([m.strip() for m in models.split(",")]) if models else table
    with _progress(0) as told:
        text, written = command.answer(table, form, out, progress=told, **settings)
    click.echo(text)
    _say(*(f"wrote {path}" for path in written), f"numbers are from: {table.label}")


@cli.command(**_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.argument("what", type=click.Choice(["mmr-bench"]))
@click.option("--dest", metavar="DIR", required=True, help="The folder it goes to.")
@click.option("--images", is_flag=True, help="The images too (large).")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def get(what: str, dest: str, images: bool, form: str) -> None:
    """Download a released table: mmr-bench, from the Hugging Face hub (needs routebandit[hub])."""
    from envs import hub

    found = hub.get_mmr_bench(dest, images=images)
    _say(*found.notes)
    told = {"path": str(found.path), "queries": found.queries, "models": ", ".join(found.models)}
    _print([{"table": what, **told}], form)


@cli.command("list", **_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def list_names(form: str) -> None:
    """Name every policy, reward and stream, with hyperparameters."""
    from bandits import experiment

    rows = experiment.catalogue()
    if form != "table":
        _print(rows, form)
        return
    for row in rows:
        click.echo(f"{row['kind']:10} {row['name']:22} {row['what']}")
        if row["hyperparameters"]:
            click.echo(f"{'':33} {row['hyperparameters']}")


@cli.command(**_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.argument("folders", metavar="DIR...", nargs=-1, required=True)
@click.option("--out", metavar="FILE", default="comparison.html", show_default=True, help="Where it goes.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def report(folders: tuple[str, ...], out: str, form: str) -> None:
    """Rebuild one report from finished runs on the same queries; nothing is run."""
    from bandits import compare, tables

    tables.write(out, compare.page(folders))
    _wrote({"report": out}, form)


@cli.command(**_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.argument("first", metavar="DIR")
@click.argument("second", metavar="DIR")
@click.option("--datasets", is_flag=True, help="Each dataset too, not only all together.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def diff(first: str, second: str, datasets: bool, form: str) -> None:
    """Print how far the second run's policies are from the first's, paired over seeds."""
    from bandits import compare

    _print(compare.difference(compare.read(first), compare.read(second), datasets=datasets), form)


@cli.command(**_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.argument("folder", metavar="DIR")
@click.option("--policy", required=True, metavar="SPEC", help="As it was given to the run.")
@click.option("--out", metavar="FILE", default="policy.npz", show_default=True, help="Where it goes.")
@click.option("--seed", default=0, show_default=True, help="Which of the run's seeds, from 0.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def export(folder: str, policy: str, out: str, seed: int, form: str) -> None:
    """Save what a policy of a finished run has learned, for bandits.load(FILE) in a serving stack."""
    from bandits import export as exports
    from bandits import serving

    serving.save(exports.export(folder, policy, seed=seed), out)
    _wrote({"policy": out}, form)


@cli.command(**_WHO)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
@click.option(
    "--policy", "policies", multiple=True, required=True, metavar="SPEC", help="The first is compared with."
)
@click.option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset, or a path.")
@world
@click.option("--scenario", "chosen", multiple=True, metavar="NAME", help="Only these.  [default: all]")
@click.option("--reward", default="linear", show_default=True, metavar="SPEC")
@click.option("--preference", default=0.2, show_default=True)
@click.option("--seeds", default=10, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--order", default="shuffle", show_default=True, help="shuffle, given or dataset.")
@click.option("--rounds", type=int, help="Repeat or cut the stream to this many rounds.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def scenarios(
    policies: tuple[str, ...], chosen: tuple[str, ...], reward: str, form: str, **options: Any
) -> None:
    """Run policies through every scenario on paired seeds and print one table."""
    stream = _load(options)
    _prepare_jax()
    from bandits import resolve, rewards
    from bandits.scenarios import compare
    from envs.scenarios import SCENARIOS

    kept = {k: options[k] for k in ("preference", "seeds", "seed", "order", "rounds")}
    worth = resolve.function(reward, rewards.REWARDS, "reward")
    _print(compare(stream, policies, worth, scenarios=chosen or tuple(SCENARIOS), **kept), form)
    _say(*stream.notes, f"numbers are from: {stream.outcomes.label}")


def main() -> None:
    """Run the command; a user's mistake ends in one line on stderr and exit code 2, never in a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except (click.UsageError, ValueError) as error:
        message = error.format_message() if isinstance(error, click.UsageError) else str(error)
        _fail(" ".join(message.split()), 2)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped; nothing was written", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), 2)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"simulate: {message}", err=True)
    sys.exit(code)


def _load(options: dict[str, Any]) -> Any:
    """Load the stream that the options of `world` describe."""
    import envs

    models = [m.strip() for m in options["models"].split(",")] if options["models"] else None
    kept = {k: options[k] for k in ("data", "prices", "embed", "modality", "fusion", "dim", "whiten")}
    return envs.load(options["stream"], models=models, **kept)


def _prepare_jax() -> None:
    """Keep compiled programs between runs, unless the user has settled where; before the first import of jax."""
    from envs import cache

    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache.folder() / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, int], None] | None]:
    """Show rounds done on stderr, only where somebody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    done: dict[str, int] = {}
    with click.progressbar(length=total, label="rounds", file=sys.stderr, show_pos=True) as bar:

        def told(policy: str, rounds: int) -> None:
            bar.label = policy
            bar.update(rounds - done.get(policy, 0))
            done[policy] = rounds

        yield told


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)


def _print(rows: Any, form: str) -> None:
    from bandits import tables

    click.echo(tables.render(rows, form))


def _wrote(path: dict[str, str], form: str) -> None:
    """Say where something was written: a line for people, rows for programs."""
    if form == "table":
        click.echo("".join(f"{what}: {where}" for what, where in path.items()))
    else:
        _print([path], form)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)


if __name__ == "__main__":
    main()

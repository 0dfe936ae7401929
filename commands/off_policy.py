"""The commands about logs with one call a query: log makes one, ope values policies on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands.command_line import spoken
from commands.help import Topical, option
from commands.numbers import FINITE, SEED, WHOLE
from commands.options import SETTINGS, voice, world
from commands.prepare import load, prepare_jax
from commands.terminal import progress, say, show, wrote


@click.command("log", cls=Topical, context_settings=SETTINGS)
@option("--policy", required=True, metavar="SPEC", help="Plays: name,key=value or file.py:name.")
@option(
    "--explore",
    type=FINITE,
    default=0.1,
    show_default=True,
    help="Share of uniform calls instead of its own.",
)
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset, or a path.")
@world
@option(
    "--reward", default="linear", show_default=True, metavar="SPEC", help="name,key=value or file.py:name."
)
@option("--preference", type=FINITE, default=0.2, show_default=True, help="Weight on cost.")
@option("--rounds", type=WHOLE, help="Repeat or cut the stream to this many rounds.")
@option("--order", default="shuffle", show_default=True, help="shuffle, given or dataset.")
@option(
    "--seed", type=SEED, default=0, show_default=True, help="Fixes the order and everything that is drawn."
)
@option("--out", required=True, metavar="FILE", help="A Parquet file; its columns: docs/logs.md.")
@voice
def make_log(
    policy: str, explore: float, reward: str, preference: float, out: str, form: str, **options: Any
) -> None:
    """Write the log of one call a query that a policy with some exploration would leave, propensities included."""
    prepare_jax()
    from bandits import resolve, rewards
    from bandits.experiment.lineup import REFERENCES, build
    from bandits.off_policy import drawn

    drawn.check_place(Path(out))
    if policy.partition(",")[0].strip() in REFERENCES:
        raise ValueError(f"policy {policy!r} needs hindsight and cannot be logged; name one that plays")
    stream = load(options)
    worth = resolve.function(reward, rewards.REWARDS, "reward")
    table = rewards.reward_table(worth, stream, preference)
    built = build(policy, stream, worth, checked=".py:" in policy)
    kept = {k: options[k] for k in ("rounds", "seed", "order")}
    made = drawn.draw(built, stream, table, explore=explore, preference=preference, **kept)
    about = {
        "policy": policy,
        "explore": explore,
        "stream": stream.name,
        "reward": reward,
        "preference": preference,
    }
    drawn.write(made, stream, table, out, about | {"label": stream.outcomes.label, "seed": options["seed"]})
    wrote({"log": out}, form)
    whose = "over the policy's own randomness" if made.marginal else "given the policy's own choice"
    say(f"{len(made.row):,} rounds; chances {whose}", f"numbers are from: {stream.outcomes.label}")


@click.command("ope", cls=Topical, context_settings=SETTINGS)
@click.argument("log", metavar="LOG")
@option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    metavar="SPEC",
    help="What is valued: uniform, always,model=NAME, any policy, learned,objective=dm|ips|dr|mtr, a router file.",
)
@option("--estimate-propensities", is_flag=True, help="Estimate them where the log has none.")
@option("--boosted", is_flag=True, help="Reward models of gradient boosting instead of ridge.")
@option("--wide", is_flag=True, help="Every estimator, a row each.")
@option(
    "--tune",
    type=click.Choice(["mse", "slope"]),
    default="mse",
    show_default=True,
    help="What chooses clips, thresholds and shrinkages: the MSE score or SLOPE.",
)
@option(
    "--bootstrap", type=WHOLE, metavar="N", help="Intervals by so many resamples, where an estimator allows."
)
@option(
    "--groups", metavar="A,B;C", help="Models that are alike, or a CSV of model, group: MIPS, with --wide."
)
@option(
    "--truth", metavar="TABLE", help="A full table of the log's queries, or a stream: the truth beside it."
)
@option(
    "--replay", is_flag=True, help="Run the policies on the log by rejection instead: they learn as they go."
)
@option("--sweep", metavar="P,P,...", help="Every policy at each of these preferences.")
@option(
    "--out",
    metavar="DIR",
    help="A page with plane, weights and verdict goes there; a .csv or .json: rows alone.",
)
@option(
    "--reward", metavar="SPEC", help="name,key=value or file.py:name.  [default: the log's own, else linear]"
)
@option("--preference", type=FINITE, help="Weight on cost.  [default: the log's column reward, else 0.2]")
@option(
    "--seed", type=SEED, default=0, show_default=True, help="Of the halves, the folds and policies' draws."
)
@click.pass_context
@voice
def evaluate(ctx: click.Context, /, log: str, policies: tuple[str, ...], form: str, **options: Any) -> None:
    """Value policies on a LOG of one call a query: what they would have earned, and whether the log can tell."""
    prepare_jax()
    from bandits import resolve, rewards, rows
    from bandits.folders import evaluated
    from bandits.off_policy import ask, rounds, valued
    from envs.tables.log import read_log

    out = options["out"]
    folder = None if out is None or out.endswith((".csv", ".json")) else evaluated.check(out)
    if folder is not None and options["replay"]:
        raise ValueError(f"--replay has no page; --out needs a name that ends in .csv or .json, got {out!r}")
    if repeated := [s for i, s in enumerate(policies) if s in policies[:i]]:
        raise ValueError(f"policy {repeated[0]!r} is given twice; name each once")
    if options["groups"] is not None and not options["wide"]:
        raise ValueError("--groups is for MIPS, one of the estimators of --wide; give that too")
    worth, seed = resolve.function(options["reward"] or "linear", rewards.REWARDS, "reward"), options["seed"]
    weight = rewards.PREFERENCE if options["preference"] is None else options["preference"]
    own = options["reward"] is None and options["preference"] is None  # then a column `reward` stands
    read = read_log(log)
    given = rounds.ready(read, worth, preference=None if own else weight)
    if given.propensity is None and options["estimate_propensities"]:
        given = rounds.estimated(given)
    if options["replay"]:
        ran = [ask.replayed(given, spec, worth, seed=seed) for spec in policies]
        if out:
            rows.write(out, rows.render(ran, out.rpartition(".")[2]))
        show(ran, form)
        say(*ask.of_replay(ran), *given.notes)
        return
    if options["sweep"] is None:
        wanted = {spec: ask.chances(given, spec, worth, seed=seed) for spec in policies}
    else:
        at = {p: rounds.ready(read, worth, preference=p) for p in _numbers(options["sweep"])}
        wanted = {
            f"{spec} at {p:g}": ask.chances(one, spec, worth, seed=seed)
            for spec in policies
            for p, one in at.items()
        }
    how = valued.How(
        options["wide"],
        options["tune"],
        options["bootstrap"] or 0,
        None if options["groups"] is None else ask.grouped(given, options["groups"]),
        seed,
    )
    found = ask.answer(given, wanted, how, boosted=options["boosted"], seed=seed)
    told, truth = found.rows, None
    if options["truth"]:
        stream = load(
            {"stream": options["truth"], **dict.fromkeys(("data", "prices", "models", "embed"))}
            | {"modality": "both", "fusion": "concat", "dim": 32, "whiten": False, "context": "embeddings"}
        )
        table = rewards.reward_table(worth, stream, weight)
        told = ask.against(told, ask.truths(given, wanted, stream, table))
        truth = stream.outcomes.label
    notes = (*given.notes, *([] if truth is None else [f"truth from: {truth}"]))
    if folder is not None:
        page = _page(
            folder,
            read,
            found._replace(rows=told),
            notes,
            spoken(ctx),
        )
        wrote({"page": str(page)}, form)
    elif out:
        rows.write(out, rows.render(told, out.rpartition(".")[2]))
    show(told, form)
    if form == "table":
        click.echo()
        if found.diagnostics:
            show(found.diagnostics, form)
            click.echo()
    for line in (*found.warnings, *found.verdict):
        click.echo(line, err=form != "table")
    say(*notes)


def _page(folder: Path, log: Any, found: Any, notes: tuple[str, ...], command: str) -> Path:
    """Write the page of an evaluation and its tables."""
    from bandits import rows
    from bandits.folders import evaluated
    from bandits.report import off_policy

    known = {
        "title": f"Off-policy evaluation on {log.path.name}",
        "notes": notes,
        "command": command,
        "cost_unit": log.cost_unit,
    }
    page = off_policy.render(
        found.rows, found.diagnostics, found.warnings, found.verdict, found.weights, known
    )
    tables = {"estimates.csv": rows.render(found.rows, "csv") + "\n"}
    if found.diagnostics:
        tables["diagnostics.csv"] = rows.render(found.diagnostics, "csv") + "\n"
    return evaluated.write(
        folder, page, tables, {"command": command, "log": log.path.name, "notes": list(notes)}
    )


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--sweep needs numbers such as 0,0.2,1, got {text!r}") from None


@click.command("ope-benchmark", cls=Topical, context_settings=SETTINGS)
@option("--stream", default="all", show_default=True, help="all, ocr, vqa, math, a dataset, or a path.")
@world
@option(
    "--logs", type=WHOLE, default=100, show_default=True, help="Logs drawn for each size and exploration."
)
@option("--rounds", default="2000", show_default=True, help="Rounds of a log; a list such as 500,2000.")
@option(
    "--explore", default="0.1", show_default=True, help="Share of uniform calls; a list such as 0.05,0.2,1."
)
@option(
    "--reward", default="linear", show_default=True, metavar="SPEC", help="name,key=value or file.py:name."
)
@option("--preference", type=FINITE, default=0.2, show_default=True, help="Weight on cost.")
@option("--seed", type=SEED, default=0, show_default=True, help="Of everything that is drawn.")
@voice
def try_estimators(
    logs: int, rounds: str, explore: str, reward: str, preference: float, form: str, seed: int, **options: Any
) -> None:
    """Draw logs from a table whose truth is known and print how wrong each estimator is, and which to trust."""
    from bandits import resolve, rewards
    from bandits.off_policy import trials

    try:
        sizes = tuple(int(part) for part in rounds.split(","))
        explores = tuple(float(part) for part in explore.split(","))
    except ValueError:
        raise ValueError(
            f"--rounds and --explore need numbers or lists, got {rounds!r} and {explore!r}"
        ) from None
    stream = load(options)
    worth = resolve.function(reward, rewards.REWARDS, "reward")
    with progress(logs * len(sizes) * len(explores)) as told:
        rows = trials.trials(
            stream, worth, preference=preference, explores=explores, sizes=sizes, logs=logs, seed=seed,
            progress=None if told is None else lambda done: told("logs", done),
        )  # fmt: skip
    show(rows, form)
    say(trials.trusted(rows), f"numbers are from: {stream.outcomes.label}")

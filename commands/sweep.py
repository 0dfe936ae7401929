"""The commands sweep and best: many runs from one file, and which did best."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from commands.help import Topical, option
from commands.memory import fits
from commands.options import FORMATS, SETTINGS
from commands.prepare import prepare_jax
from commands.terminal import remark, say, show

if TYPE_CHECKING:
    import pandas as pd

_OUT = option(
    "--out", metavar="DIR", default="runs/sweeps", show_default=True, help="Where results are kept."
)


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="FILE.toml")
@option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True)
@option("--address", metavar="TCP", help="Of the Dask scheduler, tcp://host:port.")
@option("--workers", type=click.IntRange(1, 1024), help="Processes on this machine.  [default: one a core]")
@_OUT
@option("--dry-run", is_flag=True, help="Only say how many jobs there are and how many are done.")
def sweep(file: str, engine: str, address: str | None, workers: int | None, out: str, dry_run: bool) -> int:
    """Compute all runs that FILE.toml multiplies out: policies, hyperparameters, rewards, budgets, streams, ...

    A finished job is a file in DIR, named by all that determines it: asked again, it is not computed again.
    """
    if (engine == "dask") != (address is not None):
        raise click.UsageError("--engine dask and --address tcp://host:port go together")
    prepare_jax()
    from bandits.rows import counted
    from bandits.sweeps import engines, plan, results
    from bandits.sweeps.job import Job
    from envs.cores import cores

    # A cluster's memory is its own; here each job is tried with one seed before it is sent there.
    at_once = workers or cores()
    streams: dict[str, Any] | None = None if address is None else {}
    fitting = _fitting(at_once, here=address is None)
    jobs = {job.digest: job for job in plan.jobs(file, fits=fitting, streams=streams)}
    todo = {digest: job for digest, job in jobs.items() if not results.path(out, digest).is_file()}
    before = len(jobs) - len(todo)
    if dry_run:
        click.echo(f"{counted(len(jobs), 'job')}, {before} done, {len(todo)} to do; results: {out}")
        return 0
    results.prepare(out, jobs)
    plain = {digest: tuple(job) for digest, job in todo.items()}
    if address is None:
        ended = engines.local(work, plain, workers=workers or -1)
    else:
        ended = engines.dask(
            work, plain, address=address, streams=streams or {}, home=lambda job: Job(*job).home
        )
    failed: dict[str, str] = {}
    done = before
    try:
        for digest, text, error in _watched(ended, len(todo)):
            if error:
                failed[digest] = error
            else:
                results.keep(out, digest, text)
                done += 1
    except KeyboardInterrupt:
        say(
            f"simulate: stopped; {done} of {counted(len(jobs), 'job')} {_be(done, 'is', 'are')} done and kept in {out};"
            " the same command goes on"
        )
        return 130
    say(*(f"failed: {jobs[digest].title}: {error}" for digest, error in failed.items()))
    click.echo(
        f"{counted(len(jobs), 'job')}: {before} {_be(before, 'was', 'were')} done, {done - before} computed,"
        f" {len(failed)} failed; results: {out}"
    )
    say(*sorted({f"numbers are from: {job.known['label']}" for job in jobs.values()}))
    return 1 if failed else 0


def _fitting(at_once: int, *, here: bool) -> Callable[[Any, Any], object]:
    """Return what refuses a job that so many processes of this machine, or the trial of one, have no memory for."""
    if here:
        return lambda stream, ask: fits(stream, ask, at_once=at_once)
    return lambda stream, ask: fits(stream, ask._replace(seeds=1))


@click.command(cls=Topical, context_settings=SETTINGS)
@click.argument("file", metavar="FILE.toml")
@_OUT
@option(
    "--top", default=10, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Rows of a table; 0: all."
)
@option("--wide", is_flag=True, help="Every figure instead of 80 columns.")
@option("--format", "form", type=FORMATS, default="table", show_default=True)
def best(file: str, out: str, top: int, wide: bool, form: str) -> None:
    """Rank what a sweep has computed, with paired differences to the leader on the same seeds."""
    from bandits.rows import counted
    from bandits.sweeps import plan, ranking, results

    jobs = plan.jobs(file, tried=False)
    finished = results.read(out, jobs)
    if not finished:
        raise ValueError(f"no job of {file} has a result in {out}; simulate.py sweep {file} computes them")
    frame = ranking.ranking(finished)
    if form in ("csv", "json"):
        show(frame, form)
    else:
        for _, part in frame.groupby(list(ranking.QUESTION), sort=False):
            _table(part, top, form, wide)
    if left := len(jobs) - len(finished):
        say(
            f"{left} of {counted(len(jobs), 'job')} {_be(left, 'has', 'have')} no result yet; simulate.py sweep {file}"
            " goes on"
        )
    say(*sorted({f"numbers are from: {job.known['label']}" for job, _ in finished}))


def _table(part: pd.DataFrame, top: int, form: str, wide: bool) -> None:
    """Print the ranking of one question."""
    from bandits.report import brief
    from bandits.report.parts import records
    from bandits.rows import counted, laid
    from bandits.sweeps.ranking import QUESTION

    first, seeds = part.iloc[0], int(part.iloc[0]["seeds"])
    budget = f", budget {first['budget']}" if first["budget"] else ""
    found = part["verdict"].value_counts()
    won, lost = (int(found.get(f"{side} best_fixed", 0)) for side in ("beats", "below"))
    contenders = int(part["rank"].notna().sum())
    told = (
        f"{first['stream']}, reward {first['reward_spec']}, preference {first['preference']}{budget}:"
        f" {counted(contenders, 'contender')}, {counted(seeds, 'seed')}, {first['rounds']} rounds"
    )
    remark(told, form)
    silent = [] if part["unanswered"].any() else ["unanswered"]
    shown = part.drop(columns=[*QUESTION, "seeds", "rounds", *silent])
    shown = shown.head(top) if top else shown
    if wide:
        show(shown, form)
    else:
        click.echo(laid(*brief.ranked(records(shown)), form))
        click.echo("\n" * (form == "markdown"), nl=False)
        remark(brief.RANKED, form)
    told = (
        f"of {contenders}, {won} shown to beat the best fixed choice, {lost} to be below it, {contenders - won - lost}"
        f" neither (5 % over {counted(seeds, 'seed')} and {counted(int(first['queries']), 'query', 'queries')}, paired"
        " t-tests, Holm-adjusted)"
    )
    remark(told, form)
    click.echo()


def _be(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _watched(ended: Iterator[Any], total: int) -> Iterator[Any]:
    """Yield what ends; jobs done, their rate and the time left go to stderr where somebody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from ended
        return
    started = time.monotonic()
    with click.progressbar(
        length=total, label="jobs", file=sys.stderr, show_pos=True, item_show_func=lambda rate: rate
    ) as bar:
        for count, done in enumerate(ended, 1):
            yield done
            bar.update(1, f"{count / (time.monotonic() - started):.2g} jobs/s")


def work(digest: str, job: tuple[Any, ...], stream: Any = None) -> tuple[str, str, str]:
    """Compute a job in a worker process, on a stream that was sent to it, if one was.

    Returns its name, its result or "", and what went wrong or "".
    """
    prepare_worker()
    from bandits.sweeps.job import Job, result

    try:
        return digest, result(Job(*job), stream), ""
    except (
        Exception,
        SystemExit,
        KeyboardInterrupt,
    ) as error:  # of any kind: one job must not end the others
        return digest, "", " ".join(f"{type(error).__name__}: {error}".split())


def prepare_worker() -> None:
    """Keep compiled programs, compute on one thread, and leave Ctrl-C to the parent; before the first import of jax."""
    prepare_jax()
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    os.environ["NPROC"] = os.environ["PJRT_NPROC"] = "1"  # threads of XLA, which minds no other setting
    os.environ["JAX_NUM_CPU_DEVICES"] = "1"  # the parent's is for all cores
    if threading.current_thread() is threading.main_thread():  # not so on a Dask worker
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the whole group
